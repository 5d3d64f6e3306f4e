"""The cache: how much of the input it carries, what it saved, what was lost to cold and broken caches, and by whom."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from control_plane.dashboards.charts import UNIT_COUNT, UNIT_MONEY, Chart, interval_starts, stacked
from control_plane.sessions.analysis.advice import CAUSES, KINDS, advice
from control_plane.sessions.analysis.findings import Kind
from control_plane.sessions.selectors.spend import (
    CauseTotal,
    DaySpend,
    Group,
    Spend,
    causes_total,
    day_bounds,
    spend_by,
    spend_by_day,
    spend_of,
    spend_total,
)
from control_plane.usage.models import ConversationSession
from control_plane.usage.selectors.series import Interval
from control_plane.web import numbers
from control_plane.web.listing import csv_response, wants_csv
from control_plane.web.names import Names
from control_plane.web.ranges import NAMED, TimeRange, read_range
from control_plane.web.request import ConsoleRequest, scope, zone_of
from control_plane.web.session_chart import TONES

GROUPS = (
    ("user", "Developer"),
    ("team", "Team"),
    ("repository", "Repository"),
    ("client", "Tool"),
    ("model", "Model"),
    ("session", "Session"),
)
METRICS = (("lost", "Lost money"), ("tokens", "Input tokens"))
LOST = (
    ("cold_nano_usd", "Cold caches"),
    ("broken_nano_usd", "Broken caches"),
    ("moved_nano_usd", "Other model or target"),
    ("uncached_nano_usd", "Never cached"),
    ("loop_nano_usd", "Loops"),
)
READ = ("Read from cache", "Everything else")
SUMS = tuple(part.name for part in fields(Spend))
HEAD = (
    "group", "group_id", "sessions", "turns", "prompt_tokens", "cache_read_tokens", "cost_nano_usd",
    "saved_cache_nano_usd", *(name for name, _ in LOST), "avoidable_nano_usd", "unavoidable_nano_usd", "cause",
    "advice",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A developer, team, repository ... link: the sessions behind it."""

    group: Group
    name: str
    link: str
    cause: str
    advice: str

    @property
    def spend(self) -> Spend:
        return self.group.spend


@dataclass(frozen=True, slots=True)
class CauseRow:
    total: CauseTotal
    tone: str
    kind: str
    words: str
    advice: str


@require_GET
def cache(request: ConsoleRequest) -> HttpResponseBase:
    asked = request.GET
    span = read_range(
        asked.get("range", ""),
        asked.get("from", ""),
        asked.get("to", ""),
        now=timezone.now(),
        zone=zone_of(request),
        default="30d",
    )
    by = asked.get("by", "") if asked.get("by") in dict(GROUPS) else "user"
    metric = asked.get("metric", "") if asked.get("metric") in dict(METRICS) else "lost"
    mine, names = scope(request), Names(request.organization)
    if wants_csv(request) and asked.get("by") == "day":
        days = spend_by_day(mine, span.since, span.until)
        return csv_response("cache-by-day", ("day", *SUMS), map(_day_cells, days))
    rows = _rows(spend_by(mine, span.since, span.until, by), by, names, span)
    if wants_csv(request):
        return csv_response(f"cache-by-{by}", HEAD, map(_cells, rows))
    days = spend_by_day(mine, span.since, span.until)
    now, before = spend_of(days), spend_total(mine, span.before_since, span.before_until)
    context = {
        "range": span,
        "ranges": NAMED,
        "by": by,
        "by_label": dict(GROUPS)[by],
        "groups_offered": GROUPS,
        "metric": metric,
        "metrics": METRICS,
        "now": now,
        "before": before,
        "share": numbers.share(now.cache_read_tokens, now.prompt_tokens),
        "share_before": numbers.share(before.cache_read_tokens, before.prompt_tokens),
        "rows": rows,
        "causes": [
            CauseRow(total, TONES[Kind(total.kind)], KINDS[Kind(total.kind)], CAUSES[total.cause], advice(total.cause))
            for total in causes_total(mine, span.since, span.until)
        ],
        "chart": _chart(days, span, metric),
        "days": days[::-1],
        "sentence": _sentence(now, span),
        "days_text": _days_text(span),
    }
    return render(request, "web/cache/cache.html", context)


def _rows(groups: list[Group], by: str, names: Names, span: TimeRange) -> list[Row]:
    sessions: dict[str, str] = {}
    if by == "session":
        ids = [UUID(group.value) for group in groups]
        sessions = {row.id.hex: row.session_id for row in ConversationSession.objects.filter(id__in=ids)}
    names.learn(by, {group.value for group in groups})
    return [
        Row(
            group,
            sessions.get(group.value, group.value) if by == "session" else names.of(by, group.value),
            _link(by, group.value, span),
            CAUSES[group.cause] if group.cause else "",
            advice(group.cause) if group.cause else "",
        )
        for group in groups
    ]


def _link(by: str, value: str, span: TimeRange) -> str:
    """The sessions of a group, those first that could have saved most; empty where it has no name."""
    if not value:
        return ""
    if by == "session":
        return reverse("web:session", args=[UUID(value)])
    chosen = {by: value, "sort": "-avoidable"}
    return f"{reverse('web:sessions')}?{urlencode(chosen)}&{span.query}"


def _chart(days: list[DaySpend], span: TimeRange, metric: str) -> Chart:
    """Per UTC day: money lost by kind, or what of the input was read from caches."""
    zone = ZoneInfo("UTC")
    points: list[tuple[datetime, str | None, int]] = []
    for one in days:
        start = datetime(one.day.year, one.day.month, one.day.day, tzinfo=UTC)
        if metric == "tokens":
            fresh = one.spend.prompt_tokens - one.spend.cache_read_tokens
            points += zip((start, start), READ, (one.spend.cache_read_tokens, fresh), strict=True)
        else:
            points += [(start, label, amount) for name, label in LOST if (amount := getattr(one.spend, name))]
    return stacked(
        points,
        interval_starts(*day_bounds(span.since, span.until), Interval.DAY, zone),
        unit=UNIT_COUNT if metric == "tokens" else UNIT_MONEY,
        zone=zone,
        interval=Interval.DAY,
        behind=reverse("web:sessions") + "?sort=-avoidable",
        order=READ if metric == "tokens" else [label for _, label in LOST],
    )


def _sentence(now: Spend, span: TimeRange) -> str:
    """What is so, for those who read one line only."""
    if not now.turns:
        return f"{span.label}: no session of a coding tool."
    share = numbers.share(now.cache_read_tokens, now.prompt_tokens)
    if not now.avoidable_nano_usd:
        return f"{span.label}: {share} of all input came from caches; nothing was lost that could have been avoided."
    return (
        f"{span.label}: {share} of all input came from caches. {numbers.money(now.avoidable_nano_usd)} of "
        f"{numbers.money(now.cost_nano_usd)} could have been avoided "
        f"({numbers.share(now.avoidable_nano_usd, now.cost_nano_usd)})."
    )


def _days_text(span: TimeRange) -> str:
    """Which days were counted; empty where they are the range to the minute."""
    since, until = day_bounds(span.since, span.until)
    if since == span.since and until >= span.until and span.zone_name == "UTC":
        return ""
    first, last = since.date(), (until - timedelta(microseconds=1)).date()
    named = f"{first:%-d %b}" if first == last else f"{first:%-d %b} to {last:%-d %b}"
    return f"Sessions are counted by whole days of UTC: {named}."


def _day_cells(one: DaySpend) -> tuple[object, ...]:
    return (one.day, *(getattr(one.spend, name) for name in SUMS))


def _cells(row: Row) -> tuple[object, ...]:
    spend = row.spend
    return (
        row.name, row.group.value, spend.sessions, spend.turns, spend.prompt_tokens, spend.cache_read_tokens,
        spend.cost_nano_usd, spend.saved_cache_nano_usd, *(getattr(spend, name) for name, _ in LOST),
        spend.avoidable_nano_usd, spend.unavoidable_nano_usd, row.cause, row.advice,
    )  # fmt: skip

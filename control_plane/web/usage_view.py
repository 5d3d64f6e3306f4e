"""Usage as pages show it: tables by group with shares, charts with a sentence, totals beside the range before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from control_plane.dashboards.charts import (
    MOST_SERIES,
    UNIT_COUNT,
    UNIT_MONEY,
    Chart,
    compared,
    interval_starts,
    stacked,
)
from control_plane.usage.histogram import quantile_us
from control_plane.usage.labels import NONE
from control_plane.usage.rollups import COUNTS, SUMS, Measures
from control_plane.usage.selectors.points import METRICS as PARTS_OF
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import (
    Interval,
    SeriesQuery,
    latency_is_known,
    usage_page,
    usage_stack,
    usage_total,
)
from control_plane.web import numbers
from control_plane.web.names import NOT_THERE, Names
from control_plane.web.ranges import TimeRange

Filters = Mapping[str, Sequence[str]]

METRICS = (("cost", "Cost"), ("requests", "Requests"), ("tokens", "Tokens"))
MORE_METRICS = (
    ("saved_cache_nano_usd", "Saved by caching"),
    ("saved_downgrade_nano_usd", "Saved by downgrades"),
    ("errors", "Failed attempts"),
    ("refusals", "Refusals"),
    ("output", "Tokens out"),
    ("cache_read", "Tokens read from cache"),
)
"""What else a chart may measure."""
TITLES = dict((*METRICS, *MORE_METRICS))
MONEY = frozenset({"cost", "saved_cache_nano_usd", "saved_downgrade_nano_usd"})
MOST_ROWS = 100
"""So many groups a table names; the rest is one row, and all of them are in the CSV."""
SHORT = ("requests", "cost_nano_usd")
"""What a short table shows."""
LONG = (*SUMS, "first_token_counts")


@dataclass(frozen=True, slots=True)
class GroupRow:
    """What one group used. value: the group's id or name as filters take it; empty: it is not known."""

    value: str
    name: str
    measures: Measures
    share: float
    is_rest: bool = False
    """All groups that are not shown, together."""
    before: Measures | None = None
    """What it used in the range before; None: it is not compared."""

    @property
    def wanted(self) -> str:
        """How addresses ask for it; empty: it is no group."""
        return "" if self.is_rest else self.value or NONE

    @property
    def change(self) -> str:
        """How its cost changed: "+18 % from $2.14"; empty: it is not compared."""
        if self.before is None:
            return ""
        before, now = self.before.cost_nano_usd, self.measures.cost_nano_usd
        if before == 0:
            return "new" if now else "–"
        return f"{numbers.change(now, before)} from {numbers.money(before)}"

    @property
    def share_per_mille(self) -> int:
        return round(1000 * self.share)

    @property
    def percent(self) -> int:
        return round(100 * self.share)

    @property
    def tokens_in(self) -> int:
        return prompt_tokens(self.measures)

    @property
    def tokens_out(self) -> int:
        return self.measures.output + self.measures.reasoning

    @property
    def first_token_us(self) -> int | None:
        return quantile_us(self.measures.first_token_counts, 0.5)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of a range and of the one before it."""

    now: Measures
    before: Measures

    @property
    def cost_change(self) -> str:
        return _change(
            self.now.cost_nano_usd,
            self.before.cost_nano_usd,
            numbers.money(self.before.cost_nano_usd),
            numbers.money(self.now.cost_nano_usd),
        )

    @property
    def request_change(self) -> str:
        return _change(self.now.requests, self.before.requests, f"{self.before.requests:,}", f"{self.now.requests:,}")

    @property
    def tokens_in(self) -> int:
        return prompt_tokens(self.now)

    @property
    def tokens_out(self) -> int:
        return self.now.output + self.now.reasoning

    @property
    def cache_share(self) -> str:
        return numbers.share(self.now.cache_read, prompt_tokens(self.now))


def prompt_tokens(measures: Measures) -> int:
    """All that models read."""
    return (
        measures.input_fresh
        + measures.input_tool
        + measures.cache_read
        + measures.cache_write_5m
        + measures.cache_write_1h
        + measures.cache_write_30m
        + measures.cache_write_12h
        + measures.cache_write_other
    )


def together(parts: Iterable[Measures]) -> Measures:
    """What parts come to, latencies apart."""
    measures = list(parts)
    return Measures(**{name: sum(getattr(each, name) for each in measures) for name in SUMS})


def totals(scope: Scope, span: TimeRange, filters: Filters | None = None, *, now: Measures | None = None) -> Totals:
    """Sums of a range and of the one before; latencies are left out, no page shows those of everything.

    now: those of the range, where they are known already.
    """
    if now is None:
        now = usage_total(scope, since=span.since, until=span.until, filters=filters, measures=SUMS)
    return Totals(
        now,
        usage_total(scope, since=span.before_since, until=span.before_until, filters=filters, measures=SUMS),
    )


def group_rows(
    scope: Scope,
    span: TimeRange,
    kind: str,
    names: Names,
    *,
    filters: Filters | None = None,
    most: int = MOST_ROWS,
    short: bool = False,
    compare: bool = False,
    total: Measures | None = None,
    metric: str = "cost",
) -> list[GroupRow]:
    """What each group used in a range, the dearest first, then the busiest; at the end what the others used together.

    short: only requests and cost are summed, and there is no row of the others. compare: with what each used before.
    total: what all used together, latencies apart, where it is known already.
    metric: what the shares are of, and what the rows are ordered by; it must be among what is summed.
    """
    measures = SHORT if short else LONG
    query = SeriesQuery(
        scope=scope,
        since=span.since,
        until=span.until,
        interval=Interval.TOTAL,
        group_by=(kind,),
        filters=filters or {},
        most_points=most,
        measures=measures,
    )
    page = usage_page(query)
    # What has no such tag is all there is, less what has one: often nothing.
    points = [point for point in page.points if any(getattr(point.measures, name) for name in SUMS)]
    shown = Measures()
    for point in points:
        shown.merge(point.measures)
    whole, rest = shown, None
    if page.count > len(page.points):
        # Where groups tell no latencies, the others together tell none either.
        if total is None or (not short and latency_is_known(query)):
            total = usage_total(scope, since=span.since, until=span.until, filters=filters, measures=measures)
        whole, rest = total, _minus(total, shown)
    names.learn(kind, (point.group[0] for point in points))
    before = _before(scope, span, kind, [point.group[0] for point in points], filters) if compare else None
    rows = [
        GroupRow(
            point.group[0],
            names.of(kind, point.group[0]),
            point.measures,
            _share(point.measures, whole, metric),
            before=None if before is None else before.get(point.group[0], Measures()),
        )
        for point in points
    ]
    rows.sort(
        key=lambda row: (
            -amount(row.measures, metric),
            -row.measures.cost_nano_usd,
            -row.measures.requests,
            row.name,
        )
    )
    if rest is not None and not short:
        rows.append(
            GroupRow("", f"{page.count - len(page.points):,} others", rest, _share(rest, whole, metric), is_rest=True)
        )
    return rows


def _before(
    scope: Scope, span: TimeRange, kind: str, values: Sequence[str], filters: Filters | None
) -> dict[str, Measures]:
    """What these groups used in the range before."""
    narrowed = filters or {}
    if kind not in narrowed:
        narrowed = {**narrowed, kind: values}
    query = SeriesQuery(
        scope=scope,
        since=span.before_since,
        until=span.before_until,
        interval=Interval.TOTAL,
        group_by=(kind,),
        filters=narrowed,
        measures=SHORT,
    )
    return {point.group[0]: point.measures for point in usage_page(query).points}


def amount(measures: Measures, metric: str) -> int:
    """What a chart of this metric adds up."""
    return sum(int(getattr(measures, part)) for part in PARTS_OF[metric])


def _share(measures: Measures, whole: Measures, metric: str) -> float:
    all_of_it = amount(whole, metric)
    return amount(measures, metric) / all_of_it if all_of_it else 0.0


def _minus(whole: Measures, part: Measures) -> Measures:
    rest = Measures(**{name: getattr(whole, name) - getattr(part, name) for name in SUMS})
    for name in COUNTS:
        setattr(rest, name, [a - b for a, b in zip(getattr(whole, name), getattr(part, name), strict=True)])
    return rest


def chart(
    scope: Scope,
    span: TimeRange,
    kind: str,
    names: Names,
    *,
    zone: ZoneInfo,
    metric: str = "cost",
    filters: Filters | None = None,
    behind: str = "",
    compare: bool = False,
    greatest: Sequence[str] | None = None,
) -> Chart:
    """A metric over a range, stacked by group. compare: with a line of the range before.

    greatest: the groups that have most of it, where they are known already.
    """
    points = usage_stack(
        SeriesQuery(
            scope=scope,
            since=span.since,
            until=span.until,
            interval=span.interval,
            zone=zone,
            group_by=(kind,) if kind else (),
            filters=filters or {},
        ),
        metric,
        most=MOST_SERIES,
        greatest=greatest,
    )
    names.learn(kind, {point.group for point in points if point.group is not None})
    starts = interval_starts(span.since, span.until, span.interval, zone)

    def label(group: str | None) -> str | None:
        if group is None:
            return None
        return names.of(kind, group) if kind else "all"

    drawn = stacked(
        # A group that has nothing of it needs no colour.
        [(point.start, label(point.group), point.value) for point in points if point.value],
        starts,
        unit=UNIT_MONEY if metric in MONEY else UNIT_COUNT,
        zone=zone,
        interval=span.interval,
        behind=behind,
    )
    return compared(drawn, _totals_before(scope, span, metric, zone, filters)) if compare else drawn


def _totals_before(
    scope: Scope, span: TimeRange, metric: str, zone: ZoneInfo, filters: Filters | None
) -> tuple[int, ...]:
    query = SeriesQuery(
        scope=scope,
        since=span.before_since,
        until=span.before_until,
        interval=span.interval,
        zone=zone,
        filters=filters or {},
    )
    starts = interval_starts(span.before_since.astimezone(zone), span.before_until, span.interval, zone)
    points = [(point.start, "all", point.value) for point in usage_stack(query, metric, most=1)]
    return stacked(points, starts, unit=UNIT_COUNT, zone=zone, interval=span.interval).totals


def sentence(drawn: Chart, span: TimeRange, metric: str) -> str:
    """The chart in words, for those who do not see it."""
    write = numbers.money if drawn.unit == UNIT_MONEY else numbers.compact
    subject, range_name = TITLES[metric], f"{span.label[:1].lower()}{span.label[1:]}"
    if drawn.is_empty or drawn.peak is None:
        return f"{subject}, {range_name}: nothing."
    at, value = drawn.peak
    unit = {60: "minute,", 3600: "hour from"}.get(drawn.step_s, "day,")
    moment = f"{at:%H:%M}" if drawn.step_s < 86400 else f"{at:%-d %b}"
    whole = f"{subject}, {range_name}: {write(drawn.total)} in all; the busiest {unit} {moment}, had {write(value)}."
    if len(drawn.series) == 1:
        return whole
    first = drawn.series[0]
    who = f"What {first.label}" if first.label in NOT_THERE.values() else first.label
    return f"{whole} {who} makes {numbers.share(first.total, drawn.total)} of it."


def _change(now: int, before: int, before_text: str, now_text: str) -> str:
    """+18 % … ($214 → $253). Nothing before has no percentage."""
    if before == 0:
        return ""
    return f"{numbers.change(now, before)} ({before_text} → {now_text})"

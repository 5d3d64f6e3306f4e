"""Exchanges: the list with its search, and the page of each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from control_plane.fleet.selectors import pods
from control_plane.organizations.roles import Permission, can
from control_plane.usage import ulid
from control_plane.usage.entries import LedgerRow
from control_plane.usage.selectors.costs import CostExplanation, cost_explained
from control_plane.usage.selectors.exchanges import Exchange, ExchangeSearch, exchange_by_id, exchanges_page
from control_plane.usage.selectors.explanation import exchange_explained
from control_plane.usage.selectors.sessions import SessionSearch, sessions_page
from control_plane.web.explain_view import explained_for
from control_plane.web.listing import Chip, Filter, csv_response, wants_csv, without
from control_plane.web.names import Names
from control_plane.web.ranges import NAMED, read_range
from control_plane.web.request import ConsoleRequest, scope, zone_of
from switchyard_contract.reason import REASON_BY_CODE
from switchyard_contract.usage import KINDS as TOKEN_KINDS

STATUSES = (
    ("2xx", "Served (2xx)"),
    ("4xx", "Refused or wrong (4xx)"),
    ("429", "Too many (429)"),
    ("5xx", "Failed (5xx)"),
)
OUTCOMES = (
    ("served", "Served"),
    ("refused", "Refused by policy"),
    ("failed", "Failed upstream"),
    ("cancelled", "Client left"),
    ("internal", "Our own fault"),
)
OUTCOME_TONES = {"served": "works", "refused": "look", "failed": "stopped", "cancelled": "off", "internal": "stopped"}
MOST_EXPORTED = 100_000
PAGE = 50

TOKEN_NAMES = {
    "input_fresh": "Input, fresh",
    "input_tool": "Input, from the provider's tools",
    "cache_read": "Read from cache",
    "cache_write_5m": "Written to cache, 5 minutes",
    "cache_write_1h": "Written to cache, 1 hour",
    "cache_write_30m": "Written to cache, 30 minutes",
    "cache_write_12h": "Written to cache, 12 hours",
    "cache_write_other": "Written to cache",
    "output": "Output",
    "reasoning": "Reasoning",
}


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt with what its page section shows."""

    row: LedgerRow
    tone: str
    cost: CostExplanation | None
    cost_lines: tuple[tuple[str, int, int, int], ...]
    """(kind in words, tokens, rate, tokens times rate in nano-USD, rounded)."""
    bar: tuple[float, float, float]
    """Widths in per cent: gateway, wait for the first token, stream."""

    @property
    def stream_at(self) -> float:
        return self.bar[0] + self.bar[1]


@require_GET
def exchanges(request: ConsoleRequest) -> HttpResponseBase:
    names = Names(request.organization)
    search, chosen_filters, chips = _search(request, names)
    if wants_csv(request):
        return _csv(request, search, names)
    page = exchanges_page(search, before=request.GET.get("before", "")[:26], limit=PAGE)
    names.learn("user", {one.first.principal_id.hex for one in page.exchanges if one.first.principal_id})
    context = {
        "exchanges": [(one, names.principal(one.first.principal_id), _tone(one)) for one in page.exchanges],
        "before": page.before,
        "is_first_page": not request.GET.get("before"),
        "filters": chosen_filters,
        "chosen": {
            one.name: value if one.options or not value else names.of(one.name, names.find(one.name, value) or value)
            for one in chosen_filters
            for value in (request.GET.get(one.name, ""),)
        },
        "chips": chips,
        "search": request.GET.get("q", "").strip(),
        "ranges": NAMED,
        "is_live": request.GET.get("live") == "1",
    }
    return render(request, "web/exchanges/list.html", context)


@require_GET
def exchange(request: ConsoleRequest, exchange_id: str) -> HttpResponse:
    found = exchange_by_id(scope(request, Permission.EXCHANGES_READ), exchange_id)
    if found is None:
        raise Http404
    names = Names(request.organization)
    last = found.last
    session = None
    if last.session_id:
        sessions = sessions_page(
            SessionSearch(scope(request, Permission.EXCHANGES_READ), session_id=last.session_id, key_id=last.key_id),
            limit=1,
        )
        session = sessions.sessions[0] if sessions.sessions else None
    reason = REASON_BY_CODE.get(last.reason)
    winning, asked = (json.loads(text or "{}") for text in found.metadata)
    context = {
        "exchange": found,
        "last": last,
        "tone": _tone(found),
        "user": names.principal(last.principal_id),
        "team": names.team(last.team_id),
        "key_name": names.of("key", last.key_id),
        "reason_sentence": reason.sentence if reason else "",
        "attempts": [_attempt(row, found) for row in found.attempts],
        "tokens": [(TOKEN_NAMES[kind], count) for kind in TOKEN_KINDS if (count := getattr(found.tokens, kind))],
        "session": session,
        "explained": explained_for(exchange_explained(found), request.standing),
        "has_pod_page": can(request.standing, Permission.FLEET_READ) and pods().filter(pod_id=last.pod_id).exists(),
        "tags": sorted({**asked, **winning}.items()),
        "winning": winning,
    }
    return render(request, "web/exchanges/exchange.html", context)


def _search(request: ConsoleRequest, names: Names) -> tuple[ExchangeSearch, tuple[Filter, ...], tuple[Chip, ...]]:
    """Read the address. A search text is a request's id when it looks like one, otherwise a session's."""
    asked = request.GET
    zone = zone_of(request)
    text = asked.get("q", "").strip()[:200]
    filters = [Filter("status", "Status", STATUSES), Filter("outcome", "Outcome", OUTCOMES)]
    if can(request.standing, Permission.EXCHANGES_READ):
        filters.append(Filter("user", "User", names.options("user"), "User: e-mail or name"))
        filters.append(Filter("provider", "Provider", names.options("provider"), "Provider: its name"))
    span = None
    if asked.get("range") or asked.get("from"):
        span = read_range(
            asked.get("range", ""),
            asked.get("from", ""),
            asked.get("to", ""),
            now=timezone.now(),
            zone=zone,
            default="7d",
        )
    is_request = _is_request_id(text)
    search = ExchangeSearch(
        scope(request, Permission.EXCHANGES_READ),
        since=span.since if span else None,
        until=span.until if span else None,
        request_id=text if is_request else "",
        session_id=text if text and not is_request else asked.get("session", "")[:200],
        principal_id=_id(names, "user", asked.get("user", "")),
        team_id=_id(names, "team", asked.get("team", "")),
        key_id=asked.get("key", "")[:12],
        provider_id=_id(names, "provider", asked.get("provider", "")),
        model=asked.get("model", "")[:200],
        client=asked.get("client", "")[:200],
        status=_status(asked.get("status", "")),
        outcome=asked.get("outcome", "") if asked.get("outcome") in dict(OUTCOMES) else "",
        reason=asked.get("reason", "")[:40],
    )
    shown: list[Chip] = []
    if text:
        shown.append(Chip("request" if is_request else "session", text, without(asked, "q")))
    if span:
        shown.append(Chip("time", span.label, without(asked, "range", "from", "to")))
    by_name = {one.name: one for one in filters}
    for name, label in (
        ("status", "status"),
        ("outcome", "outcome"),
        ("user", "user"),
        ("team", "team"),
        ("key", "key"),
        ("provider", "provider"),
        ("model", "model"),
        ("client", "tool"),
        ("session", "session"),
        ("reason", "reason"),
    ):
        value = asked.get(name, "")
        if value:
            told = value
            if name in by_name and by_name[name].options:
                told = by_name[name].label_of(value)
            elif name in Names.KINDS:
                told = names.of(name, names.find(name, value) or value)
            shown.append(Chip(label, told, without(asked, name)))
    return search, tuple(filters), tuple(shown)


def _attempt(row: LedgerRow, whole: Exchange) -> AttemptRow:
    cost = cost_explained(row)
    lines = tuple(
        (
            TOKEN_NAMES.get(line.kind, line.kind),
            line.tokens,
            line.rate_nano_usd_per_million,
            line.amount_nano_usd_times_million // 1_000_000,
        )
        for line in (cost.lines if cost else ())
    )
    total = max(whole.duration_us, 1)
    gateway = min(row.gateway_us, row.duration_us)
    wait = max((row.first_token_us or row.duration_us) - gateway, 0)
    stream = max(row.duration_us - gateway - wait, 0)
    scaled = [100 * part / total for part in (gateway, wait, stream)]
    return AttemptRow(row, OUTCOME_TONES.get(row.outcome, "off"), cost, lines, (scaled[0], scaled[1], scaled[2]))


def _tone(exchange: Exchange) -> str:
    return OUTCOME_TONES.get(exchange.last.outcome, "off")


def _is_request_id(text: str) -> bool:
    """Ours are ULIDs; providers' begin with req or similar and hold no dash like a session's UUID."""
    try:
        ulid.day_of(text)
    except ulid.NotAUlid:
        return text.startswith(("req_", "chatcmpl-", "resp_", "msg_"))
    return True


def _status(text: str) -> str:
    return text if (len(text) == 3 and text[0].isdigit() and (text.isdigit() or text[1:] == "xx")) else ""


def _id(names: Names, kind: str, text: str) -> UUID | None:
    """The id that was chosen, or that of a name that was typed; what leads to nobody matches nothing."""
    if not text:
        return None
    try:
        return UUID(names.find(kind, text))
    except ValueError:
        return UUID(int=0)


def _csv(request: ConsoleRequest, search: ExchangeSearch, names: Names) -> HttpResponseBase:
    head = (
        "id", "started_at", "status", "outcome", "reason", "user", "team", "key", "client", "session", "protocol",
        "requested_model", "provider", "model", "attempts", *TOKEN_KINDS, "cost_nano_usd", "price_version", "kind",
        "first_token_us", "duration_us", "gateway_us", "pod",
    )  # fmt: skip

    def rows() -> Iterator[tuple[object, ...]]:
        before, left = "", MOST_EXPORTED
        while left > 0:
            page = exchanges_page(search, before=before, limit=min(500, left))
            for one in page.exchanges:
                yield _csv_row(one, names)
            left -= len(page.exchanges)
            before = page.before
            if not before:
                return

    return csv_response("exchanges", head, rows())


def _csv_row(one: Exchange, names: Names) -> tuple[object, ...]:
    last = one.last
    return (
        one.id, one.started_at, last.client_status, last.outcome, last.reason, names.principal(last.principal_id),
        names.team(last.team_id), names.of("key", last.key_id), last.client, last.session_id, last.protocol,
        last.requested_model, last.provider_name, last.model, one.attempt_count,
        *(getattr(one.tokens, kind) for kind in TOKEN_KINDS), one.cost_nano_usd, one.price_version, one.kind,
        one.first_token_us, one.duration_us, one.gateway_us, last.pod_id,
    )  # fmt: skip

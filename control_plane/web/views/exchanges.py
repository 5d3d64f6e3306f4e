"""Exchanges: the list with its search, and the page of each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from control_plane.fleet.selectors import pods
from control_plane.organizations.roles import Permission, can
from control_plane.sessions.selectors.listing import SessionQuery, newest_sessions
from control_plane.usage.entries import LedgerRow
from control_plane.usage.selectors.costs import CostExplanation, cost_explained
from control_plane.usage.selectors.exchanges import Exchange, ExchangeSearch, exchange_by_id, exchanges_page
from control_plane.usage.selectors.explanation import exchange_explained
from control_plane.web.exchange_search import OUTCOME_TONES, read_search, tone_of
from control_plane.web.explain_view import explained_for
from control_plane.web.listing import csv_response, wants_csv
from control_plane.web.names import Names
from control_plane.web.ranges import MORE, NAMED
from control_plane.web.request import ConsoleRequest, scope
from switchyard_contract.reason import REASON_BY_CODE
from switchyard_contract.usage import KINDS as TOKEN_KINDS

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
    bar: tuple[float, float, float]
    """Widths in per cent: gateway, wait for the first token, stream."""

    @property
    def stream_at(self) -> float:
        return self.bar[0] + self.bar[1]


@require_GET
def exchanges(request: ConsoleRequest) -> HttpResponseBase:
    names = Names(request.organization)
    search, chosen_filters, chips = read_search(request, names)
    if wants_csv(request):
        return _csv(request, search, names)
    page = exchanges_page(search, before=request.GET.get("before", "")[:26], limit=PAGE)
    names.learn("user", {one.first.principal_id.hex for one in page.exchanges if one.first.principal_id})
    context = {
        "exchanges": [(one, names.principal(one.first.principal_id), tone_of(one)) for one in page.exchanges],
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
        "ranges": (*NAMED, *MORE),
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
        mine = scope(request, Permission.EXCHANGES_READ)
        query = SessionQuery(mine, session_id=last.session_id, key_id=last.key_id)
        session = next(iter(newest_sessions(query, 1)), None)
    reason = REASON_BY_CODE.get(last.reason)
    explained = explained_for(exchange_explained(found), request.standing)
    winning, asked = (json.loads(text or "{}") for text in found.metadata)
    context = {
        "exchange": found,
        "last": last,
        "tone": tone_of(found),
        "user": names.principal(last.principal_id),
        "team": names.team(last.team_id),
        "key_name": names.of("key", last.key_id),
        "reason_sentence": reason.sentence if reason else "",
        "attempts": [_attempt(row, found) for row in found.attempts],
        "tokens": [(TOKEN_NAMES[kind], count) for kind in TOKEN_KINDS if (count := getattr(found.tokens, kind))],
        "session": session,
        "explained": explained,
        "has_pod_page": can(request.standing, Permission.FLEET_READ) and pods().filter(pod_id=last.pod_id).exists(),
        "tags": sorted({**asked, **winning}.items()),
        "winning": winning,
    }
    return render(request, "web/exchanges/exchange.html", context)


def _attempt(row: LedgerRow, whole: Exchange) -> AttemptRow:
    cost = cost_explained(row)
    total = max(whole.duration_us, 1)
    gateway = min(row.gateway_us, row.duration_us)
    wait = max((row.first_token_us or row.duration_us) - gateway, 0)
    stream = max(row.duration_us - gateway - wait, 0)
    scaled = [100 * part / total for part in (gateway, wait, stream)]
    return AttemptRow(row, OUTCOME_TONES.get(row.outcome, "off"), cost, (scaled[0], scaled[1], scaled[2]))


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

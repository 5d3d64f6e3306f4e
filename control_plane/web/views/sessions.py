"""Sessions: the list with its search, the page of each, how turns end, and what counts as a low cache share."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.organizations.roles import Permission, can
from control_plane.sessions.analysis.advice import CAUSES, KINDS, advice, told
from control_plane.sessions.analysis.findings import Cause, Finding, Kind
from control_plane.sessions.analysis.session import Step, Strand
from control_plane.sessions.api.writing import CSV_HEAD, csv_row
from control_plane.sessions.models import SessionSummary
from control_plane.sessions.selectors.listing import (
    SessionQuery,
    is_flagged,
    newest_first,
    sessions_matching,
    summaries_matching,
)
from control_plane.sessions.selectors.page import Branch, SessionTold, session_told
from control_plane.sessions.selectors.settings import settings_of
from control_plane.sessions.selectors.spend import Outcome, outcomes
from control_plane.sessions.services import session_settings_update
from control_plane.usage.models import ConversationSession
from control_plane.usage.selectors.names import names_of
from control_plane.web.forms.failures import show_failure
from control_plane.web.identifiers import middle_cut
from control_plane.web.listing import Chip, Filter, Sort, csv_response, list_rows, wants_csv, without
from control_plane.web.names import Names
from control_plane.web.ranges import NAMED, TimeRange, read_range
from control_plane.web.request import ConsoleRequest, actor, scope, zone_of
from control_plane.web.respond import form_status, go_to
from control_plane.web.session_chart import TONES, session_chart
from switchyard_contract.quantity import NANO_PER_USD

SORTS = (
    Sort("last", "last_seen"),
    Sort("cost", "cost_nano_usd"),
    Sort("avoidable", "avoidable_nano_usd"),
    Sort("share", "cache_share_per_mille"),
    Sort("turns", "turns"),
    Sort("context", "most_context"),
)
FINDINGS = tuple((kind.value, label) for kind, label in KINDS.items())
FLAGGED = (("yes", "Low cache share"),)
MOST_EXPORTED = 100_000
CSV_PAGE = 500
MOST_TURNS_SHOWN = 150
TURN_HEAD = (
    "agent", "turn", "exchange", "at", "model", "provider", "outcome", "stop_reason", "cost_nano_usd", "prompt_tokens",
    "cache_read_tokens", "cache_expected_tokens", "output_tokens", "tool_ms", "person_ms", "duration_ms", "is_repeat",
    "attempts", "findings", "lost_nano_usd",
)  # fmt: skip
OUTCOME_HEAD = (
    "day", "model", "target", "sessions", "turns", "asides", "tool_results", "failed_tool_results", "repeated_requests",
    "gateway_retries", "aborts", "errors", "cost_nano_usd", "stop_reasons",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A session in the list."""

    summary: SessionSummary
    who: str
    is_flagged: bool
    kinds: tuple[tuple[str, str], ...]
    """(tone, word) of what was found."""

    @property
    def session(self) -> ConversationSession:
        return self.summary.session

    @property
    def share_cause(self) -> str:
        return CAUSES[Cause(self.summary.share_cause)] if self.summary.share_cause else ""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding in words. exchange: whether this person may open it."""

    finding: Finding
    tone: str
    kind: str
    sentence: str
    advice: str
    strand: str


@dataclass(frozen=True, slots=True)
class BranchRow:
    """A line of the tree, so many levels deep."""

    branch: Branch
    depth: int
    is_this: bool


@require_GET
def sessions(request: ConsoleRequest) -> HttpResponseBase:
    names = Names(request.organization)
    span = _span(request, "30d")
    query, filters, chips = _search(request, names, span)
    if wants_csv(request):
        return csv_response("sessions", CSV_HEAD, _csv_rows(query))
    listing = list_rows(request, summaries_matching(query), sorts=SORTS, default="-last", searched=_searched)
    names.learn("user", {row.principal_id.hex for row in listing.rows if row.principal_id})
    context = {
        "listing": listing,
        "rows": [_row(row, names, query.least_cache_share_per_mille) for row in listing.rows],
        "filters": filters,
        "chosen": {one.name: request.GET.get(one.name, "") for one in filters},
        "chips": chips,
        "range": span,
        "ranges": NAMED,
        "least_percent": query.least_cache_share_per_mille / 10,
    }
    return render(request, "web/sessions/list.html", context)


@require_GET
def session(request: ConsoleRequest, session_id: UUID) -> HttpResponseBase:
    found = session_told(scope(request), session_id)
    if found is None:
        raise Http404
    if wants_csv(request):
        return csv_response("turns", TURN_HEAD, _turn_rows(found))
    row = found.session
    analysis = found.analysis
    agent = request.GET.get("agent", "")
    strand = next((one for one in analysis.strands if one.agent_id == agent), analysis.main)
    names = Names(request.organization)
    least = settings_of(request.organization.id).least_cache_share_per_mille
    summary = SessionSummary(
        turns=analysis.sums.turns,
        prompt_tokens=analysis.sums.prompt_tokens,
        cache_share_per_mille=analysis.sums.cache_share_per_mille,
    )
    teams = [row.team_id] if row.team_id else []
    context = {
        "session": row,
        "told": found,
        "sums": analysis.sums,
        "is_flagged": is_flagged(summary, least),
        "share_cause": CAUSES[analysis.share_cause],
        "share_advice": advice(analysis.share_cause),
        "who": names.principal(row.principal_id),
        "team": names.team(row.team_id),
        "key_name": names.of("key", row.key_id),
        "findings": [_finding(finding) for finding in _dearest(analysis.findings)],
        "strand": strand,
        "strands": analysis.strands,
        "chart": session_chart(strand),
        "steps": strand.steps[-MOST_TURNS_SHOWN:],
        "is_cut": len(strand.steps) > MOST_TURNS_SHOWN,
        "most_turns": MOST_TURNS_SHOWN,
        "tree": list(_lines(found.tree, row.id)),
        "asides": sum(len(one.asides) for one in analysis.strands),
        "aside_cost": sum(one.aside_cost_nano_usd for one in analysis.strands),
        "opens_exchanges": can(request.standing, Permission.EXCHANGES_READ, owner_id=row.principal_id, team_ids=teams),
        "lasted_us": int((row.last_seen - row.first_seen) / timedelta(microseconds=1)),
        "stop_reasons": analysis.sums.stop_reasons.most_common(8),
    }
    return render(request, "web/sessions/session.html", context)


@require_GET
def session_outcomes(request: ConsoleRequest) -> HttpResponseBase:
    span = _span(request, "30d")
    mine = scope(request)
    if wants_csv(request):
        by_day = outcomes(mine, span.since, span.until, by_day=True, most=MOST_EXPORTED)
        return csv_response("outcomes", OUTCOME_HEAD, map(_outcome_cells, by_day))
    context = {"range": span, "ranges": NAMED, "rows": outcomes(mine, span.since, span.until, most=200)}
    return render(request, "web/sessions/outcomes.html", context)


class SettingsForm(forms.Form):
    """What an organization holds to be a low cache share, and how its repositories are named."""

    least_percent = forms.IntegerField(
        label="Flag sessions whose cache share is below",
        min_value=0,
        max_value=100,
        help_text="Per cent of all input tokens. 0: no session is flagged.",
    )
    repository_keys = forms.CharField(
        label="Metadata keys that name a repository",
        help_text="Separated by commas; the first one that a session has counts. Changing it reads all sessions again.",
    )


@require_http_methods(["GET", "POST"])
def session_settings(request: ConsoleRequest) -> HttpResponse:
    settings = settings_of(request.organization.id)
    form = SettingsForm(
        request.POST if request.method == "POST" else None,
        initial={
            "least_percent": settings.least_cache_share_per_mille // 10,
            "repository_keys": ", ".join(settings.repository_keys),
        },
    )
    if request.method == "POST" and form.is_valid():
        try:
            session_settings_update(
                organization=request.organization,
                actor=actor(request),
                least_cache_share_per_mille=10 * form.cleaned_data["least_percent"],
                repository_keys=form.cleaned_data["repository_keys"].split(","),
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, "Saved. Sessions are looked at anew within minutes.")
            return go_to(request, reverse("web:sessions"))
    return render(request, "web/sessions/settings.html", {"form": form}, status=form_status(form.errors))


def _span(request: ConsoleRequest, default: str) -> TimeRange:
    asked = request.GET
    return read_range(
        asked.get("range", ""),
        asked.get("from", ""),
        asked.get("to", ""),
        now=timezone.now(),
        zone=zone_of(request),
        default=default,
    )


def _search(
    request: ConsoleRequest, names: Names, span: TimeRange
) -> tuple[SessionQuery, tuple[Filter, ...], tuple[Chip, ...]]:
    """Read the address: who, tool, what was found, cost. What it does not know is passed over: old links still open."""
    asked = request.GET
    least = settings_of(request.organization.id).least_cache_share_per_mille
    filters = [
        Filter("finding", "Found", FINDINGS),
        Filter("flagged", "Flag", FLAGGED),
        Filter("cost_from", "At least $", (), "At least $"),
    ]
    if can(request.standing, Permission.USAGE_READ):
        filters.insert(0, Filter("team", "Team", names.options("team"), "Team: its name"))
        filters.insert(0, Filter("user", "User", names.options("user"), "User: e-mail or name"))
    finding = asked.get("finding", "")
    query = SessionQuery(
        scope=scope(request),
        since=span.since,
        until=span.until,
        principal_id=_id(names, "user", asked.get("user", "")),
        team_id=_id(names, "team", asked.get("team", "")),
        key_id=asked.get("key", "")[:12],
        client=_plain(asked.get("client", "")),
        model=_plain(asked.get("model", "")),
        repository=_plain(asked.get("repository", "")),
        is_flagged=True if asked.get("flagged") == "yes" else None,
        least_cache_share_per_mille=least,
        finding=finding if finding in {*Kind, *Cause} else "",
        least_cost_nano_usd=_dollars(asked.get("cost_from", "")),
        most_cost_nano_usd=_dollars(asked.get("cost_to", "")),
    )
    return query, tuple(filters), tuple(_chips(request, names, query))


def _chips(request: ConsoleRequest, names: Names, query: SessionQuery) -> Iterator[Chip]:
    asked = request.GET
    if text := asked.get("q", "").strip():
        yield Chip("session", text, without(asked, "q"))
    told_as = {
        "user": lambda value: names.of("user", names.find("user", value) or value),
        "team": lambda value: names.of("team", names.find("team", value) or value),
        "key": lambda value: names.of("key", value),
        "finding": lambda value: dict(FINDINGS).get(value) or CAUSES[Cause(value)],
        "flagged": lambda value: "low cache share",
    }
    labels = (
        *(("user", "user"), ("team", "team"), ("key", "key"), ("client", "tool"), ("model", "model")),
        *(("repository", "repository"), ("finding", "found"), ("flagged", "flag")),
        *(("cost_from", "at least $"), ("cost_to", "at most $")),
    )
    for name, label in labels:
        value = asked.get(name, "")
        if not value or (name == "finding" and not query.finding) or (name == "flagged" and not query.is_flagged):
            continue
        yield Chip(label, told_as.get(name, str)(value), without(asked, name))


def _searched(rows: QuerySet[SessionSummary], text: str) -> QuerySet[SessionSummary]:
    return rows.filter(session__session_id__startswith=text.replace("\x00", ""))


def _row(summary: SessionSummary, names: Names, least: int) -> Row:
    kinds = [Kind(kind) for kind in summary.finding_kinds]
    return Row(
        summary,
        names.principal(summary.principal_id),
        is_flagged(summary, least),
        tuple((TONES[kind], KINDS[kind]) for kind in kinds),
    )


def _dearest(findings: tuple[Finding, ...], most: int = 50) -> list[Finding]:
    return sorted(findings, key=lambda one: (-one.money_nano_usd, one.at_ms))[:most]


def _finding(finding: Finding) -> FindingRow:
    return FindingRow(
        finding,
        TONES[finding.kind],
        KINDS[finding.kind],
        told(finding),
        advice(finding.cause, finding.detail),
        f"sub-agent {middle_cut(finding.agent_id, 16)}" if finding.agent_id else "",
    )


def _lines(branch: Branch, this: UUID, depth: int = 0) -> Iterator[BranchRow]:
    yield BranchRow(branch, depth, branch.row_id == this)
    for child in branch.children:
        yield from _lines(child, this, depth + 1)


def _turn_rows(found: SessionTold) -> Iterator[tuple[object, ...]]:
    for strand in found.analysis.strands:
        for step in strand.steps:
            yield _turn_cells(strand, step)


def _turn_cells(strand: Strand, step: Step) -> tuple[object, ...]:
    turn = step.turn
    return (
        strand.agent_id, step.number, turn.exchange_id, datetime.fromtimestamp(turn.at_ms / 1000, UTC),
        turn.target.model, turn.target.provider, turn.outcome, turn.stop_reason, turn.cost_nano_usd, turn.prompt,
        turn.tokens.cache_read, step.expected, turn.tokens.output + turn.tokens.reasoning, step.tool_ms,
        step.person_ms, turn.ended_ms - turn.at_ms, int(step.is_repeat), turn.attempts,
        " ".join(finding.cause for finding in step.findings),
        sum(finding.money_nano_usd for finding in step.findings),
    )  # fmt: skip


def _outcome_cells(row: Outcome) -> tuple[object, ...]:
    return (
        row.day, row.model, row.provider, row.sessions, row.turns, row.asides, row.tool_results,
        row.failed_tool_results, row.repeats, row.gateway_retries, row.aborts, row.errors, row.cost_nano_usd,
        " ".join(f"{reason}:{count}" for reason, count in row.stop_reasons.items()),
    )  # fmt: skip


def _csv_rows(query: SessionQuery) -> Iterator[Any]:
    after: tuple[datetime, UUID] | None = None
    left = MOST_EXPORTED
    while left > 0:
        page = list(newest_first(sessions_matching(query), after)[: min(CSV_PAGE, left)])
        named = names_of(
            query.scope.organization_id,
            principal_ids=[one.principal_id for one in page],
            team_ids=[one.team_id for one in page],
        )
        for one in page:
            yield csv_row(one, named, query.least_cache_share_per_mille)
        left -= len(page)
        if len(page) < CSV_PAGE:
            return
        after = (page[-1].last_seen, page[-1].id)


def _id(names: Names, kind: str, text: str) -> UUID | None:
    """The id that was chosen, or that of a name that was typed; what leads to nobody matches nothing."""
    if not text:
        return None
    try:
        return UUID(names.find(kind, text))
    except ValueError:
        return UUID(int=0)


def _plain(text: str) -> str:
    return text.replace("\x00", "")[:200]


def _dollars(text: str) -> int | None:
    try:
        amount = Decimal(text) if text else None
        return int(amount * NANO_PER_USD) if amount is not None and abs(amount) < 10**9 else None
    except InvalidOperation:
        return None

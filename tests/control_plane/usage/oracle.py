"""What roll-ups must hold, worked out row by row in plain Python: PostgreSQL's own way is compared with it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from control_plane.usage import entries, histogram
from control_plane.usage.entries import LedgerRow
from control_plane.usage.rollups import (
    COUNTS,
    LABEL_GRAIN,
    LATENCY_GRAIN,
    SUMS,
    TEAM_GRAIN,
    WHOLE_GRAIN,
    Measures,
    session_row_id,
)
from switchyard_contract.usage import KINDS as TOKEN_KINDS

Table = dict[tuple[Any, ...], Measures]


@dataclass(slots=True)
class Session:
    first_seen: datetime
    last_seen: datetime
    models: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    measures: Measures = field(default_factory=Measures)


@dataclass(slots=True)
class Books:
    """Sums by table, and by time and grain in each."""

    tables: dict[str, Table] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)


GRAINS: Mapping[str, tuple[str, Sequence[str]]] = {
    "usagehour": ("hour", WHOLE_GRAIN),
    "usageday": ("day", WHOLE_GRAIN),
    "teamminute": ("minute", TEAM_GRAIN),
    "teamhour": ("hour", TEAM_GRAIN),
    "teamday": ("day", TEAM_GRAIN),
    "latencyminute": ("minute", LATENCY_GRAIN),
    "latencyhour": ("hour", LATENCY_GRAIN),
    "latencyday": ("day", LATENCY_GRAIN),
    "labelhour": ("hour", LABEL_GRAIN),
    "labelday": ("day", LABEL_GRAIN),
}


def fold(rows: Iterable[LedgerRow], rule_ids: Mapping[UUID, Sequence[str]] | None = None) -> Books:
    """Sum rows up; labels have no bound here."""
    books = Books({name: {} for name in GRAINS})
    for row in rows:
        for name, (period, grain) in GRAINS.items():
            for found in _grains(row, grain, rule_ids or {}):
                measures = books.tables[name].setdefault((start_of(row.counted_at, period), *found), Measures())
                add(measures, row, latencies=name.startswith("latency"))
        if row.session_id and row.key_id:
            _note_session(books.sessions, row)
    return books


def start_of(instant: datetime, period: str) -> Any:
    instant = instant.astimezone(UTC)
    if period == "day":
        return instant.date()
    return instant.replace(minute=0 if period == "hour" else instant.minute, second=0, microsecond=0)


def add(measures: Measures, row: LedgerRow, *, latencies: bool = True) -> None:
    sign = 0 if row.kind == entries.ADJUSTMENT else row.sign
    measures.requests += sign * (row.attempt <= 1)
    measures.attempts += sign * (row.attempt >= 1)
    measures.errors += sign * (row.outcome in (entries.FAILED, entries.INTERNAL))
    measures.refusals += sign * (row.outcome == entries.REFUSED)
    measures.estimates += _estimates_of(row)
    tokens = sum(getattr(row, kind) for kind in TOKEN_KINDS)
    measures.unpriced += sign * (row.attempt >= 1 and not row.price_version and tokens != 0)
    measures.dearest += sign * (row.price_note == "dearest")
    for name in (*TOKEN_KINDS, "web_searches", "cost_nano_usd", "saved_cache_nano_usd", "saved_downgrade_nano_usd"):
        setattr(measures, name, getattr(measures, name) + getattr(row, name))
    if row.is_subscription:
        measures.subscription_cost_nano_usd += row.cost_nano_usd
    if not latencies:
        return
    measures.gateway_counts[histogram.bucket_of(row.gateway_us)] += sign
    if row.first_token_us > 0:
        measures.first_token_counts[histogram.bucket_of(row.first_token_us)] += sign
        produced = abs(row.output + row.reasoning)
        if produced > 1 and row.duration_us > row.first_token_us:
            between_us = (row.duration_us - row.first_token_us) // (produced - 1)
            measures.inter_token_counts[histogram.bucket_of(between_us)] += sign
    if row.attempt >= 1:
        measures.duration_counts[histogram.bucket_of(row.duration_us)] += sign


def sums_of(holder: object) -> tuple[int, ...]:
    return tuple(getattr(holder, name) for name in SUMS)


def counts_of(holder: object) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(getattr(holder, name)) for name in COUNTS)


def failure_of(row: LedgerRow) -> str:
    match row.outcome, row.upstream_status:
        case entries.INTERNAL, _:
            return "internal"
        case entries.FAILED, status if row.reason != "upstream_truncated":
            named = {0: "unreachable", 429: "rate_limited", 503: "overloaded", 529: "overloaded", 408: "timeout"}
            named |= {504: "timeout", 401: "unauthorized", 403: "unauthorized"}
            by_class = "server_error" if status >= 500 else "rejected" if status >= 400 else "told_in_answer"
            return named.get(status, by_class)
        case entries.FAILED, _:
            return "truncated"
    return ""


def _grains(
    row: LedgerRow, grain: Sequence[str], rule_ids: Mapping[UUID, Sequence[str]]
) -> Iterable[tuple[object, ...]]:
    if "label" not in grain:
        yield tuple(_value(row, name) for name in grain)
        return
    said = {**json.loads(row.request_tags), **json.loads(row.tags)}
    for name, value in said.items():
        if value:
            yield (row.organization_id, f"metadata.{name}", value, row.team_id)
    for rule_id in rule_ids.get(row.rules_digest, ()) if row.rules_digest else ():
        yield (row.organization_id, "rule", rule_id, row.team_id)


def _value(row: LedgerRow, name: str) -> object:
    if name == "status_class":
        return f"{row.client_status // 100}xx" if row.client_status else ""
    return failure_of(row) if name == "failure" else getattr(row, name)


def _estimates_of(row: LedgerRow) -> int:
    if row.kind in (entries.ESTIMATED, entries.ORPHAN_ESTIMATED):
        return 1
    unsure = (entries.CERTAINTY[entries.ORPHAN_ESTIMATED], entries.CERTAINTY[entries.ESTIMATED])
    return -1 if row.kind == entries.REVERSAL and row.revision % 4 in unsure else 0


def _note_session(sessions: dict[UUID, Session], row: LedgerRow) -> None:
    name = session_row_id(row.organization_id, row.key_id, row.session_id)
    session = sessions.setdefault(name, Session(row.started_at, row.started_at))
    session.first_seen = min(session.first_seen, row.started_at)
    session.last_seen = max(session.last_seen, row.started_at)
    if row.sign > 0:
        session.models |= {row.model} - {""}
        session.agents |= {row.agent_id} - {""}
    add(session.measures, row, latencies=False)

"""Rows of the ledger to the turns of a session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from google.protobuf.message import DecodeError
from psycopg import sql

from control_plane.catalog.selectors import price_by_version
from control_plane.sessions.analysis.turns import Facts, Target, Turn
from control_plane.usage.entries import CERTAINTY
from control_plane.usage.models import ConversationSession
from control_plane.usage.selectors.scope import all_of
from control_plane.usage.selectors.standing import session_conditions
from switchyard_contract.pricing import Price
from switchyard_contract.usage import KINDS as TOKEN_KINDS
from switchyard_contract.usage import TokenCounts
from switchyard_contract.v1 import usage_pb2

MOST_ROWS = 10_000
"""Of a session are looked at, the newest: a script that never changes its session's name must not stop the work."""
GENERATING = ("generate", "compact")
MARK_BYTES = 8


class Row(NamedTuple):
    """One standing attempt, with what the analysis needs of it."""

    exchange_id: str
    attempt: int
    kind: str
    revision: int
    outcome: str
    operation: str
    requested_model: str
    model: str
    provider_id: UUID | None
    provider_name: str
    vendor: str
    region: str
    agent_id: str
    started_at: datetime
    first_token_us: int
    duration_us: int
    cost_nano_usd: int
    saved_cache_nano_usd: int
    price_version: str
    service_tier: str
    inference_geo: str
    stop_reason: str
    stage: str
    facts: bytes | None
    repository: str | None
    input_fresh: int
    input_tool: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    cache_write_30m: int
    cache_write_12h: int
    cache_write_other: int
    output: int
    reasoning: int

    @property
    def tokens(self) -> TokenCounts:
        # They are its last columns, in the counters' order.
        counts: tuple[Any, ...] = self[-len(TOKEN_KINDS) :]
        return TokenCounts(*counts)

    @property
    def target(self) -> Target:
        return Target(self.provider_name, self.region, self.model)


@dataclass(frozen=True, slots=True)
class Read:
    """The turns of a session in time order, and what its metadata says."""

    turns: tuple[Turn, ...]
    repository: str = ""
    is_partial: bool = False


def session_read(session: ConversationSession, repository_keys: Sequence[str]) -> Read:
    """Read the rows of a session: one key's, one session's, of one organization."""
    rows = _rows(session, repository_keys)
    is_partial = len(rows) > MOST_ROWS
    if is_partial:
        rows = rows[:MOST_ROWS]
    by_exchange: dict[str, dict[int, Row]] = {}
    for row in rows:
        attempts = by_exchange.setdefault(row.exchange_id, {})
        known = attempts.get(row.attempt)
        if known is None or (CERTAINTY[row.kind], row.revision) > (CERTAINTY[known.kind], known.revision):
            attempts[row.attempt] = row
    repository = next((row.repository for row in rows if row.repository), "")
    turns = [
        turn_of([attempts[number] for number in sorted(attempts) if number])
        # Newest first: a page that was cut in the middle of an exchange cuts the oldest one.
        for _, attempts in sorted(by_exchange.items())
        if any(attempts)
    ]
    return Read(tuple(turns), repository, is_partial)


def prices_of(turns: Sequence[Turn], organization_id: UUID, known: dict[str, Price]) -> dict[str, Price]:
    """The prices that turns were booked with; `known` is looked at first and added to."""
    for version in {turn.price_version for turn in turns} - known.keys() - {""}:
        price = price_by_version(version, organization_id)
        if price is not None:
            known[version] = price
    return known


def turn_of(attempts: Sequence[Row]) -> Turn:
    """Fold the standing attempts of an exchange, in order, into its turn. The last one that was billed answered."""
    first, last = attempts[0], attempts[-1]
    answered = last
    if first is not last:
        answered = next((row for row in reversed(attempts) if row.tokens.prompt), last)
    facts = next((row.facts for row in attempts if row.facts), None)
    at_ms = _ms(min(row.started_at for row in attempts))
    return Turn(
        exchange_id=first.exchange_id,
        at_ms=at_ms,
        ended_ms=max(_ms(row.started_at) + row.duration_us // 1000 for row in attempts),
        first_token_ms=_ms(answered.started_at) + answered.first_token_us // 1000 if answered.first_token_us else 0,
        agent_id=first.agent_id,
        operation=first.operation,
        outcome=last.outcome,
        requested_model=first.requested_model,
        target=answered.target,
        provider_id=answered.provider_id.hex if answered.provider_id else "",
        vendor=answered.vendor,
        tokens=answered.tokens,
        cost_nano_usd=sum(row.cost_nano_usd for row in attempts),
        saved_cache_nano_usd=sum(row.saved_cache_nano_usd for row in attempts),
        price_version=answered.price_version,
        service_tier=answered.service_tier,
        inference_geo=answered.inference_geo,
        stop_reason=answered.stop_reason,
        attempts=len(attempts),
        first_target=None if first.target == answered.target else first.target,
        stage=first.stage,
        facts=facts_of(bytes(facts)) if facts is not None else None,
    )


# Turns of one session, and pages that are opened again, carry the same text.
@lru_cache(maxsize=4096)
def facts_of(text: bytes) -> Facts | None:
    """Read what a pod said of the turn; None: it is no TurnFacts."""
    try:
        told = usage_pb2.TurnFacts.FromString(text)
    except DecodeError:
        return None
    marks = told.history_marks
    return Facts(
        tools=told.tools_digest,
        system=told.system_digest,
        marks=tuple(marks[at : at + MARK_BYTES] for at in range(0, len(marks), MARK_BYTES)),
        history_bytes=told.history_bytes,
        request=told.request_digest,
        tool_results=told.tool_results,
        failed_tool_results=told.failed_tool_results,
        calls=told.calls_digest,
        tool_names=tuple(told.tools),
        is_typed=told.is_typed,
    )


def _rows(session: ConversationSession, repository_keys: Sequence[str]) -> list[Row]:
    """Newest first, one more than are looked at. Corrections by people are no exchanges; refusals are no turns."""
    names = [
        sql.SQL("NULLIF({} ->> {}, '')").format(sql.Identifier(column), sql.Literal(key))
        for key in repository_keys
        for column in ("tags", "request_tags")
    ]
    columns = [sql.Identifier(name) for name in Row._fields if name != "repository"]
    at = Row._fields.index("repository")
    columns.insert(at, sql.SQL("COALESCE({}, '')").format(sql.SQL(", ").join(names)))  # type: ignore[arg-type]
    statement = sql.SQL(
        "SELECT {} FROM usage_ledger WHERE organization_id = {} AND {}"
        " AND attempt >= 1 AND kind <> ALL({}) AND operation = ANY({})"
        " ORDER BY exchange_id DESC, attempt DESC LIMIT {}"
    ).format(
        sql.SQL(", ").join(columns),
        sql.Literal(session.organization_id),
        all_of(session_conditions(session.organization_id, session.session_id, session.key_id)),
        sql.Literal(["reversal", "adjustment"]),
        sql.Literal(list(GENERATING)),
        sql.Literal(MOST_ROWS + 1),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [Row(*values) for values in cursor.fetchall()]


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)

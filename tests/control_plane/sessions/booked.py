"""Conversations as events of pods, booked into the ledger."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from control_plane.catalog.models import ListPrice
from control_plane.catalog.selectors import contract_price
from control_plane.sessions.analysis.turns import Facts, Turn
from control_plane.usage.models import ConversationSession
from switchyard_contract.pricing import Price, amount_of
from switchyard_contract.usage import TokenCounts
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.sessions.conversations import START_MS
from tests.control_plane.usage.books import book, put
from tests.control_plane.usage.events import NOW, a_batch, an_event, an_exchange_id


def opus() -> Price:
    """The list price of Claude Opus 4.8: 5 in, 0.50 read, 6.25 written, 25 out."""
    row, _ = ListPrice.objects.get_or_create(
        version="list:anthropic:claude-opus-4-8",
        defaults={
            "vendor": "anthropic",
            "model": "claude-opus-4-8",
            "rates": {
                "input": 5_000_000_000,
                "cache_read": 500_000_000,
                "cache_write_5m": 6_250_000_000,
                "cache_write_1h": 10_000_000_000,
                "output": 25_000_000_000,
            },
            "source": "https://example.org/prices",
        },
    )
    return contract_price(row, is_override=False)


def turn_facts(facts: Facts) -> usage_pb2.TurnFacts:
    return usage_pb2.TurnFacts(
        tools_digest=facts.tools.ljust(8, b"."),
        system_digest=facts.system.ljust(8, b"."),
        history_marks=b"".join(mark.ljust(8, b".") for mark in facts.marks),
        history_bytes=facts.history_bytes,
        request_digest=facts.request.ljust(8, b"."),
        tool_results=facts.tool_results,
        failed_tool_results=facts.failed_tool_results,
        calls_digest=facts.calls.ljust(8, b".") if facts.calls else b"",
        tools=facts.tool_names,
        is_typed=facts.is_typed,
    )


def event_of(turn: Turn, number: int, price: Price, *, begin: datetime = NOW, **changes: Any) -> usage_pb2.UsageEvent:
    """What the pod reports of a turn that began so long after START_MS, here after `begin`."""
    at = datetime.fromtimestamp((begin.timestamp() * 1000 + turn.at_ms - START_MS) / 1000, UTC)
    values: dict[str, Any] = {
        "exchange_id": an_exchange_id(number, at),
        "started_at_ms": int(at.timestamp() * 1000),
        "duration_us": (turn.ended_ms - turn.at_ms) * 1000,
        "first_token_us": max(0, turn.first_token_ms - turn.at_ms) * 1000,
        "agent_id": turn.agent_id,
        "requested_model": turn.requested_model,
        "model": turn.target.model,
        "provider_name": turn.target.provider,
        "tokens": usage_pb2.Tokens(**turn.tokens._asdict()),
        "cost_nano_usd": amount_of(turn.tokens, price),
        "saved_cache_nano_usd": amount_of(uncached(turn.tokens), price) - amount_of(turn.tokens, price),
        "price_version": price.id,
        "stop_reason": turn.stop_reason,
        "stage": turn.stage,
    }
    if turn.facts is not None:
        values["turn_facts"] = turn_facts(turn.facts)
    return an_event(number, **{**values, **changes})


def uncached(tokens: TokenCounts) -> TokenCounts:
    return TokenCounts(input_fresh=tokens.prompt, output=tokens.output, reasoning=tokens.reasoning)


def book_turns(turns: Iterable[Turn], price: Price, *, first_sequence: int = 1, **changes: Any) -> ConversationSession:
    """Book turns as one session; returns it."""
    events = [event_of(turn, first_sequence + number, price, **changes) for number, turn in enumerate(turns)]
    put(a_batch(events, first_sequence=first_sequence))
    book(max(NOW, changes.get("begin", NOW) + timedelta(hours=1)))
    return ConversationSession.objects.get(session_id=events[0].session_id, key_id=events[0].key_id)

"""Short constructors for usage events, batches and ledger rows."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from control_plane.usage import ulid
from control_plane.usage.entries import LedgerRow
from control_plane.usage.judgement import Horizon, judge
from switchyard_contract.v1 import usage_pb2

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
ORGANIZATION = UUID("0a" * 16)
TEAM = UUID("0b" * 16)
PRINCIPAL = UUID("0c" * 16)
PROVIDER = UUID("0d" * 16)
KEY = "Key000000001"
POD = "pod-1"
BOOT = b"boot-0000000001-"

HORIZON = Horizon(now_ms=int(NOW.timestamp() * 1000), ledger_days=396, organizations=frozenset({ORGANIZATION}))


def an_exchange_id(number: int = 1, at: datetime = NOW) -> str:
    """A ULID of an instant; the number tells exchanges of one instant apart."""
    digits = []
    rest = number
    for _ in range(16):
        rest, digit = divmod(rest, 32)
        digits.append(ulid.ALPHABET[digit])
    return ulid.lowest_at(at)[:10] + "".join(reversed(digits))


def an_event(number: int = 1, *, at: datetime = NOW, **changes: Any) -> usage_pb2.UsageEvent:
    """An exchange that was served: 100 fresh, 1,000 read from cache, 50 out, for 0.003000000 dollars."""
    values: dict[str, Any] = {
        "exchange_id": an_exchange_id(number, at),
        "attempt": 1,
        "kind": usage_pb2.USAGE_KIND_FINAL,
        "outcome": usage_pb2.OUTCOME_SERVED,
        "organization_id": ORGANIZATION.hex,
        "key_id": KEY,
        "principal_id": PRINCIPAL.hex,
        "principal_kind": usage_pb2.PRINCIPAL_KIND_OF_EVENT_USER,
        "team_id": TEAM.hex,
        "tags": {"environment": "dev"},
        "request_tags": {"repository": "switchyard"},
        "protocol": "anthropic_messages",
        "operation": "generate",
        "requested_model": "sonnet",
        "model": "claude-sonnet-4-6",
        "provider_id": PROVIDER.hex,
        "provider_name": "simulated",
        "vendor": "anthropic",
        "client": "claude-code",
        "client_version": "2.1.0",
        "session_id": "session-1",
        "started_at_ms": int(at.timestamp() * 1000),
        "gateway_us": 900,
        "first_byte_us": 300_000,
        "first_token_us": 400_000,
        "duration_us": 2_000_000,
        "streamed": True,
        "client_status": 200,
        "upstream_status": 200,
        "request_bytes": 4000,
        "response_bytes": 900,
        "tokens": usage_pb2.Tokens(input_fresh=100, cache_read=1000, output=50),
        "cost_nano_usd": 3_000_000,
        "price_version": "list:anthropic:claude-sonnet-4-6",
        "policy_epoch": 1,
        "policy_version": 3,
        "pod_id": POD,
        "path": "/v1/messages",
    }
    return usage_pb2.UsageEvent(**{**values, **changes})


def a_refusal(number: int = 1, *, at: datetime = NOW, **changes: Any) -> usage_pb2.UsageEvent:
    return an_event(
        number,
        at=at,
        **{
            "attempt": 0,
            "outcome": usage_pb2.OUTCOME_REFUSED,
            "reason": "model_not_allowed",
            "client_status": 403,
            "upstream_status": 0,
            "provider_id": "",
            "provider_name": "",
            "first_token_us": 0,
            "first_byte_us": 0,
            "tokens": usage_pb2.Tokens(),
            "cost_nano_usd": 0,
            "price_version": "",
            **changes,
        },
    )


def estimated(event: usage_pb2.UsageEvent, cost_nano_usd: int = 1_000_000) -> usage_pb2.UsageEvent:
    """What the same attempt looks like when the pod died while it ran."""
    copy = usage_pb2.UsageEvent.FromString(event.SerializeToString())
    copy.kind = usage_pb2.USAGE_KIND_ESTIMATED
    copy.cost_nano_usd = cost_nano_usd
    copy.tokens.output = 7
    copy.outcome = usage_pb2.OUTCOME_INTERNAL
    return copy


def a_batch(
    events: Iterable[usage_pb2.UsageEvent], *, first_sequence: int = 1, pod: str = POD, boot: bytes = BOOT
) -> usage_pb2.UsageBatch:
    return usage_pb2.UsageBatch(
        pod_id=pod,
        boot_id=boot,
        events=[
            usage_pb2.SequencedEvent(sequence=sequence, event=event)
            for sequence, event in enumerate(events, start=first_sequence)
        ],
    )


def a_row(number: int = 1, *, at: datetime = NOW, **changes: Any) -> LedgerRow:
    """The ledger row of `an_event`, with fields of the row replaced."""
    row = judge(an_event(number, at=at), HORIZON)
    assert isinstance(row, LedgerRow)
    return replace(row, **changes)

"""An event as a pod reported it, to a row of the ledger or to the quarantine. Pure.

A pod is believed in what it counted, not in what cannot be: a number below zero or beyond reason, a time in the future
or before the ledger begins, an organization nobody knows. Such an event is kept aside with the reason, never dropped.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import attrgetter, gt, itemgetter
from typing import Final
from uuid import UUID

from control_plane.usage import decisions, entries, ulid
from control_plane.usage.entries import LedgerRow
from control_plane.usage.spans import span_text
from switchyard_contract.usage import KINDS as TOKEN_KINDS
from switchyard_contract.usage import PIECE_UNITS, TOKEN_UNITS
from switchyard_contract.v1 import usage_pb2

AHEAD_MS: Final = 5 * 60 * 1000
"""A pod's clock may be this far ahead of ours."""

HIGHEST_TOKENS: Final = 10**9
HIGHEST_COST_NANO_USD: Final = 10**15
HIGHEST_DURATION_US: Final = 7 * 86_400 * 10**6
HIGHEST_BYTES: Final = 1 << 40
HIGHEST_COUNT: Final = 10**9
HIGHEST_ATTEMPT: Final = 1000
HIGHEST_REVISION: Final = 1_000_000
HIGHEST_STATUS: Final = 999
HIGHEST_VERSION: Final = (1 << 63) - 1

HIGHEST_SAVED_NANO_USD: Final = HIGHEST_COST_NANO_USD
MOST_PARTS: Final = 16
MOST_FACTS_BYTES: Final = 2048
STAGES: Final = frozenset({"alert", "downgrade", "block"})
PRICE_NOTES: Final = frozenset({"dearest"})
UNITS: Final = frozenset({*TOKEN_UNITS, *PIECE_UNITS})

NAME_LENGTH: Final = 200
TEXT_LENGTH: Final = 2000
MOST_TAGS: Final = 64

KIND_OF: Final[Mapping[int, str]] = {
    usage_pb2.USAGE_KIND_FINAL: entries.FINAL,
    usage_pb2.USAGE_KIND_COUNTED: entries.COUNTED,
    usage_pb2.USAGE_KIND_ESTIMATED: entries.ESTIMATED,
}
OUTCOME_OF: Final[Mapping[int, str]] = {
    usage_pb2.OUTCOME_SERVED: entries.SERVED,
    usage_pb2.OUTCOME_REFUSED: entries.REFUSED,
    usage_pb2.OUTCOME_FAILED: entries.FAILED,
    usage_pb2.OUTCOME_CANCELLED: entries.CANCELLED,
    usage_pb2.OUTCOME_INTERNAL: entries.INTERNAL,
}
PRINCIPAL_KIND_OF: Final[Mapping[int, str]] = {
    usage_pb2.PRINCIPAL_KIND_OF_EVENT_USER: entries.USER,
    usage_pb2.PRINCIPAL_KIND_OF_EVENT_SERVICE_ACCOUNT: entries.SERVICE_ACCOUNT,
}
_LIMITS: Final[Mapping[str, int]] = {
    "attempt": HIGHEST_ATTEMPT,
    "revision": HIGHEST_REVISION,
    "gateway_us": HIGHEST_DURATION_US,
    "first_byte_us": HIGHEST_DURATION_US,
    "first_token_us": HIGHEST_DURATION_US,
    "duration_us": HIGHEST_DURATION_US,
    "client_status": HIGHEST_STATUS,
    "upstream_status": HIGHEST_STATUS,
    "request_bytes": HIGHEST_BYTES,
    "response_bytes": HIGHEST_BYTES,
    "chunks": HIGHEST_COUNT,
    "web_searches": HIGHEST_COUNT,
    "cost_nano_usd": HIGHEST_COST_NANO_USD,
    "policy_epoch": HIGHEST_VERSION,
    "policy_version": HIGHEST_VERSION,
}


_TEXTS: Final = (
    *("reason", "key_id", "protocol", "operation", "requested_model", "model", "provider_name", "vendor", "account"),
    *("host", "region", "client", "client_version", "session_id", "agent_id", "parent_session_id", "stop_reason"),
    *("error_type", "upstream_request_id", "service_tier", "inference_geo", "price_version", "pod_id", "traceparent"),
)
_PLAIN: Final = (
    *_LIMITS,
    *("session_is_derived", "streamed", "usage_is_inconsistent", "is_subscription", "saved_cache_nano_usd"),
)
_COMPUTED: Final = (
    *("day", "exchange_id", "kind", "outcome", "organization_id", "principal_id", "principal_kind", "team_id", "tags"),
    *("request_tags", "provider_id", "started_at", "error_text", "path", "decision", "rules_digest", "counted_at"),
    *("stage", "agent", "saved_downgrade_nano_usd", "extras", "facts", "price_note"),
)
# Fields of one kind are read in one go, and brought into the order of the row in another: this runs for every event.
_texts_of = attrgetter(*_TEXTS)
_plain_of = attrgetter(*_PLAIN)
_HIGHEST: Final = tuple(_LIMITS.values())
_counters_of = attrgetter(*TOKEN_KINDS)
_GIVEN: Final = (*_TEXTS, *_PLAIN, *TOKEN_KINDS, *_COMPUTED)
_in_order = itemgetter(*(_GIVEN.index(name) for name in entries.COLUMNS))


@dataclass(frozen=True, slots=True)
class Oddity:
    """Why an event is not believed."""

    reason: str
    """One of: id_missing, id_malformed, time_ahead, time_too_old, organization_unknown, number_absurd, kind_unknown,
    charge_malformed."""
    detail: str


@dataclass(frozen=True, slots=True)
class Horizon:
    """What the ledger can hold at an instant."""

    now_ms: int
    ledger_days: int
    organizations: frozenset[UUID]
    oldest_ms: int = field(init=False)
    """The first instant whose partition is still kept: the start of a UTC day."""
    latest_ms: int = field(init=False)

    def __post_init__(self) -> None:
        oldest_day = self.now_ms // ulid.DAY_MS - self.ledger_days + 1
        object.__setattr__(self, "oldest_ms", oldest_day * ulid.DAY_MS)
        object.__setattr__(self, "latest_ms", self.now_ms + AHEAD_MS)


@dataclass(slots=True)
class _Identity:
    """Which exchange it was, when, and whose; believed."""

    exchange_id: str
    day: date
    started_ms: int
    kind: str
    outcome: str
    organization_id: UUID
    principal_id: UUID | None
    team_id: UUID | None
    provider_id: UUID | None


def judge(event: usage_pb2.UsageEvent, horizon: Horizon) -> LedgerRow | Oddity:
    """Turn an event into a row, or say why it is odd."""
    identity = _identity_of(event, horizon)
    if isinstance(identity, Oddity):
        return identity
    plain, counters = _plain_of(event), _counters_of(event.tokens)
    return _odd_numbers(event, plain, counters) or _row_of(event, identity, plain, counters)


def _identity_of(event: usage_pb2.UsageEvent, horizon: Horizon) -> _Identity | Oddity:
    exchange_id, organization_text = event.exchange_id, event.organization_id
    if not exchange_id:
        return Oddity("id_missing", "exchange_id is empty")
    try:
        admitted_ms = ulid.time_ms(exchange_id)
    except ulid.NotAUlid as failure:
        return Oddity("id_malformed", f"exchange_id: {failure}")
    started_ms = event.started_at_ms
    oldest_ms, latest_ms = horizon.oldest_ms, horizon.latest_ms
    is_in_time = oldest_ms <= admitted_ms <= latest_ms and oldest_ms <= started_ms <= latest_ms
    for name, instant_ms in () if is_in_time else (("exchange_id", admitted_ms), ("started_at_ms", started_ms)):
        if instant_ms > latest_ms:
            return Oddity("time_ahead", f"{name} is {span_text(instant_ms - horizon.now_ms)} ahead")
        if instant_ms < oldest_ms:
            return Oddity("time_too_old", f"{name} is {span_text(horizon.now_ms - instant_ms)} old")
    principal, team, provider = event.principal_id, event.team_id, event.provider_id
    principal_id, team_id, provider_id = _uuid(principal), _uuid(team), _uuid(provider)
    if (principal and not principal_id) or (team and not team_id) or (provider and not provider_id):
        return Oddity("id_malformed", "principal_id, team_id or provider_id is no UUID")
    if not organization_text:
        return Oddity("id_missing", "organization_id is empty")
    organization_id = _uuid(organization_text)
    if organization_id is None:
        return Oddity("id_malformed", "organization_id is no UUID")
    if organization_id not in horizon.organizations:
        return Oddity("organization_unknown", f"no organization {organization_id.hex}")
    kind, outcome = KIND_OF.get(event.kind), OUTCOME_OF.get(event.outcome)
    if kind is None:
        return Oddity("kind_unknown", f"kind {event.kind}")
    if outcome is None:
        return Oddity("kind_unknown", f"outcome {event.outcome}")
    day = ulid.day_at(admitted_ms)
    return _Identity(exchange_id, day, started_ms, kind, outcome, organization_id, principal_id, team_id, provider_id)


def _odd_numbers(event: usage_pb2.UsageEvent, plain: tuple[int, ...], counters: tuple[int, ...]) -> Oddity | None:
    # Compared all at once; which one it is only matters when one is.
    limited = plain[: len(_HIGHEST)]
    if min(limited) < 0 or any(map(gt, limited, _HIGHEST)):
        for name, highest in _LIMITS.items():
            if not 0 <= (number := getattr(event, name)) <= highest:
                return Oddity("number_absurd", f"{name} is {number}{_in_words(name, number)}")
    if abs(event.saved_cache_nano_usd) > HIGHEST_SAVED_NANO_USD:
        return Oddity("number_absurd", f"saved_cache_nano_usd is {event.saved_cache_nano_usd}")
    if max(counters) > HIGHEST_TOKENS:
        for name, number in zip(TOKEN_KINDS, counters, strict=True):
            if number > HIGHEST_TOKENS:
                return Oddity("number_absurd", f"tokens.{name} is {number}")
    if event.charges and (fault := decisions.fault_of(event)):
        return Oddity("charge_malformed", fault)
    return None


def _in_words(name: str, number: int) -> str:
    return f" ({span_text(number // 1000)})" if name.endswith("_us") and number > 0 else ""


def _row_of(
    event: usage_pb2.UsageEvent, identity: _Identity, plain: tuple[int, ...], counters: tuple[int, ...]
) -> LedgerRow:
    started_at = datetime.fromtimestamp(identity.started_ms / 1000, UTC)
    texts = _texts_of(event)
    if "\x00" in "".join(texts) or max(map(len, texts)) > NAME_LENGTH:
        texts = tuple(map(_clip, texts))
    computed = (
        identity.day,
        identity.exchange_id,
        identity.kind,
        identity.outcome,
        identity.organization_id,
        identity.principal_id,
        PRINCIPAL_KIND_OF.get(event.principal_kind, ""),
        identity.team_id,
        _tags(event.tags),
        _tags(event.request_tags),
        identity.provider_id,
        started_at,
        _clip(event.error_text, TEXT_LENGTH),
        _clip(event.path, TEXT_LENGTH),
        decisions.pack(event),
        decisions.rules_digest(event),
        started_at,
        event.stage if event.stage in STAGES else "",
        _agent_of(event),
        _saved_by_downgrade(event),
        _extras(event) if event.units or event.parts else "{}",
        _facts_of(event),
        event.price_note if event.price_note in PRICE_NOTES else "",
    )
    return LedgerRow(*_in_order(texts + plain + counters + computed))


def _agent_of(event: usage_pb2.UsageEvent) -> str:
    if not event.session_id:
        return ""
    return entries.SUBAGENT if event.agent_id or event.parent_session_id else entries.MAIN


def _saved_by_downgrade(event: usage_pb2.UsageEvent) -> int:
    """What staying was expected to cost more, by the prices that the decision was taken on."""
    if not event.HasField("downgrade") or not event.downgrade.is_taken:
        return 0
    stay, move = event.downgrade.stay_nano_usd, event.downgrade.move_nano_usd
    return stay - move if 0 <= move <= stay <= HIGHEST_COST_NANO_USD else 0


def _extras(event: usage_pb2.UsageEvent) -> str:
    parts = []
    for part in event.parts[:MOST_PARTS]:
        said: dict[str, object] = {
            "model": _clip(part.model),
            "tokens": {kind: count for kind in TOKEN_KINDS if (count := getattr(part.tokens, kind))},
            "cost_nano_usd": part.cost_nano_usd,
            "price_version": _clip(part.price_version),
        }
        if part.units:
            said["units"] = _units(part.units)
        parts.append(said)
    said = {"units": _units(event.units), "parts": parts}
    return json.dumps({name: value for name, value in said.items() if value}, ensure_ascii=False)


def _units(units: Iterable[usage_pb2.BilledUnit]) -> dict[str, int]:
    counts = {unit.kind: unit.count for unit in units if unit.kind in UNITS and unit.count <= HIGHEST_TOKENS}
    return dict(sorted(counts.items()))


def _facts_of(event: usage_pb2.UsageEvent) -> bytes | None:
    if not event.HasField("turn_facts"):
        return None
    text = event.turn_facts.SerializeToString(deterministic=True)
    return text if len(text) <= MOST_FACTS_BYTES else None


@lru_cache(maxsize=8192)
def _uuid(text: str) -> UUID | None:
    """None: empty, or no UUID. Remembered, because a batch names few owners in many events."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _clip(text: str, length: int = NAME_LENGTH) -> str:
    if len(text) <= length and "\x00" not in text:
        return text
    # PostgreSQL has no NUL in text; one such name must not stop the whole batch.
    return text[:length].replace("\x00", "\ufffd")


def _tags(tags: Mapping[str, str]) -> str:
    """Tags as JSON text, at most MOST_TAGS of them, sorted, so that equal tags are equal texts."""
    # Item by item: the views of such a map are slow.
    return _tags_text(tuple([(name, tags[name]) for name in tags])) if tags else "{}"


@lru_cache(maxsize=16384)
def _tags_text(items: tuple[tuple[str, str], ...]) -> str:
    """Remembered, because a batch has few tags in many events."""
    chosen = sorted(items)[:MOST_TAGS]
    return json.dumps({_clip(name): _clip(value) for name, value in chosen}, ensure_ascii=False)

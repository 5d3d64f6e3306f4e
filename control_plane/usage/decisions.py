"""What was decided about an exchange, as the ledger keeps it. Pure.

Rows are many, so a row holds no more than what is its own: the charges, the script's answer, the downgrade. The rules
that were looked at are the same for every exchange of a caller, tool and model until a period ends; they are kept once,
under a digest. Both are compressed: most of a decision are ids.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

import zstandard

from switchyard_contract.counters import BudgetNumbers, CountersAnswer, RateNumbers, read_answer
from switchyard_contract.v1 import usage_pb2

MOST_CHARGES = 64
"""Budgets, those in shadow and caps of a session counted; pods match far fewer."""
MOST_RULES = 500
MOST_DROPPED = 64
LONGEST_ANSWER = 32 * 1024
LONGEST_COUNTER = 4000
HIGHEST_PERIOD_MS = 1 << 53
SESSION = "{session}"
"""What pods write in place of a session's id, where they say what they looked at. A value cannot look so: it is
percent-encoded."""
_MOST_RAW_BYTES = 4 * 1024 * 1024
LONGEST_PLAIN = 256
_PLAIN = b"\x00"
"""Begins what is not compressed: neither zstd's frames nor messages begin so."""


class _Codec(threading.local):
    """zstd's contexts are costly to make and not for two threads at once."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=3)
        self.decompressor = zstandard.ZstdDecompressor()


_codec = _Codec()


@dataclass(frozen=True, slots=True)
class Charge:
    """The counter of a budget that a row's cost counts in. period_ms: its start; 0: for ever.

    A budget in shadow mode has the same counters: it goes on where it is when it is enforced.
    """

    budget_id: UUID
    counter: str
    period_ms: int


def fault_of(event: usage_pb2.UsageEvent) -> str:
    """Say why the charges of an event cannot be; empty: they can."""
    if len(event.charges) > MOST_CHARGES:
        return f"{len(event.charges)} charges"
    for charge in event.charges:
        if fault := _fault_in(charge.budget_id, charge.counter, charge.period):
            return fault
    return ""


@lru_cache(maxsize=16384)
def _fault_in(budget_id: str, counter: str, period: str) -> str:
    if _uuid(budget_id) is None:
        return "charges: budget_id is no UUID"
    if len(counter) > LONGEST_COUNTER or "\x00" in counter:
        return "charges: counter is too long"
    if not period.isascii() or not period.isdigit() or len(period) > 16:
        return "charges: period is no instant"
    if int(period) > HIGHEST_PERIOD_MS:
        return "charges: period is beyond all time"
    return ""


def pack(event: usage_pb2.UsageEvent) -> bytes | None:
    """Keep what was decided, without the rules; None: the event says nothing of it."""
    if not (event.charges or event.counters_answer or event.dropped or event.degraded) and not (
        event.HasField("downgrade") or event.HasField("session_facts")
    ):
        return None
    kept = usage_pb2.UsageEvent(
        charges=_counted(event),
        counters_answer=event.counters_answer[:LONGEST_ANSWER],
        downgrade=event.downgrade if event.HasField("downgrade") else None,
        dropped=event.dropped[:MOST_DROPPED],
        degraded=event.degraded[:200],
        session_facts=event.session_facts if event.HasField("session_facts") else None,
    )
    return _packed(kept)


def renamed(decision: bytes, names: Mapping[str, str]) -> bytes | None:
    """The same decision with other names in its counters."""
    event = unpack(decision)
    for charge in event.charges:
        charge.counter = replaced(charge.counter, names)
    return _packed(event)


def replaced(text: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def _packed(kept: usage_pb2.UsageEvent) -> bytes | None:
    raw = kept.SerializeToString(deterministic=True)
    if not raw:
        return None
    # Short ones shrink by less than it costs to shrink them and to read them back, for every event.
    return _PLAIN + raw if len(raw) <= LONGEST_PLAIN else _codec.compressor.compress(raw)


def unpack(decision: bytes | None) -> usage_pb2.UsageEvent:
    """Read a decision back: an event with nothing but what `pack` kept."""
    if not decision:
        return usage_pb2.UsageEvent()
    return usage_pb2.UsageEvent.FromString(_inflate(decision))


def charges_of(decision: bytes | None) -> tuple[Charge, ...]:
    """The counters that a row's cost counts in; each once, whatever the event said twice."""
    return charges_in(unpack(decision)) if decision else ()


def charges_in(event: usage_pb2.UsageEvent) -> tuple[Charge, ...]:
    """The same, of a decision that was read."""
    found: dict[tuple[str, str, str], Charge] = {}
    for charge in event.charges:
        key = (charge.budget_id, charge.counter, charge.period)
        if key not in found:
            found[key] = _charge(*key)
    return tuple(found.values())


@lru_cache(maxsize=16384)
def _charge(budget_id: str, counter: str, period: str) -> Charge:
    """Remembered, because a batch names few counters in many events."""
    budget = _uuid(budget_id)
    assert budget is not None
    return Charge(budget, counter, int(period))


def rules_digest(event: usage_pb2.UsageEvent) -> UUID | None:
    """Name the rules that were looked at; None: the event names none."""
    return _digest_of(_rules_payload(event.rules)) if event.HasField("rules") and event.rules.rules else None


def digest_of_rules(rules: usage_pb2.RulesSeen) -> UUID:
    return _digest_of(_rules_payload(rules))


def deflate_rules(rules: usage_pb2.RulesSeen) -> bytes:
    return _codec.compressor.compress(_rules_payload(rules))


def inflate_rules(stored: bytes) -> usage_pb2.RulesSeen:
    return usage_pb2.RulesSeen.FromString(_inflate(stored))


def _counted(event: usage_pb2.UsageEvent) -> Iterable[usage_pb2.Charge]:
    """The charges without those of shadows that would have refused: as if enforced, they counted nothing."""
    if not any([charge.is_shadow for charge in event.charges]):  # noqa: C419
        return event.charges
    passed_by = {
        (rule.id, rule.counter)
        for rule, numbers in budgets_asked(event.rules, answer_in(event))
        if rule.is_shadow and not numbers.counted
    }
    return [charge for charge in event.charges if not charge.is_shadow or not _is_among(charge, passed_by)]


def _is_among(charge: usage_pb2.Charge, counters: Iterable[tuple[str, str]]) -> bool:
    # What was looked at is written once for all sessions, with a place for the session's id in it.
    return any(
        charge.budget_id == rule_id and (charge.counter == counter or SESSION in counter)
        for rule_id, counter in counters
    )


def _rules_payload(rules: usage_pb2.RulesSeen) -> bytes:
    if len(rules.rules) > MOST_RULES:
        rules = usage_pb2.RulesSeen(rules=rules.rules[:MOST_RULES])
    return rules.SerializeToString(deterministic=True)


def answer_in(event: usage_pb2.UsageEvent) -> CountersAnswer | None:
    """The counters' answer, decoded. None: they were not asked, or the form is not known here."""
    if not event.counters_answer:
        return None
    try:
        return read_answer(event.counters_answer)
    except ValueError:
        return None


def rates_asked(
    seen: usage_pb2.RulesSeen, answer: CountersAnswer | None
) -> list[tuple[usage_pb2.RuleSeen, RateNumbers]]:
    """The rates that were asked, with their numbers at that instant."""
    return [] if answer is None else list(zip(_asked(seen), answer.rates, strict=False))


def budgets_asked(
    seen: usage_pb2.RulesSeen, answer: CountersAnswer | None
) -> list[tuple[usage_pb2.RuleSeen, BudgetNumbers]]:
    """The budgets that were asked, with their numbers at that instant."""
    return [] if answer is None else list(zip(_asked(seen)[len(answer.rates) :], answer.budgets, strict=False))


def _asked(seen: usage_pb2.RulesSeen) -> list[usage_pb2.RuleSeen]:
    """The rules that counters were asked for, in the order of the answer: only they count for a candidate."""
    return [rule for rule in seen.rules if rule.matched and rule.candidates]


def _inflate(stored: bytes) -> bytes:
    if stored[:1] == _PLAIN:
        return stored[1:]
    return _codec.decompressor.decompress(stored, max_output_size=_MOST_RAW_BYTES)


@lru_cache(maxsize=2048)
def _digest_of(payload: bytes) -> UUID:
    return UUID(bytes=blake2b(payload, digest_size=16).digest())


@lru_cache(maxsize=8192)
def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None

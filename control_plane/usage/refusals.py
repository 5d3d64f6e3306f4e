"""Which counters of budgets had no room for what was asked, from rows really added to the ledger. Pure.

A budget may refuse long before its line is posted: what runs is reserved, and what is asked for has to fit beside it.
Then no sum ever reaches the line, and only the refused rows tell.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from control_plane.usage.decisions import SESSION, Charge, answer_in
from control_plane.usage.entries import REFUSED, LedgerRow
from control_plane.usage.spending import Counter
from control_plane.usage.verdicts import Verdict, verdicts_of
from switchyard_contract.counters import MICRO, BudgetNumbers, CountersAnswer
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import usage_pb2

_NO_ROOM = Reason.BUDGET_EXCEEDED.code


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one exchange may come to, or what runs may; nano-USD. bounded: as the budget bounds it."""

    expected: int
    bounded: int


@dataclass(frozen=True, slots=True)
class BudgetRefusal:
    """A counter that had no room, with its numbers at that instant; nano-USD."""

    counter: Counter
    limit_nano_usd: int
    """Raises of that instant included."""
    posted_nano_usd: int
    reserved: Amounts
    expected_nano_usd: int
    """What was asked for: as it was expected, as a calibrated budget bounds it, and at its worst."""
    calibrated_nano_usd: int
    worst_nano_usd: int


def budget_refusals(
    decided: Iterable[tuple[LedgerRow, usage_pb2.UsageEvent]], rules: Mapping[UUID, usage_pb2.RulesSeen]
) -> tuple[BudgetRefusal, ...]:
    """The counters of enforced budgets that refused, each once, as it was when most of it was spent.

    decided: rows with what was decided about them. rules: those that the rows name, by digest.
    """
    found: dict[Counter, BudgetRefusal] = {}
    for row, event in decided:
        if row.reason != _NO_ROOM or row.outcome != REFUSED or row.rules_digest is None:
            continue
        seen, answer = rules.get(row.rules_digest), answer_in(event)
        refusal = None if seen is None or answer is None else _refusal_in(row, seen, event, answer)
        if refusal is not None:
            before = found.get(refusal.counter)
            if before is None or before.posted_nano_usd < refusal.posted_nano_usd:
                found[refusal.counter] = refusal
    return tuple(found.values())


def counter_in_session(counter: str, session_id: str) -> str:
    """A counter as it was asked for: what was looked at is written once for all sessions."""
    return counter.replace(SESSION, quote(session_id, safe="", errors="replace"))


def _refusal_in(
    row: LedgerRow, seen: usage_pb2.RulesSeen, event: usage_pb2.UsageEvent, answer: CountersAnswer
) -> BudgetRefusal | None:
    for rule, verdict, numbers in verdicts_of(seen, event):
        if verdict is not Verdict.REFUSED or rule.is_shadow or rule.kind != "budget":
            continue
        budget_id = _uuid(rule.id)
        if budget_id is None or not rule.period.isdigit() or not isinstance(numbers, BudgetNumbers):
            continue
        charge = Charge(budget_id, counter_in_session(rule.counter, row.session_id), int(rule.period))
        return BudgetRefusal(
            Counter.of(row.organization_id, charge),
            rule.limit,
            numbers.posted * MICRO,
            Amounts(numbers.expected * MICRO, numbers.worst * MICRO),
            answer.expected * MICRO,
            answer.calibrated * MICRO,
            answer.worst * MICRO,
        )
    return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

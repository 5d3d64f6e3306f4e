"""What each rule said to an exchange, read from its event. Pure.

Three places say it: the verdict of a rule that needs no counters; the flags of those that count, in the script's
answer; and the outcome, which alone tells that an enforced rule's no was obeyed.
"""

from collections.abc import Iterator
from enum import StrEnum

from control_plane.usage.decisions import answer_in, budgets_asked, rates_asked
from switchyard_contract.counters import BudgetNumbers, CountersAnswer, RateNumbers
from switchyard_contract.counters import Verdict as Said
from switchyard_contract.v1 import usage_pb2

DENIED = ("denied", "would be denied")
"""How the verdict of a rule begins that refused without looking at counters."""

_NOES = frozenset({Said.DENIED, Said.OUTAGE_DENIED})

Numbers = RateNumbers | BudgetNumbers | None


class Verdict(StrEnum):
    """Of one rule; a rule in shadow says what it would have said."""

    NOT_MATCHED = "not_matched"
    ALLOWED = "allowed"
    REFUSED = "refused"


def verdicts_of(
    seen: usage_pb2.RulesSeen, event: usage_pb2.UsageEvent
) -> Iterator[tuple[usage_pb2.RuleSeen, Verdict, Numbers]]:
    """Each rule that was looked at, with what it said and its numbers; with several counters it comes once for each."""
    answer = answer_in(event)
    numbers = _numbers(seen, answer)
    refusing = _refusing(answer)
    place = 0
    for rule in seen.rules:
        if not rule.matched:
            yield rule, Verdict.NOT_MATCHED, None
        elif not rule.candidates:
            yield rule, Verdict.REFUSED if rule.verdict.startswith(DENIED) else Verdict.ALLOWED, None
        else:
            found = numbers[place] if place < len(numbers) else None
            said_no = found is not None and found.refused and (rule.is_shadow or place == refusing)
            yield rule, Verdict.REFUSED if said_no else Verdict.ALLOWED, found
            place += 1


def _numbers(seen: usage_pb2.RulesSeen, answer: CountersAnswer | None) -> list[Numbers]:
    found: list[Numbers] = [each for _, each in rates_asked(seen, answer)]
    found += [each for _, each in budgets_asked(seen, answer)]
    return found


def _refusing(answer: CountersAnswer | None) -> int:
    """The place of the rule that the script refused by; -1: none. An enforced one whose line only moved the exchange to
    the other candidate refused nothing."""
    return -1 if answer is None or answer.verdict not in _NOES else answer.index

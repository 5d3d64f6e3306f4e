"""What each rule said to an exchange, read from its event. Pure."""

from collections.abc import Iterator
from enum import StrEnum

from switchyard_contract.v1 import usage_pb2

DENIED = "denied"
"""How the verdict of a rule begins that refused without looking at counters."""


class Verdict(StrEnum):
    """Of one rule; a rule in shadow says what it would have said."""

    ALLOWED = "allowed"
    REFUSED = "refused"


def verdicts_of(
    seen: usage_pb2.RulesSeen, event: usage_pb2.UsageEvent, *, is_refused: bool, reason: str
) -> Iterator[tuple[usage_pb2.RuleSeen, Verdict]]:
    """Each rule that was looked at, with what it said; a rule with several counters comes once for each."""
    for rule in seen.rules:
        is_denied = rule.matched and rule.verdict.startswith(DENIED)
        yield rule, Verdict.REFUSED if is_denied else Verdict.ALLOWED

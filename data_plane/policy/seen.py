"""What the usage event keeps of the rules that were looked at: the same for every exchange of a way, written once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from data_plane.policy.access_rules import Verdict, decide
from data_plane.policy.claims import BudgetClaim, RateClaim, RateKind
from data_plane.policy.conditions import Rule
from switchyard_contract.v1 import usage_pb2 as usage

MOST_MISSES = 40
"""So many rules that do not match are kept one by one. Where there are more, those about somebody else are only
counted: an organization may have a budget for each of a thousand teams, and writes a thousand events a second."""


class Sightings:
    """Collects rules in the order in which the event has them: those that count come as the counters answer."""

    __slots__ = ("_counted", "_judged", "_missed")

    def __init__(self) -> None:
        self._judged: list[usage.RuleSeen] = []
        self._counted: list[usage.RuleSeen] = []
        self._missed: list[tuple[str, Rule, str, str]] = []

    def judged(self, kind: str, rule: Rule, verdict: str) -> None:
        """Note a rule that matches and is decided without counters."""
        self._judged.append(
            usage.RuleSeen(
                kind=kind, id=rule.id, name=rule.name, is_shadow=rule.is_shadow, matched=True, verdict=verdict
            )
        )

    def missed(self, kind: str, rule: Rule, why: str, verdict: str = "") -> None:
        """Note a rule that does not match, or gives way to a more specific one."""
        self._missed.append((kind, rule, why, verdict))

    def access(self, verdicts: Sequence[Verdict]) -> None:
        """Note what rules of access say, and what they would say were the shadows enforced."""
        would, denying = decide(verdicts, with_shadows=True)
        for verdict in verdicts:
            rule = verdict.rule
            if verdict.denies:
                said = f"denied: {verdict.denies}"
            elif verdict.grants:
                said = "allowed"
            else:
                said = "" if verdict.missing else "says nothing of this model"
            if rule.is_shadow and not would and denying is None:
                said = "would be denied: no rule allows it"
            elif rule.is_shadow and said:
                said = f"would be {said}" if not said.startswith("says") else said
            if verdict.missing:
                self.missed("access", rule, verdict.missing, said)
            else:
                self.judged("access", rule, said)

    def rate(self, claim: RateClaim) -> None:
        """Note a rate that counts."""
        self._counted.append(
            usage.RuleSeen(
                kind=claim.source,
                id=claim.rule_id,
                name=claim.rule_name,
                is_shadow=claim.is_shadow,
                matched=True,
                counter=claim.counter,
                period=claim.period if claim.kind is RateKind.PERIOD else "",
                limit=claim.limit,
                resets_at_ms=claim.period_end_ms,
                candidates=claim.candidates,
            )
        )

    def budget(self, claim: BudgetClaim) -> None:
        """Note a budget that counts, or a session's cost."""
        self._counted.append(
            usage.RuleSeen(
                kind="cap" if claim.is_cap else "budget",
                id=claim.budget_id,
                name=claim.budget_name,
                is_shadow=claim.is_shadow,
                matched=True,
                counter=claim.counter,
                period=claim.period,
                limit=claim.limit,
                resets_at_ms=claim.period_end_ms,
                candidates=claim.candidates,
            )
        )

    def write(self) -> bytes:
        """The part of the event."""
        return event_part((*self._judged, *self._counted, *self._misses()))

    def _misses(self) -> Iterator[usage.RuleSeen]:
        missed, others = self._missed, Counter[str]()
        if len(missed) > MOST_MISSES:
            others = Counter(kind for kind, _, why, _ in missed if why == "subjects")
            missed = [each for each in missed if each[2] != "subjects"]
        # Where even those about this caller are many, their ids say as much in half the room.
        are_named = len(missed) <= MOST_MISSES
        for kind, rule, why, verdict in missed:
            name = rule.name if are_named else ""
            yield usage.RuleSeen(
                kind=kind, id=rule.id, name=name, is_shadow=rule.is_shadow, why_not=why, verdict=verdict
            )
        for kind, count in others.items():
            yield usage.RuleSeen(kind=kind, name=f"{count} more", why_not="subjects")


def event_part(seen: Iterable[usage.RuleSeen]) -> bytes:
    """Rules, written so that a usage event has them when these bytes are put behind it."""
    rules = usage.RulesSeen(rules=seen)
    return usage.UsageEvent(rules=rules).SerializeToString() if rules.rules else b""

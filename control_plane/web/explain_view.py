"""Why an exchange went as it did: every rule that was looked at, with its numbers of that instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.urls import reverse

from control_plane.organizations.roles import Permission, Standing, can
from control_plane.usage.selectors.explanation import Explanation, RuleExplained
from control_plane.usage.verdicts import Verdict
from control_plane.web import numbers
from control_plane.web.budget_view import Gauge
from switchyard_contract.v1 import usage_pb2

KINDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "access": ("Access rule", "shield-check", "access-rules"),
    "rate": ("Rate limit", "timer", "rate-limits"),
    "budget": ("Budget", "wallet", "budgets"),
    "cap": ("Session cap", "octagon-pause", "session-caps"),
    "provider_limit": ("Provider's limit", "plug-zap", ""),
    "metadata": ("Metadata key", "hash", ""),
}
"""Kinds as pods name them: (title, icon, where their pages are)."""
TONES = {Verdict.ALLOWED: "works", Verdict.REFUSED: "stopped", Verdict.NOT_MATCHED: "off"}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule, or one counter of it."""

    rule: RuleExplained
    title: str
    icon: str
    address: str
    """Its page; empty: this person has none of it."""
    gauge: Gauge | None
    used: str
    """How much of how much, of a rate."""

    @property
    def tone(self) -> str:
        if self.rule.is_shadow and self.rule.verdict is Verdict.REFUSED:
            return "told"
        return TONES[self.rule.verdict]

    @property
    def word(self) -> str:
        match self.rule.verdict:
            case Verdict.NOT_MATCHED:
                return "not about it"
            case Verdict.REFUSED:
                return "would have refused" if self.rule.is_shadow else "refused"
            case _:
                return "would have allowed" if self.rule.is_shadow else "allowed"


@dataclass(frozen=True, slots=True)
class Explained:
    """matched, others: rules that were about the exchange, and those that were not."""

    explanation: Explanation
    matched: Sequence[RuleLine]
    others: Sequence[RuleLine]
    downgrade: usage_pb2.Downgrade | None
    downgrade_budget: str

    @property
    def sentence(self) -> str:
        """What decided, in one sentence."""
        decided = next((line for line in self.matched if line.rule.decided), None)
        if decided is not None:
            return f"{decided.title} {decided.rule.name} refused it."
        if self.downgrade is not None and self.downgrade.is_taken:
            return (
                f"{self.downgrade_budget or 'A budget'} moved it from {self.downgrade.from_model} to a cheaper model."
            )
        if not self.matched:
            return "No rule was about it."
        number = len(self.matched)
        return f"{number} rule{' was' if number == 1 else 's were'} about it, and none refused it."

    @property
    def saving(self) -> str:
        """What moving saved or would have cost, as it was expected."""
        if self.downgrade is None:
            return ""
        gap = self.downgrade.stay_nano_usd - self.downgrade.move_nano_usd
        return f"{numbers.money(abs(gap))} {'cheaper' if gap > 0 else 'dearer'} to move"


def explained_for(explanation: Explanation, standing: Standing) -> Explained:
    """Put an explanation into lines, with links to what this person may open."""
    sees_rules = can(standing, Permission.POLICY_READ)
    lines = [_line(rule, sees_rules) for rule in explanation.rules]
    downgrade = explanation.event.downgrade if explanation.event.HasField("downgrade") else None
    names = {rule.id: rule.name for rule in explanation.rules}
    return Explained(
        explanation,
        [line for line in lines if line.rule.verdict is not Verdict.NOT_MATCHED],
        [line for line in lines if line.rule.verdict is Verdict.NOT_MATCHED],
        downgrade,
        names.get(downgrade.budget_id, "") if downgrade is not None else "",
    )


def _line(rule: RuleExplained, sees_rules: bool) -> RuleLine:
    title, icon, slug = KINDS.get(rule.kind, (rule.kind.replace("_", " ").capitalize(), "scale", ""))
    gauge, used = None, ""
    if rule.posted_nano_usd is not None and rule.limit:
        gauge = Gauge(rule.posted_nano_usd, rule.limit, (), rule.expected_nano_usd, not rule.is_shadow)
    elif rule.rate is not None:
        used = f"{rule.rate.used:,} of {rule.limit:,}" if rule.limit else f"{rule.rate.used:,}"
        if rule.rate.retry_after_ms > 0:
            # A rate that flows off evenly may be full for one more with little of it used, as it is counted in wholes.
            used = f"no room, of {rule.limit:,}" if rule.limit and rule.rate.used < rule.limit else used
            used += f"; fits again after {numbers.duration(rule.rate.retry_after_ms * 1000)}"
    rule_id = _uuid(rule.id)
    address = reverse("web:rule", args=[slug, rule_id]) if sees_rules and slug and rule_id is not None else ""
    return RuleLine(rule, title, icon, address, gauge, used)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

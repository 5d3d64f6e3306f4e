"""A denial of the counters in the words of a refusal: which rule, the numbers at that instant, when and whom to ask."""

from math import ceil

from data_plane.policy.budgets import told_by
from data_plane.policy.claims import BudgetClaim, RateClaim, RateKind, counter_for
from data_plane.policy.decision import Refusal, RuleKind, RuleNumbers
from data_plane.policy.grant import Ask, Denial, Refused
from switchyard_contract.counters import MICRO, BudgetNumbers
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.reason import Reason

OUTAGE_RETRY_S = 2
_WORDS_OF_REASON: dict[Reason, RuleKind] = {
    Reason.RATE_LIMITED: "rate",
    Reason.CONCURRENCY_LIMITED: "concurrency",
    Reason.BUDGET_EXCEEDED: "budget",
    Reason.SESSION_CAP: "session_cap",
    Reason.RETRY_CAP: "session_cap",
}


def refusal_of(denial: Denial, ask: Ask, *, rules_seen: bytes = b"") -> Refusal:
    """Say no as the counters did."""
    claim = denial.claim
    retry_after_s = _wait_s(denial)
    match denial.refused:
        case Refused.REVOKED:
            return Refusal(Reason.KEY_REVOKED)
        case Refused.UNAVAILABLE:
            # Never a 402 or 429 for what nobody could look up: clients take those for a verdict.
            return Refusal(
                Reason.COUNTERS_UNAVAILABLE,
                _unavailable(claim),
                retry_after_s=retry_after_s or OUTAGE_RETRY_S,
            )
        case _ if isinstance(claim, RateClaim):
            numbers = _of_rate(claim, denial)
            return Refusal(claim.reason, retry_after_s=retry_after_s, numbers=numbers)
        case _ if isinstance(claim, BudgetClaim):
            numbers = _of_budget(claim, denial, ask)
            return Refusal(claim.reason, numbers=numbers)
        case _:
            return Refusal(Reason.COUNTERS_UNAVAILABLE, retry_after_s=OUTAGE_RETRY_S)


def _wait_s(denial: Denial) -> int | None:
    """None: there is nothing to wait for, or the request never fits; a final no names no time to come again."""
    is_final = isinstance(denial.claim, RateClaim) and not denial.claim.reason.waiting_helps
    if is_final or denial.retry_after_ms is None or denial.retry_after_ms < 0:
        return None
    return max(1, ceil(denial.retry_after_ms / 1000))


def _unavailable(claim: RateClaim | BudgetClaim | None) -> str:
    if isinstance(claim, BudgetClaim):
        return f"The counters are out of reach, and the budget “{claim.budget_name}” does not spend without them now."
    return Reason.COUNTERS_UNAVAILABLE.sentence


def _of_rate(claim: RateClaim, denial: Denial) -> RuleNumbers:
    kind = "provider_limit" if claim.source == "provider_limit" else _WORDS_OF_REASON.get(claim.reason, "rate")
    index, rates = denial.numbers.index, denial.numbers.rates
    used = rates[index].used if 0 <= index < len(rates) else claim.limit
    return RuleNumbers(
        kind=kind,
        rule_name=claim.rule_name,
        unit=claim.noun,
        used=used,
        limit=claim.limit,
        period=claim.span,
        resets_at_ms=claim.period_end_ms if claim.kind is RateKind.PERIOD else 0,
        timezone=claim.timezone,
        contact=claim.contact,
        counts=claim.counts,
        rule_id=claim.rule_id,
    )


def _of_budget(claim: BudgetClaim, denial: Denial, ask: Ask) -> RuleNumbers:
    numbers = numbers_of_budget(denial)
    bound = ask.first.worst if claim.is_strict else ask.first.calibrated
    used, needed = int(claim.limit), bound
    told: tuple[str, ...] = ()
    if numbers is not None:
        told = told_by(claim, NanoUsd(numbers.posted * MICRO))
        used = (numbers.posted + numbers.worst) * MICRO
        if used + bound <= claim.hard:
            # There is room for the worst of it; it is the line for what is to be expected that was met.
            used, needed = (numbers.posted + numbers.expected) * MICRO, ask.first.expected
    return RuleNumbers(
        kind=_WORDS_OF_REASON.get(claim.reason, "budget"),
        rule_name=claim.budget_name,
        unit="nano_usd",
        used=used,
        limit=claim.limit,
        needed=needed,
        period=claim.span,
        resets_at_ms=claim.period_end_ms,
        timezone=claim.timezone,
        contact=claim.contact,
        told=told,
        counts=claim.counts,
        rule_id=claim.budget_id,
        counter=counter_for(claim.counter, ask.session_id),
    )


def numbers_of_budget(denial: Denial) -> BudgetNumbers | None:
    """The counter of the budget that denied; None: no budget did."""
    answer = denial.numbers
    place = answer.index - len(answer.rates)
    return answer.budgets[place] if 0 <= place < len(answer.budgets) else None

"""Which budgets apply to an exchange, by which counters, and where their lines lie."""

from collections.abc import Iterable

from data_plane.policy.claims import BudgetClaim, StageLine
from data_plane.policy.conditions import NEVER_MS
from data_plane.policy.counting import Counter
from data_plane.policy.limits import SESSION_IDLE_MS
from data_plane.policy.periods import NO_END_MS, period_at
from data_plane.policy.rules import Budget, Raise, Stage
from switchyard_contract.quantity import NanoUsd

NO_LINE = NanoUsd(-1)


def budget_claim(
    budget: Budget, counter: Counter, candidates: int, at_ms: int, *, may_downgrade: bool, raised: str | None = None
) -> BudgetClaim:
    """Claim one counter of a budget in the period of an instant.

    may_downgrade: there is a second candidate, and it is one that this budget's list names. raised: the whole text of
    a counter that counts by session, to find what was raised for this very one.
    """
    period = period_at(budget.periods, at_ms)
    limit = limit_at(budget, counter.text if raised is None else raised, at_ms)
    line = block_line(budget, limit)
    downgrade = downgrade_stage(budget)
    return BudgetClaim(
        budget_id=budget.id,
        budget_name=budget.name,
        counter=counter.text,
        period=period.id,
        period_end_ms=period.end_ms,
        limit=limit,
        soft=line,
        hard=line,
        downgrade_at=_share(limit, downgrade.at_percent) if downgrade is not None and may_downgrade else NO_LINE,
        grace=budget.grace,
        is_strict=budget.is_strict,
        outage=budget.outage,
        allowance=budget.outage_allowance,
        candidates=candidates,
        is_shadow=budget.is_shadow,
        timezone=budget.periods.timezone,
        contact=budget.contact,
        counts_session=counter.is_open,
        span=budget.periods.unit,
        counts=counter.whose,
        stages=tuple(StageLine(_share(limit, stage.at_percent), stage.action, stage.told) for stage in budget.stages),
        idle_ms=SESSION_IDLE_MS if counter.is_open and period.end_ms == NO_END_MS else 0,
    )


def limit_at(budget: Budget, counter: str, at_ms: int) -> NanoUsd:
    """What one counter of a budget may spend now, raises included."""
    return NanoUsd(budget.limit + sum(each.amount for each in raises_in_force(budget.raises, counter, at_ms)))


def raises_in_force(raises: Iterable[Raise], counter: str, at_ms: int) -> Iterable[Raise]:
    """The raises of one counter at an instant."""
    return (each for each in raises if each.counter in ("", counter) and each.from_ms <= at_ms < each.until_ms)


def next_raise_ms(budget: Budget, at_ms: int) -> int:
    """When a raise of the budget begins or ends next."""
    edges = (edge for each in budget.raises for edge in (each.from_ms, each.until_ms) if edge > at_ms)
    return min(edges, default=NEVER_MS)


def block_line(budget: Budget, limit: NanoUsd) -> NanoUsd:
    """Where the budget blocks: its first such stage; NO_LINE where it only warns."""
    stage = next((stage for stage in budget.stages if stage.action == "block"), None)
    return NO_LINE if stage is None else _share(limit, stage.at_percent)


def downgrade_stage(budget: Budget) -> Stage | None:
    """The stage that moves turns to another model. Of several the first one: two candidates are all there is room
    for in one decision."""
    return next((stage for stage in budget.stages if stage.action == "downgrade"), None)


def told_by(claim: BudgetClaim, posted: NanoUsd) -> tuple[str, ...]:
    """Who has been told once so much is posted, each once. A request that finds no room may be refused long before."""
    told = dict.fromkeys(name for line in claim.stages if line.at <= posted for name in line.told)
    return tuple(told)


def _share(limit: NanoUsd, percent: int) -> NanoUsd:
    return NanoUsd(limit * percent // 100)

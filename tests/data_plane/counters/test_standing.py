"""Where counters stand, read without counting anything."""

from data_plane.counters.standing import BudgetStanding, RateStanding, Standing
from data_plane.policy.claims import RateKind
from data_plane.policy.grant import Spent
from switchyard_contract.quantity import NanoUsd
from tests.data_plane.counters.builders import (
    ORGANIZATION,
    RawStore,
    a_budget,
    a_rate,
    amounts,
    an_ask,
    claims_of,
    usd,
)
from tests.data_plane.counters.test_shared import counting, granted, raw

__all__ = ["raw"]


async def test_what_was_spent_reserved_and_used_is_read_back(counters_url: str, raw: RawStore) -> None:
    day, month = a_budget(10, id="day"), a_budget(100, id="month")
    minute = a_rate(60, id="minute")
    daily = a_rate(500, id="daily", kind=RateKind.PERIOD, period="0")
    at_once = a_rate(4, id="at-once", kind=RateKind.CONCURRENT)
    rates, budgets = (minute, daily, at_once), (day, month)
    claims = claims_of(*rates, *budgets)

    async with counting(counters_url) as counters:
        nothing = await counters.standing(ORGANIZATION, rates, budgets)
        first = await granted(counters, claims, an_ask(1, amounts(1)))
        await granted(counters, claims, an_ask(2, amounts(2)))
        counters.settle(first, Spent(NanoUsd(1_234_567_000), 10, 5))
        await counters.settled()
        standing = await counters.standing(ORGANIZATION, rates, budgets)
        again = await counters.standing(ORGANIZATION, rates, budgets)

    assert nothing == Standing(
        tuple(RateStanding(rate, 0) for rate in rates),
        tuple(BudgetStanding(budget, NanoUsd(0), NanoUsd(0)) for budget in budgets),
    )
    assert standing is not None
    assert standing.budgets == tuple(BudgetStanding(budget, NanoUsd(1_234_567_000), usd(2)) for budget in budgets)
    assert [rate.used for rate in standing.rates[1:]] == [2, 1]
    # It flows off while it is looked at.
    assert standing.rates[0].used in (1, 2)
    assert again is not None
    assert again.budgets == standing.budgets


async def test_a_store_that_is_away_has_no_standing(counters_url: str, raw: RawStore) -> None:
    async with counting(counters_url) as counters:
        pass

    assert await counters.standing(ORGANIZATION, (), (a_budget(),)) is None

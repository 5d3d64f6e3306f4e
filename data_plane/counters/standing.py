"""Where counters stand right now, for people: read, never changed."""

import asyncio
from collections.abc import Iterable

import msgspec

from data_plane.counters.connection import StoreLink
from data_plane.counters.packing import budget_name, command, rate_name
from data_plane.policy.claims import BudgetClaim, RateClaim, RateKind
from switchyard_contract.counters import EXPECTED, MICRO, POSTED
from switchyard_contract.quantity import NanoUsd


class BudgetStanding(msgspec.Struct, frozen=True):
    """One counter of a budget."""

    claim: BudgetClaim
    posted: NanoUsd
    reserved: NanoUsd
    """What running exchanges are expected to come to."""


class RateStanding(msgspec.Struct, frozen=True):
    """One counter of a rate."""

    claim: RateClaim
    used: int
    """Of a sliding rate: what has not flowed off yet."""


class Standing(msgspec.Struct, frozen=True):
    """Counters in the order in which they were asked about."""

    rates: tuple[RateStanding, ...]
    budgets: tuple[BudgetStanding, ...]


async def read_standing(
    link: StoreLink,
    organization_id: str,
    rates: Iterable[RateClaim],
    budgets: Iterable[BudgetClaim],
    *,
    session_id: str,
    now_us: int,
) -> Standing | None:
    """Ask the store for all of them at once. None: it is away, or did not answer in time."""
    rates, budgets = tuple(rates), tuple(budgets)
    if not link.is_up:
        return None
    asked = [
        *(link.ask(_ask_rate(rate_name(organization_id, rate, session_id), rate, now_us)) for rate in rates),
        *(link.ask(_ask_budget(budget_name(organization_id, budget, session_id))) for budget in budgets),
    ]
    if None in asked:
        return None
    replies = await asyncio.gather(*(answer for answer in asked if answer is not None))
    used = [_read_used(rate, reply, now_us) for rate, reply in zip(rates, replies, strict=False)]
    spent = [_read_spent(reply) for reply in replies[len(rates) :]]
    found_rates = [RateStanding(rate, count) for rate, count in zip(rates, used, strict=True) if count is not None]
    found_budgets = [
        BudgetStanding(budget, *amounts) for budget, amounts in zip(budgets, spent, strict=True) if amounts is not None
    ]
    if len(found_rates) + len(found_budgets) < len(asked):
        return None
    return Standing(tuple(found_rates), tuple(found_budgets))


def _ask_rate(name: str, rate: RateClaim, now_us: int) -> bytes:
    if rate.kind is RateKind.CONCURRENT:
        # Slots are leases: those that ran out hold nothing.
        return command(b"ZCOUNT", name.encode(), b"%d" % (now_us // 1000 + 1), b"+inf")
    # A list, since a value that is not there would look like an answer that did not come.
    return command(b"MGET", name.encode())


def _ask_budget(name: str) -> bytes:
    return command(b"HMGET", name.encode(), POSTED.encode(), EXPECTED.encode())


def _read_used(rate: RateClaim, reply: object, now_us: int) -> int | None:
    if isinstance(reply, int):
        return reply
    if not isinstance(reply, list):
        return None
    value = int(reply[0] or 0)
    if rate.kind is not RateKind.SLIDING:
        return value
    # The value is the instant by which all that was let in will have flowed off (reserve.lua).
    return max(0, value - now_us) * rate.limit // rate.window_us if rate.window_us else 0


def _read_spent(reply: object) -> tuple[NanoUsd, NanoUsd] | None:
    if not isinstance(reply, list):
        return None
    posted, expected = (int(text or 0) * MICRO for text in reply)
    return NanoUsd(posted), NanoUsd(max(0, expected))

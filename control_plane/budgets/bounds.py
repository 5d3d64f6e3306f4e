"""By how much a budget may be overspent, in dollars. Pure: integers, nano-USD.

Strict: every exchange is reserved at its worst case s, so the line is never crossed: bound H. Calibrated: it is
reserved at s_c, what 999 of 1,000 such exchanges stayed below; those C that run at once may each exceed it by s - s_c:
bound H + C * (s - s_c), crossed by at most one exchange in a thousand. A tool loop's grace comes on top of either.
Source: docs/decisions/0117-the-bound-in-dollars.md
"""

from dataclasses import dataclass

from switchyard_contract.quantity import NanoUsd

ORDINARY_CONCURRENCY = 10
"""Exchanges of one counter at the same time: as many at least, however few were seen."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The most that ran at once in the last 14 days, of what one counter can count at most."""

    count: int
    whose: str
    """In words: `any one team`."""


@dataclass(frozen=True, slots=True)
class WorstExchange:
    """The dearest exchange that a budget may meet."""

    model: str
    worst: NanoUsd
    """s: its whole context as fresh input or cache writes, and all the output it may write."""
    calibrated: NanoUsd
    """s_c: equal to s as long as nothing was measured."""
    is_measured: bool = False


@dataclass(frozen=True, slots=True)
class BoundInDollars:
    """hard: the line itself. at_most: what may be spent by the end of a period. None: nothing holds it back."""

    hard: NanoUsd | None
    at_most: NanoUsd | None
    concurrency: int
    assumption: str
    """In words: what the number rests on."""
    seen: Seen | None = None
    """None: nothing was measured yet."""


def hard_line(limit: NanoUsd, block_percent: int | None) -> NanoUsd | None:
    """Where exchanges are refused; None: the budget only warns."""
    return None if block_percent is None else NanoUsd(limit * block_percent // 100)


def bound_of(
    *,
    limit: NanoUsd,
    block_percent: int | None,
    is_strict: bool,
    grace: NanoUsd,
    dearest: WorstExchange | None,
    seen: Seen | None = None,
) -> BoundInDollars:
    """The bound of one counter in one period. dearest None: no model that the budget is about has a price."""
    concurrency = max(ORDINARY_CONCURRENCY, seen.count if seen else 0)
    hard = hard_line(limit, block_percent)
    if hard is None:
        return BoundInDollars(None, None, concurrency, "It has no block stage: it warns, and nothing is refused.")
    with_grace = NanoUsd(hard + grace)
    more = " A tool loop that was running may go on for the grace amount, which is counted in." if grace else ""
    if is_strict:
        return BoundInDollars(
            hard, with_grace, concurrency, f"Every exchange is reserved at its worst case: never above the line.{more}"
        )
    if dearest is None:
        return BoundInDollars(
            hard, with_grace, concurrency, f"No model that it is about has a price yet, so nothing can be spent.{more}"
        )
    if not dearest.is_measured:
        return BoundInDollars(
            hard,
            with_grace,
            concurrency,
            f"Until exchanges were measured, each is reserved at its worst case: never above the line.{more}",
        )
    beyond = concurrency * max(0, dearest.worst - dearest.calibrated)
    return BoundInDollars(
        hard,
        NanoUsd(with_grace + beyond),
        concurrency,
        f"At most {concurrency:,} exchanges at once ({_basis(seen)}), each of the dearest model ({dearest.model}) at "
        f"its worst case instead of what 999 of 1,000 stayed below.{more}",
        seen,
    )


def _basis(seen: Seen | None) -> str:
    if seen is None:
        return "assumed, since nothing was measured yet"
    told = f"in the last 14 days {seen.whose} ran {seen.count:,} at most"
    return told if seen.count >= ORDINARY_CONCURRENCY else f"{told}; {ORDINARY_CONCURRENCY} are taken at least"

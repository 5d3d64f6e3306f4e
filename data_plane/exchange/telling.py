"""How things stand, told on every answer that rules had a say in: the tightest budget, and what was done about it.

Lines of the answer's head, written out; nothing in them is the caller's own text but names of models, which are quoted.
"""

from functools import lru_cache
from string import punctuation
from urllib.parse import quote

from data_plane.policy.claims import BudgetClaim, percent_of, stage_at
from data_plane.policy.grant import Grant
from data_plane.protocols.meters import Gauge, budget_header, native_meter
from data_plane.protocols.refusals import CODEX
from switchyard_contract.counters import BUDGET_NUMBERS, HEAD_NUMBERS, MICRO, RATE_NUMBERS
from switchyard_contract.quantity import NanoUsd

SAFE = punctuation.replace("%", "") + " "
_INDEX, _RATES = 3, 11
"""Places in an answer's numbers (switchyard_contract/counters.py, HEAD_NUMBERS)."""
_CENT = 10_000_000


def fullest(grant: Grant) -> tuple[BudgetClaim, NanoUsd] | None:
    """The budget that is fullest, and what was posted to it before this exchange; None: no budget is asked."""
    numbers = grant.numbers
    if len(numbers) < HEAD_NUMBERS:
        return None
    rates = numbers[_RATES]
    place = numbers[_INDEX] - rates
    if not 0 <= place < len(grant.claims.budgets):
        return None
    claim = grant.claims.budgets[place]
    if claim.is_shadow:
        return None
    return claim, NanoUsd(numbers[HEAD_NUMBERS + RATE_NUMBERS * rates + BUDGET_NUMBERS * place + 1] * MICRO)


def standing_lines(grant: Grant, client_name: str, *, passes_caller: bool) -> str:
    """What an answer says of the budgets it was let in by.

    passes_caller: the account is the caller's own, whose provider tells its own meter.
    """
    found = fullest(grant)
    degraded = degraded_line(grant.degraded)
    if found is None:
        return degraded
    claim, posted = found
    lines = (
        f"{_budget_line(claim.budget_name, percent_of(claim, posted))}"
        f"x-switchyard-budget-used: {dollars(posted)}/{dollars(claim.limit)} USD\r\n"
    )
    if claim.period_end_ms:
        lines += f"x-switchyard-budget-reset: {claim.period_end_ms // 1000}\r\n"
    stage = stage_at(claim, posted)
    if stage:
        lines += f"x-switchyard-stage: {stage}\r\n"
    if client_name == CODEX and not passes_caller:
        gauge = Gauge(claim.budget_name, posted, claim.limit, claim.span, claim.period_end_ms)
        lines += "".join([f"{name.decode()}: {value.decode()}\r\n" for name, value in native_meter(CODEX, gauge)])
    return lines + degraded


def degraded_line(degraded: str) -> str:
    """Which rule of an outage decided, if one did."""
    return f"x-switchyard-degraded: {degraded}\r\n" if degraded else ""


def lowered_line(tokens: int) -> str:
    """That the answer was made shorter so that a budget has room for it."""
    return f"x-switchyard-output-limit: {tokens}\r\n"


def moved_line(model: str) -> str:
    """That another model answers than was asked for."""
    return f"x-switchyard-downgraded-from: {quote(model, SAFE)}\r\n"


def dollars(amount: NanoUsd) -> str:
    """An amount in dollars; cents where that is exact, else to the micro-dollar."""
    if amount % _CENT == 0:
        return f"{amount // 10**9}.{amount % 10**9 // _CENT:02d}"
    micro = amount // 1000
    return f"{micro // 10**6}.{micro % 10**6:06d}"


@lru_cache(maxsize=4096)
def _budget_line(name: str, percent: int) -> str:
    header, value = budget_header(Gauge(name, NanoUsd(percent), NanoUsd(100), "", 0))
    return f"{header.decode()}: {value.decode()}\r\n"

"""How things stand, told on every answer that rules had a say in: the tightest budget, and what was done about it.

Lines of the answer's head, written out; nothing in them is the caller's own text but names of models, which are quoted.
"""

from collections.abc import Sequence
from functools import lru_cache
from string import punctuation
from urllib.parse import quote

from data_plane.exchange.stages import Terms, Told
from data_plane.policy.claims import BudgetClaim, percent_of, stage_at
from data_plane.policy.grant import Grant
from data_plane.protocols.meters import Gauge, budget_header, native_meter
from data_plane.protocols.refusals import CODEX
from switchyard_contract.counters import BUDGET_NUMBERS, HEAD_NUMBERS, MICRO, RATE_NUMBERS
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1 import usage_pb2

_STAGE_LINE = "x-switchyard-stage: "
_MOST_TOLD = 64
SAFE = punctuation.replace("%", "") + " "
_RATES = 11
"""Place in an answer's numbers (switchyard_contract/counters.py, HEAD_NUMBERS)."""
_CENT, _DOLLAR = 10_000_000, 1_000_000_000


def tell(terms: Terms, grant: Grant, client_name: str) -> Told:
    """What an answer says of the budgets it was let in by, and the stage of them that is in force."""
    place = grant.fullest, grant.posted
    told = terms.told.get(place)
    if told is not None and not grant.degraded:
        return told
    lines = standing_lines(grant, client_name, passes_caller=terms.weighed.first.destination.passthrough_caller)
    told = lines, stage_part(_stage_in(lines)) if _STAGE_LINE in lines else b""
    if grant.fullest >= len(grant.claims.rates) and not grant.degraded:
        # Those who asked together are told the same.
        if len(terms.told) >= _MOST_TOLD:
            terms.told.clear()
        terms.told[place] = told
    return told


def _stage_in(lines: str) -> str:
    """The stage that an answer's head tells of."""
    rest = lines.partition(_STAGE_LINE)[2]
    return rest[: rest.index("\r")]


@lru_cache(maxsize=8)
def stage_part(stage: str) -> bytes:
    """A stage as a part of the event."""
    return usage_pb2.UsageEvent(stage=stage).SerializeToString()


def standing_lines(grant: Grant, client_name: str, *, passes_caller: bool) -> str:
    """What an answer says of the budgets it was let in by: of the fullest one, before this exchange.

    passes_caller: the account is the caller's own, whose provider tells its own meter.
    """
    if grant.degraded or not grant.answer:
        # What stood in for the counters knows nothing of what is spent.
        return degraded_line(grant.degraded)
    claims = grant.claims
    budgets, place, micro = claims.budgets, grant.fullest - len(claims.rates), grant.posted
    if not 0 <= place < len(budgets):
        # The counters name none of those that only warn.
        numbers = grant.numbers
        posted_of = numbers[HEAD_NUMBERS + RATE_NUMBERS * numbers[_RATES] + 1 :: BUDGET_NUMBERS]
        place = _fullest(budgets, posted_of)
        micro = posted_of[place] if place >= 0 else 0
        if place < 0 or budgets[place].is_shadow:
            return ""
    claim = budgets[place]
    beginning, end = _lasting(claim.budget_name, claim.limit, claim.period_end_ms)
    posted = NanoUsd(micro * MICRO)
    percent = percent_of(claim, posted)
    lines = f"{beginning}{percent}\r\nx-switchyard-budget-used: {dollars(posted)}{end}"
    if claim.stages and posted >= claim.stages[0].at:
        lines = f"{lines}x-switchyard-stage: {stage_at(claim, posted)}\r\n"
    if client_name == CODEX and not passes_caller:
        gauge = Gauge(claim.budget_name, posted, claim.limit, claim.span, claim.period_end_ms)
        lines += "".join([f"{name.decode()}: {value.decode()}\r\n" for name, value in native_meter(CODEX, gauge)])
    return lines


def _fullest(budgets: Sequence[BudgetClaim], posted: Sequence[int]) -> int:
    """The budget of which most is spent; -1: nobody obeys any."""
    best, most = -1, -1.0
    for place, (claim, micro) in enumerate(zip(budgets, posted, strict=False)):
        share = micro / claim.limit if claim.limit > 0 else 1.0
        if not claim.is_shadow and share > most:
            best, most = place, share
    return best


@lru_cache(maxsize=4096)
def _lasting(name: str, limit: NanoUsd, resets_at_ms: int) -> tuple[str, str]:
    """What of the lines is the same each time: before the percentage, and behind what is spent."""
    header, value = budget_header(Gauge(name, NanoUsd(0), limit, "", 0))
    reset = f"x-switchyard-budget-reset: {resets_at_ms // 1000}\r\n" if resets_at_ms else ""
    beginning = f"{header.decode()}: {value.decode().rpartition(':')[0]}:"
    return beginning, f"/{dollars(limit)} USD\r\n{reset}"


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
        return f"{amount // _DOLLAR}.{amount % _DOLLAR // _CENT:02d}"
    return f"{amount // _DOLLAR}.{amount % _DOLLAR // 1000:06d}"

"""A no of the script, named; and said again without asking where nothing but time can change it."""

from collections.abc import Sequence

import msgspec

from data_plane.counters.packing import Aim
from data_plane.policy.claims import RateClaim, RateKind
from data_plane.policy.grant import Ask, Denial, Refused
from switchyard_contract.counters import answer_of

_MOST_REMEMBERED_S = 1.0
"""So long a no is repeated without asking again."""


def deny(aim: Aim, ask: Ask, reply: bytes, numbers: Sequence[int], now_s: float) -> Denial:
    """Say which claim it was. reply: the answer as it came; numbers: what it says."""
    answer = answer_of(numbers)
    rates = aim.claims.rates
    claim = aim.claim(answer.index)
    retry_ms = answer.retry_after_ms if answer.retry_after_ms >= 0 else None
    if isinstance(claim, RateClaim):
        refused = Refused.CONCURRENCY if claim.kind is RateKind.CONCURRENT else Refused.RATE
        stands = claim.unit == "requests" and claim.kind is not RateKind.CONCURRENT
    else:
        refused = Refused.BUDGET
        line = aim.lines[answer.index - len(rates)]
        stands = answer.budgets[answer.index - len(rates)].posted > line
    denial = Denial(refused, claim, retry_ms, reply, answer)
    if stands and ask.second is None and not ask.is_further:
        for_s = _MOST_REMEMBERED_S if retry_ms is None else min(_MOST_REMEMBERED_S, retry_ms / 1000)
        aim.denial, aim.denied_at_s, aim.denied_until_s = denial, now_s, now_s + for_s
    return denial


def repeat(aim: Aim, ask: Ask, now_s: float) -> Denial | None:
    """Say the last no again; None: it has to be asked."""
    denial = aim.denial
    if denial is None or now_s >= aim.denied_until_s:
        aim.denial = None
        return None
    if ask.second is not None or ask.is_further:
        return None
    if denial.retry_after_ms is None:
        return denial
    passed_ms = int((now_s - aim.denied_at_s) * 1000)
    return msgspec.structs.replace(denial, retry_after_ms=max(1, denial.retry_after_ms - passed_ms))

"""What a pod decides alone while the counters are away, or do not know any more what they counted. Pure.

Budgets: `deny` lets nothing in; `bounded` lets in what fits into the pod's own part of the allowance, which it was
issued while the store was there (a pod that was issued nothing has nothing); `allow` lets everything in. Rates: each
pod keeps to the limit divided by the number of pods. Rules in shadow mode decide nothing.
"""

import math
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from data_plane.counters.packing import Aim, burst_us, gives_allowance, micro_near, numbers_of
from data_plane.policy.claims import FIRST, RateClaim, RateKind
from data_plane.policy.grant import Ask
from switchyard_contract.counters import BudgetNumbers, CountersAnswer, RateNumbers, Verdict
from switchyard_contract.quantity import NanoUsd

RETRY_MS = 1_000
Degraded = Literal["deny", "bounded", "allow", "local_rates"]
_MOST_KEPT = 100_000


@dataclass(slots=True)
class _Allowance:
    left: int
    """micro-USD."""
    until_ms: int
    """When its period ends; 0: never."""


@dataclass(frozen=True, slots=True)
class Alone:
    """A decision, with the numbers to write down."""

    answer: CountersAnswer
    degraded: Degraded
    """The rule that decided."""


class PodAlone:
    """What the pod has of its own: parts of allowances, and rates as far as it saw them."""

    def __init__(self) -> None:
        self._allowances: dict[str, _Allowance] = {}
        self._arrivals_us: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._slots: dict[str, int] = {}

    def issued(self, key: str, amount: int, until_ms: int, now_ms: int) -> None:
        """Note what the store gave to this pod of a counter's allowance; what is noted already stays."""
        if len(self._allowances) >= _MOST_KEPT:
            # Those of periods that are over, and then the oldest: the store says again what is left of them.
            kept = {name: one for name, one in self._allowances.items() if not 0 < one.until_ms <= now_ms}
            for name in list(islice(kept, max(0, len(kept) - _MOST_KEPT * 9 // 10))):
                del kept[name]
            self._allowances = kept
        self._allowances.setdefault(key, _Allowance(amount, until_ms))

    def knows(self, key: str) -> bool:
        """Whether the store said what this pod has of a counter's allowance."""
        return key in self._allowances

    def left(self, key: str) -> int:
        allowance = self._allowances.get(key)
        return allowance.left if allowance is not None else 0

    def enter(self, slot: str) -> None:
        """One more of this pod's own attempts runs under a concurrent rate; told all the time, not in outages alone."""
        self._slots[slot] = self._slots.get(slot, 0) + 1

    def leave(self, slot: str) -> None:
        """One less."""
        left = self._slots.pop(slot, 1) - 1
        if left:
            self._slots[slot] = left

    def forget_rates(self) -> None:
        """The store is back, and counts again."""
        self._arrivals_us.clear()
        self._used.clear()

    def decide(self, aim: Aim, ask: Ask, now_us: int, live_pods: int, generation: int = 0) -> Alone:
        """Decide about an attempt and take what it needs, all or nothing. Only the model asked for is looked at."""
        live_pods, now_ms = max(1, live_pods), now_us // 1000
        expected, calibrated, worst, input_tokens, output_tokens = numbers_of(ask.first)
        rates, charges, denying, patience = [], [], -1, 0
        for place, (rate, key) in enumerate(zip(aim.claims.rates, aim.rate_keys, strict=True)):
            is_asked = bool(rate.candidates & FIRST) and not rate.is_shadow
            if ask.is_further and rate.unit == "requests" and rate.kind is not RateKind.CONCURRENT:
                is_asked = False
            used, retry_ms, charge = self._look(rate, key, (input_tokens, output_tokens), now_us, live_pods)
            refuses = is_asked and retry_ms > 0
            if refuses and retry_ms > patience:
                denying, patience = place, retry_ms
            rates.append(RateNumbers(is_asked, refuses, used, retry_ms if refuses else 0))
            charges.append(charge)
        degraded: Degraded = "local_rates"
        budgets, bounds = [], []
        is_budget = False
        for place, (budget, key) in enumerate(zip(aim.claims.budgets, aim.budget_keys, strict=True), len(rates)):
            is_asked = bool(budget.candidates & FIRST) and not budget.is_shadow and budget.hard >= 0
            bound = worst if budget.is_strict else calibrated
            left = self.left(key) if gives_allowance(budget) else 0
            refuses = is_asked and (budget.outage == "deny" or (budget.outage == "bounded" and bound > left))
            if refuses and not is_budget:
                is_budget, denying, patience, degraded = True, place, RETRY_MS, budget.outage
            elif is_asked and not is_budget and (budget.outage == "bounded" or degraded != "bounded"):
                degraded = budget.outage
            counts = bool(budget.candidates & FIRST)
            budgets.append(BudgetNumbers(counts, refuses, 0, 0, 0, left))
            bounds.append(bound if is_asked and budget.outage == "bounded" else 0)
        is_admitted = denying < 0
        if is_admitted:
            self._take(aim, rates, charges, bounds, now_us)
        answer = CountersAnswer(
            verdict=Verdict.OUTAGE_ADMITTED if is_admitted else Verdict.OUTAGE_DENIED,
            candidate=FIRST,
            index=denying,
            retry_after_ms=patience,
            now_ms=now_ms,
            generation=generation,
            sequence=0,
            expected=expected,
            calibrated=calibrated,
            worst=worst,
            rates=tuple(rates) if is_admitted else tuple(_uncounted(rate) for rate in rates),
            budgets=tuple(budgets) if is_admitted else tuple(_uncounted_budget(budget) for budget in budgets),
        )
        return Alone(answer, degraded)

    def spend_more(self, aim: Aim, was: tuple[int, ...], becomes: tuple[int, ...]) -> bool:
        """Take what a running attempt needs beyond what it had: calibrated and worst, micro-USD."""
        needs = {}
        for budget, key in zip(aim.claims.budgets, aim.budget_keys, strict=True):
            if budget.is_shadow or budget.hard < 0 or not budget.candidates & FIRST or budget.outage == "allow":
                continue
            more = becomes[budget.is_strict] - was[budget.is_strict]
            if more > 0 and (budget.outage == "deny" or more > self.left(key)):
                return False
            needs[key] = max(0, more)
        for key, more in needs.items():
            if key in self._allowances:
                self._allowances[key].left -= more
        return True

    def settled(self, aim: Aim, taken: tuple[int, ...], cost: NanoUsd) -> None:
        """Give back what an attempt that was let in here did not spend. taken: calibrated and worst, micro-USD."""
        for budget, key in zip(aim.claims.budgets, aim.budget_keys, strict=True):
            allowance = self._allowances.get(key)
            if allowance is not None and budget.outage == "bounded" and budget.candidates & FIRST and budget.hard >= 0:
                allowance.left = max(0, allowance.left + taken[budget.is_strict] - micro_near(cost))

    def _look(
        self, rate: RateClaim, key: str, tokens: tuple[int, int], now_us: int, live_pods: int
    ) -> tuple[int, int, int]:
        """Give what is used here, how long to wait, and what the attempt would be charged."""
        n = _units(rate, tokens)
        if rate.kind is RateKind.CONCURRENT:
            used = self._slots.get(key, 0)
            return used, 0 if used < _share(rate.limit, live_pods) else RETRY_MS, 0
        if rate.kind is RateKind.PERIOD:
            used = self._used.get(key, 0)
            left_ms = rate.period_end_ms - now_us // 1000 if rate.period_end_ms else RETRY_MS
            return used, 0 if used + n <= _share(rate.limit, live_pods) else max(left_ms, RETRY_MS), n
        if rate.limit <= 0 or rate.window_us <= 0:
            return 0, RETRY_MS, 0
        arrival_us = max(self._arrivals_us.get(key, 0), now_us)
        charge_us = math.ceil(float(n) * rate.window_us * live_pods / rate.limit)
        ahead_us = arrival_us - now_us
        # What is larger than this pod's part goes when nothing else is on its way, and is paid for by waiting.
        over_us = min(ahead_us, ahead_us + charge_us - burst_us(rate))
        return int(ahead_us * rate.limit / (rate.window_us * live_pods)), max(0, math.ceil(over_us / 1000)), charge_us

    def _take(self, aim: Aim, rates: list[RateNumbers], charges: list[int], bounds: list[int], now_us: int) -> None:
        for rate, key, numbers, charge in zip(aim.claims.rates, aim.rate_keys, rates, charges, strict=True):
            if not numbers.counted or rate.kind is RateKind.CONCURRENT:
                continue
            if rate.kind is RateKind.PERIOD:
                self._used[key] = self._used.get(key, 0) + charge
            else:
                self._arrivals_us[key] = max(self._arrivals_us.get(key, 0), now_us) + charge
        for key, bound in zip(aim.budget_keys, bounds, strict=True):
            if bound and key in self._allowances:
                self._allowances[key].left -= bound


def _share(limit: int, live_pods: int) -> int:
    """One pod's part; of a limit that lets anything through, at least one."""
    return max(1, limit // live_pods) if limit > 0 else 0


def _units(rate: RateClaim, tokens: tuple[int, int]) -> int:
    match rate.unit:
        case "requests":
            return 1
        case "tokens":
            return sum(tokens)
        case "input_tokens":
            return tokens[0]
        case _:
            return tokens[1]


def _uncounted(rate: RateNumbers) -> RateNumbers:
    return RateNumbers(False, rate.refused, rate.used, rate.retry_after_ms)


def _uncounted_budget(budget: BudgetNumbers) -> BudgetNumbers:
    return BudgetNumbers(False, budget.refused, budget.posted, budget.expected, budget.worst, budget.issued)

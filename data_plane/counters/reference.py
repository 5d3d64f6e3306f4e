"""The meaning of the counters, in memory: what the scripts do, said once more in plain words.

One `Reference` is one store. Time is an argument, in microseconds by the store's clock. The tests run the same
histories against it and against a real Valkey, and expect the same answers and the same contents.

An attempt is *held* from `reserve` on, until it is settled or nobody has renewed it for a while. Of a budget's counter

    posted    what was spent
    expected  what is held, as it will probably be
    worst     what is held, as the budget bounds it (worst case, or calibrated)

and an attempt is let in where posted + worst + its own bound stays within `hard`, and posted + expected + its own
expectation within `soft`. All that match must let it in; then all count it, else none.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_plane.counters.packing import (
    budget_name,
    gives_allowance,
    member_of,
    micro_near,
    micro_up,
    numbers_of,
    rate_name,
    sliding_of,
)
from data_plane.counters.reference_contents import (
    DONE_SPAN_MS,
    DONE_SPANS,
    HOLD_MS,
    LEASE_MS,
    NOTHING_SEEN,
    ONE_POD,
    Contents,
    Hold,
    Organization,
    PodFacts,
    Purse,
    Seen,
    Step,
    issue,
    know,
)
from data_plane.counters.reference_room import fits, is_within_periods, span_us, units
from data_plane.policy.claims import FIRST, SECOND, Amounts, Claims, RateClaim, RateKind
from data_plane.policy.grant import Ask, Spent
from switchyard_contract.counters import MICRO, BudgetNumbers, CountersAnswer, RateNumbers, Verdict

REAPED_AT_ONCE = 4
_BUSY_RETRY_MS = 1_000
NEVER = -1


@dataclass(frozen=True, slots=True)
class _Judged:
    """What all claims say to one candidate."""

    rates: tuple[tuple[bool, bool, int, int, int], ...]
    """counts, refuses, used, retry_after_ms, charge."""
    budgets: tuple[tuple[bool, bool, int], ...]
    """counts, refuses, charge."""
    denying: int
    retry_after_ms: int
    wants_next: bool


class Reference:
    """A store in memory."""

    def __init__(self) -> None:
        self.organizations: dict[str, Organization] = {}
        self.arrivals_us: dict[str, int] = {}
        """Sliding rates: theoretical arrival times."""
        self.used: dict[str, int] = {}
        """Rates of a period."""
        self.slots: dict[str, dict[str, int]] = {}
        """By rate: attempts, and when their lease ends (ms)."""
        self.purses: dict[str, Purse] = {}

    def of(self, organization_id: str) -> Organization:
        return self.organizations.setdefault(organization_id, Organization())

    # Reserve.

    def reserve(
        self, claims: Claims, ask: Ask, now_us: int, *, seen: Seen = NOTHING_SEEN, pod: PodFacts = ONE_POD
    ) -> CountersAnswer:
        """Decide about an attempt and count it."""
        return self.reserve_together(claims, (ask,), now_us, seen=seen, pod=pod)[0]

    def reserve_together(
        self, claims: Claims, asks: Sequence[Ask], now_us: int, *, seen: Seen = NOTHING_SEEN, pod: PodFacts = ONE_POD
    ) -> list[CountersAnswer]:
        """Decide about several that ask at once: one after the other, but for what is overdue, which is given back
        before."""
        ours, answers = self.of(claims.organization_id), []
        verdict: Verdict | None = None
        for ask in asks:
            hold = ours.holds.get(member_of(ask))
            if hold is not None:
                answers.append(hold.answer)
                continue
            if verdict is None:
                verdict = self._look_around(claims, now_us, seen)
                if verdict is Verdict.ADMITTED:
                    self.reap(claims.organization_id, now_us, REAPED_AT_ONCE * len(asks))
            answers.append(self._decide(claims, ask, now_us, pod, verdict))
        return answers

    def _look_around(self, claims: Claims, now_us: int, seen: Seen) -> Verdict:
        """Say whether anything speaks against asking at all; ADMITTED: nothing does."""
        ours = self.of(claims.organization_id)
        if claims.key_id in ours.revoked:
            return Verdict.REVOKED
        if not know(ours.contents, claims.generation, seen):
            return Verdict.LEARNING
        return Verdict.ADMITTED if is_within_periods(claims, now_us // 1000) else Verdict.PERIOD_OVER

    def _decide(self, claims: Claims, ask: Ask, now_us: int, pod: PodFacts, verdict: Verdict) -> CountersAnswer:
        if verdict is not Verdict.ADMITTED:
            contents = self.of(claims.organization_id).contents if verdict is Verdict.PERIOD_OVER else Contents(0, 0)
            return _nothing_counted(verdict, now_us // 1000, contents)
        candidate, judged = FIRST, self._judge(claims, ask, FIRST, now_us)
        if ask.second is not None and judged.wants_next:
            other = self._judge(claims, ask, SECOND, now_us)
            if other.denying < 0:
                candidate, judged = SECOND, other
        return self._conclude(claims, ask, candidate, judged, now_us, pod, is_unchecked=False)

    def register(self, claims: Claims, ask: Ask, candidate: int, now_us: int, pod: PodFacts = ONE_POD) -> None:
        """Hold what runs already, without asking whether it fits: after the contents were lost."""
        if member_of(ask) in self.of(claims.organization_id).holds:
            return
        self.reap(claims.organization_id, now_us, REAPED_AT_ONCE)
        judged = self._judge(claims, ask, candidate, now_us)
        self._conclude(claims, ask, candidate, judged, now_us, pod, is_unchecked=True)

    def _judge(self, claims: Claims, ask: Ask, candidate: int, now_us: int) -> _Judged:
        amounts = ask.second if candidate == SECOND and ask.second is not None else ask.first
        now_ms, organization_id = now_us // 1000, claims.organization_id
        expected, calibrated, worst, *_ = numbers_of(amounts)
        rates, budgets = [], []
        denying, patience, wants_next = -1, 0, False
        for place, rate in enumerate(claims.rates):
            key = rate_name(organization_id, rate, ask.session_id, ask.request_digest)
            used, retry_ms, charge = self._look_at_rate(key, rate, amounts, now_us)
            counts = bool(rate.candidates & candidate)
            if ask.is_further and rate.unit == "requests" and rate.kind is not RateKind.CONCURRENT:
                counts = False
            refuses = counts and retry_ms != 0
            rates.append((counts, refuses, used, retry_ms, charge))
            is_longer = retry_ms == NEVER or retry_ms > patience
            if refuses and not rate.is_shadow and patience != NEVER and is_longer:
                denying, patience = place, retry_ms
        is_budget = False
        for place, budget in enumerate(claims.budgets, len(claims.rates)):
            purse = self.purses.get(budget_name(organization_id, budget, ask.session_id), Purse())
            charge = worst if budget.is_strict else calibrated
            counts = bool(budget.candidates & candidate)
            refuses = counts and not fits(purse, budget, expected, charge, ask.is_tool_loop)
            budgets.append((counts, refuses, charge))
            if not counts or budget.is_shadow:
                continue
            if refuses and not is_budget:
                is_budget = True
                denying = place
                patience = budget.period_end_ms - now_ms if budget.period_end_ms > 0 else NEVER
            line = budget.downgrade_at
            wants_next = wants_next or (line >= 0 and purse.posted + purse.expected + expected >= micro_up(line))
        return _Judged(tuple(rates), tuple(budgets), denying, patience, wants_next)

    def _look_at_rate(self, key: str, rate: RateClaim, amounts: Amounts, now_us: int) -> tuple[int, int, int]:
        """Give what is used, how long to wait (0: it fits), and what the attempt would be charged."""
        now_ms, n = now_us // 1000, units(rate, amounts.input_tokens, amounts.output_tokens)
        if rate.kind is RateKind.CONCURRENT:
            used = sum(end_ms > now_ms for end_ms in self.slots.get(key, {}).values())
            return used, 0 if used + 1 <= rate.limit else _BUSY_RETRY_MS if rate.limit else NEVER, 1
        if rate.kind is RateKind.PERIOD:
            used = self.used.get(key, 0)
            if used + n <= rate.limit:
                return used, 0, n
            ends = n <= rate.limit and rate.period_end_ms
            return used, rate.period_end_ms - now_ms if ends else NEVER, n
        # Generic cell rate: `arrival` is when all that was let in would have flowed off.
        arrival_us, charge_us = max(self.arrivals_us.get(key, 0), now_us), span_us(rate, n)
        ahead_us = arrival_us - now_us
        limit, window_us, burst = sliding_of(rate)
        over_us = ahead_us + charge_us - burst
        retry_ms = 0 if over_us <= 0 else NEVER if charge_us > burst else math.ceil(over_us / 1000)
        return math.floor(float(ahead_us) * limit / window_us), retry_ms, charge_us

    def _conclude(
        self, claims: Claims, ask: Ask, candidate: int, judged: _Judged, now_us: int, pod: PodFacts, *,
        is_unchecked: bool,
    ) -> CountersAnswer:  # fmt: skip
        ours, organization_id = self.of(claims.organization_id), claims.organization_id
        amounts = ask.second if candidate == SECOND and ask.second is not None else ask.first
        expected, calibrated, worst, *_ = numbers_of(amounts)
        is_admitted = is_unchecked or judged.denying < 0
        rates = tuple(
            RateNumbers(is_admitted and counts and (is_unchecked or not refuses), refuses, used, retry_ms * refuses)
            for counts, refuses, used, retry_ms, _ in judged.rates
        )
        fullest, fullness = -1, -1.0
        budgets = []
        for at, (budget, (counts, refuses, _)) in enumerate(zip(claims.budgets, judged.budgets, strict=True)):
            purse = self.purses.get(budget_name(organization_id, budget, ask.session_id), Purse())
            is_counted = is_admitted and counts and (is_unchecked or not refuses)
            if is_admitted and counts and budget.hard >= 0 and not budget.is_shadow:
                share = (purse.posted + purse.expected + expected) / max(budget.soft // MICRO, 1)
                if share > fullness:
                    fullest, fullness = len(rates) + at, share
            issued, is_told = 0, is_counted and at in pod.wanted and gives_allowance(budget)
            if is_told:
                purse = self.purses.setdefault(budget_name(organization_id, budget, ask.session_id), purse)
                issued = issue(purse, budget, pod)
            stand = (purse.posted, purse.expected, purse.worst)
            budgets.append(BudgetNumbers(is_counted, refuses, *stand, issued, is_told))
        answer = CountersAnswer(
            verdict=Verdict.ADMITTED if is_admitted else Verdict.DENIED,
            candidate=candidate if is_admitted else FIRST,
            index=fullest if is_admitted else judged.denying,
            retry_after_ms=0 if is_admitted else judged.retry_after_ms,
            now_ms=now_us // 1000,
            generation=0 if is_unchecked else ours.contents.generation,
            sequence=(0 if is_unchecked else ours.contents.sequence),
            expected=expected,
            calibrated=calibrated,
            worst=worst,
            rates=rates,
            budgets=tuple(budgets),
        )
        if is_admitted:
            ours.contents.sequence += 1
            answer = _numbered(answer, ours.contents.sequence)
            self._write(claims, ask, judged, answer, now_us)
        return answer

    def _write(self, claims: Claims, ask: Ask, judged: _Judged, answer: CountersAnswer, now_us: int) -> None:
        organization_id, member, now_ms = claims.organization_id, member_of(ask), now_us // 1000
        for rate, told, (*_, charge) in zip(claims.rates, answer.rates, judged.rates, strict=True):
            key = rate_name(organization_id, rate, ask.session_id, ask.request_digest)
            if not told.counted:
                continue
            if rate.kind is RateKind.CONCURRENT:
                held = {name: end_ms for name, end_ms in self.slots.get(key, {}).items() if end_ms > now_ms}
                self.slots[key] = held | {member: now_ms + LEASE_MS}
            elif rate.kind is RateKind.PERIOD:
                self.used[key] = self.used.get(key, 0) + charge
            elif charge > 0:
                self.arrivals_us[key] = max(self.arrivals_us.get(key, 0), now_us) + charge
        amounts = {}
        for budget, numbers, (*_, charge) in zip(claims.budgets, answer.budgets, judged.budgets, strict=True):
            if numbers.counted:
                key = budget_name(organization_id, budget, ask.session_id)
                purse = self.purses.setdefault(key, Purse())
                purse.expected += answer.expected
                purse.worst += charge
                amounts[key] = (answer.expected, charge)
        self.of(organization_id).holds[member] = Hold(answer, amounts, now_ms + HOLD_MS)

    # What follows.

    def settle(
        self, claims: Claims, ask: Ask, answer: CountersAnswer, spent: Spent, now_us: int, *,
        may_post_unheld: bool = True, from_allowance_of: str | None = None,
    ) -> int:  # fmt: skip
        """Replace a reservation by the truth, once. answer: what the pod was told at admission.

        1: settled; 2: it was before; 3: nothing was held any more, posted all the same; 0: neither.
        """
        ours, member, now_ms = self.of(claims.organization_id), member_of(ask), now_us // 1000
        hold = ours.holds.get(member)
        if hold is None:
            span = ours.done.get(member)
            if span is not None and -1 <= now_ms // DONE_SPAN_MS - span <= DONE_SPANS:
                return 2
            if not may_post_unheld:
                return 0
        charged = ask.second if answer.candidate == SECOND and ask.second is not None else ask.first
        for rate, numbers in zip(claims.rates, answer.rates, strict=True):
            if numbers.counted:
                self._correct_rate(claims.organization_id, rate, ask, charged, spent, now_us)
        cost = micro_near(spent.cost)
        if hold is not None:
            del ours.holds[member]
            posts = hold.amounts
        else:
            posts = {
                budget_name(claims.organization_id, budget, ask.session_id): (0, 0)
                for budget, told in zip(claims.budgets, answer.budgets, strict=True)
                if told.counted
            }
        for key, (expected, worst) in posts.items():
            purse = self.purses.setdefault(key, Purse())
            purse.posted += cost
            purse.expected = max(0, purse.expected - expected)
            purse.worst = max(0, purse.worst - worst)
            if from_allowance_of in purse.left_of:
                purse.left_of[from_allowance_of] = max(0, purse.left_of[from_allowance_of] - cost)
        ours.done[member] = now_ms // DONE_SPAN_MS
        return 1 if hold is not None else 3

    def _correct_rate(
        self, organization_id: str, rate: RateClaim, ask: Ask, charged: Amounts, spent: Spent, now_us: int
    ) -> None:
        key = rate_name(organization_id, rate, ask.session_id, ask.request_digest)
        then = units(rate, charged.input_tokens, charged.output_tokens)
        now = units(rate, spent.input_tokens, spent.output_tokens)
        if rate.kind is RateKind.CONCURRENT:
            self.slots.get(key, {}).pop(member_of(ask), None)
        elif rate.kind is RateKind.PERIOD and key in self.used:
            self.used[key] = max(0, self.used[key] + now - then)
        elif rate.kind is RateKind.SLIDING and now != then:
            more_us = span_us(rate, now) - span_us(rate, then)
            if more_us > 0:
                self.arrivals_us[key] = max(self.arrivals_us.get(key, 0), now_us) + more_us
            elif key in self.arrivals_us:
                # Never further back than a bucket that is full.
                self.arrivals_us[key] = max(self.arrivals_us[key] + more_us, now_us - sliding_of(rate)[2])

    def extend(self, claims: Claims, ask: Ask, amounts: Amounts) -> int:
        """Have a reservation be so much. 1: it is; 0: no room, all is as it was; 2: nothing is held any more."""
        hold = self.of(claims.organization_id).holds.get(member_of(ask))
        if hold is None:
            return 2
        expected, calibrated, worst, *_ = numbers_of(amounts)
        changes: dict[str, tuple[int, int]] = {}
        for budget in claims.budgets:
            key = budget_name(claims.organization_id, budget, ask.session_id)
            if key not in hold.amounts:
                continue
            purse, bound = self.purses.get(key, Purse()), worst if budget.is_strict else calibrated
            more_e, more_s = expected - hold.amounts[key][0], bound - hold.amounts[key][1]
            grace = budget.grace // MICRO if ask.is_tool_loop else 0
            is_tight = budget.hard >= 0 and (
                (more_s > 0 and purse.posted + purse.worst + more_s > budget.hard // MICRO + grace)
                or (more_e > 0 and purse.posted + purse.expected + more_e > budget.soft // MICRO + grace)
            )
            if is_tight and not budget.is_shadow:
                return 0
            if not is_tight:
                changes[key] = (more_e, more_s)
        for key, (more_e, more_s) in changes.items():
            purse = self.purses.setdefault(key, Purse())
            purse.expected, purse.worst = max(0, purse.expected + more_e), max(0, purse.worst + more_s)
            was_e, was_s = hold.amounts[key]
            hold.amounts[key] = (was_e + more_e, was_s + more_s)
        return 1

    def renew(self, claims: Claims, ask: Ask, now_us: int) -> bool:
        """Say that an attempt still runs. False: nothing is held for it."""
        now_ms, member = now_us // 1000, member_of(ask)
        hold = self.of(claims.organization_id).holds.get(member)
        if hold is not None:
            hold.due_ms = now_ms + HOLD_MS
        for rate in claims.rates:
            if rate.kind is RateKind.CONCURRENT:
                slots = self.slots.get(rate_name(claims.organization_id, rate, ask.session_id, ask.request_digest), {})
                if slots.get(member, 0) > now_ms:
                    slots[member] = now_ms + LEASE_MS
        return hold is not None

    def reap(self, organization_id: str, now_us: int, most: int) -> int:
        """Give back what pods that are gone had reserved, the longest due first."""
        ours, now_ms = self.of(organization_id), now_us // 1000
        due = sorted((hold.due_ms, member) for member, hold in ours.holds.items() if hold.due_ms <= now_ms)[:most]
        for _, member in due:
            for key, (expected, worst) in ours.holds.pop(member).amounts.items():
                if key in self.purses:
                    purse = self.purses[key]
                    purse.expected = max(0, purse.expected - expected)
                    purse.worst = max(0, purse.worst - worst)
        return len(due)

    def raise_floors(self, floors: Iterable[tuple[str, int]]) -> int:
        """Raise what is posted to what the books say; never lower it. Says how many were raised."""
        raised = 0
        for key, posted in floors:
            if posted > self.purses.get(key, Purse()).posted:
                self.purses.setdefault(key, Purse()).posted = posted
                raised += 1
        return raised

    def lay(self, organization_id: str, step: Step, floors: Iterable[tuple[str, int]]) -> int:
        """Raise floors that are a part of an organization's whole books. -1: what was laid before is not here."""
        contents = self.of(organization_id).contents
        if step.goes_on_from and contents.laying not in (step.goes_on_from, step.leads_to):
            return -1
        raised = self.raise_floors(floors)
        contents.laying = step.leads_to
        if step.opens:
            contents.laid = step.opens
        return raised


def _nothing_counted(verdict: Verdict, now_ms: int, contents: Contents) -> CountersAnswer:
    generation, sequence = contents.generation, contents.sequence
    return CountersAnswer(verdict, 0, -1, 0, now_ms, generation, sequence, 0, 0, 0, (), ())


def _numbered(answer: CountersAnswer, sequence: int) -> CountersAnswer:
    return CountersAnswer(
        answer.verdict, answer.candidate, answer.index, answer.retry_after_ms, answer.now_ms, answer.generation,
        sequence, answer.expected, answer.calibrated, answer.worst, answer.rates, answer.budgets,
    )  # fmt: skip

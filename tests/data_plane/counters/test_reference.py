"""What the counters promise, held against their meaning: brute force, random histories, every instant looked at.

The letters are those of the design's invariants: C for budgets, D for rates.
"""

from copy import deepcopy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.counters.alone import PodAlone
from data_plane.counters.packing import (
    MAX_EARLY_US,
    PackedClaims,
    budget_name,
    burst_us,
    micro_near,
    numbers_of,
    rate_name,
)
from data_plane.counters.reference import NEVER, Reference
from data_plane.counters.reference_contents import HOLD_MS, LEASE_MS, PodFacts, Purse, Seen, Step
from data_plane.policy.claims import Amounts, BudgetClaim, Claims, RateClaim, RateKind, RateUnit
from data_plane.policy.grant import Ask, Spent
from switchyard_contract.counters import MICRO, CountersAnswer, Verdict
from switchyard_contract.quantity import NanoUsd
from tests.data_plane.counters.builders import (
    ORGANIZATION,
    START_US,
    a_budget,
    a_rate,
    amounts,
    an_ask,
    claims_of,
    usd,
)

START_MS = START_US // 1000
GAPS_US = st.sampled_from((0, 1, 999, 250_000, 1_000_000, 5_000_001, 30_000_000, 61_000_000))
TOKENS = st.integers(0, 400)


def purse_of(reference: Reference, budget: BudgetClaim) -> Purse:
    return reference.purses.get(budget_name(ORGANIZATION, budget, ""), Purse())


def let_in(answer: CountersAnswer) -> bool:
    return answer.verdict is Verdict.ADMITTED


# Rates.


@given(
    limit=st.integers(1, 90),
    burst=st.integers(0, 12),
    unit=st.sampled_from(("requests", "tokens")),
    arrivals=st.lists(st.tuples(GAPS_US, TOKENS), max_size=60),
)
def test_d1_in_no_window_more_than_its_share_and_one_burst(
    limit: int, burst: int, unit: RateUnit, arrivals: list[tuple[int, int]]
) -> None:
    rate = a_rate(limit * (10 if unit == "tokens" else 1), burst=burst * (10 if unit == "tokens" else 1), unit=unit)
    reference, now_us, admitted = Reference(), START_US, []
    for number, (gap_us, tokens) in enumerate(arrivals):
        now_us += gap_us
        if let_in(reference.reserve(claims_of(rate), an_ask(number, amounts(0, input_tokens=tokens)), now_us)):
            admitted.append((now_us, 1 if unit == "requests" else tokens))
    most_at_once = rate.burst or rate.limit
    early_us = burst_us(rate) - most_at_once * rate.window_us / rate.limit if unit == "requests" else 0
    # The scripts count in whole microseconds.
    assert early_us <= MAX_EARLY_US + 1
    for first, (from_us, _) in enumerate(admitted):
        units = 0
        for until_us, n in admitted[first:]:
            units += n
            assert units <= most_at_once + (until_us - from_us + early_us) * rate.limit / rate.window_us + 1e-6


@given(st.integers(1, 90), st.integers(0, 12), st.lists(GAPS_US, max_size=40))
def test_d2_who_waits_as_long_as_told_is_let_in(limit: int, burst: int, gaps_us: list[int]) -> None:
    rate = a_rate(limit, burst=burst)
    reference, now_us = Reference(), START_US
    for number, gap_us in enumerate(gaps_us):
        now_us += gap_us
        answer = reference.reserve(claims_of(rate), an_ask(number), now_us)
        if not let_in(answer):
            assert answer.retry_after_ms > 0
            too_early = now_us + answer.retry_after_ms * 1000 - 1001
            assert not let_in(deepcopy(reference).reserve(claims_of(rate), an_ask(1000), max(now_us, too_early)))
            now_us += answer.retry_after_ms * 1000
            assert let_in(reference.reserve(claims_of(rate), an_ask(1001 + number), now_us))


def test_d2_of_several_rates_the_longest_wait_is_told() -> None:
    claims = claims_of(a_rate(60, id="minute", burst=1), a_rate(2, id="hour", burst=1, window_us=3_600_000_000))
    reference = Reference()
    assert let_in(reference.reserve(claims, an_ask(1), START_US))
    answer = reference.reserve(claims, an_ask(2), START_US)
    assert (answer.index, answer.retry_after_ms) == (1, 1_800_000 - MAX_EARLY_US // 1000)


@pytest.mark.parametrize(
    "wrong", [Amounts(NanoUsd(-1), NanoUsd(0), NanoUsd(0), 0, 0), Amounts(NanoUsd(0), NanoUsd(0), NanoUsd(0), -1, 0)]
)
def test_d3_nothing_negative_is_counted(wrong: Amounts) -> None:
    with pytest.raises(ValueError, match="negative"):
        Reference().reserve(claims_of(a_rate()), an_ask(1, wrong), START_US)


@given(st.integers(1, 900), st.lists(st.tuples(GAPS_US, TOKENS, st.integers(0, 3000)), max_size=30))
def test_d4_a_rate_never_runs_further_ahead_than_a_burst_and_what_was_underestimated(
    limit: int, history: list[tuple[int, int, int]]
) -> None:
    rate = a_rate(limit, unit="tokens")
    claims, reference, now_us = claims_of(rate), Reference(), START_US
    key = rate_name(ORGANIZATION, rate, "")
    for number, (gap_us, guessed, used) in enumerate(history):
        now_us += gap_us
        ask = an_ask(number, amounts(0, input_tokens=guessed))
        answer = reference.reserve(claims, ask, now_us)
        if let_in(answer):
            ahead_us = reference.arrivals_us.get(key, 0) - now_us
            assert ahead_us <= burst_us(rate)
            reference.settle(claims, ask, answer, Spent(input_tokens=used), now_us)
            more_us = max(0, used - guessed) * rate.window_us / rate.limit
            assert reference.arrivals_us.get(key, 0) - now_us <= burst_us(rate) + more_us + 1
            assert reference.arrivals_us.get(key, now_us) >= now_us - burst_us(rate)


def test_tokens_that_were_not_used_are_given_back() -> None:
    claims, reference = claims_of(a_rate(1_000, unit="tokens")), Reference()
    ask = an_ask(1, amounts(0, input_tokens=1_000))
    answer = reference.reserve(claims, ask, START_US)
    assert not let_in(reference.reserve(claims, an_ask(2, amounts(0, input_tokens=900)), START_US))
    reference.settle(claims, ask, answer, Spent(input_tokens=100), START_US)
    assert let_in(reference.reserve(claims, an_ask(2, amounts(0, input_tokens=900)), START_US))


def test_what_is_larger_than_a_burst_is_told_that_it_never_fits() -> None:
    answer = Reference().reserve(
        claims_of(a_rate(1_000, unit="tokens")), an_ask(1, amounts(0, input_tokens=1_001)), START_US
    )
    assert (answer.verdict, answer.retry_after_ms) == (Verdict.DENIED, NEVER)


@given(st.integers(1, 5), st.lists(st.tuples(GAPS_US, st.booleans()), max_size=60))
def test_d5_never_more_at_once_than_the_limit_and_none_when_all_is_over(
    limit: int, history: list[tuple[int, bool]]
) -> None:
    rate = a_rate(limit, kind=RateKind.CONCURRENT)
    claims, reference, now_us = claims_of(rate), Reference(), START_US
    running: list[tuple[Ask, CountersAnswer, int]] = []
    for number, (gap_us, ends) in enumerate(history):
        now_us += gap_us
        if ends and running:
            ask, answer, _ = running.pop(0)
            reference.settle(claims, ask, answer, Spent(), now_us)
        ask = an_ask(number)
        answer = reference.reserve(claims, ask, now_us)
        running = [entry for entry in running if now_us // 1000 < entry[2]]
        assert let_in(answer) is (len(running) < limit)
        if let_in(answer):
            running.append((ask, answer, now_us // 1000 + LEASE_MS))
    now_us += (LEASE_MS + 1) * 1000
    assert reference.reserve(claims, an_ask(9_999), now_us).rates[0].used == 0


def test_sixty_a_minute_over_four_pods_of_240_offered() -> None:
    at_once, evenly = Reference(), Reference()
    burst, steady = claims_of(a_rate(60)), claims_of(a_rate(60, burst=1))
    assert sum(let_in(at_once.reserve(burst, an_ask(number), START_US)) for number in range(240)) == 60
    spread = range(0, 60_000_000, 250_000)
    admitted = sum(
        let_in(evenly.reserve(steady, an_ask(number), START_US + at_us)) for number, at_us in enumerate(spread)
    )
    assert 59 <= admitted <= 61


# Budgets.

_SHARES = st.floats(0, 1).map(lambda share: round(share, 3))
DOLLARS = st.floats(0, 0.5).map(lambda amount: round(amount, 6))
ATTEMPTS = st.lists(st.tuples(DOLLARS, _SHARES, _SHARES, st.sampled_from("rrrsdl")), max_size=60)
"""Worst cost, expected and true shares of it, and what happens next: reserve, settle, settle again, leave it behind."""


@given(st.floats(0.1, 3).map(lambda amount: round(amount, 4)), st.booleans(), ATTEMPTS)
def test_c1_to_c5_no_instant_above_the_line_and_nothing_left_over(
    limit: float, has_tolerance: bool, attempts: list[tuple[float, float, float, str]]
) -> None:
    strict = a_budget(limit * 1.1, id="strict", soft=limit if not has_tolerance else None)
    loose = a_budget(limit * 2, id="loose", is_strict=False)
    warning = a_budget(None, id="warning")
    claims, reference, now_us = claims_of(strict, loose, warning), Reference(), START_US
    running: list[tuple[Ask, CountersAnswer, Spent]] = []
    finished: list[tuple[Ask, CountersAnswer, Spent]] = []
    posted = 0

    def resolve(ask: Ask, answer: CountersAnswer, spent: Spent) -> None:
        nonlocal posted
        assert reference.settle(claims, ask, answer, spent, now_us) == 1
        posted += micro_near(spent.cost)
        finished.append((ask, answer, spent))

    for number, (worst, expected_share, true_share, next_step) in enumerate(attempts):
        now_us += 1_000
        ask = an_ask(number, amounts(worst * expected_share, worst))
        before = deepcopy((reference.purses, reference.of(ORGANIZATION)))
        answer = reference.reserve(claims, ask, now_us)
        spent = Spent(NanoUsd(int(usd(worst) * true_share)))
        if let_in(answer):
            running.append((ask, answer, spent))
        else:
            # C5: the contents themselves are known from the first look on.
            before[1].contents = reference.of(ORGANIZATION).contents
            assert (reference.purses, reference.of(ORGANIZATION)) == before
        if next_step == "s" and running:
            resolve(*running.pop(0))
        if next_step == "d" and finished:
            stood = deepcopy(reference.purses)
            assert reference.settle(claims, *finished[0], now_us) == 2
            assert reference.purses == stood, "C3: once is enough"
        for budget in (strict, loose):
            purse = purse_of(reference, budget)
            assert purse.posted + purse.worst <= budget.hard // MICRO, "C1"
            assert purse.posted <= budget.hard // MICRO
            assert min(purse.expected, purse.worst) >= 0, "C4"
    assert {purse_of(reference, budget).posted for budget in (strict, loose, warning)} == {posted}, "C2"
    left_behind = len(running)
    now_us += (HOLD_MS + 1) * 1000
    assert reference.reap(ORGANIZATION, now_us, 10_000) == left_behind
    for budget in (strict, loose, warning):
        purse = purse_of(reference, budget)
        assert (purse.expected, purse.worst) == (0, 0), "C4: back to nothing"
    for ask, answer, spent in running:
        # C3: its pod comes back with the truth after all.
        assert reference.settle(claims, ask, answer, spent, now_us) == 3
        assert reference.settle(claims, ask, answer, spent, now_us) == 2


def test_c6_an_exchange_is_counted_in_the_period_that_the_store_is_in() -> None:
    border_ms = START_MS + 10_000
    before = claims_of(a_budget(1, period=str(START_MS - 5), period_end_ms=border_ms))
    after = claims_of(a_budget(1, period=str(border_ms), period_end_ms=border_ms + 86_400_000))
    for now_ms, fits, other in ((border_ms - 1, before, after), (border_ms, after, before)):
        reference = Reference()
        answer = reference.reserve(other, an_ask(1), now_ms * 1000)
        assert (answer.verdict, answer.now_ms) == (Verdict.PERIOD_OVER, now_ms)
        assert reference.purses == {}
        assert let_in(reference.reserve(fits, an_ask(1), now_ms * 1000))


def test_c6_what_was_let_in_before_midnight_is_posted_to_the_day_that_let_it_in() -> None:
    border_ms = START_MS + 1_000
    claims = claims_of(a_budget(1, period=str(START_MS - 5), period_end_ms=border_ms))
    reference = Reference()
    answer = reference.reserve(claims, an_ask(1), START_US)
    reference.settle(claims, an_ask(1), answer, Spent(usd(0.1)), (border_ms + 5_000) * 1000)
    assert purse_of(reference, claims.budgets[0]).posted == 100_000


def test_c8_after_a_loss_what_is_posted_is_at_least_what_the_books_say() -> None:
    claims, reference = claims_of(a_budget(1)), Reference()
    key = budget_name(ORGANIZATION, claims.budgets[0], "")
    assert reference.raise_floors([(key, 950_000)]) == 1
    assert reference.raise_floors([(key, 900_000)]) == 0
    assert not let_in(reference.reserve(claims, an_ask(1), START_US))


@given(
    allowance=st.integers(0, 3),
    live=st.integers(1, 5),
    outage=st.lists(st.tuples(st.integers(0, 5), DOLLARS, _SHARES, st.booleans()), max_size=60),
)
def test_c9_an_outage_spends_no_more_than_the_allowance(
    allowance: int, live: int, outage: list[tuple[int, float, float, bool]]
) -> None:
    claims, reference = claims_of(a_budget(50, allowance=allowance)), Reference()
    aim, pods = PackedClaims(claims).aim(""), [PodAlone() for _ in range(6)]
    # The first ones were there before the outage; more of them than the control plane counted.
    for number, pod in enumerate(pods[:5]):
        facts = PodFacts(f"pod{number}", live, frozenset({0}))
        answer = reference.reserve(claims, an_ask(number, amounts(0.001)), START_US, pod=facts)
        pod.issued(aim.budget_keys[0], answer.budgets[0].issued, 0, START_MS)
    spent = 0
    for number, (pod_number, worst, share, settles) in enumerate(outage):
        ask = an_ask(100 + number, amounts(worst))
        decided = pods[pod_number].decide(aim, ask, START_US, live)
        if decided.answer.verdict is Verdict.OUTAGE_ADMITTED:
            cost = NanoUsd(int(usd(worst) * share))
            spent += micro_near(cost)
            if settles:
                pods[pod_number].settled(aim, numbers_of(ask.first)[1:3], cost)
        assert spent <= allowance * 1_000_000


# The two candidates, grace, shadow.


def test_the_second_candidate_is_taken_from_the_stage_on() -> None:
    claims, reference = claims_of(a_budget(1.0, downgrade_at=0.95)), Reference()
    dear, cheap = amounts(0.1), amounts(0.01)
    taken = [reference.reserve(claims, an_ask(number, dear, cheap), START_US).candidate for number in range(1, 12)]
    assert taken == [1] * 9 + [2, 2]


def test_the_second_candidate_is_taken_where_a_budget_of_the_first_alone_is_spent() -> None:
    opus = a_budget(0.5, id="opus", candidates=1, downgrade_at=0.5)
    claims, reference = claims_of(opus, a_budget(10, id="all")), Reference()
    first = reference.reserve(claims, an_ask(1, amounts(0.4), amounts(0.1)), START_US)
    second = reference.reserve(claims, an_ask(2, amounts(0.4), amounts(0.1)), START_US)
    assert (first.candidate, second.candidate) == (1, 2)
    assert [budget.counted for budget in second.budgets] == [False, True]
    assert not let_in(reference.reserve(claims, an_ask(3, amounts(0.4)), START_US))


def test_where_the_second_does_not_fit_the_first_is_still_taken() -> None:
    claims = claims_of(a_budget(1.0, downgrade_at=0), a_rate(0, id="cheap-calls", candidates=2))
    answer = Reference().reserve(claims, an_ask(1, amounts(0.1), amounts(0.01)), START_US)
    assert (answer.verdict, answer.candidate) == (Verdict.ADMITTED, 1)


def test_a_tool_loop_may_finish_within_the_grace() -> None:
    claims, reference = claims_of(a_budget(1.0, grace=0.2)), Reference()
    assert let_in(reference.reserve(claims, an_ask(1, amounts(1.0)), START_US))
    assert not let_in(reference.reserve(claims, an_ask(2, amounts(0.1)), START_US))
    assert let_in(reference.reserve(claims, an_ask(3, amounts(0.2), is_tool_loop=True), START_US))
    assert not let_in(reference.reserve(claims, an_ask(4, amounts(0.1), is_tool_loop=True), START_US))


_RULES: st.SearchStrategy[RateClaim | BudgetClaim] = st.one_of(
    st.builds(a_rate, st.integers(1, 20), burst=st.integers(0, 5)),
    st.builds(a_rate, st.integers(1, 20), kind=st.just(RateKind.PERIOD), period=st.just("0")),
    st.builds(a_rate, st.integers(1, 4), kind=st.just(RateKind.CONCURRENT)),
    st.builds(a_budget, st.floats(0.1, 2).map(lambda amount: round(amount, 3)), is_strict=st.booleans()),
)


@given(_RULES, st.lists(st.tuples(GAPS_US, DOLLARS, _SHARES, st.booleans()), max_size=40))
def test_a_rule_in_shadow_decides_what_it_would_decide_enforced(
    rule: RateClaim | BudgetClaim, history: list[tuple[int, float, float, bool]]
) -> None:
    def run(is_shadow: bool) -> list[bool]:
        claims = claims_of(_with_mode(rule, is_shadow))
        reference, now_us, said = Reference(), START_US, []
        running: list[tuple[Ask, CountersAnswer, Spent]] = []
        for number, (gap_us, worst, share, settles) in enumerate(history):
            now_us += gap_us
            ask = an_ask(number, amounts(worst * share, worst))
            answer = reference.reserve(claims, ask, now_us)
            assert let_in(answer) or not is_shadow
            (refused,) = [rate.refused for rate in answer.rates] + [budget.refused for budget in answer.budgets]
            said.append(refused)
            if not refused:
                running.append((ask, answer, Spent(usd(worst * share))))
            if settles and running:
                reference.settle(claims, *running.pop(0), now_us)
        return said

    assert run(is_shadow=True) == run(is_shadow=False)


def _with_mode(rule: RateClaim | BudgetClaim, is_shadow: bool) -> RateClaim | BudgetClaim:
    return msgspec.structs.replace(rule, is_shadow=is_shadow)


# The contents.


def test_a_revoked_key_is_told_before_anything_is_counted() -> None:
    claims, reference = claims_of(a_budget(1)), Reference()
    reference.of(ORGANIZATION).revoked.add("key1")
    assert reference.reserve(claims, an_ask(1), START_US).verdict is Verdict.REVOKED
    assert reference.purses == {}


def test_the_same_attempt_again_has_the_same_answer() -> None:
    claims, reference = claims_of(a_budget(1), a_rate()), Reference()
    first = reference.reserve(claims, an_ask(1), START_US)
    assert reference.reserve(claims, an_ask(1), START_US + 5_000_000) == first
    assert purse_of(reference, claims.budgets[0]).expected == 100_000


@given(st.integers(0, 3), st.booleans())
def test_another_generation_than_was_seen_is_a_loss_until_the_books_are_laid_in_for_a_newer_one(
    generation: int, seen_before: bool
) -> None:
    def claims(number: int) -> Claims:
        return claims_of(a_budget(1), generation=number)

    reference = Reference()
    seen = Seen(generation, 7) if seen_before else Seen()
    answer = reference.reserve(claims(generation), an_ask(1), START_US, seen=seen)
    is_new_store = generation == 0 and not seen_before
    assert let_in(answer) is is_new_store
    if not is_new_store:
        assert answer.verdict is Verdict.LEARNING
        assert reference.reserve(claims(generation), an_ask(2), START_US).verdict is Verdict.LEARNING
        reference.lay(ORGANIZATION, Step("one:0", opens=generation + 1), ())
        assert let_in(reference.reserve(claims(generation + 1), an_ask(3), START_US, seen=seen))
        assert let_in(reference.reserve(claims(generation), an_ask(4), START_US)), "a policy a little behind"

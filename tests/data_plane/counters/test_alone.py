"""What a pod decides alone."""

import pytest

from data_plane.counters.alone import PodAlone
from data_plane.counters.packing import PackedClaims, numbers_of
from data_plane.policy.claims import Claims, Outage, RateKind
from data_plane.policy.grant import Ask
from switchyard_contract.counters import Verdict
from tests.data_plane.counters.builders import START_US, a_budget, a_rate, amounts, an_ask, claims_of, usd


def is_let_in(pod: PodAlone, claims: Claims, ask: Ask, now_us: int = START_US, live_pods: int = 1) -> bool:
    decided = pod.decide(PackedClaims(claims).aim(""), ask, now_us, live_pods)
    return decided.answer.verdict is Verdict.OUTAGE_ADMITTED


def issued(pod: PodAlone, claims: Claims, micro_usd: int) -> None:
    for key in PackedClaims(claims).aim("").budget_keys:
        pod.issued(key, micro_usd, 0, START_US // 1000)


def test_a_rate_is_divided_by_the_pods_there_are() -> None:
    pod, claims = PodAlone(), claims_of(a_rate(60))
    assert sum(is_let_in(pod, claims, an_ask(number), live_pods=4) for number in range(60)) == 15
    assert is_let_in(pod, claims, an_ask(99), START_US + 4_000_000, live_pods=4)
    assert not is_let_in(pod, claims, an_ask(98), START_US + 4_000_000, live_pods=4)


def test_a_limit_smaller_than_the_fleet_lets_each_pod_have_one() -> None:
    pod, claims = PodAlone(), claims_of(a_rate(2, kind=RateKind.PERIOD, period="0"))
    assert [is_let_in(pod, claims, an_ask(number), live_pods=5) for number in range(2)] == [True, False]


def test_a_request_larger_than_the_pods_part_goes_when_nothing_else_does_and_is_paid_by_waiting() -> None:
    pod, claims = PodAlone(), claims_of(a_rate(60_000, unit="tokens"))
    large = amounts(0, input_tokens=40_000)
    assert is_let_in(pod, claims, an_ask(1, large), live_pods=4)
    assert not is_let_in(pod, claims, an_ask(2, large), START_US + 60_000_000, live_pods=4)
    assert is_let_in(pod, claims, an_ask(3, large), START_US + 160_000_000, live_pods=4)


def test_slots_are_counted_also_while_the_store_is_there() -> None:
    pod, claims = PodAlone(), claims_of(a_rate(4, kind=RateKind.CONCURRENT))
    (slot,) = PackedClaims(claims).aim("").slots
    pod.enter(slot)
    pod.enter(slot)
    assert not is_let_in(pod, claims, an_ask(1), live_pods=2)
    pod.leave(slot)
    assert is_let_in(pod, claims, an_ask(1), live_pods=2)


def test_what_was_not_spent_of_an_allowance_can_be_spent_again() -> None:
    pod, claims = PodAlone(), claims_of(a_budget(100, allowance=1))
    issued(pod, claims, 1_000_000)
    ask = an_ask(1, amounts(0.5, 1))
    aim = PackedClaims(claims).aim("")
    assert is_let_in(pod, claims, ask)
    assert not is_let_in(pod, claims, an_ask(2, amounts(0.1)))
    pod.settled(aim, numbers_of(ask.first)[1:3], usd(0.3))
    assert pod.left(aim.budget_keys[0]) == 700_000
    assert is_let_in(pod, claims, an_ask(3, amounts(0.7)))


def test_all_or_nothing_is_taken() -> None:
    rich, poor = a_budget(100, id="rich", allowance=1), a_budget(100, id="poor", allowance=1)
    pod, claims = PodAlone(), claims_of(rich, poor)
    aim = PackedClaims(claims).aim("")
    pod.issued(aim.budget_keys[0], 1_000_000, 0, 0)
    assert not is_let_in(pod, claims, an_ask(1, amounts(0.5)))
    assert pod.left(aim.budget_keys[0]) == 1_000_000


@pytest.mark.parametrize(
    ("outages", "degraded"),
    [(("allow", "allow"), "allow"), (("bounded", "allow"), "bounded"), (("allow", "bounded"), "bounded")],
)
def test_the_strictest_rule_that_decided_is_named(outages: tuple[Outage, Outage], degraded: str) -> None:
    claims = claims_of(*(a_budget(10, id=str(at), allowance=1, outage=rule) for at, rule in enumerate(outages)))
    pod = PodAlone()
    issued(pod, claims, 1_000_000)
    assert pod.decide(PackedClaims(claims).aim(""), an_ask(1), START_US, 1).degraded == degraded


def test_rules_in_shadow_mode_and_budgets_that_only_warn_decide_nothing() -> None:
    claims = claims_of(
        a_budget(10, id="shadow", outage="deny", is_shadow=True),
        a_budget(None, id="warns", outage="deny"),
        a_rate(0, is_shadow=True),
    )
    assert is_let_in(PodAlone(), claims, an_ask(1))


def test_an_extension_is_taken_from_the_allowance() -> None:
    pod, claims = PodAlone(), claims_of(a_budget(100, allowance=1))
    aim = PackedClaims(claims).aim("")
    issued(pod, claims, 1_000_000)
    assert is_let_in(pod, claims, an_ask(1, amounts(0.4)))
    assert pod.spend_more(aim, (400_000, 400_000), (900_000, 900_000))
    assert not pod.spend_more(aim, (900_000, 900_000), (1_100_000, 1_100_000))
    assert pod.left(aim.budget_keys[0]) == 100_000


def test_allowances_of_periods_that_are_over_go_first_and_then_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_plane.counters.alone._MOST_KEPT", 10)
    pod = PodAlone()
    pod.issued("over", 1, 100, 50)
    for number in range(9):
        pod.issued(f"open{number}", 1, 0, 50)
    pod.issued("next", 1, 0, 200)
    assert not pod.knows("over")
    assert pod.knows("open0")
    pod.issued("last", 1, 0, 200)
    assert not pod.knows("open0")
    assert pod.knows("last")

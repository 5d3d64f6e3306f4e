"""The scripts in a real Valkey do what the reference says: the same histories, the same answers, the same contents."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_plane.counters.reference_contents import ONE_POD, PodFacts
from data_plane.policy.grant import Spent
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
from tests.data_plane.counters.histories import ASKS, CLAIMS, SPENT, TwoStores

REAL = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
PODS = st.builds(
    PodFacts, st.sampled_from(("pod1", "pod2")), st.integers(0, 4), st.frozensets(st.integers(0, 3), max_size=4)
)


@REAL
@given(st.data())
def test_any_history_has_the_same_answers_and_leaves_the_same_behind(raw: RawStore, data: st.DataObject) -> None:
    both = TwoStores(raw)
    palette = data.draw(st.lists(CLAIMS, min_size=1, max_size=2))
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.sampled_from("rrrrrrbbsscetnfgpk")):
            case "r":
                both.reserve(data.draw(st.sampled_from(palette)), data.draw(ASKS), data.draw(PODS))
            case "b":
                # Of one session, as calls of one turn of a loop are put together.
                asks = data.draw(st.lists(ASKS, min_size=2, max_size=6))
                asks = [msgspec.structs.replace(ask, session_id=asks[0].session_id) for ask in asks]
                both.reserve_together(data.draw(st.sampled_from(palette)), asks, data.draw(PODS))
            case "c" if both.running:
                both.settle_together(data.draw(SPENT), may_post_unheld=data.draw(st.booleans()))
            case "s" if both.running:
                running = data.draw(st.sampled_from(both.running))
                pod_id = data.draw(st.sampled_from((None, None, "pod1")))
                both.settle(running, data.draw(SPENT), may_post_unheld=data.draw(st.booleans()), pod_id=pod_id)
            case "e" if both.running:
                both.extend(data.draw(st.sampled_from(both.running)), data.draw(SPENT))
            case "t":
                both.pass_by(
                    data.draw(st.sampled_from((1, 1_000_000, 7_300_001, 31_000_000, 121_000_000, 500_000_000)))
                )
            case "n" if both.running:
                both.renew(data.draw(st.sampled_from(both.running)))
            case "p":
                both.reap()
            case "f" if both.running and both.reference.purses:
                key = data.draw(st.sampled_from(sorted(both.reference.purses)))
                both.raise_floor(key, data.draw(st.integers(0, 2_000_000)))
            case "k" if data.draw(st.integers(0, 9)) == 9:
                both.revoke("key1")
            case "g" if both.running:
                both.register(data.draw(st.sampled_from(both.running)))
    both.compare()


def test_a_few_that_are_overdue_are_given_back_with_each_reservation(raw: RawStore) -> None:
    both = TwoStores(raw)
    claims = claims_of(a_budget(10))
    for number in range(7):
        both.reserve(claims, an_ask(number), ONE_POD)
    both.pass_by(121_000_000)
    both.reserve(claims, an_ask(10), ONE_POD)
    both.compare()
    assert len(both.reference.of(ORGANIZATION).holds) == 4


def test_a_reservation_grows_to_the_soft_line_and_no_further(raw: RawStore) -> None:
    both = TwoStores(raw)
    claims = claims_of(a_budget(1.1, soft=1.0))
    both.reserve(claims, an_ask(1, amounts(0.1)), ONE_POD)
    (running,) = both.running
    for cost in (0.9, 1.0):
        both.extend(running, Spent(usd(cost)))
    both.extend(running, Spent(usd(1.001)))
    both.compare()


def test_a_refund_leads_back_to_a_full_bucket_at_most(raw: RawStore) -> None:
    both = TwoStores(raw)
    claims = claims_of(a_rate(1_000, unit="tokens", burst=500))
    both.reserve(claims, an_ask(1, amounts(0, input_tokens=500)), ONE_POD)
    both.pass_by(29_000_000)
    (running,) = both.running
    both.settle(running, Spent(), may_post_unheld=True, pod_id=None)
    both.compare()

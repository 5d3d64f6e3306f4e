"""The scripts in a real Valkey do what the reference says: the same histories, the same answers, the same contents."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_plane.counters.reference import PodFacts
from tests.data_plane.counters.builders import RawStore
from tests.data_plane.counters.histories import ASKS, CLAIMS, SPENT, TwoStores

REAL = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
PODS = st.builds(
    PodFacts, st.sampled_from(("pod1", "pod2")), st.integers(0, 4), st.frozensets(st.integers(0, 3), max_size=4)
)


@pytest.fixture(scope="module")
def raw(counters_url: str) -> Iterator[RawStore]:
    store = RawStore(counters_url)
    yield store
    store.close()


@REAL
@given(st.data())
def test_any_history_has_the_same_answers_and_leaves_the_same_behind(raw: RawStore, data: st.DataObject) -> None:
    both = TwoStores(raw)
    palette = data.draw(st.lists(CLAIMS, min_size=1, max_size=2))
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.sampled_from("rrrrrrsssetnfgpk")):
            case "r":
                both.reserve(data.draw(st.sampled_from(palette)), data.draw(ASKS), data.draw(PODS))
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

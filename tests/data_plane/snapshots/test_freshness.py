"""Freshness: an old word told again is old."""

from data_plane.snapshots.freshness import Freshness
from tests.data_plane.snapshots.builders import NOW_MS, Clock

HOUR_MS = 3_600_000


def test_nothing_heard_is_no_age() -> None:
    assert Freshness(Clock()).age_ms is None


def test_age_counts_from_arrival_so_that_skewed_clocks_do_not_age_it() -> None:
    clock = Clock()
    freshness = Freshness(clock)
    assert freshness.hear(NOW_MS - 90_000)
    clock.now_ms += 4_000
    assert freshness.age_ms == 4_000


def test_a_beacon_that_was_kept_back_is_as_old_as_it_is() -> None:
    clock = Clock()
    freshness = Freshness(clock)
    freshness.hear(NOW_MS - 9 * HOUR_MS)
    assert freshness.age_ms == 9 * HOUR_MS


def test_a_replayed_beacon_makes_nothing_younger() -> None:
    clock = Clock()
    freshness = Freshness(clock)
    freshness.hear(NOW_MS)
    clock.now_ms += HOUR_MS
    assert not freshness.hear(NOW_MS)
    assert not freshness.hear(NOW_MS - 1)
    assert freshness.age_ms == HOUR_MS


def test_a_restart_does_not_make_it_younger() -> None:
    clock = Clock()
    freshness = Freshness(clock)
    freshness.remember(NOW_MS - HOUR_MS, NOW_MS - HOUR_MS)
    assert freshness.age_ms == HOUR_MS
    assert not freshness.hear(NOW_MS - HOUR_MS)


def test_a_clock_set_back_is_no_negative_age() -> None:
    clock = Clock()
    freshness = Freshness(clock)
    freshness.hear(NOW_MS)
    clock.now_ms -= HOUR_MS
    assert freshness.age_ms == 0

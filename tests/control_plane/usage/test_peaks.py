"""How much ran at once is read from the ledger, by hours, and bounds in dollars rest on it."""

from collections import Counter as Tally
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from control_plane.budgets.bound_finding import BoundFinder
from control_plane.budgets.models import Budget
from control_plane.usage import peaks
from control_plane.usage.models import PeakHour
from control_plane.usage.peaks import peaks_in, peaks_measure, peaks_of
from tests.control_plane.usage.books import an_organization, put_and_book
from tests.control_plane.usage.events import NOW, a_batch, a_refusal, an_event

pytestmark = pytest.mark.django_db
HOUR = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks.timezone, "now", lambda: NOW)


def ran(number: int, at_s: float, for_s: float, **changes: Any) -> Any:
    return an_event(number, at=HOUR + timedelta(seconds=at_s), duration_us=int(for_s * 1_000_000), **changes)


def test_the_most_that_ran_at_once_is_read_by_hours() -> None:
    organization = an_organization()
    events = [ran(1, 0, 60), ran(2, 10, 60), ran(3, 20, 10), ran(4, 30, 5), ran(5, 100, 5), ran(6, 3590, 20)]
    put_and_book(a_batch([*events, a_refusal(7, at=HOUR + timedelta(seconds=21))]))

    assert peaks_measure(now=NOW) > 0
    assert peaks_measure(now=NOW) == 0

    assert dict(PeakHour.objects.filter(hour=HOUR).values_list("whose", "peak"))["organization"] == 3
    assert peaks_of(organization.id)["organization"] == 3


def test_of_those_in_an_organization_whoever_ran_most_counts() -> None:
    organization = an_organization()
    keys = ["a", "a", "b", "b", "b"]
    put_and_book(a_batch([ran(number, number, 60, key_id=key) for number, key in enumerate(keys, 1)]))
    peaks_measure(now=NOW)

    found = peaks_of(organization.id)

    assert (found["organization"], found["key"]) == (5, 3)


@pytest.mark.parametrize(
    ("per", "subjects", "count"),
    [
        ([], [], 40),
        (["model"], [], 40),
        (["team"], [], 30),
        (["principal"], [], 20),
        (["user", "model"], [], 20),
        (["key"], [], 12),
        ([], ["user:" + "0a" * 16], 20),
        ([], ["user:" + "0a" * 16, "user:" + "0b" * 16], 40),
        ([], ["role:member"], 40),
    ],
)
def test_a_counter_sees_no_more_than_those_it_counts(per: list[str], subjects: list[str], count: int) -> None:
    finder = BoundFinder(peaks={"organization": 40, "team": 30, "principal": 20, "key": 12})
    budget = Budget(name="b", limit_nano_usd=10**10, per=per, when={"subjects": subjects} if subjects else {})

    seen = finder._seen(budget)

    assert seen is not None
    assert seen.count == count


@given(
    some.lists(
        some.tuples(
            some.sampled_from("ab"),
            some.sampled_from(["", "t1", "t2"]),
            some.sampled_from(["p1", "p2"]),
            some.sampled_from(["", "k1", "k2", "k3"]),
            some.integers(0, 20),
            some.integers(1, 20),
        ),
        max_size=40,
    )
)
def test_peaks_are_those_of_whoever_counts_at_every_beginning(drawn: list[tuple[str, str, str, str, int, int]]) -> None:
    ran = [
        (organization, team, principal, key, float(began), float(began + took))
        for organization, team, principal, key, began, took in sorted(drawn, key=lambda one: one[4])
    ]
    expected: dict[str, list[int]] = {}
    for _, _, _, _, at, _ in ran:
        running = [one for one in ran if one[4] <= at < one[5]]
        for organization in {one[0] for one in running}:
            most = expected.setdefault(organization, [0, 0, 0, 0])
            for place in range(4):
                counts = Tally(one[place] for one in running if one[0] == organization and one[place])
                most[place] = max([most[place], *counts.values()])

    assert peaks_in(ran) == expected


def test_what_began_before_the_hour_and_runs_in_it_is_counted() -> None:
    organization = an_organization()
    put_and_book(a_batch([ran(1, -600, 700), ran(2, -600, 700), ran(3, -600, 590), ran(4, 90, 5), ran(5, 150, 5)]))

    peaks_measure(now=NOW)

    assert dict(PeakHour.objects.filter(hour=HOUR).values_list("whose", "peak"))["organization"] == 3
    assert peaks_of(organization.id)["organization"] == 3


def test_hours_that_take_too_long_wait_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    an_organization()
    put_and_book(a_batch([ran(1, 0, 5), ran(2, -3600, 5)]))
    monkeypatch.setattr(peaks, "MOST_HOURS_AT_ONCE", 3)
    monkeypatch.setattr(peaks, "MOST_SECONDS_AT_ONCE", 0.0)
    assert peaks_measure(now=NOW) == 0

    clock = iter([0.0, 0.0, 700.0, 0.0, 0.0, 0.0])
    monkeypatch.setattr(peaks, "MOST_SECONDS_AT_ONCE", 600.0)
    monkeypatch.setattr(peaks, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert [peaks_measure(now=NOW), peaks_measure(now=NOW)] == [1, 2]
    assert PeakHour.objects.filter(whose="organization").count() == 2


def test_hours_are_kept_for_fourteen_days() -> None:
    organization = an_organization()
    for days in (13, 15):
        PeakHour.objects.create(
            organization_id=organization.id, hour=HOUR - timedelta(days=days), whose="organization", peak=days
        )

    peaks_measure(now=NOW)

    assert list(PeakHour.objects.values_list("peak", flat=True)) == [13]
    assert peaks_of(organization.id) == {"organization": 13}

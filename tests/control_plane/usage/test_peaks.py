"""How much ran at once is read from the ledger, by hours, and bounds in dollars rest on it."""

from datetime import timedelta
from typing import Any

import pytest

from control_plane.budgets.bound_finding import BoundFinder
from control_plane.budgets.models import Budget
from control_plane.usage import peaks
from control_plane.usage.models import PeakHour
from control_plane.usage.peaks import peaks_measure, peaks_of
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


def test_hours_are_kept_for_fourteen_days() -> None:
    organization = an_organization()
    for days in (13, 15):
        PeakHour.objects.create(
            organization_id=organization.id, hour=HOUR - timedelta(days=days), whose="organization", peak=days
        )

    peaks_measure(now=NOW)

    assert list(PeakHour.objects.values_list("peak", flat=True)) == [13]
    assert peaks_of(organization.id) == {"organization": 13}

"""How complete the books are, and what becomes of what is missing."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.usage.completeness import (
    OVERDUE_AFTER,
    completeness,
    missing_accept,
    missing_open,
    orphan_accept,
    orphans_of,
    sequences_forget,
)
from control_plane.usage.models import MissingEvents, Orphan, PodSequence
from tests.control_plane.usage.books import an_organization
from tests.control_plane.usage.events import BOOT, NOW, ORGANIZATION, POD, an_exchange_id

pytestmark = pytest.mark.django_db

OPERATOR = Actor.system("operator")


def numbered(highest: int) -> None:
    PodSequence.objects.create(pod_id=POD, boot_id=BOOT, highest=highest, first_seen_at=NOW, reported_at=NOW)


def a_gap(first: int, last: int, *, at: datetime = NOW) -> MissingEvents:
    return MissingEvents.objects.create(pod_id=POD, boot_id=BOOT, first=first, last=last, opened_at=at)


def an_orphan(number: int = 1) -> Orphan:
    return Orphan.objects.create(
        organization_id=ORGANIZATION,
        exchange_id=an_exchange_id(number),
        attempt=1,
        pod_id=POD,
        cost_nano_usd=5,
        estimated_at=NOW,
    )


def test_books_without_anything_are_complete() -> None:
    books = completeness(now=NOW)

    assert (books.share, books.percent_text, books.is_complete, books.is_overdue) == (1.0, "100", True, False)


def test_what_is_missing_and_what_is_estimated_count_against_what_was_admitted() -> None:
    numbered(9_999)
    a_gap(11, 20)
    an_orphan()

    books = completeness(now=NOW)

    assert (books.admitted, books.missing, books.orphans) == (10_000, 10, 1)
    assert (books.share, books.percent_text, books.is_low) == (0.9989, "99.8900", True)


def test_one_event_in_a_billion_that_is_missing_is_not_nothing() -> None:
    numbered(1_000_000_000)
    a_gap(5, 5)

    assert completeness(now=NOW).percent_text == "99.9999"


def test_a_gap_is_overdue_once_a_batch_should_have_come() -> None:
    numbered(100)
    a_gap(5, 5)

    assert not completeness(now=NOW + OVERDUE_AFTER - timedelta(seconds=1)).is_overdue
    assert completeness(now=NOW + OVERDUE_AFTER).is_overdue


def test_what_somebody_says_is_lost_is_no_longer_missing_and_is_told() -> None:
    numbered(100)
    gap = a_gap(5, 9)
    with pytest.raises(ValidationError):
        missing_accept(missing=gap, actor=OPERATOR, note="")

    closed = missing_accept(missing=gap, actor=OPERATOR, note="The disk is gone.", now=NOW)
    again = missing_accept(missing=gap, actor=Actor.system("another"), note="Me too.")

    assert (closed.closed_at, closed.closed_by, again.closed_by) == (NOW, "operator", "operator")
    assert not missing_open().exists()
    assert completeness(now=NOW).is_complete
    told = Change.objects.get(action="missing_events.accept")
    assert (told.organization_id, told.after["note"]) == (None, "The disk is gone.")


def test_spools_are_forgotten_with_the_ledger_but_not_what_is_missing_of_them() -> None:
    numbered(100)
    PodSequence.objects.create(pod_id="old", boot_id=BOOT, highest=7, first_seen_at=NOW, reported_at=NOW)
    a_gap(5, 9)

    later = NOW + timedelta(days=396, seconds=1)
    assert sequences_forget(now=later, ledger_days=396) == 1
    assert PodSequence.objects.get().pod_id == POD
    missing_accept(missing=MissingEvents.objects.get(), actor=OPERATOR, note="Gone.", now=NOW)
    assert sequences_forget(now=later, ledger_days=396) == 1
    assert not MissingEvents.objects.exists()


def test_an_estimate_that_somebody_keeps_waits_no_longer() -> None:
    organization = an_organization()
    orphan = an_orphan()

    kept = orphan_accept(orphan=orphan, actor=OPERATOR, note="The host burned.", now=NOW)

    assert (kept.settled_at, kept.note) == (NOW, "The host burned.")
    assert list(orphans_of(organization)) == [kept]
    assert completeness(now=NOW).orphans == 0
    assert Change.objects.filter(action="orphan.accept", organization_id=ORGANIZATION).count() == 1

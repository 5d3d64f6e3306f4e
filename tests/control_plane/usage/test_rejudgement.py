"""Events in quarantine: tried again once nothing stands against them, or dismissed."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError

from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.organizations.models import Organization
from control_plane.usage.models import QuarantinedEvent
from control_plane.usage.rejudgement import event_dismiss, event_retry, event_told, quarantined_of
from tests.control_plane.usage.books import LEDGER_DAYS, an_organization, assert_books_agree, ledger, put_and_book
from tests.control_plane.usage.events import NOW, ORGANIZATION, a_batch, an_event

pytestmark = pytest.mark.django_db

OPERATOR = Actor.system("operator")


def a_quarantined_event() -> QuarantinedEvent:
    put_and_book(a_batch([an_event(1)]))
    return QuarantinedEvent.objects.get()


def test_an_event_of_a_restored_organization_is_booked_once() -> None:
    event = a_quarantined_event()
    assert (event.reason, event.organization_id) == ("organization_unknown", ORGANIZATION)
    an_organization()

    settled = event_retry(event=event, actor=OPERATOR, ledger_days=LEDGER_DAYS, now=NOW)
    again = event_retry(event=event, actor=OPERATOR, ledger_days=LEDGER_DAYS, now=NOW + timedelta(hours=1))

    assert (settled.settlement, settled.settled_at, settled.settled_by) == ("booked", NOW, "operator")
    assert again.settled_at == NOW
    assert [(row.kind, row.cost_nano_usd) for row in ledger()] == [("final", 3_000_000)]
    assert_books_agree()
    assert Change.objects.filter(action="quarantined_event.booked", organization_id=ORGANIZATION).count() == 1


def test_what_still_stands_against_it_is_told_and_nothing_is_booked() -> None:
    event = a_quarantined_event()

    with pytest.raises(ValidationError) as failure:
        event_retry(event=event, actor=OPERATOR, ledger_days=LEDGER_DAYS, now=NOW)

    assert failure.value.messages == [f"It cannot be booked yet: no organization {ORGANIZATION.hex}."]
    assert QuarantinedEvent.objects.get().settled_at is None
    assert ledger() == []


def test_an_event_that_came_again_by_another_way_is_not_counted_twice() -> None:
    event = a_quarantined_event()
    an_organization()
    put_and_book(a_batch([an_event(1)], pod="pod-2"))

    event_retry(event=event, actor=OPERATOR, ledger_days=LEDGER_DAYS, now=NOW)

    assert [row.cost_nano_usd for row in ledger()] == [3_000_000]
    assert_books_agree()


def test_an_event_is_dismissed_with_a_reason() -> None:
    event = a_quarantined_event()
    with pytest.raises(ValidationError):
        event_dismiss(event=event, actor=OPERATOR, note=" ")

    settled = event_dismiss(event=event, actor=OPERATOR, note="A test of somebody's.", now=NOW)

    assert (settled.settlement, settled.note) == ("dismissed", "A test of somebody's.")
    assert event_told(settled).exchange_id == an_event(1).exchange_id
    told = Change.objects.get(action="quarantined_event.dismissed")
    assert (told.organization_id, told.after["note"]) == (None, "A test of somebody's.")


def test_people_see_their_own_and_the_first_organization_those_of_nobody() -> None:
    first = Organization.objects.create(slug="first", name="First")
    other = Organization.objects.create(slug="other", name="Other")
    nobodys = a_quarantined_event()
    put_and_book(a_batch([an_event(2, organization_id=other.id.hex, attempt=9999)], first_sequence=2))
    others = QuarantinedEvent.objects.get(organization_id=other.id)
    put_and_book(a_batch([an_event(3, organization_id="")], first_sequence=3))
    unnamed = QuarantinedEvent.objects.get(organization_id=None)

    assert {row.id for row in quarantined_of(first)} == {nobodys.id, unnamed.id}
    assert {row.id for row in quarantined_of(other)} == {others.id}
    assert UUID(event_told(others).organization_id) == other.id

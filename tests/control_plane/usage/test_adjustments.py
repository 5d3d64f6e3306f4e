"""Corrections of money by people."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.organizations.models import Organization, Team
from control_plane.usage.adjustments import Correction, adjustment_create
from control_plane.usage.closing import month_close
from control_plane.usage.models import Adjustment, LatencyDay, UsageDay
from control_plane.usage.selectors import ExchangeSearch, Scope, exchange_by_id, exchanges_page
from switchyard_contract.quantity import NanoUsd, nano_usd
from tests.control_plane.usage.books import an_organization, assert_books_agree, ledger, put_and_book
from tests.control_plane.usage.events import NOW, ORGANIZATION, a_batch, an_event

pytestmark = pytest.mark.django_db

FINANCE = Actor.system("finance")


@pytest.fixture(autouse=True)
def organization(db: None) -> Organization:
    return an_organization()


def book(organization: Organization, amount: str = "-12.50", **fields: object) -> Adjustment:
    correction = Correction(nano_usd(amount), "Credit of the vendor.", **fields)  # type: ignore[arg-type]  # its fields
    return adjustment_create(organization=organization, correction=correction, actor=FINANCE, now=NOW)


def test_a_credit_counts_as_money_and_as_no_request(organization: Organization) -> None:
    team = Team.objects.create(organization=organization, name="Platform")
    put_and_book(a_batch([an_event(1)]))

    made = book(organization, team=team)

    row = next(row for row in ledger() if row.kind == "adjustment")
    assert (row.exchange_id, row.cost_nano_usd, row.team_id, row.counted_at) == (
        made.exchange_id,
        -12_500_000_000,
        team.id,
        NOW,
    )
    day = UsageDay.objects.get(model="adjustment")
    assert (day.cost_nano_usd, day.requests, day.attempts) == (-12_500_000_000, 0, 0)
    assert sum(LatencyDay.objects.get(model="adjustment").duration_counts) == 0
    assert_books_agree()


def test_it_is_no_exchange(organization: Organization) -> None:
    made = book(organization)

    scope = Scope(ORGANIZATION)
    assert exchanges_page(ExchangeSearch(scope, since=NOW - timedelta(days=1))).exchanges == ()
    assert exchange_by_id(scope, made.exchange_id) is None


def test_it_is_told_in_the_audit_with_its_reason(organization: Organization) -> None:
    made = book(organization)

    told = Change.objects.get(action="adjustment.create")
    assert (told.subject_id, told.after["cost_nano_usd"], told.after["note"]) == (
        made.id.hex,
        -12_500_000_000,
        "Credit of the vendor.",
    )


def test_it_may_count_in_an_open_month_that_is_over_and_in_no_closed_one(organization: Organization) -> None:
    october = datetime(2026, 10, 31, 12, tzinfo=UTC)

    assert book(organization, counts_at=october).counted_at == october
    month_close(organization=organization, month=date(2026, 10, 1), actor=FINANCE, now=NOW)
    with pytest.raises(ValidationError) as failure:
        book(organization, counts_at=october)

    assert failure.value.message_dict == {"counts_at": ["That month is closed. Right: 2026-11-01 or later."]}


@pytest.mark.parametrize(
    ("correction", "field"),
    [
        (Correction(NanoUsd(0), "Nothing."), "amount_usd"),
        (Correction(nano_usd("1000000.01"), "Far too much."), "amount_usd"),
        (Correction(NanoUsd(5), "  "), "note"),
        (Correction(NanoUsd(5), "Not yet.", counts_at=NOW + timedelta(hours=1)), "counts_at"),
        (Correction(NanoUsd(5), "Long ago.", counts_at=NOW - timedelta(days=800)), "counts_at"),
    ],
)
def test_what_cannot_be_is_told_by_field(organization: Organization, correction: Correction, field: str) -> None:
    with pytest.raises(ValidationError) as failure:
        adjustment_create(organization=organization, correction=correction, actor=FINANCE, now=NOW)

    assert list(failure.value.message_dict) == [field]
    assert ledger() == []

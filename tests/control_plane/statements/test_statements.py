"""Statements of open and closed months."""

from datetime import UTC, date, datetime

import pytest

from control_plane.organizations.models import Membership
from control_plane.statements.accounts import BY_HAND, LATE, Statement
from control_plane.statements.focus import COLUMNS, focus_rows
from control_plane.statements.models import ClosedStatement
from control_plane.statements.selectors import lines_of, months_of, statement_of
from control_plane.statements.services import statement_close
from control_plane.usage.adjustments import Correction, adjustment_create
from control_plane.usage.closing import EarlierMonthOpen, MonthNotOver
from control_plane.usage.pseudonyms import person_pseudonymise
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.statements.conftest import DOLLAR, NOW, Books

SEPTEMBER, OCTOBER, NOVEMBER = date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def sums(statement: Statement) -> dict[str, tuple[int, int, int, int]]:
    """Cost centre to opening, used, corrected and closing, in dollars."""
    return {
        centre.name: tuple(
            amount // DOLLAR
            for amount in (
                centre.opening_nano_usd,
                centre.used_nano_usd,
                centre.corrected_nano_usd,
                centre.closing_nano_usd,
            )
        )
        for centre in statement.cost_centres
    }  # type: ignore[return-value]  # four of them


@pytest.fixture
def filled(books: Books) -> Books:
    books.spend(at(9, 10), books.core, books.ada, 5)
    books.spend(at(10, 3), books.core, books.ada, 10)
    books.spend(at(10, 4), books.core, books.grace, 20, model="claude-opus-4-6")
    books.spend(at(10, 31, 23), books.web, books.grace, 40)
    books.spend(at(11, 1, 0), books.web, books.grace, 80)
    books.spend(at(10, 5), None, books.ada, 1)
    books.spend(at(10, 6), books.core, books.ada, 7, is_subscription=True)
    books.book()
    return books


def test_a_month_opens_with_the_year_adds_its_usage_and_closes_with_the_sum(filled: Books) -> None:
    found = statement_of(filled.tenant.organization, OCTOBER)
    assert sums(found) == {"0815": (0, 40, 0, 40), "4711": (5, 30, 0, 35), "": (0, 1, 0, 1)}
    assert not found.is_closed
    assert found.whole.shadow_nano_usd == 7 * DOLLAR
    assert sums(statement_of(filled.tenant.organization, NOVEMBER))["0815"] == (40, 80, 0, 120)


def test_usage_is_listed_by_person_and_model_the_dearest_first(filled: Books) -> None:
    lines = lines_of(filled.tenant.organization, OCTOBER, [filled.core.id]).usage
    assert [(line.principal, line.model, line.paid_nano_usd // DOLLAR, line.requests) for line in lines] == [
        (filled.grace.email, "claude-opus-4-6", 20, 1),
        (filled.ada.email, "claude-sonnet-4-6", 10, 2),
    ]
    assert lines[1].shadow_nano_usd == 7 * DOLLAR
    assert (lines[0].tokens_in, lines[0].tokens_out) == (1100, 50)


def test_a_closed_month_stays_whatever_is_learned_renamed_or_moved_later(filled: Books) -> None:
    organization = filled.tenant.organization
    statement_close(organization=organization, month=SEPTEMBER, actor=filled.tenant.actor, now=NOW)
    kept = statement_close(organization=organization, month=OCTOBER, actor=filled.tenant.actor, now=NOW)
    before, lines = statement_of(organization, OCTOBER), lines_of(organization, OCTOBER)
    assert before.is_closed
    assert before.closed_by == kept.closed_by != ""
    filled.spend(at(10, 20), filled.core, filled.ada, 100)
    filled.book(at(11, 22))
    filled.core.name, filled.core.cost_centre = "kernel", "9999"
    filled.core.save()
    assert statement_of(organization, OCTOBER) == before
    assert lines_of(organization, OCTOBER) == lines
    november = statement_of(organization, NOVEMBER)
    assert sums(november) == {"0815": (40, 80, 0, 120), "9999": (35, 0, 100, 135), "": (1, 0, 0, 1)}
    (late,) = lines_of(organization, NOVEMBER).corrections
    assert (late.kind, late.counted_on, late.about_month, late.amount_nano_usd // DOLLAR) == (
        LATE,
        date(2026, 11, 22),
        OCTOBER,
        100,
    )
    assert statement_close(organization=organization, month=OCTOBER, actor=filled.tenant.actor, now=NOW) == kept


def test_an_estimate_of_a_closed_month_that_proves_wrong_is_corrected_by_the_difference(books: Books) -> None:
    guess = books.spend(at(10, 30), books.core, books.ada, 9, kind=usage_pb2.USAGE_KIND_ESTIMATED)
    truth = usage_pb2.UsageEvent.FromString(guess.SerializeToString())
    truth.kind, truth.cost_nano_usd = usage_pb2.USAGE_KIND_FINAL, 4 * DOLLAR
    books.book()
    statement_close(organization=books.tenant.organization, month=OCTOBER, actor=books.tenant.actor, now=NOW)
    books.number += 1
    books.events.append(truth)
    books.book(at(11, 23))
    assert sums(statement_of(books.tenant.organization, OCTOBER)) == {"4711": (0, 9, 0, 9)}
    assert sums(statement_of(books.tenant.organization, NOVEMBER)) == {"4711": (9, 0, -5, 4)}
    (line,) = lines_of(books.tenant.organization, NOVEMBER).corrections
    assert (line.rows, line.amount_nano_usd) == (2, -5 * DOLLAR)
    assert lines_of(books.tenant.organization, NOVEMBER).usage == ()


def test_corrections_by_people_are_dated_lines_with_their_reason(filled: Books) -> None:
    adjustment_create(
        organization=filled.tenant.organization,
        correction=Correction(NanoUsd(-3 * DOLLAR), "Credit of the provider", team=filled.web, counts_at=at(11, 10)),
        actor=filled.tenant.actor,
        now=NOW,
    )
    assert sums(statement_of(filled.tenant.organization, NOVEMBER))["0815"] == (40, 80, -3, 117)
    (line,) = lines_of(filled.tenant.organization, NOVEMBER).corrections
    assert (line.kind, line.note, line.counted_on) == (BY_HAND, "Credit of the provider", date(2026, 11, 10))
    assert all(line.model != "adjustment" for line in lines_of(filled.tenant.organization, NOVEMBER).usage)


def test_months_are_closed_in_their_order_when_they_are_over(filled: Books) -> None:
    organization = filled.tenant.organization
    with pytest.raises(EarlierMonthOpen):
        statement_close(organization=organization, month=OCTOBER, actor=filled.tenant.actor, now=NOW)
    with pytest.raises(MonthNotOver):
        statement_close(organization=organization, month=NOVEMBER, actor=filled.tenant.actor, now=NOW)
    assert not ClosedStatement.objects.exists()
    assert [(month, closed is not None) for month, closed in months_of(organization, now=NOW)] == [
        (NOVEMBER, False),
        (OCTOBER, False),
        (SEPTEMBER, False),
    ]


def test_a_year_begins_at_nothing(books: Books) -> None:
    books.spend(datetime(2025, 12, 31, 23, tzinfo=UTC), books.core, books.ada, 9)
    books.spend(datetime(2026, 1, 1, 0, tzinfo=UTC), books.core, books.ada, 2)
    books.book()
    assert sums(statement_of(books.tenant.organization, date(2026, 1, 1))) == {"4711": (0, 2, 0, 2)}


def test_focus_rows_add_up_to_what_the_statement_adds(filled: Books) -> None:
    organization = filled.tenant.organization
    for month in (SEPTEMBER, OCTOBER):
        statement_close(organization=organization, month=month, actor=filled.tenant.actor, now=NOW)
    filled.spend(at(10, 20), filled.core, filled.ada, 100)
    filled.book(at(11, 22))
    adjustment_create(
        organization=organization,
        correction=Correction(NanoUsd(-3 * DOLLAR), "Credit", team=filled.web, counts_at=at(11, 10)),
        actor=filled.tenant.actor,
        now=at(11, 23),
    )
    for month in (SEPTEMBER, OCTOBER, NOVEMBER):
        whole = statement_of(organization, month).whole
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in focus_rows(organization, month)]
        billed = sum(round(float(row["BilledCost"]) * DOLLAR) for row in rows)
        assert billed == whole.used_nano_usd + whole.corrected_nano_usd
        assert sum(round(float(row["x_SubscriptionCost"] or 0) * DOLLAR) for row in rows) == whole.shadow_nano_usd
    credit, late = sorted(
        (row for row in rows if row["ServiceName"] == "Corrections"), key=lambda row: row["BilledCost"]
    )
    assert (credit["ChargeCategory"], credit["ChargeClass"]) == ("Credit", "")
    assert (late["ChargeCategory"], late["ChargeClass"], late["ChargePeriodStart"]) == (
        "Usage",
        "Correction",
        "2026-10-01T00:00:00Z",
    )
    usage = next(row for row in rows if row["ChargeFrequency"] == "Usage-Based" and not row["ChargeClass"])
    assert (usage["ProviderName"], usage["ConsumedUnit"], usage["SubAccountName"]) == ("anthropic", "Tokens", "web")


def test_a_renamed_person_is_renamed_on_closed_statements_too_and_no_sum_moves(filled: Books) -> None:
    organization, grace = filled.tenant.organization, filled.grace
    for month in (SEPTEMBER, OCTOBER):
        statement_close(organization=organization, month=month, actor=filled.tenant.actor, now=NOW)
    before = statement_of(organization, OCTOBER)
    Membership.objects.filter(organization=organization, user=grace).delete()
    pseudonym = person_pseudonymise(organization=organization, user=grace, actor=filled.tenant.actor)
    named = {line.principal for line in lines_of(organization, OCTOBER).usage}
    assert grace.email not in named
    assert pseudonym.name in named
    assert statement_of(organization, OCTOBER) == before

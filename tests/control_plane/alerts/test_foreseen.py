"""A forecast above a limit: told once per counter and period, to those whom the stages tell, in a sentence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_plane.alerts.foreseen import FORECAST, foreseen_note
from control_plane.alerts.models import Delivery, StageCrossing
from control_plane.alerts.services import crossings_dispatch
from control_plane.alerts.services.outbox import message_of
from control_plane.budgets.models import Budget
from control_plane.forecasts.models import Forecast
from control_plane.forecasts.subjects import Subject
from control_plane.organizations.models import Role
from control_plane.rules.models import Mode
from control_plane.rules.periods import PeriodRule, period_at
from tests.builders.tenants import Tenant, a_person_of_role
from tests.control_plane.alerts.world import DOLLAR, a_budget, a_mail_channel

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


def a_forecast(budget: Budget, p50: float, *, spent: float = 300, now: datetime = NOW, **changes: Any) -> Forecast:
    span = period_at(PeriodRule(budget.period, budget.timezone, budget.anchor), now)
    values = {
        "organization_id": budget.organization_id,
        "subject_id": Subject(budget.organization_id, budget.id).id,
        "budget_id": budget.id,
        "budget_name": budget.name,
        "period_unit": budget.period,
        "timezone": budget.timezone,
        "anchor": budget.anchor,
        "period_ms": int(span.id),
        "ends_at": span.end,
        "day": now.date(),
        "as_of": now,
        "spent_nano_usd": round(spent * DOLLAR),
        "limit_nano_usd": budget.limit_nano_usd,
        "p10_nano_usd": round(p50 * 0.9 * DOLLAR),
        "p50_nano_usd": round(p50 * DOLLAR),
        "p90_nano_usd": round(p50 * 1.2 * DOLLAR),
        "spent_p50_at": datetime(2026, 11, 24, 22, 59, 59, tzinfo=UTC),
        "previous_nano_usd": 300 * DOLLAR,
        "drivers": [
            {"kind": "user", "value": "0a" * 16, "spent": 1, "expected": 100 * DOLLAR, "previous": 20 * DOLLAR},
            {"kind": "service_account", "value": "0b" * 16, "spent": 1, "expected": 70 * DOLLAR, "previous": 0},
        ],
        **changes,
    }
    return Forecast(**values)


@pytest.fixture
def monthly(acme: Tenant) -> Budget:
    a_mail_channel(acme)
    return a_budget(acme, "monthly", period="month", limit_nano_usd=500 * DOLLAR, team=acme.team)


def test_it_is_told_once_per_counter_and_period(monthly: Budget, hints: list[str]) -> None:
    assert foreseen_note([a_forecast(monthly, 499)]) == 0
    assert foreseen_note([a_forecast(monthly, 510)]) == 1
    assert foreseen_note([a_forecast(monthly, 600)]) == 0
    assert foreseen_note([a_forecast(monthly, 510, now=NOW + timedelta(days=20))]) == 1

    crossing = StageCrossing.objects.order_by("period_ms")[0]
    assert (crossing.action, crossing.at_percent, crossing.is_forecast) == (FORECAST, 100, True)
    assert crossing.notify == ["team_lead", "finance"]


def test_what_is_spent_already_was_told_by_its_stage(monthly: Budget) -> None:
    assert foreseen_note([a_forecast(monthly, 600, spent=500)]) == 0


def test_shadows_and_other_organizations_alert_nobody(monthly: Budget, globex: Tenant) -> None:
    stranger = a_forecast(monthly, 600, organization_id=globex.organization.id)
    shadow = a_budget(globex, "shadow", period="month", limit_nano_usd=500 * DOLLAR, mode=Mode.SHADOW)
    assert foreseen_note([stranger, a_forecast(shadow, 600)]) == 0


def test_the_message_says_when_how_sure_and_who(acme: Tenant, monthly: Budget) -> None:
    lead = a_person_of_role(acme, Role.TEAM_LEAD, "lead@acme.example")
    foreseen_note([a_forecast(monthly, 550)])

    crossings_dispatch(now=NOW)

    told = {row.recipient_name: row for row in Delivery.objects.all()}
    assert set(told) == {lead.email, "finance"}
    message = message_of(told["finance"])
    assert message.event == "budget.forecast_crossed"
    assert message.subject == "monthly: heading for $550.00 of $500.00"
    assert "It passes its limit around Tuesday the 24th (P50)." in message.text
    assert "One person and one new service account make 60 % of the rise." in message.text
    assert "Heading for: $550.00 (P50); $495.00 to $660.00 in 8 of 10 cases" in message.text
    assert message.body["forecast"]["p50_usd"] == "550.000000000"
    assert "stage" not in message.body
    assert message_of(told["finance"]) == message

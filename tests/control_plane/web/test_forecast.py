"""Forecast pages: full, with one day, empty; budgets' pictures; unusual spend; who sees what."""

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.budgets.models import Budget
from control_plane.forecasts.burn_down import BurnDown, Curve, Heading, Line, Spent
from control_plane.forecasts.models import FindingState, Forecast, UnusualMute, UnusualSpend
from control_plane.forecasts.services import forecasts_make
from control_plane.organizations.roles import Role
from control_plane.web.band_chart import axis_money, band_chart
from tests.builders.tenants import Tenant, a_person_of_role
from tests.control_plane.forecasts.test_api import a_finding, spend_lately
from tests.control_plane.forecasts.test_making import a_monthly
from tests.control_plane.forecasts.world import DOLLAR, post, spend_at
from tests.control_plane.web.conftest import SignIn

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def page(client: Client, name: str = "forecast", *args: Any, query: str = "") -> Any:
    return client.get(reverse(f"web:{name}", args=args) + query)


@pytest.fixture
def now() -> datetime:
    return timezone.now()


def a_burn_down(limit: int | None = 1000, **changes: Any) -> BurnDown:
    spent = tuple(Spent(START + number * DAY, number * 30 * DOLLAR) for number in range(11))
    heading = tuple(
        Heading(START + number * DAY, *(round((300 + (number - 10) * pace) * DOLLAR) for pace in (20, 30, 45)))
        for number in range(10, 31)
    )
    stages = ((80, "alert"), (100, "block")) if limit else ()
    lines = tuple(Line(at, action, (limit or 0) * DOLLAR * at // 100) for at, action in stages)
    values = {"starts_at": START, "ends_at": START + 30 * DAY, "zone": "UTC", "as_of": spent[-1].at} | changes
    return BurnDown(
        **values, curve=Curve(spent, heading), limit_nano_usd=limit * DOLLAR if limit else None, lines=lines
    )


def test_a_picture_has_its_shapes_lines_words_and_table() -> None:
    drawn = band_chart(a_burn_down(), subject="monthly")

    assert drawn.spent.startswith("M0.0 1000.0L")
    assert drawn.band.endswith("Z")
    assert float(drawn.now) == pytest.approx(333.3, abs=0.1)
    assert [line.text for line in drawn.lines] == ["100 % $1,000.00", "80 % $800.00"]
    assert [mark.text for mark in drawn.y_marks] == ["$0", "$500", "$1k"]
    assert [mark.text for mark in drawn.x_marks] == ["1 Nov", "6 Nov", "11 Nov", "16 Nov", "21 Nov", "26 Nov"]
    assert len(drawn.columns) == len(drawn.rows) == 30
    assert drawn.columns[0].text == "Sun 1 Nov: $30.00 spent so far"
    assert drawn.columns[-1].text == "Mon 30 Nov: $900.00 expected, $700.00 to $1,200.00"
    assert drawn.sentence == (
        "monthly: $300.00 spent so far; the end is expected at $900.00, between $700.00 and $1,200.00 in 8 of 10"
        " cases; the limit is $1,000.00."
    )


def test_a_limit_far_away_is_told_and_not_drawn() -> None:
    drawn = band_chart(a_burn_down(100_000), subject="monthly")
    assert drawn.above == "The limit of $100,000.00 lies above the picture."
    assert drawn.lines == ()


def test_a_day_without_a_band_draws_what_was_spent() -> None:
    shown = BurnDown(
        START, START + 30 * DAY, "UTC", START + DAY / 2, Curve((Spent(START, 0), Spent(START + DAY / 2, 5)))
    )
    drawn = band_chart(shown, subject="Acme")
    assert (drawn.band, drawn.median, len(drawn.columns)) == ("", "", 1)


def test_amounts_on_the_axis_are_short() -> None:
    assert [axis_money(each) for each in (0, 50_000_000, 250 * DOLLAR, 12_400 * DOLLAR)] == [
        "$0", "$0.05", "$250", "$12.4k",
    ]  # fmt: skip


def test_the_page_has_month_budgets_drivers_score_and_unusual_spend(
    tenant: Tenant, admin_client: Client, now: datetime
) -> None:
    budget = a_monthly(tenant, limit_nano_usd=50 * DOLLAR)
    spend_lately(tenant, now, principal=tenant.admin.id)
    post(budget, 40, now=now)
    forecasts_make(organization=tenant.organization, now=now)
    a_finding(tenant, tenant.admin, now)

    text = page(admin_client).content.decode()

    assert "What makes it dearer" in text
    assert "monthly" in text
    assert 'class="band-area"' in text
    assert "9× their usual" in text
    assert "no score" in text
    assert "band-line-block" not in text
    assert "spent so far" in text


def test_one_budget_has_its_picture_lines_and_what_was_said_before(
    tenant: Tenant, admin_client: Client, now: datetime
) -> None:
    budget = a_monthly(tenant, limit_nano_usd=500 * DOLLAR)
    spend_lately(tenant, now)
    post(budget, 100, now=now)
    for moment in (now - DAY, now):
        forecasts_make(organization=tenant.organization, now=moment)
    row = Forecast.objects.filter(budget_id=budget.id).latest("as_of")

    answer = page(admin_client, "forecast-of", row.subject_id)

    text = answer.content.decode()
    assert text.count('data-label="As of"') == 2
    assert "What was said before" in text
    csv = b"".join(page(admin_client, "forecast-of", row.subject_id, query="?format=csv")).decode().splitlines()
    assert len(csv) == 3
    assert csv[0].startswith("as_of,budget,counter,period")


def test_a_budget_s_page_shows_where_it_is_heading(tenant: Tenant, admin_client: Client, now: datetime) -> None:
    budget = a_monthly(tenant, limit_nano_usd=500 * DOLLAR)
    assert "Where it is heading" not in page(admin_client, "budget", budget.id).content.decode()
    spend_lately(tenant, now)
    post(budget, 100, now=now)
    forecasts_make(organization=tenant.organization, now=now)

    text = page(admin_client, "budget", budget.id).content.decode()

    assert "Where it is heading" in text
    assert "band-line-block" in text
    assert "(P50)" in text


def test_one_day_says_how_many_more_are_needed(tenant: Tenant, admin_client: Client, now: datetime) -> None:
    spend_at(tenant, [(now - DAY, 5)])
    forecasts_make(organization=tenant.organization, now=now)

    text = page(admin_client).content.decode()

    assert "2 more days needed" in text
    assert 'class="band-area"' not in text


def test_nothing_at_all_teaches_what_comes(tenant: Tenant, admin_client: Client) -> None:
    text = page(admin_client).content.decode()
    assert "Nothing to forecast yet" in text
    assert "No budget is forecast" in text
    assert "Nobody spends unusually" in text


def test_leads_see_their_own_and_members_have_no_such_place(
    tenant: Tenant, member: User, sign_in: SignIn, now: datetime
) -> None:
    lead = a_person_of_role(tenant, Role.TEAM_LEAD)
    spend_lately(tenant, now)
    Budget.objects.filter(id=a_monthly(tenant, "theirs", team=tenant.team).id).update(description="of the team")
    a_monthly(tenant, "others", when={"subjects": ["team:" + "ff" * 16]})
    forecasts_make(organization=tenant.organization, now=now)

    text = page(sign_in(lead)).content.decode()

    assert "theirs" in text
    assert "others" not in text
    assert "What makes it dearer" not in text
    assert page(sign_in(member)).status_code == 404


def test_findings_are_marked_by_those_who_may(
    tenant: Tenant, other: Tenant, member: User, admin_client: Client, sign_in: SignIn, now: datetime
) -> None:
    finding = a_finding(tenant, member, now)
    address = reverse("web:unusual-spend-mark", args=[finding.id])
    assert sign_in(other.admin).post(address, {"state": "seen"}).status_code == 404
    assert sign_in(member).post(address, {"state": "seen"}).status_code == 404
    assert admin_client.post(address, {"state": "gone"}).status_code == 404

    assert admin_client.post(address, {"state": "dismissed", "back": "list"}).status_code == 302

    assert UnusualSpend.objects.get().state == FindingState.DISMISSED
    assert "Nothing is open" in page(admin_client, "unusual-spend").content.decode()
    assert "dismissed" in page(admin_client, "unusual-spend", query="?state=dismissed").content.decode()


def test_somebody_is_muted_from_a_finding_and_the_mute_is_lifted(
    tenant: Tenant, other: Tenant, member: User, admin_client: Client, sign_in: SignIn, now: datetime
) -> None:
    a_finding(tenant, member, now)
    address = reverse("web:unusual-mute", args=[member.id])
    assert sign_in(other.admin).get(address).status_code == 404
    assert sign_in(member).get(address).status_code == 404
    assert sign_in(a_person_of_role(tenant, Role.AUDITOR)).get(address).status_code == 404
    assert address in page(admin_client, "unusual-spend").content.decode()
    assert "Nobody is told" in admin_client.get(address).content.decode()

    assert admin_client.post(address, {"how_long": "until", "reason": "x"}).status_code == 422
    assert admin_client.post(address, {"how_long": "7"}).status_code == 422
    assert admin_client.post(address, {"how_long": "30", "reason": "Migration."}).status_code == 302

    text = page(admin_client, "unusual-spend").content.decode()
    assert "Migration." in text
    assert "Nobody is told of it." in text
    assert "day of unusual spend" not in page(admin_client, "overview").content.decode()
    lift = reverse("web:unusual-unmute", args=[UnusualMute.objects.get().id])
    assert sign_in(other.admin).post(lift).status_code == 404
    assert admin_client.post(lift).status_code == 302
    assert "Nobody is muted" in page(admin_client, "unusual-spend").content.decode()


def test_another_organization_s_forecast_is_not_there(
    tenant: Tenant, other: Tenant, sign_in: SignIn, now: datetime
) -> None:
    spend_lately(tenant, now)
    forecasts_make(organization=tenant.organization, now=now)
    assert page(sign_in(other.admin), "forecast-of", Forecast.objects.get().subject_id).status_code == 404


def test_shapes_are_well_formed(tenant: Tenant, admin_client: Client, now: datetime) -> None:
    spend_lately(tenant, now)
    forecasts_make(organization=tenant.organization, now=now)
    text = page(admin_client).content.decode()
    figure = text[text.index('<svg class="band-plot"') : text.index("</svg>", text.index('<svg class="band-plot"')) + 6]
    assert ElementTree.fromstring(figure).tag.endswith("svg")

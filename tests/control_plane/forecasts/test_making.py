"""Forecasts of an organization and of its budgets: from roll-ups and books to kept rows."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from control_plane.budgets.models import Budget
from control_plane.forecasts.models import Forecast, WhyNone
from control_plane.forecasts.services import forecasts_forget, forecasts_make, forecasts_score
from control_plane.rules.models import Mode
from control_plane.usage.models import BudgetSpend
from switchyard_contract.counters import counter_of
from tests.builders.tenants import Tenant, a_member
from tests.control_plane.alerts.world import a_budget
from tests.control_plane.forecasts.world import DOLLAR, NOW, at, post, spend_at, tag_at, work_days

FIRST = date(2026, 9, 1)
TODAY = NOW.date()


def a_monthly(tenant: Tenant, name: str = "monthly", **changes: Any) -> Budget:
    values = {"period": "month", "timezone": "UTC", "limit_nano_usd": 1000 * DOLLAR, **changes}
    budget = a_budget(tenant, name, **values)
    Budget.objects.filter(id=budget.id).update(created_at=datetime(2026, 8, 1, tzinfo=NOW.tzinfo))
    budget.refresh_from_db()
    return budget


def of_budget(budget: Budget) -> Forecast:
    return Forecast.objects.get(budget_id=budget.id)


def dollars(nano_usd: int | None) -> float:
    assert nano_usd is not None
    return nano_usd / DOLLAR


def test_the_organization_s_month_has_a_band_around_what_its_days_were(acme: Tenant) -> None:
    spend_at(acme, work_days(FIRST, TODAY, 20))

    forecasts_make(organization=acme.organization, now=NOW)

    found = Forecast.objects.get(organization_id=acme.organization.id)
    # November 2026 has 21 days of work; of today's two halves one is to come.
    low, middle, high = (dollars(each) for each in (found.p10_nano_usd, found.p50_nano_usd, found.p90_nano_usd))
    assert low < middle < high
    assert middle == pytest.approx(21 * 20, rel=0.05)
    assert high - low < 60
    assert found.curve["heading"][0][1] == found.spent_nano_usd
    assert len(found.curve["heading"]) == 1 + 13
    assert (found.budget_id, found.period_unit, found.day) == (None, "month", TODAY)


def test_the_same_question_has_the_same_answer(acme: Tenant) -> None:
    spend_at(acme, work_days(FIRST, TODAY, 20))
    forecasts_make(organization=acme.organization, now=NOW)
    first = Forecast.objects.values_list("p10_nano_usd", "p50_nano_usd", "p90_nano_usd").get()

    forecasts_make(organization=acme.organization, now=NOW)

    assert Forecast.objects.values_list("p10_nano_usd", "p50_nano_usd", "p90_nano_usd").get() == first


def test_a_budget_tells_when_it_is_spent_and_how_likely_that_is(acme: Tenant) -> None:
    team = acme.team.id
    budget = a_monthly(acme, when={"subjects": [f"team:{team.hex}"]}, limit_nano_usd=330 * DOLLAR)
    spend_at(acme, work_days(FIRST, TODAY, 20), team=team)
    spend_at(acme, work_days(FIRST, TODAY, 500))
    post(budget, 250)

    forecasts_make(organization=acme.organization, now=NOW)

    found = of_budget(budget)
    assert found.spent_nano_usd == 250 * DOLLAR
    assert 400 < dollars(found.p50_nano_usd) < 450
    assert found.is_over
    assert found.over_percent is not None
    assert found.over_percent > 90
    assert found.spent_p50_at is not None
    assert TODAY + timedelta(days=2) <= found.spent_p50_at.date() <= TODAY + timedelta(days=7)
    assert found.spent_p10_at is not None
    assert found.spent_p10_at <= found.spent_p50_at


def test_each_counter_has_its_own(acme: Tenant) -> None:
    ada, grace = a_member(acme, "ada@acme.example"), a_member(acme, "grace@acme.example")
    budget = a_monthly(acme, per=["principal"])
    for person, amount in ((ada, 30), (grace, 3)):
        spend_at(acme, work_days(FIRST, TODAY, amount), principal=person.id)
        post(budget, amount * 12.5, person.id.hex)

    forecasts_make(organization=acme.organization, now=NOW)

    ends = {row.counter: dollars(row.p50_nano_usd) for row in Forecast.objects.filter(budget_id=budget.id)}
    assert 580 < ends[ada.id.hex] < 680
    assert 58 < ends[grace.id.hex] < 68


def test_what_roll_ups_cannot_tell_is_scaled_by_what_was_posted(acme: Tenant) -> None:
    # A tag that a quarter of the spend carries.
    budget = a_monthly(acme, when={"metadata": {"environment": ["ci"]}})
    spend_at(acme, work_days(FIRST, TODAY, 40))
    post(budget, 125)
    post(budget, 220, before=True)

    forecasts_make(organization=acme.organization, now=NOW)

    assert 195 < dollars(of_budget(budget).p50_nano_usd) < 225


def test_what_callers_own_accounts_paid_counts_where_a_budget_says_so(acme: Tenant) -> None:
    paid, shadow, both = (a_monthly(acme, counts, counts=counts) for counts in ("paid", "shadow", "both"))
    spend_at(acme, work_days(FIRST, TODAY, 20))
    spend_at(acme, work_days(FIRST, TODAY, 60), is_subscription=True)
    for budget, amount in ((paid, 250), (shadow, 750), (both, 1000)):
        post(budget, amount)

    forecasts_make(organization=acme.organization, now=NOW)

    ends = {row.budget_id: dollars(row.p50_nano_usd) for row in Forecast.objects.all()}
    # The organization's month is what it pays, as statements are.
    assert ends[None] == pytest.approx(ends[paid.id], rel=0.06)
    assert ends[shadow.id] == pytest.approx(3 * ends[paid.id], rel=0.06)
    assert ends[both.id] == pytest.approx(4 * ends[paid.id], rel=0.06)


@pytest.mark.parametrize(
    ("days", "why", "needed"),
    [
        ([at(TODAY - timedelta(days=1), 10)], WhyNone.FEW_DAYS, 2),
        ([at(TODAY - timedelta(days=30 - number), 10) for number in (0, 28)], WhyNone.MOSTLY_QUIET, 2),
        ([at(TODAY - timedelta(days=40 + number), 10) for number in range(9)], WhyNone.NOTHING_SPENT, 0),
    ],
)
def test_there_is_no_band_where_the_days_carry_none(
    acme: Tenant, days: list[datetime], why: WhyNone, needed: int
) -> None:
    spend_at(acme, [(day, 10) for day in days])

    forecasts_make(organization=acme.organization, now=NOW)

    found = Forecast.objects.get()
    assert (found.why_none, found.days_needed, found.p50_nano_usd) == (why, needed, None)


def test_a_counter_of_a_tag_is_followed_by_the_sums_of_the_tag(acme: Tenant) -> None:
    budget = a_monthly(acme, per=["metadata.repository"])
    by_team = a_monthly(acme, "by-team", per=["team", "metadata.repository"], when={"models": ["claude-*"]})
    tag_at(acme, "repository", "switchyard", work_days(FIRST, TODAY, 20), team=acme.team.id)
    tag_at(acme, "repository", "site/web", work_days(FIRST, TODAY, 4))
    tag_at(acme, "environment", "ci", work_days(FIRST, TODAY, 400))
    for value, amount in (("switchyard", 250), ("site/web", 50), ("beyond", 10), ("", 10)):
        post(budget, amount, counter_of([value]))
    # What it asks of models no sum by tag knows: half of it is not its own.
    post(by_team, 125, counter_of([acme.team.id.hex, "switchyard"]))

    forecasts_make(organization=acme.organization, now=NOW)

    rows = {row.counter: row for row in Forecast.objects.filter(budget_id=budget.id)}
    one, other = rows["switchyard"], rows[counter_of(["site/web"])]
    assert one.has_band
    assert one.drivers == []
    assert dollars(one.p50_nano_usd) == pytest.approx(5 * dollars(other.p50_nano_usd), rel=0.06)
    assert {rows["beyond"].why_none, rows[""].why_none} == {WhyNone.NOT_BY_DAY}
    half = of_budget(by_team)
    assert dollars(half.p50_nano_usd) == pytest.approx(dollars(one.p50_nano_usd) / 2, rel=0.06)


def test_a_tag_besides_people_is_not_followed(acme: Tenant) -> None:
    budget = a_monthly(acme, per=["user", "metadata.repository"])
    tag_at(acme, "repository", "switchyard", work_days(FIRST, TODAY, 20))
    post(budget, 100, counter_of([acme.admin.id.hex, "switchyard"]))
    forecasts_make(organization=acme.organization, now=NOW)
    assert of_budget(budget).why_none == WhyNone.NOT_BY_DAY


def test_counters_that_no_day_is_kept_of_say_so(acme: Tenant) -> None:
    budget = a_monthly(acme, per=["metadata.repository"])
    spend_at(acme, work_days(FIRST, TODAY, 20))
    post(budget, 100, "switchyard")

    forecasts_make(organization=acme.organization, now=NOW)

    assert of_budget(budget).why_none == WhyNone.NOT_BY_DAY


def test_a_budget_for_good_has_no_end_but_a_day_on_which_it_is_spent(acme: Tenant) -> None:
    budget = a_monthly(acme, period="lifetime", limit_nano_usd=2000 * DOLLAR)
    spend_at(acme, work_days(FIRST, TODAY, 20))
    post(budget, 1800)

    forecasts_make(organization=acme.organization, now=NOW)

    found = of_budget(budget)
    assert (found.why_none, found.p50_nano_usd, found.ends_at) == (WhyNone.ENDLESS, None, None)
    assert found.spent_p50_at is not None
    assert 10 <= (found.spent_p50_at.date() - TODAY).days <= 18


def test_shadows_are_forecast_too_and_what_is_off_is_not(acme: Tenant) -> None:
    spend_at(acme, work_days(FIRST, TODAY, 20))
    shadow, off = a_monthly(acme, "shadow", mode=Mode.SHADOW), a_monthly(acme, "off", mode=Mode.OFF)
    hourly = a_monthly(acme, "hourly", period="hour")

    forecasts_make(organization=acme.organization, now=NOW)

    assert set(Forecast.objects.values_list("budget_id", flat=True)) == {None, shadow.id}
    assert off.id != hourly.id


def test_drivers_name_who_and_what_makes_it_dearer(acme: Tenant) -> None:
    ada, bot = a_member(acme, "ada@acme.example"), UUID("0f" * 16)
    spend_at(acme, work_days(FIRST, TODAY, 20), principal=ada.id, team=acme.team.id)
    november = work_days(date(2026, 11, 2), TODAY, 30)
    spend_at(acme, november, principal=bot, kind="service_account", model="claude-haiku-4-5", client="codex")

    forecasts_make(organization=acme.organization, now=NOW)

    drivers = {one["kind"]: one for one in Forecast.objects.get().drivers}
    assert drivers["service_account"]["value"] == bot.hex
    assert drivers["service_account"]["previous"] == 0
    assert drivers["model"]["value"] == "claude-haiku-4-5"
    assert drivers["client"]["value"] == "codex"
    assert "user" not in drivers


def test_a_day_keeps_one_forecast_and_only_the_newest_its_curve(acme: Tenant) -> None:
    spend_at(acme, work_days(FIRST, TODAY, 20))
    for moment in (NOW - timedelta(days=1), NOW - timedelta(hours=1), NOW):
        forecasts_make(organization=acme.organization, now=moment)

    rows = Forecast.objects.order_by("day")
    assert [(row.day, row.as_of, row.curve is None) for row in rows] == [
        (TODAY - timedelta(days=1), NOW - timedelta(days=1), True),
        (TODAY, NOW, False),
    ]


def test_a_period_that_is_over_is_scored_once_its_books_are_quiet(acme: Tenant) -> None:
    budget = a_monthly(acme)
    spend_at(acme, work_days(FIRST, date(2026, 12, 4), 20))
    post(budget, 250)
    forecasts_make(organization=acme.organization, now=NOW)
    budget_spend = 430
    post_row = of_budget(budget)
    BudgetSpend.objects.filter(budget_id=budget.id).update(posted_nano_usd=budget_spend * DOLLAR)
    end = post_row.ends_at
    assert end is not None

    assert forecasts_score(now=end + timedelta(hours=1)) == 0
    assert forecasts_score(now=end + timedelta(hours=13)) == 2

    scored = of_budget(budget)
    assert scored.actual_nano_usd == budget_spend * DOLLAR
    assert scored.is_inside is True
    month = Forecast.objects.get(budget_id=None)
    assert dollars(month.actual_nano_usd) == pytest.approx(21 * 20, rel=0.05)
    assert forecasts_score(now=end + timedelta(hours=14)) == 0


def test_old_forecasts_are_let_go(acme: Tenant) -> None:
    spend_at(acme, work_days(FIRST, TODAY, 20))
    forecasts_make(organization=acme.organization, now=NOW)

    assert forecasts_forget(now=NOW + timedelta(days=399)) == 0
    assert forecasts_forget(now=NOW + timedelta(days=401)) == 1


def test_nobody_s_spend_is_another_s(acme: Tenant, globex: Tenant) -> None:
    spend_at(acme, work_days(FIRST, TODAY, 20))
    budget = a_monthly(globex)

    forecasts_make(organization=globex.organization, now=NOW)

    assert of_budget(budget).why_none == WhyNone.NOTHING_SPENT
    assert not Forecast.objects.filter(budget_id__isnull=True).exists()

"""The overview beside today: the month with its band, budgets near their line, what to look at; each sees their own."""

from datetime import timedelta
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.budgets.models import Budget
from control_plane.forecasts.services import forecasts_make
from control_plane.organizations.roles import Role
from control_plane.rules.models import Mode
from control_plane.sessions.models import SessionSummary
from control_plane.usage.aggregation import book_waiting
from control_plane.usage.models import ConversationSession
from switchyard_contract.counters import counter_of
from tests.builders.tenants import Tenant, a_key, a_person_of_role, a_provider
from tests.control_plane.forecasts.test_api import a_finding, spend_lately
from tests.control_plane.forecasts.test_making import a_monthly
from tests.control_plane.forecasts.world import DOLLAR, post
from tests.control_plane.usage.books import put
from tests.control_plane.usage.events import a_batch, an_event
from tests.control_plane.web.conftest import SignIn
from tests.control_plane.web.test_prices import used
from tests.control_plane.web.test_query_counts import reading

MOST_QUERIES = 45
"""With everything there is to show at once."""


def page(client: Client) -> Any:
    return client.get(reverse("web:overview"))


def set_up(tenant: Tenant, user: User | None = None, number: int = 1) -> None:
    """A provider, a key and a first request of a person: the page shows more than first steps."""
    user = user or tenant.admin
    if number == 1:
        a_provider(tenant)
    key = a_key(tenant, user=user).key
    now = timezone.now()
    event = an_event(
        number,
        at=now - timedelta(minutes=3),
        organization_id=tenant.organization.id.hex,
        principal_id=user.id.hex,
        team_id=tenant.team.id.hex,
        key_id=key.key_id,
        cost_nano_usd=2 * DOLLAR,
        saved_cache_nano_usd=3 * DOLLAR,
    )
    put(a_batch([event], first_sequence=number))
    book_waiting(now=now, ledger_days=396)


def a_flagged_session(tenant: Tenant, user: User) -> None:
    session = ConversationSession.objects.filter(principal_id=user.id).latest("last_seen")
    SessionSummary.objects.update_or_create(
        session=session,
        defaults={
            "organization_id": tenant.organization.id,
            "principal_id": user.id,
            "team_id": tenant.team.id,
            "first_seen": session.first_seen,
            "last_seen": session.last_seen,
            "turns": 12,
            "prompt_tokens": 400_000,
            "cache_share_per_mille": 40,
            "avoidable_nano_usd": 4 * DOLLAR,
            "moved_at": session.last_seen,
            "analysed_at": session.last_seen,
        },
    )


def test_the_month_has_its_band_and_says_what_was_saved(admin_client: Client, tenant: Tenant) -> None:
    set_up(tenant)
    spend_lately(tenant, timezone.now())
    forecasts_make(organization=tenant.organization)

    answer = page(admin_client)
    shown = answer.content.decode()

    month = answer.context["month"]
    assert month.now.saved_cache_nano_usd == 3 * DOLLAR
    assert month.heading.forecast.has_band
    assert "Saved by caching this month" in shown
    assert month.heading.sentence.split(" (P50)")[0] in shown
    assert f'aria-label="{tenant.organization.name}: ' in shown


def test_without_a_forecast_it_says_when_there_is_one(admin_client: Client, tenant: Tenant) -> None:
    set_up(tenant)
    shown = page(admin_client).content.decode()
    assert "No forecast yet" in shown
    assert "No budget is spent of" in shown
    assert "unusual spend" not in shown


def test_budgets_in_most_danger_come_first_and_only_four(admin_client: Client, tenant: Tenant) -> None:
    set_up(tenant)
    now = timezone.now()
    spend_lately(tenant, now)
    # In words: one that is spent, one that heads over, three that are fine, one that is tried out and one that is off.
    shares = {"spent": 1.2, "fine-a": 0.3, "fine-b": 0.2, "fine-c": 0.1}
    for name, share in shares.items():
        post(a_monthly(tenant, name, limit_nano_usd=100_000 * DOLLAR), 100_000 * share, now=now)
    heading = a_monthly(tenant, "heading", limit_nano_usd=1)
    Budget.objects.filter(id=heading.id).update(limit_nano_usd=50_000 * DOLLAR)
    post(heading, 30_000, now=now)
    for name, mode in (("tried", Mode.SHADOW), ("gone", Mode.OFF)):
        post(a_monthly(tenant, name, limit_nano_usd=DOLLAR, mode=mode), 9, now=now)
    forecasts_make(organization=tenant.organization)

    shown = page(admin_client)
    lines = shown.context["budgets"]

    assert lines[0].name == "spent"
    # Each with what was spent so far and the band, where there is one.
    pictures = [line.picture for line in lines if line.picture is not None]
    assert pictures
    assert all(each.band for each in pictures)
    assert shown.content.decode().count('class="band-plot"') == 1 + len(pictures)
    assert len(lines) == 4
    assert {line.name for line in lines}.isdisjoint({"gone", "fine-c"})
    assert lines[0].heading_text.startswith("Spent. It begins anew ")
    assert all(line.forecast is not None for line in lines)


def test_what_to_look_at_is_a_line_with_a_link(admin_client: Client, tenant: Tenant, member: User) -> None:
    set_up(tenant)
    a_flagged_session(tenant, tenant.admin)
    a_finding(tenant, member, timezone.now())

    shown = page(admin_client).content.decode()

    assert "1 day of unusual spend" in shown
    assert "1 session in 7 days read less than 30 % from cache" in shown
    assert "$4.00 of their cost could have been avoided" in shown
    assert "flagged=yes" in shown


def test_money_at_another_models_price_is_told_to_who_keeps_prices(
    admin_client: Client, member_client: Client, tenant: Tenant
) -> None:
    set_up(tenant)
    used(tenant.organization, model="my-llm", price_note="dearest")

    shown = page(admin_client).content.decode()

    assert "1 model has no price" in shown
    assert reverse("web:unknown-models") in shown
    assert "has no price" not in page(member_client).content.decode()


def test_each_sees_their_own(sign_in: SignIn, tenant: Tenant, member: User) -> None:
    set_up(tenant)
    set_up(tenant, member, 2)
    a_flagged_session(tenant, tenant.admin)
    now = timezone.now()
    allowance = a_monthly(tenant, "allowance", per=["user"], limit_nano_usd=100 * DOLLAR)
    for user, dollars in ((tenant.admin, 90), (member, 7)):
        post(allowance, dollars, counter_of([user.id.hex]), now=now)
    forecasts_make(organization=tenant.organization)
    a_finding(tenant, tenant.admin, now)

    answer = page(sign_in(member))
    shown = answer.content.decode()

    assert [line.gauge.spent_nano_usd for line in answer.context["budgets"]] == [7 * DOLLAR]
    assert answer.context["month"].now.cost_nano_usd == 2 * DOLLAR
    assert answer.context["month"].heading is None
    assert answer.context["looks"] == []
    assert tenant.admin.email not in shown
    assert "The organization&#x27;s month" not in shown


def test_a_lead_sees_their_teams(sign_in: SignIn, tenant: Tenant, member: User, other: Tenant) -> None:
    lead = a_person_of_role(tenant, Role.TEAM_LEAD)
    set_up(tenant)
    set_up(tenant, member, 2)
    set_up(tenant, lead, 3)
    now = timezone.now()
    post(a_monthly(tenant, "allowance", per=["user"]), 900, counter_of([member.id.hex]), now=now)
    post(a_monthly(other, "theirs"), 900, now=now)
    forecasts_make(organization=tenant.organization)

    answer = page(sign_in(lead))

    assert [line.name for line in answer.context["budgets"]] == ["allowance"]
    assert answer.context["month"].heading is None


def test_queries_do_not_grow_with_budgets_and_counters(admin_client: Client, tenant: Tenant, member: User) -> None:
    set_up(tenant)
    now = timezone.now()
    spend_lately(tenant, now)
    a_finding(tenant, member, now)
    post(
        a_monthly(tenant, "first", per=["user", "team"]), 500, counter_of([member.id.hex, tenant.team.id.hex]), now=now
    )
    forecasts_make(organization=tenant.organization)
    page(admin_client)
    with reading() as few:
        page(admin_client)
    for number in range(20):
        budget = a_monthly(tenant, f"more-{number}", per=["user", "team"])
        for user in (member, tenant.admin):
            post(budget, 10 * number, counter_of([user.id.hex, tenant.team.id.hex]), now=now)
    forecasts_make(organization=tenant.organization)

    with reading() as many:
        page(admin_client)

    assert many.queries <= few.queries + 3
    assert many.queries <= MOST_QUERIES

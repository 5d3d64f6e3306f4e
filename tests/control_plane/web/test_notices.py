"""The bell: what concerns a person, and that what was put away stays away until there is something new to say."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import Rotation, key_mint
from control_plane.organizations.services import team_update
from control_plane.web.models import DismissedNotice
from tests.builders.tenants import Tenant, a_key, a_member, a_service_account
from tests.control_plane.web.conftest import SignIn


def an_ending_key(tenant: Tenant, user: User, *, days: int = 5) -> VirtualKey:
    """A key that has lived for long and ends soon."""
    key = a_key(tenant, user=user, expires_at=timezone.now() + timedelta(days=days)).key
    VirtualKey.objects.filter(id=key.id).update(created_at=timezone.now() - timedelta(days=90))
    return key


def titles(client: Client) -> list[str]:
    return [notice.title for notice in client.get("/notices").context["notices"]]


def test_somebody_without_a_care_is_told_so(member_client: Client) -> None:
    page = member_client.get("/notices").content.decode()
    assert "Nothing needs you" in page
    assert 'aria-label="No notices"' in page


def test_a_key_that_ends_soon_is_told_to_its_owner_alone(
    member_client: Client, member: User, tenant: Tenant, sign_in: SignIn
) -> None:
    key = an_ending_key(tenant, member)
    page = member_client.get("/notices").content.decode()
    assert "laptop expires" in page
    assert f"/keys/{key.id}/rotate" in page
    assert titles(sign_in(a_member(tenant, "alan@example.com"))) == []


def test_the_own_page_says_it_too_and_offers_to_rotate(member_client: Client, member: User, tenant: Tenant) -> None:
    key = an_ending_key(tenant, member)
    assert [row.key for row in member_client.get("/my/keys").context["ending"]] == [key]
    form = member_client.get(f"/keys/{key.id}/rotate").context["form"]
    assert form["expires"].value() == "90"
    member_client.post(f"/keys/{key.id}/rotate", {"grace_seconds": "3600", "expires": "90"})
    successor = key.rotated_to.get()
    assert successor.expires_at is not None
    assert successor.expires_at > timezone.now() + timedelta(days=80)
    assert member_client.get("/my/keys").context["ending"] == []
    assert titles(member_client) == []


def test_a_notice_that_was_put_away_comes_back_with_news(member_client: Client, member: User, tenant: Tenant) -> None:
    key = an_ending_key(tenant, member, days=12)
    [notice] = member_client.get("/notices").context["notices"]
    answer = member_client.post("/notices/dismiss", {"notice": notice.id})
    assert answer.context["notices"] == []
    assert titles(member_client) == []
    # A week before the end it is another warning.
    VirtualKey.objects.filter(id=key.id).update(expires_at=timezone.now() + timedelta(days=6))
    assert titles(member_client) == ["laptop expires"]


def test_all_are_put_away_at_once(member_client: Client, member: User, tenant: Tenant) -> None:
    an_ending_key(tenant, member, days=5)
    an_ending_key(tenant, member, days=2)
    assert len(titles(member_client)) == 2
    member_client.post("/notices/dismiss", {"all": "1"})
    assert titles(member_client) == []


def test_what_was_never_said_is_not_kept(member_client: Client, member: User, other: Tenant, sign_in: SignIn) -> None:
    an_ending_key(other, other.admin)
    [foreign] = sign_in(other.admin).get("/notices").context["notices"]
    member_client.post("/notices/dismiss", {"notice": foreign.id})
    assert not DismissedNotice.objects.exists()
    assert titles(sign_in(other.admin)) == ["laptop expires"]


@pytest.mark.parametrize("has_lead", [True, False])
def test_a_service_key_is_told_to_the_lead_or_else_to_admins(
    has_lead: bool, admin_client: Client, member: User, member_client: Client, tenant: Tenant
) -> None:
    if has_lead:
        team_update(team=tenant.team, lead=member, actor=tenant.actor)
    key = key_mint(
        organization=tenant.organization,
        name="nightly",
        service_account=a_service_account(tenant),
        rotation=Rotation(30, 86_400),
        actor=tenant.actor,
    ).key
    late = timezone.now() - timedelta(hours=1)
    VirtualKey.objects.filter(id=key.id).update(
        created_at=late - timedelta(days=30), rotate_by=late, expires_at=late + timedelta(days=1)
    )
    told, untold = (member_client, admin_client) if has_lead else (admin_client, member_client)
    assert titles(told) == ["nightly is overdue for rotation"]
    assert titles(untold) == []

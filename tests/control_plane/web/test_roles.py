"""What the console shows to each role, and what team leads, several members at once and delegations do there."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from control_plane.accounts.models import User
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Role, TeamMembership
from control_plane.organizations.services import (
    INSTALLATION,
    membership_add,
    organization_update,
    team_create,
    team_member_add,
)
from tests.builders.tenants import (
    SYSTEM,
    Tenant,
    a_key,
    a_member,
    a_person_of_role,
    a_provider,
    a_service_account,
    a_user,
)
from tests.control_plane.web.conftest import SignIn


@pytest.fixture
def lead_client(tenant: Tenant, sign_in: SignIn) -> Client:
    """Of somebody who leads the tenant's team."""
    return sign_in(a_person_of_role(tenant, Role.TEAM_LEAD))


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_each_role_is_shown_the_places_it_can_use(tenant: Tenant, sign_in: SignIn) -> None:
    places = {
        Role.FINANCE: ({"/spend", "/members", "/models"}, {"/providers", "/audit", "/settings", "/fleet"}),
        Role.AUDITOR: ({"/providers", "/audit", "/fleet", "/routes"}, {"/settings"}),
        Role.TEAM_LEAD: ({"/teams", "/members", "/spend", "/keys"}, {"/providers", "/audit", "/settings"}),
        Role.MEMBER: ({"/my/keys", "/my/usage"}, {"/teams", "/members", "/spend", "/keys", "/audit"}),
    }
    for role, (shown, hidden) in places.items():
        home = page(sign_in(a_person_of_role(tenant, role)), "/")
        for address in shown:
            assert f'href="{address}"' in home, (role, address)
        for address in hidden:
            assert f'href="{address}"' not in home, (role, address)


def test_buttons_that_would_not_work_are_not_there(tenant: Tenant, sign_in: SignIn) -> None:
    provider, account = a_provider(tenant), a_service_account(tenant)
    auditor = sign_in(a_person_of_role(tenant, Role.AUDITOR))
    for address, button in (
        ("/providers", "/providers/new"),
        (f"/providers/{provider.id}", f"/providers/{provider.id}/edit"),
        ("/routes", "/routes/new"),
        ("/members", "/members/new"),
        ("/members", "data-choose"),
        ("/teams", "/teams/new"),
        (f"/teams/{tenant.team.id}", f"/teams/{tenant.team.id}/edit"),
        (f"/service-accounts/{account.id}", f"/service-accounts/{account.id}/edit"),
        ("/keys", "/keys/new"),
    ):
        assert button not in page(auditor, address), address
        assert button in page(sign_in(tenant.admin), address), address


def test_an_admin_sees_an_owner_but_can_do_nothing_to_them(tenant: Tenant, sign_in: SignIn) -> None:
    admin = sign_in(a_person_of_role(tenant, Role.ADMIN))
    owner = Membership.objects.get(user=tenant.admin)
    shown = page(admin, f"/members/{owner.id}")
    assert "Save member" not in shown
    assert f"/members/{owner.id}/remove" not in shown
    assert admin.post(f"/members/{owner.id}", {"role": "member"}).status_code == 403
    assert admin.post(f"/members/{owner.id}/remove", {"confirm": tenant.admin.email}).status_code == 403
    assert admin.post(f"/members/{owner.id}/activity", {"confirm": tenant.admin.email}).status_code == 403
    assert 'value="owner"' not in page(admin, "/members/new")
    member = Membership.objects.get(user=a_member(tenant))
    assert admin.post(f"/members/{member.id}", {"role": "owner", "tags": ""}).status_code == 422


def test_a_lead_sees_the_own_team_and_nothing_beside(
    tenant: Tenant, other: Tenant, lead_client: Client, member: User
) -> None:
    strange = team_create(organization=tenant.organization, name="strange", actor=SYSTEM)
    stranger = a_member(tenant, "stranger@example.com", team=strange)
    key = a_key(tenant, user=member).key
    assert member.email in page(lead_client, "/members")
    assert stranger.email not in page(lead_client, "/members")
    assert "strange" not in page(lead_client, "/teams")
    assert lead_client.get(f"/teams/{strange.id}").status_code == 404
    assert lead_client.get(f"/teams/{other.team.id}").status_code == 404
    shown = page(lead_client, f"/keys/{key.id}")
    assert f"/keys/{key.id}/revoke" not in shown
    assert lead_client.post(f"/keys/{key.id}/revoke", {"confirm": key.name, "reason": "x"}).status_code == 404


def test_a_lead_fills_the_team_once_an_admin_says_so(tenant: Tenant, admin_client: Client, lead_client: Client) -> None:
    newcomer = a_user("newcomer@example.com")
    membership_add(organization=tenant.organization, user=newcomer, actor=SYSTEM, by=INSTALLATION)
    add = f"/teams/{tenant.team.id}/people/add"
    assert lead_client.post(add, {"user": newcomer.email}).status_code == 404

    admin_client.post("/settings/team-leads", {"leads_may_add_members": "on"})

    assert add in page(lead_client, f"/teams/{tenant.team.id}")
    assert lead_client.post(add, {"user": "nobody@example.com"}).status_code == 422
    assert lead_client.post(add, {"user": newcomer.email}).status_code == 302
    assert TeamMembership.objects.filter(team=tenant.team, user=newcomer).exists()
    lead_client.post(f"/teams/{tenant.team.id}/people/{newcomer.id}/remove")
    assert not TeamMembership.objects.filter(team=tenant.team, user=newcomer).exists()
    tenant.organization.refresh_from_db()
    assert not tenant.organization.leads_may_mint_service_keys


def test_a_lead_mints_for_the_own_accounts_once_an_admin_says_so(tenant: Tenant, lead_client: Client) -> None:
    strange = team_create(organization=tenant.organization, name="strange", actor=SYSTEM)
    account = a_service_account(tenant)
    assert lead_client.get("/keys/new").status_code == 404
    organization_update(organization=tenant.organization, leads_may_mint_service_keys=True, actor=SYSTEM)
    body = {"service_account": str(account.id), "name": "pipeline", "models": "", "tags": "", "expires": "30"}
    assert lead_client.post("/keys/new", body).status_code == 200
    key = VirtualKey.objects.get(service_account=account)
    assert lead_client.get(f"/keys/{key.id}/rotate").status_code == 200
    assert lead_client.post("/service-accounts/new", {"name": "bot", "team": str(strange.id)}).status_code == 422
    assert lead_client.post("/service-accounts/new", {"name": "bot", "team": str(tenant.team.id)}).status_code == 302


def test_several_members_change_at_once_or_not_at_all(tenant: Tenant, admin_client: Client) -> None:
    people = [a_member(tenant) for _ in range(3)]
    memberships = list(Membership.objects.filter(user__in=people))
    ids = [str(one.id) for one in memberships]
    asked = admin_client.get("/members/bulk", {"do": "role", "id": ids})
    assert all(one.email in asked.content.decode() for one in people)
    admin_client.post("/members/bulk", {"do": "role", "id": ids, "role": "auditor"})
    assert set(Membership.objects.filter(id__in=ids).values_list("role", flat=True)) == {"auditor"}

    team = team_create(organization=tenant.organization, name="new", actor=SYSTEM)
    admin_client.post("/members/bulk", {"do": "team", "id": ids, "team": str(team.id)})
    assert team.memberships.count() == 3

    own = str(Membership.objects.get(user=tenant.admin).id)
    refused = admin_client.post("/members/bulk", {"do": "role", "id": [*ids, own], "role": "member"})
    assert refused.status_code == 422
    assert "last owner" in refused.content.decode()
    assert set(Membership.objects.filter(id__in=ids).values_list("role", flat=True)) == {"auditor"}

    assert admin_client.post("/members/bulk", {"do": "remove", "id": ids, "confirm": "remove"}).status_code == 422
    admin_client.post("/members/bulk", {"do": "remove", "id": ids, "confirm": "remove 3", "reason": "left"})
    assert not Membership.objects.filter(id__in=ids).exists()


def test_members_of_others_are_in_no_bulk(admin_client: Client, other: Tenant) -> None:
    foreign = str(other.organization.memberships.get().id)
    for what in ("role", "team", "remove"):
        body = {"do": what, "id": foreign, "role": "member", "team": str(other.team.id), "confirm": "remove 1"}
        assert admin_client.get("/members/bulk", body).status_code == 404
        assert admin_client.post("/members/bulk", body).status_code == 404
    assert admin_client.get("/members/bulk", {"do": "role", "id": "x"}).status_code == 404
    assert admin_client.get("/members/bulk", {"do": "role"}).status_code == 302


def test_members_are_found_filtered_sorted_and_paged(tenant: Tenant, admin_client: Client) -> None:
    team = team_create(organization=tenant.organization, name="crowd", actor=SYSTEM)
    users = User.objects.bulk_create([User(email=f"person{number:03}@example.com") for number in range(120)])
    Membership.objects.bulk_create([Membership(organization=tenant.organization, user=user) for user in users])
    for user in users[:3]:
        team_member_add(team=team, user=user, actor=SYSTEM)
    User.objects.filter(email="person007@example.com").update(is_active=False)

    assert "person007" in page(admin_client, "/members?q=person007")
    assert "person008" not in page(admin_client, "/members?state=off")
    assert "person002" in page(admin_client, f"/members?team={team.id.hex}")
    assert "person003" not in page(admin_client, f"/members?team={team.id.hex}")
    assert tenant.admin.email in page(admin_client, "/members?role=owner")
    seen: list[str] = []
    address = "/members?sort=-email"
    while address:
        listing = admin_client.get(address).context["listing"]
        seen += [row.user.email for row in listing.rows]
        address = f"/members?sort=-email&after={listing.next}" if listing.next else ""
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == Membership.objects.filter(organization=tenant.organization).count()


def test_the_lists_of_people_ask_as_much_for_many_rows_as_for_few(tenant: Tenant, admin_client: Client) -> None:
    def queries(address: str) -> int:
        page(admin_client, address)
        with CaptureQueriesContext(connection) as captured:
            page(admin_client, address)
        return len(captured)

    addresses = ("/members", "/teams", "/service-accounts", "/roles")
    a_service_account(tenant, "first")
    few = [queries(address) for address in addresses]
    for number in range(8):
        user = a_member(tenant)
        a_key(tenant, user=user)
        team_create(organization=tenant.organization, name=f"team {number}", lead=user, actor=SYSTEM)
        a_service_account(tenant, f"account {number}")
    assert [queries(address) for address in addresses] == few


def test_the_roles_page_shows_the_table_and_who_has_each(
    tenant: Tenant, admin_client: Client, member_client: Client
) -> None:
    shown = page(admin_client, "/roles")
    assert 'href="/members?role=owner"' in shown
    assert "Make and unmake owners" in shown
    assert "not allowed" in shown
    organization_update(organization=tenant.organization, leads_may_set_budgets=True, actor=SYSTEM)
    assert shown.count("can be let") - page(admin_client, "/roles").count("can be let") == 1
    for_member = page(member_client, "/roles")
    assert "/members?role=" not in for_member


def test_a_large_organization_is_chosen_from_by_typing(tenant: Tenant, admin_client: Client) -> None:
    """A page that offered every team and every person would be a page of thousands of rows."""
    users = User.objects.bulk_create([User(email=f"person{number:03}@example.com") for number in range(70)])
    Membership.objects.bulk_create([Membership(organization=tenant.organization, user=user) for user in users])
    for number in range(61):
        team_create(organization=tenant.organization, name=f"team {number}", actor=SYSTEM)
    assert "person050" not in page(admin_client, "/teams/new")
    assert "team 50" not in page(admin_client, "/members/new")

    admin_client.post("/teams/new", {"name": "led", "lead": "person050@example.com"})
    membership = Membership.objects.get(user__email="person050@example.com")
    assert membership.role == Role.TEAM_LEAD
    assert admin_client.post("/teams/new", {"name": "x", "lead": "x@example.com"}).status_code == 422
    body = {"role": "team_lead", "tags": "", "teams": "team 7\nled"}
    assert admin_client.post(f"/members/{membership.id}", body).status_code == 302
    assert set(membership.user.team_memberships.values_list("team__name", flat=True)) == {"team 7", "led"}
    assert "team 7" in page(admin_client, f"/members/{membership.id}")
    assert admin_client.post(f"/members/{membership.id}", {**body, "teams": "no such"}).status_code == 422

"""Pages of supply, people and operation: what they change, and through whom."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from django.test import Client
from django.urls import reverse

from control_plane.accounts.models import User
from control_plane.audit.models import Change
from control_plane.catalog.services import list_prices_load
from control_plane.credentials.models import CredentialSource, Provider
from control_plane.organizations.models import Membership, Organization, Role, ServiceAccount, Team
from control_plane.organizations.services.arrivals import BELONGS_ELSEWHERE
from control_plane.routing.models import VirtualModel
from tests.builders.tenants import PASSWORD, Tenant, a_key, a_provider, a_service_account, a_tenant

SECRET = "sk-live-0123456789"


def test_a_provider_is_added_and_offers_its_names(admin_client: Client, tenant: Tenant) -> None:
    list_prices_load(actor=tenant.actor)
    answer = admin_client.post(
        "/providers/new",
        {"vendor": "anthropic", "name": "anthropic-main", "source": "value", "secret": SECRET, "models": "*"},
    )
    provider = Provider.objects.get()
    offer = reverse("web:provider-offer", args=[provider.id])
    assert answer["Location"] == offer
    assert "claude-sonnet-4-6" in admin_client.get(offer).content.decode()
    admin_client.post(offer, {"names": ["claude-sonnet-4-6"]})
    assert [row.name for row in VirtualModel.objects.all()] == ["claude-sonnet-4-6"]
    for where in ("/providers", f"/providers/{provider.id}", f"/providers/{provider.id}/credential", "/audit"):
        assert SECRET not in admin_client.get(where).content.decode()


def test_a_secret_that_was_refused_is_not_sent_back(admin_client: Client) -> None:
    answer = admin_client.post(
        "/providers/new", {"vendor": "anthropic", "name": "NOT OK", "source": "value", "secret": SECRET}
    )
    assert answer.status_code == 422
    assert SECRET not in answer.content.decode()


def test_all_that_is_wrong_with_a_provider_is_told_at_once(admin_client: Client) -> None:
    answer = admin_client.post("/providers/new", {"vendor": "openai_compatible", "name": "My LLM", "source": "value"})

    assert set(answer.context["form"].errors) == {"name", "base_url", "secret"}


def test_a_pasted_key_or_a_name_is_asked_for(admin_client: Client) -> None:
    pasted = admin_client.post("/providers/new", {"vendor": "anthropic", "name": "a", "source": "value"})
    assert "Paste the API key" in pasted.content.decode()
    named = admin_client.post("/providers/new", {"vendor": "anthropic", "name": "a", "source": "env"})
    assert "Name the variable" in named.content.decode()


def test_an_address_that_is_not_allowed_is_refused_at_its_field(admin_client: Client) -> None:
    answer = admin_client.post(
        "/providers/new",
        {"vendor": "openai", "name": "a", "base_url": "https://10.0.0.1", "source": "value", "secret": SECRET},
    )
    assert answer.status_code == 422
    assert answer.context["form"].errors["base_url"]


def test_a_provider_is_edited_given_another_credential_and_deleted(admin_client: Client, tenant: Tenant) -> None:
    provider = a_provider(tenant)
    at = f"/providers/{provider.id}"
    admin_client.post(f"{at}/edit", {"name": "renamed", "base_url": provider.base_url, "models": "claude-*"})
    provider.refresh_from_db()
    assert (provider.name, provider.served_models, provider.is_active) == ("renamed", ["claude-*"], False)
    admin_client.post(f"{at}/credential", {"base_url": provider.base_url, "source": "passthrough", "reason": "test"})
    provider.refresh_from_db()
    assert provider.credential_source == CredentialSource.PASSTHROUGH
    assert admin_client.post(f"{at}/delete", {"confirm": "wrong"}).status_code == 422
    admin_client.post(f"{at}/delete", {"confirm": "renamed", "reason": "no longer used"})
    assert not Provider.objects.exists()


def test_a_provider_that_routes_lead_to_is_kept(admin_client: Client, tenant: Tenant) -> None:
    provider = a_provider(tenant)
    admin_client.post("/routes/new", {"name": "sonnet", "provider": str(provider.id), "model": "claude-sonnet-4-6"})
    answer = admin_client.post(f"/providers/{provider.id}/delete", {"confirm": provider.name, "reason": "test"})
    assert answer.status_code == 422
    assert "Still the target of sonnet" in answer.content.decode()


def test_a_route_is_led_elsewhere_and_taken_away(admin_client: Client, tenant: Tenant) -> None:
    first, second = a_provider(tenant, "first"), a_provider(tenant, "second")
    admin_client.post("/routes/new", {"name": "sonnet", "provider": str(first.id), "model": "claude-sonnet-4-6"})
    route = VirtualModel.objects.get()
    admin_client.post(f"/routes/{route.id}", {"provider": str(second.id), "model": "claude-sonnet-4-5"})
    route.refresh_from_db()
    assert (route.name, route.target.provider, route.target.model) == ("sonnet", second, "claude-sonnet-4-5")
    admin_client.post(f"/routes/{route.id}/delete", {"confirm": "sonnet", "reason": "test"})
    assert not VirtualModel.objects.exists()


def test_a_route_cannot_lead_to_another_organizations_provider(
    admin_client: Client, tenant: Tenant, other: Tenant
) -> None:
    foreign = a_provider(other)
    answer = admin_client.post("/routes/new", {"name": "x", "provider": str(foreign.id), "model": "m"})
    assert answer.status_code == 422
    assert not VirtualModel.objects.exists()


class _Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert "authorization" not in self.headers
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def stranger() -> Iterator[str]:
    """A server that asks for a credential."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stranger)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_provider_is_tried_without_its_credential(admin_client: Client, tenant: Tenant, stranger: str) -> None:
    admin_client.post(
        "/providers/new",
        {"vendor": "openai_compatible", "name": "local", "base_url": stranger, "source": "value", "secret": SECRET},
    )
    provider = Provider.objects.get()
    page = admin_client.post(f"/providers/{provider.id}/test").content.decode()
    assert "answered 401" in page
    assert "reachable" in page


def test_a_provider_that_is_not_there_is_said_so(admin_client: Client, tenant: Tenant, stranger: str) -> None:
    admin_client.post(
        "/providers/new",
        {
            "vendor": "openai_compatible",
            "name": "local",
            "base_url": "http://127.0.0.1:1",
            "source": "none",
        },
    )
    page = admin_client.post(f"/providers/{Provider.objects.get().id}/test").content.decode()
    assert "not reachable" in page


def test_a_member_is_added_with_an_account_and_a_team(admin_client: Client, tenant: Tenant) -> None:
    answer = admin_client.post(
        "/members/new",
        {"email": "New@example.com", "password": PASSWORD, "role": "member", "teams": [str(tenant.team.id)]},
    )
    membership = Membership.objects.get(user__email="new@example.com")
    assert answer["Location"] == f"/members/{membership.id}"
    assert membership.user.check_password(PASSWORD)
    assert tenant.team.memberships.filter(user=membership.user).exists()


def test_an_unknown_member_needs_a_first_password(admin_client: Client, tenant: Tenant) -> None:
    answer = admin_client.post("/members/new", {"email": "new@example.com", "role": "member"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["password"]
    assert not User.objects.filter(email="new@example.com").exists()


def test_an_account_of_another_organization_is_not_attached(admin_client: Client, tenant: Tenant) -> None:
    stranger = a_tenant().admin
    answer = admin_client.post("/members/new", {"email": stranger.email, "password": "long enough 1", "role": "admin"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["email"] == [BELONGS_ELSEWHERE]
    assert not Membership.objects.filter(organization=tenant.organization, user=stranger).exists()


def test_a_members_role_and_teams_change(admin_client: Client, tenant: Tenant, member: User) -> None:
    membership = Membership.objects.get(user=member)
    admin_client.post(f"/members/{membership.id}", {"role": "admin", "tags": "site=zurich"})
    membership.refresh_from_db()
    assert (membership.role, membership.tags) == (Role.ADMIN, {"site": "zurich"})
    assert not tenant.team.memberships.filter(user=member).exists()


def test_the_last_owner_stays_one(admin_client: Client, tenant: Tenant) -> None:
    membership = Membership.objects.get(user=tenant.admin)
    assert admin_client.post(f"/members/{membership.id}", {"role": "member"}).status_code == 422
    answer = admin_client.post(f"/members/{membership.id}/remove", {"confirm": tenant.admin.email, "reason": "test"})
    assert answer.status_code == 422


def test_a_member_is_deactivated_let_in_again_and_removed(admin_client: Client, tenant: Tenant, member: User) -> None:
    membership, key = Membership.objects.get(user=member), a_key(tenant, user=member).key
    for expected in (False, True):
        admin_client.post(f"/members/{membership.id}/activity", {"confirm": member.email, "reason": "leave"})
        member.refresh_from_db()
        assert member.is_active is expected
    admin_client.post(f"/members/{membership.id}/remove", {"confirm": member.email, "reason": "left"})
    key.refresh_from_db()
    assert key.is_revoked
    assert not Membership.objects.filter(id=membership.id).exists()


def test_teams_and_service_accounts_are_made_and_changed(admin_client: Client, tenant: Tenant) -> None:
    admin_client.post("/teams/new", {"name": "compilers", "cost_centre": "4712", "lead": str(tenant.admin.id)})
    team = Team.objects.get(name="compilers")
    admin_client.post(f"/teams/{team.id}/edit", {"name": "compilers", "cost_centre": "4713"})
    team.refresh_from_db()
    assert (team.cost_centre, team.lead) == ("4713", None)
    admin_client.post("/service-accounts/new", {"name": "bot", "team": str(team.id), "tags": "environment=ci"})
    account = ServiceAccount.objects.get()
    admin_client.post(f"/service-accounts/{account.id}/edit", {"name": "bot", "team": str(tenant.team.id)})
    admin_client.post(f"/service-accounts/{account.id}/activity", {"confirm": "bot", "reason": "test"})
    account.refresh_from_db()
    assert (account.team, account.tags, account.is_active) == (tenant.team, {}, False)


def test_a_name_that_is_taken_is_said_at_the_form(admin_client: Client, tenant: Tenant) -> None:
    a_service_account(tenant, "ci")
    answer = admin_client.post("/service-accounts/new", {"name": "ci", "team": str(tenant.team.id)})
    assert answer.status_code == 422


def test_settings_reach_the_set_up_panel(admin_client: Client, tenant: Tenant) -> None:
    admin_client.post("/settings", {"name": "Acme", "gateway_public_url": "https://ai.acme.example", "contact": "#ai"})
    changed = Organization.objects.get(id=tenant.organization.id)
    assert (changed.name, changed.gateway_public_url, changed.contact) == ("Acme", "https://ai.acme.example", "#ai")
    assert "https://ai.acme.example" in admin_client.get("/my/keys").content.decode()


def test_every_change_can_be_read_in_the_audit_and_the_chain_holds(admin_client: Client, tenant: Tenant) -> None:
    admin_client.post("/teams/new", {"name": "compilers"})
    change = Change.objects.get(action="team.created", subject_name="compilers")
    listed = admin_client.get("/audit?kind=team&q=compilers").content.decode()
    assert f'href="/audit/{change.sequence}"' in listed
    assert "compilers" in admin_client.get(f"/audit/{change.sequence}").content.decode()
    assert "every one as it was written" in admin_client.get("/audit/verify").content.decode()


def test_the_profile_changes_name_zone_theme_and_password(member_client: Client, member: User) -> None:
    member_client.post("/profile", {"name": "Grace", "time_zone": "Europe/Berlin", "theme": "dark"})
    assert 'data-theme="dark"' in member_client.get("/profile").content.decode()
    assert member_client.post("/profile", {"time_zone": "Mars/Olympus", "theme": "dark"}).status_code == 422
    # What the API or an old profile chose stays a choice, though it is not offered.
    member_client.post("/profile", {"time_zone": "US/Pacific", "theme": "dark"})
    profile = member_client.get("/profile").content.decode()
    assert '<option value="US/Pacific" selected>' in profile
    assert "Factory" not in profile
    wrong = member_client.post("/profile/password", {"current": "wrong", "password": "another long enough one"})
    assert wrong.status_code == 422
    weak = member_client.post("/profile/password", {"current": PASSWORD, "password": "short"})
    assert weak.status_code == 422
    member_client.post("/profile/password", {"current": PASSWORD, "password": "another long enough one"})
    member.refresh_from_db()
    assert member.check_password("another long enough one")
    assert member_client.get("/profile").status_code == 200, "the own session stays"


def test_the_profile_says_in_words_where_one_is_signed_in(client: Client, member: User) -> None:
    told = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
    client.post("/sign-in", {"email": member.email, "password": PASSWORD}, headers={"user-agent": told})
    page = client.get("/profile").content.decode()
    assert f'<span title="{told}">Firefox on Linux</span>' in page


def test_the_theme_button_flips(member_client: Client, member: User) -> None:
    answer = member_client.post("/profile/theme", {"theme": "dark"}, headers={"x-requested-with": "fetch"})
    assert answer.status_code == 204
    member.refresh_from_db()
    assert member.theme == "dark"
    member_client.post("/profile/theme", {"theme": "toggle"})
    member.refresh_from_db()
    assert member.theme == "light"


def test_the_palette_finds_people_keys_and_places(
    admin_client: Client, member_client: Client, tenant: Tenant, member: User
) -> None:
    key = a_key(tenant, user=member).key
    everything = admin_client.get("/palette?q=grace").content.decode()
    assert member.email in everything
    assert str(key.id) in admin_client.get(f"/palette?q={key.prefix}").content.decode()
    assert "Providers" in admin_client.get("/palette").content.decode()
    nothing = member_client.get("/palette?q=admin@acme").content.decode()
    assert tenant.admin.email not in nothing
    assert "Providers" not in member_client.get("/palette").content.decode()

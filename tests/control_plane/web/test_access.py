"""Who may open what: every address of the console, tried by everybody."""

from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from control_plane.accounts.models import User
from control_plane.organizations.models import Membership
from control_plane.organizations.roles import Role
from control_plane.organizations.selectors import standing_of
from control_plane.web.access import Needed, is_open
from control_plane.web.places import PLACES
from control_plane.web.urls import urlpatterns
from tests.builders.tenants import (
    PASSWORD,
    Tenant,
    a_key,
    a_person_of_role,
    a_provider,
    a_service_account,
    a_user,
)
from tests.control_plane.web.conftest import SignIn

PUBLIC = {
    "sign-in", "sign-in-code", "sign-in-organization", "sign-out", "organization-choose",
    "sso-begin", "sso-callback", "sso-acs", "sso-finish", "sso-metadata",
}  # fmt: skip
POST_ONLY = {
    "alert-channel-test",
    "audit-sign",
    "budget-raise-end",
    "budget-request-withdraw",
    "connection-activity",
    "connection-person-unlink",
    "delegations",
    "key-undo",
    "missing-accept",
    "notice-dismiss",
    "organization-choose",
    "orphan-accept",
    "password",
    "policy-apply",
    "policy-release",
    "provider-test",
    "quarantine-dismiss",
    "quarantine-retry",
    "repricing-drop",
    "rule-undo",
    "session-end",
    "sessions-end",
    "sign-out",
    "team-person-remove",
    "theme",
    "unusual-spend-mark",
    "unusual-unmute",
}
ASKED_SOMETHING = {"keys-bulk", "members-bulk", "policy-compare", "policy-drift-download"}
"""Not there without its question: which rows, and what to do with them."""


def address(pattern: URLPattern) -> str:
    """The pattern's address with made-up ids."""
    values = {name: _made_up(converter.__class__.__name__) for name, converter in pattern.pattern.converters.items()}
    return reverse(f"web:{pattern.name}", kwargs=values)


def _made_up(converter: str) -> object:
    return {"UUIDConverter": UUID(int=7), "IntConverter": 7, "StringConverter": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}.get(
        converter, "pod-x"
    )


PATTERNS = pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: str(pattern.name))


@PATTERNS
def test_every_address_says_who_may_open_it(pattern: URLPattern) -> None:
    assert pattern.name in PUBLIC or isinstance(getattr(pattern.callback, "needed", None), Needed)


@PATTERNS
def test_signed_out_people_are_led_to_the_sign_in(pattern: URLPattern, db: None) -> None:
    if pattern.name in PUBLIC:
        return
    answer = Client().get(address(pattern))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in")


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_page_is_there_for_whom_its_right_is(role: Role, tenant: Tenant, sign_in: SignIn) -> None:
    """Expected from what each page declares and the table of rights; every page, with ids that never were."""
    user = a_person_of_role(tenant, role)
    membership = Membership.objects.select_related("organization").get(user=user, organization=tenant.organization)
    standing = standing_of(membership)
    client = sign_in(user)
    for pattern in urlpatterns:
        if pattern.name in PUBLIC:
            continue
        needed, change = pattern.callback.needed, pattern.callback.change  # type: ignore[attr-defined]
        opens = is_open(standing, needed)
        seen = client.get(address(pattern)).status_code
        if not opens:
            assert seen == 404, pattern.name
        elif not pattern.pattern.converters and pattern.name not in ASKED_SOMETHING:
            # 405: it only takes forms; 302: it leads on.
            assert seen in (200, 302, 405), pattern.name
        if not opens or (change is not None and not is_open(standing, change)):
            assert client.post(address(pattern), {}).status_code == 404, pattern.name


@PATTERNS
def test_admins_open_everything_and_unknown_ids_are_not_found(pattern: URLPattern, admin_client: Client) -> None:
    if pattern.name in POST_ONLY | PUBLIC | ASKED_SOMETHING:
        return
    answer = admin_client.get(address(pattern))
    if pattern.pattern.converters:
        assert answer.status_code in (404, 405)
    else:
        assert answer.status_code in (200, 302, 405)


def test_each_place_exists_and_has_a_letter_of_its_own() -> None:
    names = {str(pattern.name): getattr(pattern.callback, "needed", None) for pattern in urlpatterns}
    assert [names[place.url_name] for place in PLACES] == [place.needed for place in PLACES]
    assert len({place.letter for place in PLACES}) == len(PLACES)
    assert {name for place in PLACES for name in place.also_current} <= set(names)


def test_members_are_not_shown_what_they_cannot_use(member_client: Client) -> None:
    page = member_client.get("/").content.decode()
    assert 'href="/my/keys"' in page
    assert 'href="/providers"' not in page
    assert 'href="/audit"' not in page


def test_another_organizations_objects_are_not_found(admin_client: Client, tenant: Tenant, other: Tenant) -> None:
    key, provider, account = a_key(other).key, a_provider(other), a_service_account(other)
    membership = other.organization.memberships.get()
    for name, row_id in (
        ("key", key.id),
        ("key-check", key.id),
        ("key-edit", key.id),
        ("key-changes", key.id),
        ("key-rotate", key.id),
        ("key-revoke", key.id),
        ("provider", provider.id),
        ("provider-edit", provider.id),
        ("provider-credential", provider.id),
        ("provider-delete", provider.id),
        ("provider-offer", provider.id),
        ("member", membership.id),
        ("member-remove", membership.id),
        ("member-activity", membership.id),
        ("team", other.team.id),
        ("team-edit", other.team.id),
        ("service-account", account.id),
        ("service-account-edit", account.id),
        ("service-account-activity", account.id),
    ):
        where = reverse(f"web:{name}", args=[row_id])
        assert admin_client.get(where).status_code == 404, where
        assert admin_client.post(where, {}).status_code in (404, 405), where
    listed = admin_client.get("/keys").content.decode() + admin_client.get("/members").content.decode()
    assert key.prefix not in listed
    assert other.admin.email not in listed


def test_a_member_sees_only_the_own_keys(member_client: Client, tenant: Tenant) -> None:
    key = a_key(tenant).key
    assert member_client.get(reverse("web:key", args=[key.id])).status_code == 404
    assert member_client.post(reverse("web:key-revoke", args=[key.id]), {}).status_code == 404


def test_forms_without_their_token_are_refused(tenant: Tenant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(tenant.admin)
    for where in ("/my/keys/new", "/teams/new", "/settings", "/profile", "/sign-out", "/profile/theme"):
        assert client.post(where, {}).status_code == 403


def test_somebody_in_no_organization_is_told_so(tenant: Tenant) -> None:
    client = Client()
    client.force_login(a_user("nobody@example.com"))
    answer = client.get("/")
    assert answer.status_code == 403
    assert "You are in no organization" in answer.content.decode()


def test_an_organization_is_chosen_only_among_the_own(admin_client: Client, other: Tenant) -> None:
    assert admin_client.post("/organization", {"organization": str(other.organization.id)}).status_code == 404
    assert admin_client.post("/organization", {"organization": str(uuid4())}).status_code == 404


def test_pages_are_kept_by_no_cache_and_ask_no_other_host(admin_client: Client) -> None:
    answer = admin_client.get("/")
    assert answer["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    page = answer.content.decode()
    assert "<script>" not in page
    assert " style=" not in page
    assert "://" not in page.replace("http://www.w3.org", "")


def test_signing_in_leads_to_where_one_wanted_to_go(tenant: Tenant) -> None:
    client = Client()
    assert client.get("/my/keys")["Location"] == "/sign-in?next=%2Fmy%2Fkeys"
    answer = client.post("/sign-in", {"email": "ADMIN@acme.example.com", "password": PASSWORD, "next": "/my/keys"})
    assert answer["Location"] == "/my/keys"


def test_nobody_is_led_to_another_site(tenant: Tenant) -> None:
    answer = Client().post(
        "/sign-in", {"email": tenant.admin.email, "password": PASSWORD, "next": "https://evil.example.com/"}
    )
    assert answer["Location"] == "/"


def test_a_wrong_password_and_an_unknown_person_read_the_same(tenant: Tenant) -> None:
    wrong = Client().post("/sign-in", {"email": tenant.admin.email, "password": "wrong"})
    unknown = Client().post("/sign-in", {"email": "nobody@example.com", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 422
    assert "do not fit" in wrong.content.decode()
    assert "do not fit" in unknown.content.decode()


def test_guessing_is_stopped_after_ten_tries(tenant: Tenant) -> None:
    email = "guessed@acme.example.com"
    answers = [Client().post("/sign-in", {"email": email, "password": "x"}).status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]


def test_a_deactivated_person_cannot_sign_in(tenant: Tenant, member: User) -> None:
    member.is_active = False
    member.save()
    assert Client().post("/sign-in", {"email": member.email, "password": PASSWORD}).status_code == 422


def test_htmx_is_sent_to_the_sign_in_as_a_whole_page() -> None:
    answer = Client().get("/my/keys", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"]) == (401, "/sign-in")


def test_somebody_leaves_by_themselves_once_they_typed_it(tenant: Tenant, member: User, member_client: Client) -> None:
    key = a_key(tenant, user=member).key
    assert "Leave" in member_client.get("/profile").content.decode()
    assert member_client.post("/profile/leave", {"confirm": "no", "reason": "done"}).status_code == 422
    answer = member_client.post("/profile/leave", {"confirm": tenant.organization.slug, "reason": "done"})
    assert answer.status_code == 302
    key.refresh_from_db()
    assert key.is_revoked
    assert not Membership.objects.filter(user=member).exists()
    assert member_client.get("/").status_code == 403


def test_the_last_owner_does_not_leave(tenant: Tenant, sign_in: SignIn) -> None:
    owner = Membership.objects.filter(organization=tenant.organization, role=Role.OWNER).get().user
    answer = sign_in(owner).post("/profile/leave", {"confirm": tenant.organization.slug, "reason": "done"})
    assert answer.status_code == 422
    assert Membership.objects.filter(user=owner).exists()

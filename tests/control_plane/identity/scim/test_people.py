"""What a provider's word does to people: accounts, memberships, keys, sessions, history."""

from typing import Any
from uuid import UUID

import pytest
import redis
from django.conf import settings
from django.test import Client
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.selectors import user_by_email
from control_plane.audit.models import Outbox, ShardKind
from control_plane.audit.selectors import changes_of, verify_chain
from control_plane.identity.models import ConnectionDomain, ConnectionKind, IdentityConnection
from control_plane.identity.scim.models import ScimUser
from control_plane.identity.scim.selectors import is_shut_out
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import admin_token_authenticate, admin_token_mint, key_mint
from control_plane.keys.services.tombstones import tombstones_key
from control_plane.organizations.models import Membership, Role, Team
from control_plane.organizations.selectors import membership_of, teams_of_user
from control_plane.organizations.services import INSTALLATION, membership_add, team_create, team_member_add, team_update
from control_plane.snapshots.selectors import principal_rows
from switchyard_contract.audit_chain import Intact
from tests.builders.tenants import SYSTEM, a_key, a_member, a_person_of_role, a_user
from tests.control_plane.identity.scim.provider import Provider

OFF = {"op": "Replace", "path": "active", "value": "False"}
ON = {"op": "Replace", "path": "active", "value": "True"}


def person(provider: Provider, made: dict[str, Any]) -> User:
    return ScimUser.objects.get(id=made["id"], organization=provider.tenant.organization).user


def actions(provider: Provider) -> list[str]:
    return [change.action for change in changes_of(provider.tenant.organization.id)]


def test_a_person_is_a_member_before_the_first_sign_in(provider: Provider) -> None:
    made = provider.add_user("Ada@Acme.example.com", displayName="Ada Lovelace", externalId="42")
    user = user_by_email("ada@acme.example.com")
    assert user is not None
    assert (user.name, user.has_usable_password()) == ("Ada Lovelace", False)
    membership = membership_of(user, provider.tenant.organization)
    assert membership is not None
    assert membership.role == Role.MEMBER
    assert made["userName"] == "Ada@Acme.example.com"


def test_somebody_inactive_is_known_and_may_not_enter(provider: Provider) -> None:
    made = provider.add_user("later@acme.example.com", active=False)
    user = person(provider, made)
    assert membership_of(user, provider.tenant.organization) is None
    assert not user.is_active
    assert provider.patch(f"/Users/{made['id']}", ON)["active"] is True
    user.refresh_from_db()
    assert user.is_active
    assert membership_of(user, provider.tenant.organization) is not None


@pytest.mark.django_db(transaction=True)
def test_a_leaver_loses_keys_tokens_and_sessions_in_one_change_and_history_stays(provider: Provider) -> None:
    tenant = provider.tenant
    made = provider.add_user("ada@acme.example.com")
    user = person(provider, made)
    team = team_create(organization=tenant.organization, name="Research", actor=SYSTEM)
    team_member_add(team=team, user=user, actor=SYSTEM)
    keys = [a_key(tenant, user=user).key for _ in range(2)]
    token = admin_token_mint(organization=tenant.organization, user=user, name="t", actor=SYSTEM).token
    browser = Client()
    browser.force_login(user)
    before = len(actions(provider))
    Outbox.objects.all().delete()

    assert provider.patch(f"/Users/{made['id']}", OFF)["active"] is False

    for key in keys:
        key.refresh_from_db()
        assert key.is_revoked
        assert key.cut_streams
        assert key.revoked_by == "SCIM token Entra"
    store = redis.Redis.from_url(settings.SWITCHYARD.counters_url, decode_responses=True)
    assert {key.key_id for key in keys} <= set(store.smembers(tombstones_key(tenant.organization.id)))
    store.close()
    denied = [row.id for row in principal_rows(tenant.organization.id, timezone.now()) if not row.is_active]
    assert denied == [user.id]
    assert ShardKind.DENY in set(Outbox.objects.values_list("shard_kind", flat=True))
    assert admin_token_authenticate(token) is None
    assert User.objects.get(id=user.id).is_active is False
    assert browser.session.get("_auth_user_id") is None or not User.objects.get(id=user.id).is_active
    # History: the account, the keys, the person's row and the chain of changes are all there.
    assert VirtualKey.objects.filter(user=user).count() == 2
    assert ScimUser.objects.filter(user=user).count() == 1
    assert len(actions(provider)) > before
    assert "scim_user.deactivated" in actions(provider)
    assert isinstance(verify_chain(tenant.organization.id), Intact)


def test_whoever_returns_has_role_teams_and_tags_again_and_no_key(provider: Provider) -> None:
    tenant = provider.tenant
    made = provider.add_user("ada@acme.example.com")
    user = person(provider, made)
    team = team_create(organization=tenant.organization, name="Research", actor=SYSTEM)
    team_member_add(team=team, user=user, actor=SYSTEM)
    team_update(team=team, lead=user, actor=SYSTEM)
    membership = membership_of(user, tenant.organization)
    assert membership is not None
    Membership.objects.filter(id=membership.id).update(role=Role.TEAM_LEAD, tags={"site": "Berlin"})
    key = key_mint(organization=tenant.organization, name="laptop", user=user, team=team, actor=SYSTEM).key
    token = admin_token_mint(organization=tenant.organization, user=user, name="t", actor=SYSTEM).token

    provider.patch(f"/Users/{made['id']}", OFF)
    assert Team.objects.get(id=team.id).lead is None
    provider.patch(f"/Users/{made['id']}", ON)

    back = membership_of(user, tenant.organization)
    assert back is not None
    assert (back.role, back.tags) == (Role.TEAM_LEAD, {"site": "Berlin"})
    assert list(teams_of_user(tenant.organization, user)) == [team]
    assert Team.objects.get(id=team.id).lead == user
    key.refresh_from_db()
    assert key.is_revoked
    assert admin_token_authenticate(token) is None
    assert User.objects.get(id=user.id).is_active


def test_an_owner_who_returns_is_an_admin(provider: Provider) -> None:
    made = provider.add_user("second@acme.example.com")
    user = person(provider, made)
    Membership.objects.filter(user=user).update(role=Role.OWNER)
    provider.patch(f"/Users/{made['id']}", OFF)
    provider.patch(f"/Users/{made['id']}", ON)
    assert Membership.objects.get(user=user).role == Role.ADMIN


def test_the_last_owner_stays(provider: Provider) -> None:
    owner = provider.tenant.admin
    made = provider.add_user(owner.email)
    refused = provider.patch(f"/Users/{made['id']}", OFF, status=409)
    assert (refused["status"], refused["scimType"]) == ("409", "mutability")
    assert "last owner" in refused["detail"]
    assert provider.call("DELETE", f"/Users/{made['id']}", status=409)["scimType"] == "mutability"
    assert membership_of(owner, provider.tenant.organization) is not None
    assert User.objects.get(id=owner.id).is_active


def test_a_token_made_by_an_admin_leaves_owners_alone(provider: Provider) -> None:
    tenant = provider.tenant
    type(provider.record).objects.update(reaches_owners=False)
    other_owner = a_person_of_role(tenant, Role.OWNER, "second@acme.example.com")
    made = provider.add_user(other_owner.email)
    assert provider.patch(f"/Users/{made['id']}", OFF, status=409)["scimType"] == "mutability"
    moved = {"op": "replace", "path": "userName", "value": "thief@acme.example.com"}
    assert provider.patch(f"/Users/{made['id']}", moved, status=409)["scimType"] == "mutability"
    assert User.objects.get(id=other_owner.id).email == "second@acme.example.com"


def test_the_break_glass_owner_stays(provider: Provider) -> None:
    tenant = provider.tenant
    a_person_of_role(tenant, Role.OWNER, "second@acme.example.com")
    IdentityConnection.objects.create(
        organization=tenant.organization,
        kind=ConnectionKind.OIDC,
        name="Entra",
        issuer="https://issuer.example",
        is_enforced=True,
        tested_at=timezone.now(),
        break_glass_owner=tenant.admin,
    )
    made = provider.add_user(tenant.admin.email)
    assert "break-glass" in provider.patch(f"/Users/{made['id']}", OFF, status=409)["detail"]


def test_a_person_of_two_organizations_leaves_one_of_them(provider: Provider, other: Provider) -> None:
    made = provider.add_user("ada@acme.example.com", displayName="Ada")
    user = person(provider, made)
    membership_add(organization=other.tenant.organization, user=user, actor=SYSTEM, by=INSTALLATION)
    team_member_add(team=other.tenant.team, user=user, actor=SYSTEM)
    kept = a_key(other.tenant, user=user).key

    # The account is not this organization's alone any more.
    renamed = provider.patch(f"/Users/{made['id']}", {"op": "replace", "path": "displayName", "value": "Zoe"})
    assert renamed["displayName"] == "Zoe"
    moved = {"op": "replace", "path": "userName", "value": "thief@acme.example.com"}
    assert provider.patch(f"/Users/{made['id']}", moved)["userName"] == "thief@acme.example.com"
    user.refresh_from_db()
    assert (user.name, user.email) == ("Ada", "ada@acme.example.com")

    provider.patch(f"/Users/{made['id']}", OFF)
    user.refresh_from_db()
    kept.refresh_from_db()
    assert user.is_active
    assert not kept.is_revoked
    assert membership_of(user, provider.tenant.organization) is None
    assert membership_of(user, other.tenant.organization) is not None
    assert is_shut_out(provider.tenant.organization, user)
    assert not is_shut_out(other.tenant.organization, user)


def test_whoever_belongs_elsewhere_is_not_taken(provider: Provider, other: Provider) -> None:
    stranger = a_member(other.tenant, "grace@globex.example.com")
    refused = provider.call("POST", "/Users", {"userName": stranger.email}, status=409)
    assert refused["scimType"] == "uniqueness"
    assert membership_of(stranger, provider.tenant.organization) is None


def test_an_account_of_nobody_is_taken_by_the_domain_it_signs_in_with(provider: Provider) -> None:
    a_user("alone@acme.example.com")
    provider.call("POST", "/Users", {"userName": "alone@acme.example.com"}, status=409)
    connection = IdentityConnection.objects.create(
        organization=provider.tenant.organization, kind=ConnectionKind.OIDC, name="Entra", issuer="https://i.example"
    )
    ConnectionDomain.objects.create(
        organization=provider.tenant.organization, connection=connection, domain="acme.example.com"
    )
    assert provider.add_user("alone@acme.example.com")["active"] is True


def test_a_member_is_known_by_the_provider_from_its_first_word_on(provider: Provider) -> None:
    user = a_member(provider.tenant, "grace@acme.example.com")
    assert provider.call("GET", "/Users")["totalResults"] == 0
    made = provider.add_user("grace@acme.example.com", displayName="Grace Hopper")
    assert person(provider, made) == user
    assert User.objects.get(id=user.id).name == "Grace Hopper"


def test_whoever_was_switched_off_in_the_console_is_not_let_in_by_a_provider(provider: Provider) -> None:
    made = provider.add_user("ada@acme.example.com")
    User.objects.filter(id=person(provider, made).id).update(is_active=False)
    assert provider.call("GET", f"/Users/{made['id']}")["active"] is False
    assert provider.patch(f"/Users/{made['id']}", ON)["active"] is False


def test_a_deleted_person_is_gone_for_the_provider_and_starts_anew(provider: Provider) -> None:
    made = provider.add_user("ada@acme.example.com")
    user = person(provider, made)
    Membership.objects.filter(user=user).update(role=Role.FINANCE)
    key = a_key(provider.tenant, user=user).key
    provider.call("DELETE", f"/Users/{made['id']}", status=204)
    key.refresh_from_db()
    assert key.is_revoked
    left = ScimUser.objects.get(id=made["id"])
    assert left.deleted_at is not None
    assert (left.user_name, left.document, left.emails) == ("ada@acme.example.com", {}, "")
    again = provider.add_user("ada@acme.example.com")
    assert again["id"] != made["id"]
    assert person(provider, again) == user
    assert Membership.objects.get(user=user).role == Role.MEMBER


def test_the_address_of_an_account_follows_the_provider(provider: Provider) -> None:
    made = provider.add_user("ada@acme.example.com")
    user = person(provider, made)
    work = {"op": "Add", "path": 'emails[type eq "work"].value', "value": "Lovelace@acme.example.com"}
    provider.patch(f"/Users/{made['id']}", work)
    assert User.objects.get(id=user.id).email == "lovelace@acme.example.com"
    a_user("taken@elsewhere.example.com")
    taken = {"op": "replace", "path": 'emails[type eq "work"].value', "value": "taken@elsewhere.example.com"}
    assert provider.patch(f"/Users/{made['id']}", taken, status=409)["scimType"] == "uniqueness"


def test_what_changes_nothing_is_no_change(provider: Provider) -> None:
    made = provider.add_user("ada@acme.example.com", displayName="Ada")
    before = actions(provider)
    same = provider.patch(f"/Users/{made['id']}", {"op": "replace", "path": "displayName", "value": "Ada"}, ON)
    assert same["meta"]["version"] == made["meta"]["version"]
    assert actions(provider) == before


def test_every_change_names_the_token_in_the_audit(provider: Provider) -> None:
    made = provider.add_user("ada@acme.example.com", title="Countess")
    provider.patch(f"/Users/{made['id']}", {"op": "replace", "path": "title", "value": "Lady"}, OFF)
    own = [change for change in changes_of(provider.tenant.organization.id) if change.action.startswith("scim_user.")]
    assert [change.action.partition(".")[2] for change in own] == ["deactivated", "updated", "activated", "created"]
    assert {(change.actor_kind, change.actor_id) for change in own} == {("token", provider.record.id.hex)}
    updated = own[1].after
    assert updated is not None
    assert updated["changed"] == ["title"]
    # A directory knows more of people than the audit should repeat.
    assert "Lady" not in str(updated)


def test_ids_are_of_the_rows_of_the_organization_only(provider: Provider, other: Provider) -> None:
    theirs = other.add_user("grace@globex.example.com")
    group = other.add_group("Their group", theirs)
    for path in (f"/Users/{theirs['id']}", f"/Groups/{group['id']}"):
        for method, body in (
            ("GET", None),
            ("PUT", {"userName": "x@acme.example.com", "displayName": "x"}),
            ("PATCH", {"Operations": [OFF]}),
            ("DELETE", None),
        ):
            assert provider.send(method, path, body).status_code == 404, (method, path)
    assert provider.call("GET", "/Users")["totalResults"] == 0
    assert provider.call("GET", "/Groups")["totalResults"] == 0
    mine = provider.add_group("Mine")
    refused = provider.patch(
        f"/Groups/{mine['id']}", {"op": "add", "path": "members", "value": [{"value": theirs["id"]}]}, status=400
    )
    assert refused["scimType"] == "invalidValue"
    assert UUID(theirs["id"]) in set(ScimUser.objects.values_list("id", flat=True))

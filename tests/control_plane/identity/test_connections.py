"""Adding, changing, enforcing connections: what is refused, and what is kept secret."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db import connection as db
from django.urls import resolve
from django.utils import timezone

from control_plane.accounts.models import SecondFactor, User
from control_plane.audit.selectors import changes_of
from control_plane.identity.addresses import acs_url, begin_path, callback_url, finish_path, metadata_url
from control_plane.identity.models import ConnectionDomain, GroupMapping, IdentityConnection
from control_plane.identity.saml import ProviderMetadata
from control_plane.identity.sealing import secret_of
from control_plane.identity.services import (
    Mapping,
    OidcFacts,
    SamlFacts,
    connection_create,
    connection_delete,
    connection_enforce,
    connection_relax,
    connection_test_record,
    connection_update,
    mappings_set,
)
from control_plane.organizations.models import Role
from switchyard_contract.envelope import EnvelopeFailure
from tests.builders.tenants import Tenant, a_person_of_role, a_tenant
from tests.fakes.identity_provider import CLIENT_SECRET

pytestmark = pytest.mark.django_db
ISSUER = "http://127.0.0.1:1/oidc"


def a_connection(tenant: Tenant, **changes: Any) -> IdentityConnection:
    wanted: dict[str, Any] = {
        "name": "Okta",
        "facts": OidcFacts(ISSUER, "client", CLIENT_SECRET),
        "domains": ["acme.example"],
        "grantor": Role.ADMIN,
    }
    return connection_create(organization=tenant.organization, actor=tenant.actor, **(wanted | changes))


def an_owner(tenant: Tenant, *, has_factor: bool = True) -> User:
    owner = a_person_of_role(tenant, Role.OWNER)
    if has_factor:
        SecondFactor.objects.create(
            user=owner, sealed_key_version=1, sealed_nonce=b"", sealed_ciphertext=b"", confirmed_at=timezone.now()
        )
    return owner


def after_test(connection: IdentityConnection, tenant: Tenant) -> IdentityConnection:
    return connection_test_record(connection=connection, problem="", actor=tenant.actor)


def test_the_secret_is_sealed_to_its_connection_and_told_nowhere(tenant: Tenant, other: Tenant) -> None:
    connection = a_connection(tenant)
    assert CLIENT_SECRET.encode() not in bytes(connection.sealed_ciphertext)
    assert secret_of(connection) == CLIENT_SECRET
    written = "".join(f"{row.before}{row.after}" for row in changes_of(tenant.organization.id))
    assert CLIENT_SECRET not in written
    assert CLIENT_SECRET not in repr(OidcFacts(ISSUER, "client", CLIENT_SECRET))
    moved = a_connection(other, domains=["umbrella.example"])
    moved.sealed_nonce, moved.sealed_ciphertext = connection.sealed_nonce, connection.sealed_ciphertext
    with pytest.raises(EnvelopeFailure):
        secret_of(moved)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"facts": OidcFacts("http://169.254.169.254/latest", "c")}, "issuer"),
        ({"facts": OidcFacts("https://127.1/", "c")}, "issuer"),
        ({"facts": OidcFacts("http://example.com", "c")}, "issuer"),
        ({"facts": OidcFacts("http://10.0.0.7/", "c")}, "issuer"),
        ({"facts": OidcFacts(f"{ISSUER}?x=1", "c")}, "issuer"),
        ({"facts": OidcFacts("https://u:p@127.0.0.1", "c")}, "issuer"),
        ({"facts": OidcFacts(ISSUER, " ")}, "client_id"),
        ({"facts": OidcFacts(ISSUER, "c", "with a space")}, "secret"),
        ({"facts": SamlFacts(ProviderMetadata("x", "javascript:alert(1)", ("c",)))}, "metadata"),
        ({"facts": SamlFacts(ProviderMetadata("x", "https://a", ("c",)), "http://169.254.169.254/m")}, "metadata_url"),
        ({"domains": []}, "domains"),
        ({"domains": ["gmail.com"]}, "domains"),
        ({"domains": ["not a domain"]}, "domains"),
        ({"domains": ["localhost"]}, "domains"),
        ({"vendor": "acme"}, "vendor"),
        ({"name": "<script>"}, "name"),
        ({"default_role": Role.OWNER}, "default_role"),
    ],
)
def test_what_cannot_be_is_refused_by_field(changes: dict[str, Any], field: str, tenant: Tenant) -> None:
    with pytest.raises(ValidationError) as failure:
        a_connection(tenant, **changes)
    assert field in failure.value.message_dict


def test_a_domain_belongs_to_one_connection_of_the_installation(tenant: Tenant, other: Tenant) -> None:
    a_connection(tenant, domains=["ACME.example", "@acme.example", "acme.org"])
    assert {row.domain for row in ConnectionDomain.objects.all()} == {"acme.example", "acme.org"}
    with pytest.raises(ValidationError) as failure:
        a_connection(other)
    assert "belongs to another connection" in str(failure.value)
    assert "acme" not in str(failure.value).replace("acme.example", "").lower()


def test_another_provider_behind_it_must_be_tested_anew(tenant: Tenant) -> None:
    connection = after_test(a_connection(tenant), tenant)
    assert connection.is_tested
    connection = connection_update(connection=connection, actor=tenant.actor, grantor=Role.ADMIN, name="Okta EU")
    assert connection.is_tested
    connection = connection_update(
        connection=connection,
        actor=tenant.actor,
        grantor=Role.ADMIN,
        facts=OidcFacts(ISSUER, "another-client"),
    )
    assert not connection.is_tested


def test_a_secret_is_not_sent_to_another_issuer_unless_it_is_given_again(tenant: Tenant) -> None:
    connection = a_connection(tenant)
    with pytest.raises(ValidationError) as failure:
        connection_update(
            connection=connection,
            actor=tenant.actor,
            grantor=Role.ADMIN,
            facts=OidcFacts("http://127.0.0.1:2/oidc", "client"),
        )
    assert "secret" in failure.value.message_dict


def test_enforcing_needs_a_test_and_an_owner_who_can_break_glass(tenant: Tenant) -> None:
    connection, owner = a_connection(tenant), an_owner(tenant)

    def refusal(who: User) -> str:
        with pytest.raises(ValidationError) as failure:
            connection_enforce(connection=connection, break_glass_owner=who, actor=tenant.actor)
        return str(failure.value)

    assert "Test the sign-in first" in refusal(owner)
    connection_test_record(connection=connection, problem="it failed", actor=tenant.actor)
    assert "Test the sign-in first" in refusal(owner)
    after_test(connection, tenant)
    assert "must be an owner" in refusal(a_person_of_role(tenant, Role.ADMIN))
    assert "must be an owner" in refusal(an_owner(a_tenant("stranger")))
    assert "authenticator app" in refusal(an_owner(tenant, has_factor=False))
    without_password = an_owner(tenant)
    without_password.set_unusable_password()
    without_password.save()
    assert "no password" in refusal(without_password)
    enforced = connection_enforce(connection=connection, break_glass_owner=owner, actor=tenant.actor)
    assert (enforced.is_enforced, enforced.break_glass_owner) == (True, owner)


def test_what_is_enforced_cannot_be_pulled_away_from_under_everybody(tenant: Tenant) -> None:
    connection = after_test(a_connection(tenant), tenant)
    connection = connection_enforce(connection=connection, break_glass_owner=an_owner(tenant), actor=tenant.actor)
    changes: list[dict[str, Any]] = [
        {"is_active": False},
        {"facts": OidcFacts(ISSUER, "another-client")},
        {"email_claim": "upn"},
    ]
    for change in changes:
        with pytest.raises(ValidationError):
            connection_update(connection=connection, actor=tenant.actor, grantor=Role.ADMIN, **change)
    with pytest.raises(ValidationError):
        connection_delete(connection=connection, actor=tenant.actor)
    # A rotated secret of the same provider goes in, and a failed test locks nobody out.
    renewed = connection_update(
        connection=connection, actor=tenant.actor, grantor=Role.ADMIN, facts=OidcFacts(ISSUER, "client", "new-secret")
    )
    assert secret_of(renewed) == "new-secret"
    after = connection_test_record(connection=connection, problem="down", actor=tenant.actor)
    assert after.is_enforced
    relaxed = connection_relax(connection=connection, actor=tenant.actor, reason="migration")
    assert not relaxed.is_enforced
    connection_delete(connection=relaxed, actor=tenant.actor)
    assert not IdentityConnection.objects.exists()


def test_the_database_holds_no_enforced_connection_without_a_way_out(tenant: Tenant) -> None:
    connection = a_connection(tenant)
    with pytest.raises(DatabaseError), transaction.atomic():
        IdentityConnection.objects.filter(id=connection.id).update(is_enforced=True)


def test_only_an_owner_writes_what_makes_owners(tenant: Tenant) -> None:
    connection = a_connection(tenant)
    owners = [Mapping("root", role=Role.OWNER)]
    with pytest.raises(ValidationError):
        mappings_set(connection=connection, mappings=owners, actor=tenant.actor, grantor=Role.ADMIN)
    mappings_set(connection=connection, mappings=owners, actor=tenant.actor, grantor=Role.OWNER)
    # An admin who edits the rest leaves it as the owner wrote it.
    mappings_set(
        connection=connection,
        mappings=[*owners, Mapping("eng", team=tenant.team)],
        actor=tenant.actor,
        grantor=Role.ADMIN,
    )
    with pytest.raises(ValidationError):
        mappings_set(
            connection=connection, mappings=[Mapping("eng", role=Role.OWNER)], actor=tenant.actor, grantor=Role.ADMIN
        )


def test_mappings_are_checked(tenant: Tenant, other: Tenant) -> None:
    connection = a_connection(tenant)
    wrong: list[list[Mapping]] = [
        [Mapping("eng", team=other.team)],
        [Mapping("  ", team=tenant.team)],
        [Mapping("eng", role=Role.FINANCE), Mapping("eng", role=Role.ADMIN)],
        [Mapping(f"g{number}", team=tenant.team) for number in range(501)],
    ]
    for mappings in wrong:
        with pytest.raises(ValidationError):
            mappings_set(connection=connection, mappings=mappings, actor=tenant.actor, grantor=Role.ADMIN)
    with pytest.raises(ValidationError):
        Mapping("eng")
    with pytest.raises(DatabaseError), transaction.atomic():
        _save_at_once(connection, other)


def _save_at_once(connection: IdentityConnection, other: Tenant) -> None:
    """A mapping to another tenant's team, past the services; the database looks at once."""
    GroupMapping.objects.create(
        organization_id=connection.organization_id, connection=connection, group="x", team=other.team, role=""
    )
    with db.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_every_change_is_in_the_audit(tenant: Tenant) -> None:
    connection = a_connection(tenant)
    connection_update(connection=connection, actor=tenant.actor, grantor=Role.ADMIN, name="Okta EU")
    connection_update(connection=connection, actor=tenant.actor, grantor=Role.ADMIN, name="Okta EU")
    mappings_set(
        connection=connection, mappings=[Mapping("eng", team=tenant.team)], actor=tenant.actor, grantor=Role.ADMIN
    )
    after_test(connection, tenant)
    actions = [row.action for row in changes_of(tenant.organization.id) if row.subject_kind == "identity_connection"]
    assert sorted(actions) == [
        "identity_connection.created",
        "identity_connection.mappings_changed",
        "identity_connection.tested",
        "identity_connection.updated",
    ]


def test_the_version_of_a_connection_changes_with_what_hangs_below_it(tenant: Tenant) -> None:
    connection = a_connection(tenant)
    IdentityConnection.objects.update(updated_at=timezone.now() - timedelta(hours=1))
    before = IdentityConnection.objects.get().updated_at
    mappings_set(
        connection=connection, mappings=[Mapping("eng", team=tenant.team)], actor=tenant.actor, grantor=Role.ADMIN
    )
    assert IdentityConnection.objects.get().updated_at > before


def test_the_console_answers_where_the_identity_provider_is_told(tenant: Tenant) -> None:
    connection = a_connection(tenant)
    for address, name in (
        (begin_path(connection.id), "sso-begin"),
        (callback_url(connection.id), "sso-callback"),
        (acs_url(connection.id), "sso-acs"),
        (finish_path(connection.id), "sso-finish"),
        (metadata_url(connection.id), "sso-metadata"),
    ):
        assert resolve(address.removeprefix("http://testserver")).url_name == name

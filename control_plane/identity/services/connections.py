"""Add, change, test and enforce connections to identity providers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.selectors import has_second_factor
from control_plane.audit.services import Actor, record_change
from control_plane.credentials.destination import ForbiddenDestination
from control_plane.identity.models import ConnectionDomain, ConnectionKind, IdentityConnection, LinkedIdentity
from control_plane.identity.outbound import check_address
from control_plane.identity.saml import ProviderMetadata
from control_plane.identity.sealing import put_secret
from control_plane.identity.services.mappings import check_role
from control_plane.identity.services.records import connection_facts, connection_subject, locked, record
from control_plane.organizations.models import Membership, Organization, Role

VENDORS = ("okta", "entra", "google", "keycloak", "other")
MAX_DOMAINS = 50
PUBLIC_MAIL = frozenset(
    (
        "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "icloud.com",
        "me.com", "aol.com", "gmx.de", "gmx.net", "web.de", "proton.me", "protonmail.com", "qq.com", "163.com",
    )
)  # fmt: skip
"""Domains in which anybody has an address: no organization speaks for their people."""


@dataclass(frozen=True, slots=True)
class OidcFacts:
    """What OpenID Connect needs. secret None: as it is; empty: none."""

    issuer: str
    client_id: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SamlFacts:
    """What SAML needs: what the provider's metadata says, and where it was read if it was."""

    metadata: ProviderMetadata
    metadata_url: str = ""


@transaction.atomic
def connection_create(
    *,
    organization: Organization,
    name: str,
    facts: OidcFacts | SamlFacts,
    domains: Sequence[str],
    actor: Actor,
    grantor: Role,
    vendor: str = "other",
    email_claim: str = "",
    group_claim: str = "groups",
    default_role: Role = Role.MEMBER,
    allows_new_people: bool = True,
    connection_id: UUID | None = None,
) -> IdentityConnection:
    """Add a connection. Nobody is made to use it yet. Raises ValidationError.

    connection_id: chosen beforehand, so that its addresses could be told to the identity provider.
    """
    check_role(default_role, grantor, "default_role")
    connection_id = connection_id or uuid4()
    if IdentityConnection.objects.filter(id=connection_id).exists():
        raise ValidationError("This form was sent before. Open it anew.")
    connection = IdentityConnection(
        id=connection_id,
        organization=organization,
        kind=ConnectionKind.OIDC if isinstance(facts, OidcFacts) else ConnectionKind.SAML,
        name=name.strip(),
        vendor=_checked_vendor(vendor),
        email_claim=email_claim.strip(),
        group_claim=group_claim.strip() or "groups",
        default_role=default_role,
        allows_new_people=allows_new_people,
    )
    _put_facts(connection, facts)
    connection.full_clean()
    connection.save(force_insert=True)
    _put_domains(connection, domains)
    record(connection, actor, "identity_connection.created", before=None)
    return connection


@transaction.atomic
def connection_update(
    *,
    connection: IdentityConnection,
    actor: Actor,
    grantor: Role,
    name: str | None = None,
    facts: OidcFacts | SamlFacts | None = None,
    domains: Sequence[str] | None = None,
    vendor: str | None = None,
    email_claim: str | None = None,
    group_claim: str | None = None,
    default_role: Role | None = None,
    allows_new_people: bool | None = None,
    is_active: bool | None = None,
) -> IdentityConnection:
    """Change a connection; None leaves a fact as it is.

    Another provider behind it has to be tested anew, and cannot be put in place while single sign-on is enforced: if
    it did not work, nobody would get in. A new secret or certificate of the same provider may.
    """
    connection = locked(connection)
    before = connection_facts(connection)
    if name is not None:
        connection.name = name.strip()
    if vendor is not None:
        connection.vendor = _checked_vendor(vendor)
    if facts is not None:
        _replace_facts(connection, facts)
    if email_claim is not None and email_claim.strip() != connection.email_claim:
        connection.email_claim = email_claim.strip()
        _untested(connection, "email_claim")
    if group_claim is not None:
        connection.group_claim = group_claim.strip() or "groups"
    if default_role is not None and default_role != connection.default_role:
        check_role(default_role, grantor, "default_role")
        connection.default_role = default_role
    if allows_new_people is not None:
        connection.allows_new_people = allows_new_people
    if is_active is not None:
        if connection.is_enforced and not is_active:
            raise ValidationError({"is_active": "Stop enforcing it first: nobody could sign in any more."})
        connection.is_active = is_active
    connection.full_clean()
    connection.save()
    if domains is not None:
        _put_domains(connection, domains)
    record(connection, actor, "identity_connection.updated", before=before)
    return connection


@transaction.atomic
def connection_delete(*, connection: IdentityConnection, actor: Actor, reason: str = "") -> None:
    """Take a connection away. Sessions that came through it open nothing any more; people and keys stay."""
    connection = locked(connection)
    if connection.is_enforced:
        raise ValidationError({"connection": "Stop enforcing it first: nobody could sign in any more."})
    before, subject, organization_id = (
        connection_facts(connection),
        connection_subject(connection),
        connection.organization_id,
    )
    connection.delete()
    record_change(
        organization_id=organization_id,
        actor=actor,
        action="identity_connection.deleted",
        subject=subject,
        before=before,
        reason=reason,
    )


@transaction.atomic
def connection_test_record(*, connection: IdentityConnection, problem: str, actor: Actor) -> IdentityConnection:
    """Keep how a test sign-in ended. problem empty: it succeeded."""
    connection = locked(connection)
    connection.tested_at, connection.tested_by = timezone.now(), actor.name[:254]
    # What is enforced has proven itself: a later failed test is shown, and does not lock anybody out.
    if not (connection.is_enforced and problem):
        connection.test_problem = problem[:500]
    connection.save(update_fields=["tested_at", "tested_by", "test_problem", "updated_at"])
    record_change(
        organization_id=connection.organization_id,
        actor=actor,
        action="identity_connection.tested",
        subject=connection_subject(connection),
        after={"problem": problem[:500]},
    )
    return connection


@transaction.atomic
def connection_enforce(
    *, connection: IdentityConnection, break_glass_owner: User, actor: Actor, reason: str = ""
) -> IdentityConnection:
    """Refuse passwords for this organization, besides the named owner's with a second factor; or ValidationError."""
    connection = locked(connection)
    before = connection_facts(connection)
    if not connection.is_active:
        raise ValidationError({"connection": "Switch the connection on first."})
    if not connection.is_tested:
        raise ValidationError({"connection": "Test the sign-in first: with these settings it has not worked yet."})
    if not Membership.objects.filter(
        organization_id=connection.organization_id, user=break_glass_owner, role=Role.OWNER, user__is_active=True
    ).exists():
        raise ValidationError({"break_glass_owner": "The break-glass account must be an owner of this organization."})
    if not break_glass_owner.has_usable_password():
        raise ValidationError({"break_glass_owner": f"{break_glass_owner.email} has no password to sign in with."})
    if not has_second_factor(break_glass_owner):
        raise ValidationError(
            {"break_glass_owner": f"{break_glass_owner.email} must set up an authenticator app in the profile first."}
        )
    connection.is_enforced, connection.break_glass_owner = True, break_glass_owner
    connection.full_clean()
    connection.save()
    record(connection, actor, "identity_connection.enforced", before=before, reason=reason)
    return connection


@transaction.atomic
def connection_relax(*, connection: IdentityConnection, actor: Actor, reason: str = "") -> IdentityConnection:
    """Let passwords count again."""
    connection = locked(connection)
    before = connection_facts(connection)
    connection.is_enforced, connection.break_glass_owner = False, None
    connection.save()
    record(connection, actor, "identity_connection.relaxed", before=before, reason=reason)
    return connection


@transaction.atomic
def identity_unlink(*, identity: LinkedIdentity, actor: Actor) -> None:
    """Forget which subject a person is, so that the next sign-in links anew; for an account made again over there."""
    record_change(
        organization_id=identity.organization_id,
        actor=actor,
        action="identity_connection.person_unlinked",
        subject=connection_subject(identity.connection),
        before={"user": identity.user.email, "subject": identity.subject},
    )
    identity.delete()


def _replace_facts(connection: IdentityConnection, facts: OidcFacts | SamlFacts) -> None:
    kind = ConnectionKind.OIDC if isinstance(facts, OidcFacts) else ConnectionKind.SAML
    if kind != connection.kind:
        raise ValidationError({"kind": "The protocol stays; another protocol is another connection."})
    was = (connection.issuer, connection.client_id, connection.sso_url)
    had_secret = connection.has_secret
    _put_facts(connection, facts)
    if (connection.issuer, connection.client_id, connection.sso_url) == was:
        return
    # The secret of one provider must not be sent to another by whoever may edit the address.
    if connection.issuer != was[0] and had_secret and isinstance(facts, OidcFacts) and facts.secret is None:
        raise ValidationError({"secret": "Enter the client secret again to send it to another issuer."})
    _untested(connection, "issuer")


def _untested(connection: IdentityConnection, field_name: str) -> None:
    if connection.is_enforced:
        raise ValidationError({field_name: "Stop enforcing it first; then change this, test it and enforce it again."})
    connection.tested_at, connection.tested_by, connection.test_problem = None, "", ""


def _put_facts(connection: IdentityConnection, facts: OidcFacts | SamlFacts) -> None:
    if isinstance(facts, OidcFacts):
        connection.issuer = _checked_address("issuer", facts.issuer)
        connection.client_id = facts.client_id.strip()
        if not connection.client_id:
            raise ValidationError({"client_id": "Enter the client id that the identity provider shows."})
        if facts.secret is not None:
            if any(char.isspace() for char in facts.secret) or len(facts.secret) > 2000:
                raise ValidationError({"secret": "A client secret has no spaces, and at most 2,000 signs."})
            put_secret(connection, facts.secret)
        return
    connection.issuer = facts.metadata.entity_id
    if len(connection.issuer) > 300:
        raise ValidationError({"metadata": "The entity id is longer than 300 signs."})
    connection.sso_url = facts.metadata.sso_url
    if not connection.sso_url.startswith(("https://", "http://")) or len(connection.sso_url) > 500:
        raise ValidationError({"metadata": "The sign-in address must begin with https://."})
    connection.certificates = list(facts.metadata.certificates)
    connection.metadata_url = _checked_address("metadata_url", facts.metadata_url) if facts.metadata_url else ""


def _checked_address(field_name: str, url: str) -> str:
    text = url.strip()
    if field_name == "issuer" and ("?" in text or "#" in text):
        raise ValidationError({field_name: "An issuer ends before any ? or #."})
    try:
        check_address(text)
    except ForbiddenDestination as failure:
        raise ValidationError({field_name: str(failure)}) from failure
    return text


def _checked_vendor(vendor: str) -> str:
    if vendor not in VENDORS:
        raise ValidationError({"vendor": f"One of {', '.join(VENDORS)}."})
    return vendor


def _put_domains(connection: IdentityConnection, domains: Sequence[str]) -> None:
    wanted = list(dict.fromkeys(domain.strip().lower().removeprefix("@") for domain in domains if domain.strip()))
    if not wanted:
        raise ValidationError({"domains": "Name at least one e-mail domain whose people sign in here."})
    if len(wanted) > MAX_DOMAINS:
        raise ValidationError({"domains": f"At most {MAX_DOMAINS} domains."})
    public = [domain for domain in wanted if domain in PUBLIC_MAIL]
    if public:
        raise ValidationError({"domains": f"{public[0]} is everybody's; no organization speaks for its people."})
    taken = ConnectionDomain.objects.filter(domain__in=wanted).exclude(connection=connection).values_list("domain")
    if taken:
        raise ValidationError(
            {"domains": f"{taken[0][0]} belongs to another connection. Whoever runs this installation can say whose."}
        )
    rows: list[Any] = [
        ConnectionDomain(organization_id=connection.organization_id, connection=connection, domain=domain)
        for domain in wanted
    ]
    for row in rows:
        try:
            row.clean_fields(exclude=["organization", "connection"])
        except ValidationError as failure:
            raise ValidationError({"domains": f"{row.domain!r} is no domain such as example.com."}) from failure
    ConnectionDomain.objects.filter(connection=connection).exclude(domain__in=wanted).delete()
    held = set(ConnectionDomain.objects.filter(connection=connection).values_list("domain", flat=True))
    ConnectionDomain.objects.bulk_create(row for row in rows if row.domain not in held)

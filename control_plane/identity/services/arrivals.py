"""Let a person in whom an identity provider vouches for: link or make the account, then apply the groups.

An identity is (connection, subject). The e-mail is looked at once, to find an account to link, and only where its
domain belongs to that very connection: otherwise one tenant's identity provider could claim another's people.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.selectors import user_by_email
from control_plane.accounts.services import user_create
from control_plane.audit.services import Actor, ActorKind, record_change
from control_plane.identity.claims import Claims
from control_plane.identity.failures import NotAdmitted
from control_plane.identity.models import ConnectionDomain, GroupMapping, IdentityConnection, LinkedIdentity
from control_plane.identity.scim.selectors import is_shut_out
from control_plane.identity.services.entries import sign_in_record
from control_plane.identity.services.records import connection_subject, locked
from control_plane.organizations.models import Membership, Role, Team, TeamMembership
from control_plane.organizations.services import (
    INSTALLATION,
    membership_add,
    membership_update,
    team_member_add,
    team_member_remove,
)

STRONGEST_FIRST = tuple(Role)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came in, and as what."""

    user: User
    membership: Membership
    is_new: bool


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a sign-in with these claims would do; for the test of a connection."""

    role: Role | None
    """None: the role stays as it is."""
    teams: tuple[str, ...]
    problem: str = ""


@transaction.atomic
def person_admit(*, connection: IdentityConnection, claims: Claims, source_address: str) -> Arrival:
    """Let a person in, or raise NotAdmitted. Groups are applied anew each time; everything is in the audit."""
    # The lock lets two first sign-ins of one person follow each other.
    connection = locked(connection)
    if not connection.is_active:
        raise NotAdmitted("inactive", "This way to sign in is switched off.")
    actor = Actor(ActorKind.SYSTEM, connection.id.hex, f"sign-in with {connection.name}", source_address)
    identity = (
        LinkedIdentity.objects.select_related("user")
        .filter(organization_id=connection.organization_id, connection=connection, subject=claims.subject)
        .first()
    )
    user = identity.user if identity is not None else _person_of(connection, claims, actor)
    if not user.is_active:
        raise NotAdmitted("deactivated", "This account is switched off. Ask an admin of your organization.")
    membership = Membership.objects.filter(organization_id=connection.organization_id, user=user).first()
    is_new = membership is None
    if membership is None:
        if is_shut_out(connection.organization, user):
            raise NotAdmitted("deactivated", "Your company's directory took you out of this organization.")
        if not connection.allows_new_people:
            raise NotAdmitted("not_a_member", "You are no member of this organization. Ask an admin to add you.")
        membership = membership_add(
            organization=connection.organization,
            user=user,
            role=_role_by(connection, claims.groups) or Role(connection.default_role),
            actor=actor,
            by=INSTALLATION,
        )
    if identity is None:
        identity = LinkedIdentity.objects.create(
            organization_id=connection.organization_id, connection=connection, subject=claims.subject, user=user
        )
        record_change(
            organization_id=connection.organization_id,
            actor=actor,
            action="identity_connection.person_linked",
            subject=connection_subject(connection),
            after={"user": user.email, "subject": claims.subject},
        )
    identity.email, identity.signed_in_at = claims.email, timezone.now()
    identity.save(update_fields=["email", "signed_in_at"])
    if claims.groups is not None:
        membership = _apply_role(connection, membership, claims.groups, actor)
        _apply_teams(connection, user, claims.groups, actor)
    person = Actor(ActorKind.USER, user.id.hex, user.email, source_address)
    sign_in_record(user=user, method=str(connection.kind), actor=person, connection=connection)
    return Arrival(user, membership, is_new)


def arrival_foretell(*, connection: IdentityConnection, claims: Claims) -> Foretold:
    """Say what a sign-in with these claims would do, without doing it."""
    problem = ""
    known = LinkedIdentity.objects.filter(connection=connection, subject=claims.subject).exists()
    if not known:
        try:
            _check_email(connection, claims)
        except NotAdmitted as failure:
            problem = str(failure)
    names = Team.objects.filter(id__in=_teams_by(connection, claims.groups or frozenset())).values_list(
        "name", flat=True
    )
    return Foretold(_role_by(connection, claims.groups), tuple(sorted(names)), problem)


def _person_of(connection: IdentityConnection, claims: Claims, actor: Actor) -> User:
    """The account of a subject seen for the first time: one with this e-mail, or a new one."""
    _check_email(connection, claims)
    found = user_by_email(claims.email)
    if found is None:
        if not connection.allows_new_people:
            raise NotAdmitted("not_a_member", "You are no member of this organization. Ask an admin to add you.")
        return user_create(email=claims.email, password=None, name=claims.name, actor=actor)
    if LinkedIdentity.objects.filter(connection=connection, user=found).exists():
        # Addresses are given to other people; subjects are not.
        raise NotAdmitted(
            "linked_otherwise",
            f"{claims.email} is linked to another account of the identity provider. "
            "Ask an admin to unlink it on the page People, Sign-in.",
        )
    return found


def _check_email(connection: IdentityConnection, claims: Claims) -> None:
    if not claims.email:
        raise NotAdmitted("no_email", "The identity provider sent no e-mail address. Ask an admin to add the claim.")
    if claims.is_email_verified is False:
        raise NotAdmitted("unverified", "The identity provider has not verified your e-mail address.")
    domains = ConnectionDomain.objects.filter(connection=connection).values_list("domain", flat=True)
    if claims.domain not in set(domains):
        raise NotAdmitted(
            "foreign_domain", f"{claims.email} is in none of the domains that this organization signs in here."
        )


def _role_by(connection: IdentityConnection, groups: Collection[str] | None) -> Role | None:
    """The strongest role that groups give, the default one where roles are mapped at all; None: not mapped."""
    mapped = dict(GroupMapping.objects.filter(connection=connection, team__isnull=True).values_list("group", "role"))
    if not mapped or groups is None:
        return None
    given = {Role(mapped[group]) for group in groups if group in mapped}
    return next((role for role in STRONGEST_FIRST if role in given), Role(connection.default_role))


def _teams_by(connection: IdentityConnection, groups: Collection[str]) -> set[UUID]:
    return set(
        GroupMapping.objects.filter(connection=connection, team__isnull=False, group__in=groups).values_list(
            "team_id", flat=True
        )
    )


def _apply_role(
    connection: IdentityConnection, membership: Membership, groups: Collection[str], actor: Actor
) -> Membership:
    role = _role_by(connection, groups)
    # Owners are made by owners; no group makes less of one.
    if role is None or role == membership.role or membership.role == Role.OWNER:
        return membership
    try:
        with transaction.atomic():
            return membership_update(membership=membership, role=role, actor=actor, by=INSTALLATION)
    except ValidationError as failure:
        record_change(
            organization_id=connection.organization_id,
            actor=actor,
            action="identity_connection.role_kept",
            subject=connection_subject(connection),
            after={"user": membership.user.email, "wanted": str(role), "why": "; ".join(failure.messages)},
        )
        return Membership.objects.get(id=membership.id)


def _apply_teams(connection: IdentityConnection, user: User, groups: Collection[str], actor: Actor) -> None:
    """Put the person into the teams that groups give, out of the other mapped ones; teams not mapped are left alone."""
    managed = {
        team.id: team
        for team in Team.objects.filter(
            organization_id=connection.organization_id,
            id__in=GroupMapping.objects.filter(connection=connection, team__isnull=False).values("team_id"),
        )
    }
    wanted = _teams_by(connection, groups)
    present = set(
        TeamMembership.objects.filter(
            organization_id=connection.organization_id, user=user, team_id__in=managed
        ).values_list("team_id", flat=True)
    )
    for team_id in sorted(wanted - present):
        team_member_add(team=managed[team_id], user=user, actor=actor)
    for team_id in sorted(present - wanted):
        team_member_remove(team=managed[team_id], user=user, actor=actor)

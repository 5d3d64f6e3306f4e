"""Find connections, and judge which organizations a session opens."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.identity.entry import Entry, SignIn, judge_entry, sign_ins_of
from control_plane.identity.models import IdentityConnection, LinkedIdentity
from control_plane.identity.proofs import is_fresh
from control_plane.organizations.models import Membership, Organization


def connections_of(organization_id: UUID) -> QuerySet[IdentityConnection]:
    """An organization's connections, with what a list shows."""
    return (
        IdentityConnection.objects.filter(organization_id=organization_id)
        .select_related("break_glass_owner")
        .prefetch_related("domains", "mappings__team")
        .annotate(people=Count("identities"))
    )


def connection_of(organization_id: UUID, connection_id: UUID) -> IdentityConnection | None:
    """One connection of an organization."""
    return connections_of(organization_id).filter(id=connection_id).first()


def active_connections(organization_id: UUID) -> list[IdentityConnection]:
    """What people of an organization may sign in with."""
    return list(IdentityConnection.objects.filter(organization_id=organization_id, is_active=True))


def connection_to_begin(connection_id: UUID) -> IdentityConnection | None:
    """A connection by the id in an address, for a browser that nobody knows yet."""
    return IdentityConnection.objects.select_related("organization").filter(id=connection_id, is_active=True).first()


def connection_for_email(email: str) -> IdentityConnection | None:
    """The connection that speaks for the domain of an e-mail (home-realm discovery)."""
    domain = email.strip().lower().rpartition("@")[2]
    if not domain:
        return None
    return (
        IdentityConnection.objects.select_related("organization").filter(domains__domain=domain, is_active=True).first()
    )


def are_there_connections() -> bool:
    """Whether anybody here signs in with single sign-on: otherwise the sign-in page asks for all at once."""
    return IdentityConnection.objects.filter(is_active=True).exists()


def organization_by_slug(slug: str) -> Organization | None:
    return Organization.objects.filter(slug=slug).first()


def identities_of(connection: IdentityConnection) -> QuerySet[LinkedIdentity]:
    """The people a connection knows, the latest first."""
    return (
        LinkedIdentity.objects.filter(organization_id=connection.organization_id, connection=connection)
        .select_related("user")
        .order_by("-signed_in_at", "id")
    )


def entry_of(session: Mapping[str, Any], membership: Membership) -> Entry:
    """Whether a console session opens the organization of this membership."""
    return judge_entry(sign_ins_of(session), membership, active_connections(membership.organization_id))


def ways_in(
    session: Mapping[str, Any], membership: Membership, connections: Sequence[IdentityConnection]
) -> list[SignIn]:
    """Those of a session's sign-ins that by themselves open the membership's organization.

    connections: its active ones.
    """
    return [each for each in sign_ins_of(session) if judge_entry([each], membership, connections) is not Entry.CLOSED]


def is_proved_lately(session: Mapping[str, Any], membership: Membership) -> bool:
    """Whether the person of a session proved who they are lately, in a way that counts for this organization."""
    ways = ways_in(session, membership, active_connections(membership.organization_id))
    return is_fresh(session, ways, now_s=int(timezone.now().timestamp()))


def is_identity_of(user: User, connection: IdentityConnection, subject: str) -> bool:
    """Whether a connection knows this person, who may still sign in, by this subject."""
    return LinkedIdentity.objects.filter(
        organization_id=connection.organization_id,
        connection=connection,
        subject=subject,
        user=user,
        user__is_active=True,
    ).exists()


def memberships_opened(user: User, sign_ins: Iterable[SignIn]) -> list[tuple[Membership, Entry]]:
    """A person's memberships and what these proofs open, by the organization's name."""
    memberships = list(
        Membership.objects.filter(user=user).select_related("organization").order_by("organization__name")
    )
    connections: dict[UUID, list[IdentityConnection]] = {}
    for connection in IdentityConnection.objects.filter(
        organization_id__in=[membership.organization_id for membership in memberships], is_active=True
    ):
        connections.setdefault(connection.organization_id, []).append(connection)
    proofs = tuple(sign_ins)
    return [
        (membership, judge_entry(proofs, membership, connections.get(membership.organization_id, [])))
        for membership in memberships
    ]


def membership_opened(user: User, session: Mapping[str, Any], *, chosen: Any) -> tuple[Membership, Entry] | None:
    """The membership a console session is in: that of the chosen organization, else the first one it opens.

    With Entry.CLOSED the organization must not be shown. None: the person is in no organization.
    """
    memberships = Membership.objects.filter(user=user).select_related("organization", "user")
    found = memberships.filter(organization_id=chosen).first() if chosen else None
    if found is None:
        opened = memberships_opened(user, sign_ins_of(session))
        if not opened:
            return None
        first = next((row for row in opened if row[1] is not Entry.CLOSED), opened[0])
        first[0].user = user
        return first
    return found, entry_of(session, found)


def is_break_glass_owner(user: User) -> bool:
    """Whether an organization that enforces single sign-on relies on this account."""
    return IdentityConnection.objects.filter(break_glass_owner=user, is_enforced=True).exists()

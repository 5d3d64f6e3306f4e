"""What groups of the identity provider give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.audit.services import Actor
from control_plane.identity.models import GroupMapping, IdentityConnection
from control_plane.identity.services.records import connection_facts, locked, record
from control_plane.organizations.models import Role, Team
from control_plane.organizations.roles import is_within

MAX_MAPPINGS = 500


@dataclass(frozen=True, slots=True)
class Mapping:
    """A group gives a team, or a role; never both, never neither."""

    group: str
    team: Team | None = None
    role: Role | None = None

    def __post_init__(self) -> None:
        if (self.team is None) == (self.role is None):
            raise ValidationError({"mappings": f"The group {self.group!r} must give either a team or a role."})


@transaction.atomic
def mappings_set(
    *, connection: IdentityConnection, mappings: Sequence[Mapping], actor: Actor, grantor: Role
) -> IdentityConnection:
    """Replace what groups give. grantor: role of whoever writes it; nobody gives more than they have themselves.

    A mapping to a wider role that somebody else wrote stays when it is sent back unchanged.
    """
    connection = locked(connection)
    before = connection_facts(connection)
    standing = {(row.group, row.role) for row in GroupMapping.objects.filter(connection=connection, team__isnull=True)}
    if len(mappings) > MAX_MAPPINGS:
        raise ValidationError({"mappings": f"At most {MAX_MAPPINGS} mappings."})
    for mapping in mappings:
        _check(mapping, connection, grantor, standing)
    rows: dict[tuple[str, Any], Mapping] = {}
    for mapping in mappings:
        key = (mapping.group, mapping.team.id if mapping.team else None)
        if key in rows and mapping.role is not None and rows[key].role != mapping.role:
            raise ValidationError({"mappings": f"The group {mapping.group!r} gives two roles; choose one."})
        rows[key] = mapping
    GroupMapping.objects.filter(organization_id=connection.organization_id, connection=connection).delete()
    GroupMapping.objects.bulk_create(
        GroupMapping(
            organization_id=connection.organization_id,
            connection=connection,
            group=mapping.group,
            team=mapping.team,
            role=str(mapping.role) if mapping.role is not None else "",
        )
        for mapping in rows.values()
    )
    record(connection, actor, "identity_connection.mappings_changed", before=before)
    return connection


def check_role(role: Role, grantor: Role, field: str) -> None:
    """Raise ValidationError when a role is more than the one who gives it has."""
    if not is_within(role, grantor):
        raise ValidationError({field: f"Only an owner may let a group, or everybody, become {Role(role).label}."})


def _check(mapping: Mapping, connection: IdentityConnection, grantor: Role, standing: set[tuple[str, str]]) -> None:
    if not mapping.group.strip() or len(mapping.group) > 300:
        raise ValidationError({"mappings": "A group must have a name of at most 300 signs."})
    if mapping.team is not None and mapping.team.organization_id != connection.organization_id:
        raise ValidationError({"mappings": "There is no such team in this organization."})
    if mapping.role is not None and (mapping.group, str(mapping.role)) not in standing:
        check_role(mapping.role, grantor, "mappings")

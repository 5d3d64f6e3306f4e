"""Connections as the audit knows them."""

from typing import Any

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.identity.models import IdentityConnection


def locked(connection: IdentityConnection) -> IdentityConnection:
    """The row as it is now, kept from changing until the transaction ends."""
    return (
        IdentityConnection.objects.select_for_update(of=("self",))
        .select_related("organization")
        .get(id=connection.id, organization_id=connection.organization_id)
    )


def connection_subject(connection: IdentityConnection) -> Subject:
    return Subject("identity_connection", connection.id.hex, connection.name)


def connection_facts(connection: IdentityConnection) -> dict[str, Any]:
    """What the audit shows: everything but the secret, of which only the version."""
    owner = connection.break_glass_owner
    return {
        "name": connection.name,
        "kind": str(connection.kind),
        "vendor": connection.vendor,
        "issuer": connection.issuer,
        "client_id": connection.client_id,
        "secret_version": connection.secret_version if connection.has_secret else 0,
        "metadata_url": connection.metadata_url,
        "sso_url": connection.sso_url,
        "certificates": len(connection.certificates),
        "email_claim": connection.email_claim,
        "group_claim": connection.group_claim,
        "default_role": str(connection.default_role),
        "allows_new_people": connection.allows_new_people,
        "is_active": connection.is_active,
        "is_enforced": connection.is_enforced,
        "break_glass_owner": None if owner is None else owner.email,
        "domains": [row.domain for row in connection.domains.order_by("domain")],
        "mappings": [
            {"group": row.group, "team": row.team.name} if row.team else {"group": row.group, "role": row.role}
            for row in connection.mappings.select_related("team").order_by("group", "role", "team__name")
        ],
    }


def record(
    connection: IdentityConnection,
    actor: Actor,
    action: str,
    *,
    before: dict[str, Any] | None,
    reason: str = "",
) -> None:
    """Write a change of a connection, unless nothing is different."""
    after = connection_facts(connection)
    if after == before:
        return
    # The row's version is what If-Match compares; what hangs below the row changes it too.
    connection.save(update_fields=["updated_at"])
    record_change(
        organization_id=connection.organization_id,
        actor=actor,
        action=action,
        subject=connection_subject(connection),
        before=before,
        after=after,
        reason=reason,
    )

"""What an organization set for its sessions."""

from datetime import UTC, datetime
from uuid import UUID

from control_plane.sessions.models import SessionSettings

NEVER = datetime.fromtimestamp(0, UTC)


def settings_of(organization_id: UUID) -> SessionSettings:
    """The settings in force; without a row, the defaults (not saved)."""
    return SessionSettings.objects.filter(organization_id=organization_id).first() or SessionSettings(
        organization_id=organization_id, updated_at=NEVER
    )

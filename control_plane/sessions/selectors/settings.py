"""What an organization set for its sessions."""

from uuid import UUID

from control_plane.sessions.models import SessionSettings


def settings_of(organization_id: UUID) -> SessionSettings:
    """The settings in force; without a row, the defaults (not saved)."""
    return SessionSettings.objects.filter(organization_id=organization_id).first() or SessionSettings(
        organization_id=organization_id
    )

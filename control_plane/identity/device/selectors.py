"""Find device logins by what a person typed."""

from django.utils import timezone

from control_plane.identity.device.codes import typed
from control_plane.identity.device.models import DeviceAuthorization, DeviceState


def waiting_by_user_code(text: str) -> DeviceAuthorization | None:
    """The device login that waits under this code; None for a code that is none, has expired or was used."""
    code = typed(text)
    if not code:
        return None
    return DeviceAuthorization.objects.filter(
        user_code=code, state=DeviceState.PENDING, expires_at__gt=timezone.now()
    ).first()

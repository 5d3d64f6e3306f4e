"""What django-allauth asks of the project: nothing is shared between tenants, and its calls go out through our door."""

from typing import Any

from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from django.http import HttpRequest

from control_plane.identity.models import IdentityConnection
from control_plane.identity.outbound import GuardedSession


class TenantAdapter(DefaultSocialAccountAdapter):
    """django-allauth speaks the protocols; who may sign in where is decided by identity.services."""

    def get_requests_session(self) -> GuardedSession:
        return GuardedSession()

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> list[Any]:
        """None: an app is made for one sign-in from one organization's connection, never looked up among all."""
        return []

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False


def app_of(connection: IdentityConnection, *, provider: str, secret: str, settings: dict[str, Any]) -> SocialApp:
    """One organization's connection as django-allauth knows apps; lives as long as the request, saved nowhere."""
    return SocialApp(
        provider=provider,
        provider_id=connection.id.hex,
        name=connection.name,
        client_id=connection.client_id or connection.id.hex,
        secret=secret,
        settings=settings,
    )

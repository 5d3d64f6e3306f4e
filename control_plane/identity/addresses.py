"""Addresses of the console that an identity provider is told. The console's own routes must agree: a test looks."""

from uuid import UUID

from django.conf import settings


def begin_path(connection_id: UUID) -> str:
    """Where a browser goes to begin a sign-in."""
    return f"/sign-in/sso/{connection_id}"


def callback_url(connection_id: UUID) -> str:
    """OIDC: redirect URI."""
    return _public(f"{begin_path(connection_id)}/callback")


def acs_url(connection_id: UUID) -> str:
    """SAML: assertion consumer service."""
    return _public(f"{begin_path(connection_id)}/acs")


def finish_path(connection_id: UUID) -> str:
    """SAML: where the browser picks up what its assertion said."""
    return f"{begin_path(connection_id)}/finish"


def metadata_url(connection_id: UUID) -> str:
    """SAML: our metadata, and our entity id."""
    return _public(f"{begin_path(connection_id)}/metadata")


def _public(path: str) -> str:
    return f"{settings.SWITCHYARD.console_public_url}{path}"

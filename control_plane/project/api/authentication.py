"""Who calls: the holder of an admin token, or whoever is signed in to the console."""

from dataclasses import replace
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of
from control_plane.audit.services import Actor, ActorKind
from control_plane.identity.entry import Entry
from control_plane.identity.selectors import is_proved_lately, membership_opened
from control_plane.keys.models import AdminToken
from control_plane.keys.services import admin_token_authenticate, scopes_of
from control_plane.organizations.models import Membership
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import membership_of, standing_of
from control_plane.rest.caller import Caller

SESSION_ORGANIZATION = "organization"
"""Where the console keeps which of a person's organizations is shown (control_plane/web/access.py)."""


class AdminTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer syapi_…`. Every kind of no is the same 401."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = admin_token_authenticate(text.strip())
        if token is None:
            raise AuthenticationFailed("No valid admin token (syapi_…) came with this request.")
        membership = membership_of(token.user, token.organization)
        if membership is None:
            raise AuthenticationFailed("No valid admin token (syapi_…) came with this request.")
        membership.organization = token.organization
        actor = _actor_of(token, request)
        return token.user, _caller(token.user, membership, actor, is_token=True, scopes=scopes_of(token))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ConsoleSessionAuthentication(SessionAuthentication):
    """The console's cookie, with its CSRF token on everything that changes something."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        found = super().authenticate(request)
        if found is None or not isinstance(found[0], User):
            return None
        user = found[0]
        # The same choice as the console's: what was chosen last, else the first by name that this session opens.
        session = request._request.session
        opened = membership_opened(user, session, chosen=session.get(SESSION_ORGANIZATION))
        if opened is None:
            return None
        membership, entry = opened
        if entry is Entry.CLOSED:
            raise AuthenticationFailed("This organization asks for its own sign-in. Open it in the console first.")
        actor = actor_of(user, source_address=_source_of(request))
        caller = _caller(user, membership, actor, is_token=False)
        return user, replace(caller, is_proved_lately=is_proved_lately(session, membership))


def _caller(
    user: User,
    membership: Membership,
    actor: Actor,
    *,
    is_token: bool,
    scopes: frozenset[Permission] | None = None,
) -> Caller:
    """Role, led teams and delegations are read here, with every request: a change bites on the next one."""
    return Caller(user, membership.organization, standing_of(membership, scopes=scopes), actor, is_token)


def _actor_of(token: AdminToken, request: Request) -> Actor:
    return Actor(ActorKind.TOKEN, token.id.hex, f"{token.user.email} (token {token.name})", _source_of(request))


def _source_of(request: Request) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


class AdminTokenScheme(OpenApiAuthenticationExtension):
    target_class = AdminTokenAuthentication
    name = "adminToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "syapi_…"}


class ConsoleSessionScheme(OpenApiAuthenticationExtension):
    target_class = ConsoleSessionAuthentication
    name = "consoleSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "__Host-switchyard"}

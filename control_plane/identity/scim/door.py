"""The door of /scim/v2/: who calls, how bodies are read, how often, and how a refusal is written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle

from control_plane.audit.services import Actor, ActorKind
from control_plane.identity.scim.errors import ScimError, TooLarge, Unreadable, error_body
from control_plane.identity.scim.models import ScimToken
from control_plane.identity.scim.services import Directory, scim_token_authenticate
from control_plane.organizations.models import Organization

log = structlog.get_logger(__name__)

SCIM_JSON = "application/scim+json"
MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ScimCaller:
    """An identity provider, by its token; travels as `request.auth`."""

    token: ScimToken
    actor: Actor

    @property
    def organization(self) -> Organization:
        return self.token.organization

    @property
    def directory(self) -> Directory:
        return Directory(self.actor, self.token.reaches_owners)


class ScimTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer syscim_…`. Every kind of no is the same 401."""

    def authenticate(self, request: Request) -> tuple[ScimToken, ScimCaller]:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        token = scim_token_authenticate(text.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise exceptions.AuthenticationFailed("No valid SCIM token (syscim_…) came with this request.")
        source = str(request.META.get("REMOTE_ADDR", ""))
        return token, ScimCaller(token, Actor(ActorKind.TOKEN, token.id.hex, f"SCIM token {token.name}", source))

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="scim"'


class IsScimCaller(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, ScimCaller)


class ScimThrottle(SimpleRateThrottle):
    """Counts a token's requests. Twice what Entra sends at most (25 a second); without a cache nobody is held up."""

    rate = "3000/min"
    scope = "scim"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        return f"throttle:scim:{request.auth.token.id.hex}" if isinstance(request.auth, ScimCaller) else None

    def allow_request(self, request: Request, view: Any) -> bool:
        try:
            return bool(super().allow_request(request, view))
        except RedisError:
            log.warning("scim throttle unavailable")
            return True


class ScimParser(BaseParser):
    """JSON under SCIM's media type; at most 1 MB, whatever the length header says."""

    media_type = SCIM_JSON

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        raw = stream.read(MAX_BODY_BYTES + 1)
        if len(raw) > MAX_BODY_BYTES:
            raise TooLarge(MAX_BODY_BYTES)
        try:
            return json.loads(raw, parse_constant=_no_constant)
        except (ValueError, RecursionError) as failure:
            raise Unreadable("The body is no JSON.", "invalidSyntax") from failure


class PlainJsonParser(ScimParser):
    media_type = "application/json"


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


class ScimRenderer(JSONRenderer):
    media_type = SCIM_JSON
    format = "scim"


class AlwaysScim(BaseContentNegotiation):
    """Providers ask for application/json, for SCIM's type, or for anything: there is one form."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def answer_failure(failure: Exception, context: Mapping[str, Any]) -> Response | None:
    """Turn what a view raised into SCIM's error schema; None: unforeseen, Django's business."""
    headers: dict[str, str] = {}
    match failure:
        case ScimError():
            return Response(failure.to_dict(), status=int(failure.status))
        case exceptions.ParseError():
            body = error_body(400, str(failure.detail), "invalidSyntax")
        case exceptions.APIException():
            body = error_body(failure.status_code, str(failure.detail))
            if challenge := getattr(failure, "auth_header", None):
                headers["WWW-Authenticate"] = challenge
            if wait_s := getattr(failure, "wait", None):
                headers["Retry-After"] = str(int(wait_s) + 1)
        case Http404():
            body = error_body(404, "There is no such resource here.")
        case DjangoValidationError():
            body = error_body(400, " ".join(failure.messages), "invalidValue")
        case IntegrityError():
            # Two requests for the same name at once: the second comes too late.
            body = error_body(409, "Another request was quicker with the same name or address.", "uniqueness")
        case OperationalError() | InterfaceError():
            log.warning("database out of reach", why=type(failure).__name__)
            body, headers["Retry-After"] = error_body(503, "The database is out of reach. Try again."), "5"
        case _:
            return None
    return Response(body, status=int(body["status"]), headers=headers)

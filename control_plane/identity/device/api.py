"""REST: signing in from a command line, and who one is then.

The first two endpoints answer as OAuth does, `{"error": …}` with 400, since clients of RFC 8628 read that.
"""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import permissions, serializers
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.identity.device.codes import shown
from control_plane.identity.device.services import (
    DEFAULT_LIFETIME_S,
    DeviceProblem,
    TooManyCodes,
    device_begin,
    device_redeem,
)
from control_plane.keys.models import AdminToken
from control_plane.keys.services import admin_token_revoke
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import Caller, caller_of

CLIENT_ID = "switchyard-cli"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"

TOLD = {
    DeviceProblem.PENDING: "Nobody has approved it yet.",
    DeviceProblem.SLOW_DOWN: "Ask less often: five seconds more between two questions.",
    DeviceProblem.EXPIRED: "The code has expired. Begin again.",
    DeviceProblem.DENIED: "It was denied in the console.",
    DeviceProblem.UNKNOWN: "There is no such device code, or it was used already.",
}


class OAuthError(serializers.Serializer[Any]):
    error = serializers.CharField()
    error_description = serializers.CharField()


class AuthorizeIn(serializers.Serializer[Any]):
    client_id = serializers.ChoiceField(choices=[CLIENT_ID])
    scope = serializers.CharField(
        max_length=1000, required=False, allow_blank=True, default="", help_text="Permissions, separated by spaces."
    )
    machine = serializers.CharField(
        max_length=100, required=False, default="a machine", help_text="What the machine calls itself."
    )
    lifetime_seconds = serializers.IntegerField(min_value=1, required=False, default=DEFAULT_LIFETIME_S)

    def validate_scope(self, text: str) -> list[Permission]:
        try:
            return [Permission(name) for name in text.split()]
        except ValueError as failure:
            raise serializers.ValidationError(f"{failure}.") from failure


class AuthorizeOut(serializers.Serializer[Any]):
    device_code = serializers.CharField()
    user_code = serializers.CharField()
    verification_uri = serializers.URLField()
    verification_uri_complete = serializers.URLField()
    expires_in = serializers.IntegerField()
    interval = serializers.IntegerField()


class TokenIn(serializers.Serializer[Any]):
    grant_type = serializers.ChoiceField(choices=[GRANT])
    device_code = serializers.CharField(max_length=200)
    client_id = serializers.ChoiceField(choices=[CLIENT_ID])


class TokenOut(serializers.Serializer[Any]):
    access_token = serializers.CharField(help_text="An API token. Shown only here.")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()
    scope = serializers.CharField()
    token_id = serializers.CharField()
    user = serializers.EmailField()
    organization = serializers.CharField()


class OpenView(APIView):
    """For callers who have no token yet."""

    authentication_classes = ()
    permission_classes = (permissions.AllowAny,)
    parser_classes = (FormParser, JSONParser)


class DeviceAuthorizeView(OpenView):
    """Where a device login begins."""

    @extend_schema(
        request=AuthorizeIn,
        responses={200: AuthorizeOut, 400: OAuthError, 429: OAuthError},
        auth=[],
        operation_id="device_authorize",
    )
    def post(self, request: Request) -> Response:
        """Ask for a code that a person approves in the console (RFC 8628)."""
        given = AuthorizeIn(data=request.data)
        if not given.is_valid():
            return _refused(given.errors)
        try:
            begun = device_begin(
                machine=given.validated_data["machine"],
                scopes=given.validated_data["scope"],
                lifetime_s=given.validated_data["lifetime_seconds"],
                source_address=str(request.META.get("REMOTE_ADDR", "")),
            )
        except TooManyCodes:
            told = {"error": "slow_down", "error_description": "Too many codes were asked for from your address."}
            return Response(told, status=429, headers={"Retry-After": "60"})
        address = settings.SWITCHYARD.console_public_url.rstrip("/") + reverse("web:device")
        code = shown(begun.authorization.user_code)
        return Response(
            {
                "device_code": begun.device_code,
                "user_code": code,
                "verification_uri": address,
                "verification_uri_complete": f"{address}?{urlencode({'code': code})}",
                "expires_in": int((begun.authorization.expires_at - timezone.now()).total_seconds()),
                "interval": begun.authorization.interval_s,
            },
            headers={"Cache-Control": "no-store"},
        )


class DeviceTokenView(OpenView):
    """Where the machine asks whether somebody has approved."""

    @extend_schema(request=TokenIn, responses={200: TokenOut, 400: OAuthError}, auth=[], operation_id="device_token")
    def post(self, request: Request) -> Response:
        """Ask for the token: authorization_pending, slow_down, access_denied or expired_token until then."""
        given = TokenIn(data=request.data)
        if not given.is_valid():
            return _refused(given.errors)
        outcome = device_redeem(
            device_code=given.validated_data["device_code"],
            source_address=str(request.META.get("REMOTE_ADDR", "")),
        )
        if isinstance(outcome, DeviceProblem):
            return Response({"error": str(outcome), "error_description": TOLD[outcome]}, status=400)
        record = outcome.record
        assert record.expires_at is not None
        return Response(
            {
                "access_token": outcome.token,
                "token_type": "Bearer",
                "expires_in": int((record.expires_at - timezone.now()).total_seconds()),
                "scope": " ".join(outcome.scopes),
                "token_id": record.id.hex,
                "user": record.user.email,
                "organization": record.organization.slug,
            },
            headers={"Cache-Control": "no-store"},
        )


class IsSignedIn(permissions.BasePermission):
    """Whoever is authenticated, whatever the rights: it is about the caller alone."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, Caller)


class DeviceRevokeView(APIView):
    """Where a token ends itself."""

    permission_classes = (IsSignedIn,)

    @extend_schema(
        request=None, responses={204: OpenApiResponse(description="It is revoked.")}, operation_id="device_revoke"
    )
    def post(self, request: Request) -> Response:
        """Revoke the very token this request came with: `switchyard logout`."""
        caller = caller_of(request)
        token = (
            AdminToken.objects.filter(organization=caller.organization, user=caller.user, id=caller.actor.id).first()
            if caller.is_token
            else None
        )
        if token is None:
            raise Http404
        admin_token_revoke(token=token, actor=caller.actor, reason="switchyard logout")
        return Response(status=204)


class WhoToken(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)


class WhoOut(serializers.Serializer[Any]):
    user = serializers.EmailField()
    name = serializers.CharField()
    organization = serializers.CharField(help_text="Its short name.")
    organization_name = serializers.CharField()
    role = serializers.CharField()
    scopes = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="Of the token; null: all of the role."
    )
    gateway_url = serializers.CharField()
    token = WhoToken(allow_null=True)


class WhoamiView(APIView):
    """Who the caller is."""

    permission_classes = (IsSignedIn,)

    @extend_schema(responses=WhoOut, operation_id="whoami")
    def get(self, request: Request) -> Response:
        """Who is calling, in which organization, with which token and until when."""
        caller = caller_of(request)
        token = (
            AdminToken.objects.filter(organization=caller.organization, id=caller.actor.id).first()
            if caller.is_token
            else None
        )
        scopes = caller.standing.scopes
        organization = caller.organization
        answer = {
            "user": caller.user.email,
            "name": caller.user.name,
            "organization": organization.slug,
            "organization_name": organization.name,
            "role": str(caller.standing.role),
            "scopes": None if scopes is None else sorted(scopes),
            "gateway_url": (organization.gateway_public_url or settings.SWITCHYARD.gateway_public_url).rstrip("/"),
            "token": token,
        }
        return Response(WhoOut(answer).data)


def _refused(errors: Any) -> Response:
    """Bad input in OAuth's form: the wrong grant by its name, everything else as invalid_request."""
    field = next(iter(errors))
    error = {"grant_type": "unsupported_grant_type", "client_id": "invalid_client", "scope": "invalid_scope"}
    told = "; ".join(f"{name}: {' '.join(str(text) for text in texts)}" for name, texts in errors.items())
    return Response({"error": error.get(field, "invalid_request"), "error_description": told}, status=400)

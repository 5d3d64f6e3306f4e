"""REST: admin tokens, with which a person's scripts act in one organization."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.keys.api.scopes import admin_tokens_for
from control_plane.keys.models import AdminToken
from control_plane.keys.services import admin_token_mint, admin_token_revoke, beyond, token_expiry
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId
from control_plane.rest.views import ListMixin, RemoveMixin, RetrieveMixin, TenantView

SCOPES = [(permission.value, permission.value) for permission in Permission]


class AdminTokenOut(serializers.Serializer[AdminToken]):
    id = HexId()
    name = serializers.CharField()
    user = serializers.EmailField(source="user.email")
    prefix = serializers.CharField()
    scopes = serializers.ListField(
        child=serializers.ChoiceField(SCOPES), allow_null=True, help_text="null: everything its person may."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class AdminTokenCreated(AdminTokenOut):
    token = serializers.CharField(help_text="Shown only here.")


class AdminTokenIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Left out: in 90 days, or what the organization allows."
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(SCOPES),
        required=False,
        allow_null=True,
        max_length=len(SCOPES),
        help_text="The rights the token has of its person's. Left out: all of them, as they are at each use.",
    )


class AdminTokenFilter(django_filters.FilterSet):
    user = django_filters.CharFilter(field_name="user__email", lookup_expr="iexact")
    is_revoked = django_filters.BooleanFilter(field_name="revoked_at", lookup_expr="isnull", exclude=True)
    in_force = django_filters.BooleanFilter(method="by_force", label="Neither revoked nor expired.")
    search = django_filters.CharFilter(field_name="name", lookup_expr="icontains")

    def by_force(self, rows: QuerySet[AdminToken], name: str, value: bool) -> QuerySet[AdminToken]:
        is_dead = Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now())
        return rows.exclude(is_dead) if value else rows.filter(is_dead)


class AdminTokenViewSet(ListMixin, RetrieveMixin, RemoveMixin, TenantView):
    """A token may what its person may, in one organization, and of that what its scopes say."""

    queryset = AdminToken.objects.all()
    serializer_class = AdminTokenOut
    filterset_class = AdminTokenFilter
    page_order = ("-created_at", "id")
    rights = dict.fromkeys(("list", "retrieve", "create", "destroy"), Permission.TOKENS_MANAGE)
    asks_proof = ("create",)
    http_method_names = ["get", "post", "delete", "head", "options"]

    def scoped(self) -> QuerySet[AdminToken]:
        return admin_tokens_for(self.caller)

    def whose(self, token: AdminToken) -> tuple[UUID, tuple[()]]:
        return token.user_id, ()

    @extend_schema(request=AdminTokenIn, responses={201: AdminTokenCreated})
    def create(self, request: Request) -> Response:
        """Make a token for oneself. 403: a scope that the caller does not have."""
        given = self.read_input(AdminTokenIn)
        standing = self.caller.standing
        wanted = given.get("scopes")
        scopes = standing.scopes if wanted is None else frozenset(Permission(scope) for scope in wanted)
        if scopes is not None and (wider := beyond(standing, scopes)):
            raise PermissionDenied(f"You cannot hand on what you may not do yourself: {', '.join(wider)}.")

        def act() -> Response:
            minted = admin_token_mint(
                organization=self.caller.organization,
                user=self.caller.user,
                name=given["name"],
                actor=self.caller.actor,
                expires_at=token_expiry(self.caller.organization, given.get("expires_at")),
                scopes=scopes,
            )
            return self.answer(minted.record, status=201, extra={"token": minted.token})

        return self.once(act)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Revoke a token; the next request with it is refused."""
        return super().destroy(request, *args, **kwargs)

    def remove(self, token: AdminToken) -> None:
        admin_token_revoke(token=token, actor=self.caller.actor)

    def require_reason(self) -> None:
        """Nobody has to explain why they end a token of their own."""
        if self.get_object().user_id != self.caller.user.id:
            super().require_reason()

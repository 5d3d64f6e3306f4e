"""REST: admin tokens, with which a person's scripts act in one organization."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.keys.api.scopes import admin_tokens_for
from control_plane.keys.models import AdminToken
from control_plane.keys.services import admin_token_mint, admin_token_revoke
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId
from control_plane.rest.views import ListMixin, TenantView


class AdminTokenOut(serializers.Serializer[AdminToken]):
    id = HexId()
    name = serializers.CharField()
    user = serializers.EmailField(source="user.email")
    prefix = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class AdminTokenCreated(AdminTokenOut):
    token = serializers.CharField(help_text="Shown only here.")


class AdminTokenIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class AdminTokenFilter(django_filters.FilterSet):
    user = django_filters.CharFilter(field_name="user__email", lookup_expr="iexact")
    is_revoked = django_filters.BooleanFilter(field_name="revoked_at", lookup_expr="isnull", exclude=True)


class AdminTokenViewSet(ListMixin, TenantView):
    """A token may what its person may, in one organization."""

    queryset = AdminToken.objects.all()
    serializer_class = AdminTokenOut
    filterset_class = AdminTokenFilter
    page_order = ("-created_at", "id")
    rights = dict.fromkeys(("list", "create", "destroy"), Permission.TOKENS_MANAGE)
    http_method_names = ["get", "post", "delete", "head", "options"]

    def scoped(self) -> QuerySet[AdminToken]:
        return admin_tokens_for(self.caller)

    @extend_schema(request=AdminTokenIn, responses={201: AdminTokenCreated})
    def create(self, request: Request) -> Response:
        """Make a token for oneself."""
        given = self.read_input(AdminTokenIn)

        def act() -> Response:
            caller = self.caller
            minted = admin_token_mint(organization=caller.organization, user=caller.user, actor=caller.actor, **given)
            return Response({**AdminTokenOut(minted.record).data, "token": minted.token}, status=201)

        return self.once(act)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Revoke a token; the next request with it is refused."""
        admin_token_revoke(token=self.get_object(), actor=self.caller.actor)
        return Response(status=204)

"""REST: tokens of identity providers, and what a group gives."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.identity.scim.models import GRANTABLE_ROLES, ScimGroup, ScimToken
from control_plane.identity.scim.representation import address
from control_plane.identity.scim.selectors import provisioned_groups, scim_tokens_of
from control_plane.identity.scim.services import group_role_set, scim_token_mint, scim_token_revoke
from control_plane.organizations.models import Role
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId
from control_plane.rest.views import ListMixin, TenantView


class ScimTokenOut(serializers.Serializer[ScimToken]):
    id = HexId()
    name = serializers.CharField()
    prefix = serializers.CharField()
    created_by = serializers.CharField()
    reaches_owners = serializers.BooleanField(help_text="Made by an owner; otherwise it leaves owners alone.")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    last_request = serializers.CharField()
    last_error = serializers.CharField()
    last_error_at = serializers.DateTimeField(allow_null=True)


class ScimTokenCreated(ScimTokenOut):
    token = serializers.CharField(help_text="Shown only here.")
    endpoint = serializers.URLField(help_text="What the identity provider is told as the tenant or base URL.")


class ScimTokenIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class ScimTokenFilter(django_filters.FilterSet):
    is_revoked = django_filters.BooleanFilter(field_name="revoked_at", lookup_expr="isnull", exclude=True)


class ScimTokenViewSet(ListMixin, TenantView):
    """With such a token an identity provider manages the people and groups of one organization, at /scim/v2/."""

    queryset = ScimToken.objects.all()
    serializer_class = ScimTokenOut
    filterset_class = ScimTokenFilter
    page_order = ("-created_at", "id")
    rights = {
        "list": Permission.SIGN_IN_READ,
        "create": Permission.SIGN_IN_MANAGE,
        "destroy": Permission.SIGN_IN_MANAGE,
    }
    asks_proof = ("create",)
    http_method_names = ["get", "post", "delete", "head", "options"]

    def scoped(self) -> QuerySet[ScimToken]:
        return scim_tokens_of(self.caller.organization)

    @extend_schema(request=ScimTokenIn, responses={201: ScimTokenCreated})
    def create(self, request: Request) -> Response:
        """Make a token. Its text is shown only now."""
        given = self.read_input(ScimTokenIn)

        def act() -> Response:
            caller = self.caller
            minted = scim_token_mint(organization=caller.organization, actor=caller.actor, by=caller.standing, **given)
            shown = {"token": minted.token, "endpoint": address()}
            return Response({**ScimTokenOut(minted.record).data, **shown}, status=201)

        return self.once(act)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Revoke a token; the next request with it is refused."""
        self.require_reason()
        scim_token_revoke(token=self.get_object(), actor=self.caller.actor)
        return Response(status=204)


class ScimGroupOut(serializers.Serializer[ScimGroup]):
    id = HexId()
    name = serializers.CharField(source="display_name")
    team = serializers.CharField(source="team.name")
    role = serializers.CharField(help_text="What being in the group gives besides the team; empty: nothing.")
    updated_at = serializers.DateTimeField()


class ScimGroupIn(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=[("", "none"), *((role.value, role.label) for role in GRANTABLE_ROLES)])


class ScimGroupViewSet(ListMixin, TenantView):
    """Groups that an identity provider keeps here. It decides who is in them; you decide which role they give."""

    queryset = ScimGroup.objects.all()
    serializer_class = ScimGroupOut
    page_order = ("display_name", "id")
    rights = {"list": Permission.SIGN_IN_READ, "partial_update": Permission.SIGN_IN_MANAGE}
    asks_proof = ("partial_update",)
    http_method_names = ["get", "patch", "head", "options"]

    def scoped(self) -> QuerySet[ScimGroup]:
        return provisioned_groups(self.caller.organization)

    @extend_schema(request=ScimGroupIn, responses={200: ScimGroupOut})
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Say which role being in the group gives; it takes effect for its people now."""
        role = self.read_input(ScimGroupIn)["role"]
        group = group_role_set(
            group=self.get_object(),
            role=Role(role) if role else None,
            actor=self.caller.actor,
            by=self.caller.standing,
        )
        return Response(ScimGroupOut(group).data)

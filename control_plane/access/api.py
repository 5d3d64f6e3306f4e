"""REST: access rules."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.access.models import AccessRule
from control_plane.access.services import ACCESS_RULES
from control_plane.organizations.roles import Permission
from control_plane.rules.api.fields import RuleHeadChange, RuleHeadOut
from control_plane.rules.api.views import RuleFilter, RuleView


class PartsField(serializers.Serializer[Any]):
    models = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    providers = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    regions = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    external = serializers.BooleanField(
        required=False, help_text="deny: true denies external providers. allow: false allows one's own alone."
    )


class AccessRuleOut(RuleHeadOut):
    allow = PartsField(allow_null=True, help_text="{}: everything. null: the rule only denies.")
    deny = PartsField(allow_null=True)


class AccessRuleChange(RuleHeadChange):
    name = serializers.CharField(max_length=100, required=False)
    allow = PartsField(required=False, allow_null=True)
    deny = PartsField(required=False, allow_null=True)


class AccessRuleIn(AccessRuleChange):
    name = serializers.CharField(max_length=100)


class AccessRuleViewSet(RuleView):
    """Which models, providers and regions may be used. With no rule everything may; once there are rules, nothing may
    unless a rule allows it; a denial wins."""

    kind = ACCESS_RULES
    queryset = AccessRule.objects.all()
    serializer_class = AccessRuleOut
    filterset_class = RuleFilter
    rights = {
        "list": Permission.RULES_READ,
        "retrieve": Permission.RULES_READ,
        "create": Permission.POLICY_MANAGE,
        "partial_update": Permission.POLICY_MANAGE,
        "destroy": Permission.POLICY_MANAGE,
    }

    @extend_schema(request=AccessRuleIn, responses={201: AccessRuleOut})
    def create(self, request: Request) -> Response:
        """Everything that is wrong is told at once, by field."""
        return super().create(request)

    @extend_schema(request=AccessRuleChange, responses=AccessRuleOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change the fields that are given; null: a field's default. `when`, `allow` and `deny` are given whole."""
        return super().partial_update(request, *args, **kwargs)

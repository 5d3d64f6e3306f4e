"""REST: rate limits and session caps."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.limits.models import RateLimit, SessionCap, Unit
from control_plane.limits.services import FLAGS, RATE_LIMITS, SESSION_CAPS
from control_plane.organizations.roles import Permission
from control_plane.rules.api.fields import PER_TEXT, RuleHeadChange, RuleHeadOut
from control_plane.rules.api.views import GroupedRuleFilter, RuleView

RIGHTS = {
    "list": Permission.RULES_READ,
    "retrieve": Permission.RULES_READ,
    "create": Permission.POLICY_MANAGE,
    "partial_update": Permission.POLICY_MANAGE,
    "destroy": Permission.POLICY_MANAGE,
}
GROUP_TEXT = "Of the rules of a group only the most specific one that matches applies."


class RateLimitOut(RuleHeadOut):
    group = serializers.CharField(help_text=GROUP_TEXT)
    limit = serializers.IntegerField()
    unit = serializers.ChoiceField(Unit.choices)
    burst = serializers.IntegerField(help_text="How many at once; 0: the limit.")
    timezone = serializers.CharField(help_text="Whose midnight begins a day.")
    per = serializers.ListField(child=serializers.CharField(), help_text=PER_TEXT)


class RateLimitChange(RuleHeadChange):
    name = serializers.CharField(max_length=100, required=False)
    group = serializers.CharField(max_length=100, required=False, allow_blank=True, help_text=GROUP_TEXT)
    limit = serializers.IntegerField(min_value=1, required=False)
    unit = serializers.ChoiceField(Unit.choices, required=False)
    burst = serializers.IntegerField(min_value=0, required=False)
    timezone = serializers.CharField(max_length=64, required=False)
    per = serializers.ListField(child=serializers.CharField(max_length=200), required=False, help_text=PER_TEXT)


class RateLimitIn(RateLimitChange):
    name = serializers.CharField(max_length=100)
    limit = serializers.IntegerField(min_value=1)
    unit = serializers.ChoiceField(Unit.choices)


class RateLimitViewSet(RuleView):
    """How many requests or tokens in a time, or how many requests at once. All that match must allow."""

    kind = RATE_LIMITS
    queryset = RateLimit.objects.all()
    serializer_class = RateLimitOut
    filterset_class = GroupedRuleFilter
    rights = RIGHTS

    @extend_schema(request=RateLimitIn, responses={201: RateLimitOut})
    def create(self, request: Request) -> Response:
        """Everything that is wrong is told at once, by field."""
        return super().create(request)

    @extend_schema(request=RateLimitChange, responses=RateLimitOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change the fields that are given; null: a field's default. `when` is given as a whole."""
        return super().partial_update(request, *args, **kwargs)


class SessionCapOut(RuleHeadOut):
    group = serializers.CharField(help_text=GROUP_TEXT)
    max_cost_usd = serializers.CharField(allow_null=True, help_text="null: no cap; so for the others.")
    max_cost_nano_usd = serializers.IntegerField(allow_null=True)
    max_turns = serializers.IntegerField(allow_null=True)
    max_request_retries = serializers.IntegerField(allow_null=True)
    max_consecutive_failed_tool_results = serializers.IntegerField(allow_null=True, help_text=FLAGS)
    max_repeats_of_same_tool_call = serializers.IntegerField(allow_null=True)
    per_key_hour_factor = serializers.IntegerField(
        help_text="A session is the client's word: a key has so many times each cap in an hour; 0: not held."
    )

    def more(self, row: SessionCap) -> Mapping[str, Any]:
        return {"max_cost_nano_usd": row.max_cost_nano_usd}


class SessionCapChange(RuleHeadChange):
    name = serializers.CharField(max_length=100, required=False)
    group = serializers.CharField(max_length=100, required=False, allow_blank=True, help_text=GROUP_TEXT)
    max_cost_usd = serializers.CharField(max_length=30, required=False, allow_null=True)
    max_turns = serializers.IntegerField(min_value=1, required=False, allow_null=True)
    max_request_retries = serializers.IntegerField(min_value=1, required=False, allow_null=True)
    max_consecutive_failed_tool_results = serializers.IntegerField(
        min_value=1, required=False, allow_null=True, help_text=FLAGS
    )
    max_repeats_of_same_tool_call = serializers.IntegerField(min_value=1, required=False, allow_null=True)
    per_key_hour_factor = serializers.IntegerField(min_value=0, max_value=1000, required=False)


class SessionCapIn(SessionCapChange):
    name = serializers.CharField(max_length=100)


class SessionCapViewSet(RuleView):
    """What one session may do at most: a brake on loops. A budget is the wall."""

    kind = SESSION_CAPS
    queryset = SessionCap.objects.all()
    serializer_class = SessionCapOut
    filterset_class = GroupedRuleFilter
    rights = RIGHTS

    @extend_schema(request=SessionCapIn, responses={201: SessionCapOut})
    def create(self, request: Request) -> Response:
        """Everything that is wrong is told at once, by field."""
        return super().create(request)

    @extend_schema(request=SessionCapChange, responses=SessionCapOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change the fields that are given; null: a field's default. `when` is given as a whole."""
        return super().partial_update(request, *args, **kwargs)

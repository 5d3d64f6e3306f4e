"""REST: within what people mint keys of their own, and what they were told of keys that end."""

from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.keys.models import KeyNotice, KeyRules, NoticeKind
from control_plane.keys.reach import keys_within
from control_plane.keys.services import key_rules_update, rules_of
from control_plane.keys.services.tokens import MOST_TOKEN_DAYS
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId
from control_plane.rest.views import ListMixin, TenantView, check_unchanged


class KeyRulesOut(serializers.Serializer[KeyRules]):
    members_may_mint = serializers.BooleanField()
    max_personal_keys = serializers.IntegerField(allow_null=True, help_text="Live keys a person may hold.")
    max_personal_days = serializers.IntegerField(allow_null=True, help_text="How long a personal key lives at most.")
    personal_models = serializers.ListField(
        child=serializers.CharField(), help_text="Globs that personal keys stay within, at once; empty: all."
    )
    max_token_days = serializers.IntegerField(
        allow_null=True, help_text="How long a token of this API lives at most; null: a year."
    )
    updated_at = serializers.DateTimeField()


class KeyRulesIn(serializers.Serializer[Any]):
    members_may_mint = serializers.BooleanField(required=False)
    max_personal_keys = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=1000)
    max_personal_days = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=3660)
    personal_models = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    max_token_days = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=MOST_TOKEN_DAYS)
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True)


class KeyRulesView(TenantView):
    """The organization's rules for personal keys."""

    queryset = KeyRules.objects.all()
    serializer_class = KeyRulesOut
    pagination_class = None
    rights = {"retrieve": Permission.ORGANIZATION_READ, "partial_update": Permission.ORGANIZATION_MANAGE}

    def scoped(self) -> QuerySet[KeyRules]:
        return KeyRules.objects.filter(organization=self.caller.organization)

    @extend_schema(operation_id="key_rules_retrieve", responses=KeyRulesOut)
    def retrieve(self, request: Request) -> Response:
        return self.answer(rules_of(self.caller.organization))

    @extend_schema(operation_id="key_rules_update", request=KeyRulesIn, responses=KeyRulesOut)
    def partial_update(self, request: Request) -> Response:
        given = self.read_input(KeyRulesIn, partial=True)
        organization = self.caller.organization
        with transaction.atomic():
            Organization.objects.select_for_update().get(id=organization.id)
            check_unchanged(request, rules_of(organization))
            return self.answer(key_rules_update(organization=organization, actor=self.caller.actor, **given))


class KeyNoticeOut(serializers.Serializer[KeyNotice]):
    id = HexId()
    key = serializers.CharField(source="key.key_id")
    key_name = serializers.CharField(source="key.name")
    kind = serializers.ChoiceField(NoticeKind.choices)
    due_at = serializers.DateTimeField(help_text="When the key ends, or its successor is due.")
    days_before = serializers.IntegerField()
    recipients = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    mailed_at = serializers.DateTimeField(allow_null=True)
    failure = serializers.CharField(help_text="Why the mail could not be sent; empty: it was, or is waiting.")


class KeyNoticeFilter(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(choices=NoticeKind.choices)
    key = django_filters.CharFilter(field_name="key__key_id")


class KeyNoticeViewSet(ListMixin, TenantView):
    """What people were told of keys that end soon."""

    queryset = KeyNotice.objects.all()
    serializer_class = KeyNoticeOut
    filterset_class = KeyNoticeFilter
    page_order = ("-created_at", "id")
    rights = {"list": Permission.KEYS_READ}

    def scoped(self) -> QuerySet[KeyNotice]:
        standing = self.caller.standing
        keys = keys_within(standing).order_by().values("id")
        return KeyNotice.objects.filter(organization_id=standing.organization_id, key__in=keys).select_related("key")

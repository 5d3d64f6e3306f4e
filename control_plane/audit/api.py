"""REST: the audit. Read-only; rows are written by what they tell of."""

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.audit.models import ActorKind, Change
from control_plane.audit.selectors import Intact, changes_of, verify_chain
from control_plane.rest.views import ListMixin, TenantView


class ChangeOut(serializers.Serializer[Change]):
    sequence = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor_kind = serializers.ChoiceField(ActorKind.choices)
    actor_id = serializers.CharField()
    actor_name = serializers.CharField()
    source_address = serializers.CharField()
    action = serializers.CharField()
    subject_kind = serializers.CharField()
    subject_id = serializers.CharField()
    subject_name = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)
    reason = serializers.CharField()
    previous_hash = serializers.SerializerMethodField(help_text="Hex.")
    hash = serializers.SerializerMethodField(help_text="SHA-256 over the previous hash and this change; hex.")

    def get_previous_hash(self, change: Change) -> str:
        return bytes(change.previous_hash).hex()

    def get_hash(self, change: Change) -> str:
        return bytes(change.hash).hex()


class VerdictOut(serializers.Serializer[object]):
    is_intact = serializers.BooleanField()
    detail = serializers.CharField()


class ChangeFilter(django_filters.FilterSet):
    action = django_filters.CharFilter()
    actor = django_filters.CharFilter(field_name="actor_name", lookup_expr="icontains")
    subject_kind = django_filters.CharFilter()
    subject_id = django_filters.CharFilter()
    since = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")


class AuditViewSet(ListMixin, TenantView):
    """Who changed what, chained by hash."""

    queryset = Change.objects.all()
    serializer_class = ChangeOut
    filterset_class = ChangeFilter
    page_order = ("-sequence",)
    # By name: the table of rights lies above this package.
    rights = dict.fromkeys(("list", "retrieve", "verify"), "audit.read")
    http_method_names = ["get", "head", "options"]

    def scoped(self) -> QuerySet[Change]:
        return changes_of(self.caller.organization_id)

    @extend_schema(responses=VerdictOut)
    @action(detail=False, methods=["get"], filterset_class=None, pagination_class=None)
    def verify(self, request: Request) -> Response:
        """Verify the whole chain of the organization."""
        verdict = verify_chain(self.caller.organization_id)
        return Response({"is_intact": isinstance(verdict, Intact), "detail": str(verdict)})

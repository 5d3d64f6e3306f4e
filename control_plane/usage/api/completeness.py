"""REST: how complete the books are, what is missing, orphans, and events in quarantine."""

from typing import Any

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import is_first_organization
from control_plane.rest.fields import HexId, money
from control_plane.rest.views import ListMixin, TenantView
from control_plane.usage.completeness import (
    LONGEST_NOTE,
    Completeness,
    completeness,
    missing_accept,
    orphan_accept,
    orphans_of,
)
from control_plane.usage.models import MissingEvents, Orphan, QuarantinedEvent
from control_plane.usage.rejudgement import event_dismiss, event_retry, event_told, quarantined_of


class CompletenessOut(serializers.Serializer[Completeness]):
    completeness = serializers.FloatField(source="share", help_text="1 - (missing + orphans) / admitted.")
    admitted = serializers.IntegerField(help_text="Events that pods are known to have numbered, and orphans.")
    missing = serializers.IntegerField(help_text="Numbers that later ones overtook and that have not come.")
    orphans = serializers.IntegerField(help_text="Attempts of which only the counter store knows.")
    oldest_gap_at = serializers.DateTimeField(allow_null=True)
    is_overdue = serializers.BooleanField(help_text="Something is missing for longer than it may be on its way.")


class CompletenessView(APIView):
    """Of the whole installation: what is missing names no organization."""

    rights = {"get": Permission.FLEET_READ}

    @extend_schema(responses=CompletenessOut)
    def get(self, request: Request) -> Response:
        """How much of what was admitted is in the books."""
        return Response(CompletenessOut(completeness()).data)


class NoteIn(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=LONGEST_NOTE, help_text="Why; it is kept.")


class MissingEventsOut(serializers.Serializer[MissingEvents]):
    id = serializers.CharField()
    pod_id = serializers.CharField()
    boot_id = serializers.SerializerMethodField(help_text="Names the spool that numbered them; hex.")
    first = serializers.IntegerField()
    last = serializers.IntegerField()
    count = serializers.IntegerField()
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True, help_text="Null: still missing.")
    closed_by = serializers.CharField(help_text="Empty: they arrived.")
    note = serializers.CharField()

    def get_boot_id(self, row: MissingEvents) -> str:
        return bytes(row.boot_id).hex()


class MissingEventsFilter(django_filters.FilterSet):
    pod_id = django_filters.CharFilter()
    is_open = django_filters.BooleanFilter(field_name="closed_at", lookup_expr="isnull")


class NumberedView(TenantView):
    """Rows that have numbers for ids."""

    lookup_value_regex = "[0-9]{1,18}"

    def found(self, rows: QuerySet[Any]) -> Any:
        row = rows.filter(id=int(self.kwargs["pk"])).first()
        if row is None:
            raise Http404
        return row


class MissingEventsViewSet(ListMixin, NumberedView):
    """Events of pods that are on their way, or lost. Pods serve every organization, so nobody knows whose they are."""

    queryset = MissingEvents.objects.all()
    serializer_class = MissingEventsOut
    filterset_class = MissingEventsFilter
    page_order = ("-opened_at", "-id")
    rights = {
        "list": Permission.FLEET_READ,
        "retrieve": Permission.FLEET_READ,
        "accept": Permission.ORGANIZATION_MANAGE,
    }
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[MissingEvents]:
        return MissingEvents.objects.all()

    def retrieve(self, request: Request, pk: str) -> Response:
        """One gap."""
        return Response(MissingEventsOut(self.get_object()).data)

    @extend_schema(request=NoteIn, responses=MissingEventsOut)
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: str) -> Response:
        """Take note that they will not come. For the first organization's admins."""
        if not is_first_organization(self.caller.organization_id):
            raise PermissionDenied("Only admins of this installation's first organization take note of lost events.")
        row, given = self.get_object(), self.read_input(NoteIn)
        return self.once(
            lambda: Response(
                MissingEventsOut(missing_accept(missing=row, actor=self.caller.actor, note=given["note"])).data
            )
        )


class OrphanOut(serializers.Serializer[Orphan]):
    id = serializers.CharField()
    exchange_id = serializers.CharField()
    attempt = serializers.IntegerField()
    pod_id = serializers.CharField()
    cost_nano_usd = serializers.IntegerField(help_text="What was expected, and booked.")
    cost_usd = serializers.SerializerMethodField()
    estimated_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True, help_text="Null: the truth has not come.")
    settled_by = serializers.CharField(help_text="Empty: the truth took its place.")
    note = serializers.CharField()

    def get_cost_usd(self, row: Orphan) -> str:
        return money(row.cost_nano_usd)


class OrphanFilter(django_filters.FilterSet):
    is_open = django_filters.BooleanFilter(field_name="settled_at", lookup_expr="isnull")
    exchange_id = django_filters.CharFilter()


class OrphanViewSet(ListMixin, NumberedView):
    """Attempts that are estimated from what the counter store held: their pod and its disk are gone."""

    queryset = Orphan.objects.all()
    serializer_class = OrphanOut
    filterset_class = OrphanFilter
    page_order = ("-estimated_at", "-id")
    rights = {
        "list": Permission.FLEET_READ,
        "retrieve": Permission.FLEET_READ,
        "accept": Permission.ORGANIZATION_MANAGE,
    }
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[Orphan]:
        return orphans_of(self.caller.organization)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One orphan."""
        return Response(OrphanOut(self.get_object()).data)

    @extend_schema(request=NoteIn, responses=OrphanOut)
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: str) -> Response:
        """Take note that the truth will not come; the estimate stays."""
        row, given = self.get_object(), self.read_input(NoteIn)
        return self.once(
            lambda: Response(OrphanOut(orphan_accept(orphan=row, actor=self.caller.actor, note=given["note"])).data)
        )


class QuarantinedEventOut(serializers.Serializer[QuarantinedEvent]):
    id = serializers.CharField()
    reason = serializers.CharField()
    detail = serializers.CharField()
    pod_id = serializers.CharField()
    sequence = serializers.IntegerField()
    organization_id = HexId(allow_null=True, help_text="As the event names it.")
    quarantined_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    settlement = serializers.CharField(help_text="booked, dismissed; empty: it waits.")
    settled_by = serializers.CharField()
    note = serializers.CharField()
    exchange_id = serializers.SerializerMethodField()
    model = serializers.SerializerMethodField()
    cost_nano_usd = serializers.SerializerMethodField(help_text="As the pod reported it.")

    def to_representation(self, instance: QuarantinedEvent) -> dict[str, Any]:
        self._told = event_told(instance)
        return super().to_representation(instance)

    def get_exchange_id(self, row: QuarantinedEvent) -> str:
        return self._told.exchange_id[:200]

    def get_model(self, row: QuarantinedEvent) -> str:
        return self._told.model[:200]

    def get_cost_nano_usd(self, row: QuarantinedEvent) -> int:
        return self._told.cost_nano_usd


class QuarantinedEventFilter(django_filters.FilterSet):
    is_open = django_filters.BooleanFilter(field_name="settled_at", lookup_expr="isnull")
    reason = django_filters.CharFilter()
    pod_id = django_filters.CharFilter()


class QuarantinedEventViewSet(ListMixin, NumberedView):
    """Events that were acknowledged and not believed. Those of no organization go to the installation's first one."""

    queryset = QuarantinedEvent.objects.all()
    serializer_class = QuarantinedEventOut
    filterset_class = QuarantinedEventFilter
    page_order = ("-quarantined_at", "-id")
    rights = {
        "list": Permission.FLEET_READ,
        "retrieve": Permission.FLEET_READ,
        "retry": Permission.ORGANIZATION_MANAGE,
        "dismiss": Permission.ORGANIZATION_MANAGE,
    }
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[QuarantinedEvent]:
        return quarantined_of(self.caller.organization)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One event."""
        return Response(QuarantinedEventOut(self.get_object()).data)

    @extend_schema(request=None, responses=QuarantinedEventOut)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Judge it again and book it."""
        row = self.get_object()
        days = settings.SWITCHYARD.ledger_days
        return self.once(
            lambda: Response(
                QuarantinedEventOut(event_retry(event=row, actor=self.caller.actor, ledger_days=days)).data
            )
        )

    @extend_schema(request=NoteIn, responses=QuarantinedEventOut)
    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, pk: str) -> Response:
        """Take note that it is not to be booked."""
        row, given = self.get_object(), self.read_input(NoteIn)
        return self.once(
            lambda: Response(
                QuarantinedEventOut(event_dismiss(event=row, actor=self.caller.actor, note=given["note"])).data
            )
        )

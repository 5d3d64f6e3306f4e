"""REST: corrections of money by people."""

import re
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.accounts.models import User
from control_plane.organizations.models import ServiceAccount, Team
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId, Reference, money
from control_plane.rest.views import ListMixin, TenantView
from control_plane.usage.adjustments import LONGEST_NOTE, Correction, adjustment_create
from control_plane.usage.api.parameters import scope_of
from control_plane.usage.models import Adjustment
from switchyard_contract.quantity import NanoUsd, nano_usd

# Decimal would take 1_000, exotic digits and 1e9 as well.
_AMOUNT = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")


class AdjustmentIn(serializers.Serializer[Any]):
    amount_usd = serializers.CharField(max_length=30, help_text='Dollars such as "12.50"; negative: a credit.')
    note = serializers.CharField(max_length=LONGEST_NOTE, help_text="Why; shown on the statement.")
    team = Reference(
        lambda caller: Team.objects.filter(organization=caller.organization), names=("name",), required=False
    )
    user = Reference(
        lambda caller: User.objects.filter(memberships__organization=caller.organization),
        names=("email",),
        required=False,
    )
    service_account = Reference(
        lambda caller: ServiceAccount.objects.filter(organization=caller.organization), names=("name",), required=False
    )
    counts_at = serializers.DateTimeField(required=False, help_text="In a month that is open; left out: now.")


class AdjustmentOut(serializers.Serializer[Adjustment]):
    id = HexId()
    amount_nano_usd = serializers.IntegerField(source="cost_nano_usd")
    amount_usd = serializers.SerializerMethodField()
    note = serializers.CharField()
    team_id = HexId(allow_null=True)
    principal_id = HexId(allow_null=True)
    principal_kind = serializers.CharField(help_text="user, service_account; empty: nobody in particular.")
    counted_at = serializers.DateTimeField(help_text="The instant whose day and statement it counts in.")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()

    def get_amount_usd(self, row: Adjustment) -> str:
        return money(row.cost_nano_usd)


class AdjustmentFilter(django_filters.FilterSet):
    since = django_filters.IsoDateTimeFilter(field_name="counted_at", lookup_expr="gte")
    until = django_filters.IsoDateTimeFilter(field_name="counted_at", lookup_expr="lt")
    team_id = django_filters.UUIDFilter()
    principal_id = django_filters.UUIDFilter()


class AdjustmentViewSet(ListMixin, TenantView):
    """Corrections of money. They are never changed; the opposite is booked instead."""

    queryset = Adjustment.objects.all()
    serializer_class = AdjustmentOut
    filterset_class = AdjustmentFilter
    page_order = ("-counted_at", "id")
    rights = {
        "list": Permission.USAGE_READ,
        "retrieve": Permission.USAGE_READ,
        "create": Permission.PRICES_MANAGE,
    }
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[Adjustment]:
        return Adjustment.objects.filter(scope_of(self.caller).condition())

    def retrieve(self, request: Request, pk: str) -> Response:
        """One correction."""
        return Response(AdjustmentOut(self.get_object()).data)

    @extend_schema(request=AdjustmentIn, responses={201: AdjustmentOut})
    def create(self, request: Request) -> Response:
        """Book a correction: money for a team, and for a person or service account where it is theirs."""
        given = self.read_input(AdjustmentIn)
        if "user" in given and "service_account" in given:
            raise ValidationError({"user": "Name a user or a service account, not both."})
        correction = Correction(
            amount=_amount_of(given["amount_usd"]),
            note=given["note"],
            team=given.get("team"),
            principal=given.get("user") or given.get("service_account"),
            counts_at=given.get("counts_at"),
        )
        return self.once(
            lambda: Response(
                AdjustmentOut(
                    adjustment_create(
                        organization=self.caller.organization, correction=correction, actor=self.caller.actor
                    )
                ).data,
                status=201,
            )
        )


def _amount_of(text: str) -> NanoUsd:
    if _AMOUNT.fullmatch(text.strip()) is None:
        raise ValidationError({"amount_usd": "This is no amount in US dollars. Right: -12.50."})
    return nano_usd(text.strip())

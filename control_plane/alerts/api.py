"""REST: alert channels and what was sent through them. A secret goes out once, when it is made here."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.alerts.channels.catalog import all_channels
from control_plane.alerts.foreseen import FORECAST
from control_plane.alerts.models import AlertChannel, Delivery, DeliveryState, Topic
from control_plane.alerts.no_room import NO_ROOM
from control_plane.alerts.selectors import channels_of, deliveries_of
from control_plane.alerts.services import (
    ChannelFacts,
    channel_create,
    channel_delete,
    channel_test,
    channel_update,
    delivery_retry,
)
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId, money
from control_plane.rest.views import ChangeMixin, ListMixin, RemoveMixin, RetrieveMixin, TenantView


class AlertChannelOut(serializers.Serializer[AlertChannel]):
    id = HexId()
    name = serializers.CharField()
    type = serializers.CharField()
    description = serializers.CharField()
    addresses = serializers.ListField(child=serializers.CharField(), help_text="E-mail only.")
    url = serializers.CharField(help_text="Webhooks only.")
    cost_centre = serializers.CharField(help_text="Alerts for the owner of this cost centre come here.")
    hears = serializers.ListField(child=serializers.CharField(), help_text="What comes here besides budgets' stages.")
    has_secret = serializers.BooleanField()
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class MadeAlertChannelOut(AlertChannelOut):
    secret = serializers.CharField(
        required=False, help_text="Signs what is sent. Only in the answer to the call that made it."
    )


class AlertChannelChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    addresses = serializers.ListField(child=serializers.CharField(max_length=254), required=False)
    url = serializers.CharField(max_length=300, required=False)
    cost_centre = serializers.CharField(max_length=100, required=False, allow_blank=True)
    hears = serializers.ListField(child=serializers.ChoiceField(choices=Topic.choices), required=False)
    secret = serializers.CharField(
        max_length=500,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="Webhooks only; empty: a new one is made, and told once.",
    )
    is_active = serializers.BooleanField(required=False)


class AlertChannelIn(AlertChannelChange):
    name = serializers.CharField(max_length=100)
    type = serializers.ChoiceField(choices=sorted(all_channels()))


class DeliveryOut(serializers.Serializer[Delivery]):
    id = HexId(help_text="Also the idempotency-key of a webhook and the left side of a mail's Message-ID.")
    type = serializers.CharField()
    recipient = serializers.CharField(source="recipient_name")
    channel = serializers.SerializerMethodField(help_text="Name of the channel; null: a person's own address.")
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    attempts = serializers.IntegerField()
    failure = serializers.CharField(help_text="Why the last try failed.")
    due_at = serializers.DateTimeField(help_text="When it is tried next, while it waits.")
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    is_test = serializers.SerializerMethodField()
    finding = serializers.SerializerMethodField(help_text="What was found without a budget's line; null: none was.")
    budget = serializers.SerializerMethodField(help_text="Name of the budget, as it was; null: it is not about one.")
    budget_id = serializers.SerializerMethodField()
    counter = serializers.SerializerMethodField(help_text="In words; empty: everybody's together.")
    stage = serializers.SerializerMethodField(
        help_text="Percent of the limit; null for a forecast, and for a request that did not fit far below its line."
    )
    is_forecast = serializers.SerializerMethodField(help_text="It was heading above its limit; no stage was reached.")
    is_refusal = serializers.SerializerMethodField(
        help_text="Work was refused because it did not fit, before the line was reached."
    )
    spent_usd = serializers.SerializerMethodField()
    limit_usd = serializers.SerializerMethodField()

    def get_channel(self, row: Delivery) -> str | None:
        return None if row.channel is None else row.channel.name

    def get_is_test(self, row: Delivery) -> bool:
        return row.crossing is None and row.finding is None

    def get_finding(self, row: Delivery) -> str | None:
        return None if row.finding is None else row.finding.title

    def get_budget(self, row: Delivery) -> str | None:
        return None if row.crossing is None else row.crossing.budget_name

    def get_budget_id(self, row: Delivery) -> str | None:
        return None if row.crossing is None else row.crossing.budget_id.hex

    def get_counter(self, row: Delivery) -> str | None:
        return None if row.crossing is None else row.crossing.counter_text

    def get_stage(self, row: Delivery) -> int | None:
        crossing = row.crossing
        return None if crossing is None or crossing.action in (FORECAST, NO_ROOM) else crossing.at_percent

    def get_is_forecast(self, row: Delivery) -> bool:
        return row.crossing is not None and row.crossing.is_forecast

    def get_is_refusal(self, row: Delivery) -> bool:
        return row.crossing is not None and row.crossing.is_refusal

    def get_spent_usd(self, row: Delivery) -> str | None:
        return None if row.crossing is None else money(row.crossing.posted_nano_usd)

    def get_limit_usd(self, row: Delivery) -> str | None:
        return None if row.crossing is None else money(row.crossing.limit_nano_usd)


class AlertChannelFilter(django_filters.FilterSet):
    name = django_filters.CharFilter()
    type = django_filters.CharFilter()
    cost_centre = django_filters.CharFilter()
    is_active = django_filters.BooleanFilter()


class DeliveryFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=DeliveryState.choices)
    channel = django_filters.CharFilter(field_name="channel__name")
    budget = django_filters.UUIDFilter(field_name="crossing__budget_id")


class AlertChannelViewSet(ListMixin, RetrieveMixin, ChangeMixin, RemoveMixin, TenantView):
    """Where alerts go, by name: mailing lists and signed webhooks."""

    queryset = AlertChannel.objects.all()
    serializer_class = AlertChannelOut
    filterset_class = AlertChannelFilter
    page_order = ("name", "id")
    lookup_names = ("name",)
    rights = {
        "list": Permission.POLICY_READ,
        "retrieve": Permission.POLICY_READ,
        "create": Permission.BUDGETS_MANAGE,
        "partial_update": Permission.BUDGETS_MANAGE,
        "destroy": Permission.BUDGETS_MANAGE,
        "test": Permission.BUDGETS_MANAGE,
    }
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def scoped(self) -> QuerySet[AlertChannel]:
        return channels_of(self.caller.organization_id)

    @extend_schema(request=AlertChannelIn, responses={201: MadeAlertChannelOut})
    def create(self, request: Request) -> Response:
        """A webhook without a secret of its own gets one, told in this answer only."""
        given = self.read_input(AlertChannelIn)
        self.require(Permission.BUDGETS_MANAGE)

        def act() -> Response:
            made = channel_create(
                organization=self.caller.organization,
                type=given["type"],
                facts=_facts(given),
                actor=self.caller.actor,
            )
            return self.answer(made.channel, status=201, extra={"secret": made.secret} if made.secret else None)

        return self.once(act)

    @extend_schema(request=AlertChannelChange, responses=MadeAlertChannelOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().partial_update(request, *args, **kwargs)

    def change(self, channel: AlertChannel) -> Response:
        given = self.read_input(AlertChannelChange, partial=True)
        made = channel_update(channel=channel, facts=_facts(given), actor=self.caller.actor)
        return self.answer(made.channel, extra={"secret": made.secret} if made.secret else None)

    def remove(self, channel: AlertChannel) -> None:
        channel_delete(channel=channel, actor=self.caller.actor)

    @extend_schema(request=None, responses={202: DeliveryOut})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send a test; the delivery at `alert-deliveries/{id}` tells what came of it."""

        def act() -> Response:
            delivery = channel_test(channel=self.get_object(), actor=self.caller.actor)
            return Response(DeliveryOut(delivery).data, status=202)

        return self.once(act)


class AlertDeliveryViewSet(ListMixin, RetrieveMixin, TenantView):
    """What was sent, what waits for its next try, and what was given up; kept for 400 days."""

    queryset = Delivery.objects.all()
    serializer_class = DeliveryOut
    filterset_class = DeliveryFilter
    page_order = ("-created_at", "id")
    rights = {
        "list": Permission.POLICY_READ,
        "retrieve": Permission.POLICY_READ,
        "retry": Permission.BUDGETS_MANAGE,
    }
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[Delivery]:
        return deliveries_of(self.caller.organization_id)

    @extend_schema(request=None, responses={202: DeliveryOut})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Try once more what was given up."""

        def act() -> Response:
            return Response(DeliveryOut(delivery_retry(delivery=self.get_object())).data, status=202)

        return self.once(act)


def _facts(given: dict[str, Any]) -> ChannelFacts:
    return ChannelFacts(
        name=given.get("name"),
        description=given.get("description"),
        addresses=tuple(given["addresses"]) if "addresses" in given else None,
        url=given.get("url"),
        cost_centre=given.get("cost_centre"),
        hears=tuple(given["hears"]) if "hears" in given else None,
        is_active=given.get("is_active"),
        secret=given.get("secret"),
    )

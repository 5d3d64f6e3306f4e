"""REST: the fleet. Pods serve several organizations; a caller sees the shards of the own one and the global one.

Also the metrics of the installation, as Prometheus reads them with an admin token.
"""

from typing import Any

import django_filters
from django.db.models import Prefetch, Q, QuerySet
from django.http import Http404, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.fleet.counter_standing import CounterStanding, CounterState, counter_standing
from control_plane.fleet.metrics import exposition
from control_plane.fleet.models import Pod, PodShard
from control_plane.fleet.selectors import PodState, live_pods, state_of
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of
from control_plane.rest.views import ListMixin, TenantView

GLOBAL_SHARD = "global"


class PodShardOut(serializers.Serializer[PodShard]):
    shard = serializers.CharField()
    acked_epoch = serializers.IntegerField()
    acked_version = serializers.IntegerField()
    acked_at = serializers.DateTimeField(allow_null=True)
    nack_code = serializers.CharField(help_text="Empty: nothing refused since.")
    nack_detail = serializers.CharField()
    nack_version = serializers.IntegerField()
    nacked_at = serializers.DateTimeField(allow_null=True)


class PodOut(serializers.Serializer[Pod]):
    id = serializers.CharField(source="pod_id")
    boot_id = serializers.CharField()
    software_version = serializers.CharField()
    contract_revision = serializers.IntegerField()
    address = serializers.CharField()
    is_live = serializers.SerializerMethodField(help_text="It has an open stream and spoke lately.")
    state = serializers.SerializerMethodField(
        help_text="live; silent: nothing comes; out_of_reach: cut off, it may serve on; gone: it drained and left."
    )
    first_seen_at = serializers.DateTimeField()
    connected_at = serializers.DateTimeField(allow_null=True)
    last_seen_at = serializers.DateTimeField(allow_null=True)
    disconnected_at = serializers.DateTimeField(allow_null=True)
    status_at = serializers.DateTimeField(allow_null=True)
    in_flight = serializers.IntegerField()
    spool_records = serializers.IntegerField()
    spool_bytes = serializers.IntegerField()
    counters_reachable = serializers.BooleanField()
    draining = serializers.BooleanField()
    loop_lag_ms = serializers.IntegerField()
    degraded = serializers.ListField(child=serializers.CharField())
    shards = PodShardOut(many=True)

    def get_is_live(self, pod: Pod) -> bool:
        return state_of(pod) is PodState.LIVE

    @extend_schema_field(serializers.ChoiceField([state.value for state in PodState]))
    def get_state(self, pod: Pod) -> str:
        return state_of(pod).value


class PodFilter(django_filters.FilterSet):
    is_live = django_filters.BooleanFilter(method="by_life")
    draining = django_filters.BooleanFilter()

    def by_life(self, rows: QuerySet[Pod], name: str, value: bool) -> QuerySet[Pod]:
        live = live_pods().values("id")
        return rows.filter(id__in=live) if value else rows.exclude(id__in=live)


class PodViewSet(ListMixin, TenantView):
    """Pods that have dialled in, and what they hold."""

    queryset = Pod.objects.all()
    serializer_class = PodOut
    filterset_class = PodFilter
    page_order = ("pod_id",)
    rights = dict.fromkeys(("list", "retrieve"), Permission.FLEET_READ)
    http_method_names = ["get", "head", "options"]

    def scoped(self) -> QuerySet[Pod]:
        ours = Q(shard=GLOBAL_SHARD) | Q(shard__startswith=f"org/{self.caller.organization_id.hex}/")
        shards = PodShard.objects.filter(ours).order_by("shard")
        return Pod.objects.prefetch_related(Prefetch("shards", queryset=shards))

    def found(self, rows: QuerySet[Any]) -> Any:
        row = rows.filter(pod_id=str(self.kwargs["pk"])).first()
        if row is None:
            raise Http404
        return row

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(PodOut(self.get_object()).data)


class CountersOut(serializers.Serializer[CounterStanding]):
    state = serializers.ChoiceField(
        [state.value for state in CounterState],
        help_text="counting; recovering: they were lost, and the books are being laid into the counter store; "
        "beginning: they are in, and pods count there again in a moment. Until then pods spend what they were issued.",
    )
    text = serializers.CharField(help_text="The same in words.")
    generation = serializers.IntegerField(help_text="Grows with each recovery.")
    lost_at = serializers.DateTimeField(
        allow_null=True, help_text="When the latest loss was reported; null: never one."
    )
    floors_laid = serializers.IntegerField(
        help_text="Of the latest loss: how many counters' sums the store was given back, as it says itself."
    )
    floors_of = serializers.IntegerField(help_text="How many there are.")
    laid_at = serializers.DateTimeField(allow_null=True, help_text="When the store had all of them.")


class CountersView(APIView):
    """Whether the own organization's counters count, or are being brought back after the counter store lost them."""

    rights = {"get": Permission.FLEET_READ}

    @extend_schema(responses=CountersOut)
    def get(self, request: Request) -> Response:
        """How the organization's counters stand."""
        organization = Organization.objects.get(id=caller_of(request).organization_id)
        return Response(CountersOut(counter_standing(organization)).data)


class MetricsView(APIView):
    """Metrics of the fleet and the books, of the whole installation and without anybody's name."""

    rights = {"get": Permission.FLEET_READ}

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        """In the text format of Prometheus."""
        return HttpResponse(exposition(timezone.now()), content_type="text/plain; version=0.0.4; charset=utf-8")

"""REST: versions of shards, and what the consistency check found. Never their content: key digests travel in it."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId
from control_plane.rest.views import ListMixin, TenantView
from control_plane.snapshots.models import ShardHead, Snapshot

GLOBAL_SHARD = "global"


class FindingOut(serializers.Serializer[Any]):
    path = serializers.CharField()
    problem = serializers.CharField()


class SnapshotOut(serializers.Serializer[Snapshot]):
    id = HexId()
    shard = serializers.CharField()
    epoch = serializers.IntegerField()
    version = serializers.IntegerField()
    is_published = serializers.BooleanField(help_text="false: it failed its checks and no pod has it.")
    findings = FindingOut(many=True)
    payload_sha256 = serializers.SerializerMethodField(help_text="Of the bytes as shipped; hex.")
    raw_size = serializers.IntegerField(help_text="Bytes before compression.")
    signing_key_id = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_payload_sha256(self, snapshot: Snapshot) -> str:
        return bytes(snapshot.payload_sha256).hex()


class HeadOut(serializers.Serializer[ShardHead]):
    shard = serializers.CharField()
    epoch = serializers.IntegerField()
    version = serializers.IntegerField()
    updated_at = serializers.DateTimeField()


class SnapshotFilter(django_filters.FilterSet):
    shard = django_filters.CharFilter()
    is_published = django_filters.BooleanFilter()


class SnapshotViewSet(ListMixin, TenantView):
    """Versions of the organization's shards and of the global one, newest first."""

    queryset = Snapshot.objects.all()
    serializer_class = SnapshotOut
    filterset_class = SnapshotFilter
    page_order = ("-created_at", "id")
    rights = dict.fromkeys(("list", "retrieve", "heads"), Permission.FLEET_READ)
    http_method_names = ["get", "head", "options"]

    def scoped(self) -> QuerySet[Snapshot]:
        ours = Q(organization_id=self.caller.organization_id) | Q(organization_id__isnull=True, shard=GLOBAL_SHARD)
        return Snapshot.objects.filter(ours).defer("payload", "header", "signature")

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(SnapshotOut(self.get_object()).data)

    @extend_schema(responses=HeadOut(many=True))
    @action(detail=False, methods=["get"], filterset_class=None, pagination_class=None)
    def heads(self, request: Request) -> Response:
        """The version in force of each shard."""
        ours = Q(organization_id=self.caller.organization_id) | Q(organization_id__isnull=True, shard=GLOBAL_SHARD)
        heads = list(ShardHead.objects.filter(ours).order_by("shard"))
        return Response([HeadOut(head).data for head in heads])

"""REST: the audit. Read-only, but for signing where it stands; rows are written by what they tell of."""

from typing import Any

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.audit.export import ExportForm, audit_export
from control_plane.audit.heads import heads_publish
from control_plane.audit.models import ActorKind, Change, PublishedHead
from control_plane.audit.search import FILTER_NAMES, by_text
from control_plane.audit.selectors import (
    Broken,
    changes_of,
    published_heads_of,
    scope_of,
    signed_head_of,
    verify_chain,
)
from control_plane.rest.pagination import CursorPages
from control_plane.rest.renderers import CsvRenderer, JsonLinesRenderer
from control_plane.rest.views import ListMixin, TenantView
from switchyard_contract.audit_head import write_head


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
    before = serializers.DictField(allow_null=True, help_text="Facts as they were, without secrets.")
    after = serializers.DictField(allow_null=True)
    reason = serializers.CharField()
    previous_hash = serializers.SerializerMethodField(help_text="Hex.")
    hash = serializers.SerializerMethodField(help_text="SHA-256 over the previous hash and this change; hex.")

    def get_previous_hash(self, change: Change) -> str:
        return bytes(change.previous_hash).hex()

    def get_hash(self, change: Change) -> str:
        return bytes(change.hash).hex()


class VerdictOut(serializers.Serializer[Any]):
    is_intact = serializers.BooleanField()
    entries = serializers.IntegerField(allow_null=True, help_text="How many there are; null when it is broken.")
    broken_at = serializers.IntegerField(allow_null=True, help_text="The first entry that is not as it was written.")
    how = serializers.CharField(allow_null=True, help_text="altered, deleted, reordered or cut.")
    detail = serializers.CharField()


class AuditHeadOut(serializers.Serializer[PublishedHead]):
    """Exactly the facts that `switchyard verify-audit --heads` reads, one a line."""

    domain = serializers.CharField()
    deployment = serializers.CharField()
    organization = serializers.CharField()
    sequence = serializers.IntegerField()
    hash = serializers.CharField(help_text="Hex.")
    at_ms = serializers.IntegerField()
    signing_key_id = serializers.CharField()
    signature = serializers.CharField(help_text="Ed25519, base64.")

    def to_representation(self, row: PublishedHead) -> dict[str, Any]:
        return write_head(signed_head_of(row, settings.SWITCHYARD.deployment_id))


class HeadsPublished(serializers.Serializer[Any]):
    published = AuditHeadOut(many=True, help_text="Empty: nothing has changed since the last head.")


class ChangeFilter(django_filters.FilterSet):
    action = django_filters.CharFilter(help_text="Whole, or its beginning with a star: key.*", method="by_action")
    actor = django_filters.CharFilter(field_name="actor_name", lookup_expr="icontains")
    actor_kind = django_filters.ChoiceFilter(choices=ActorKind.choices)
    actor_id = django_filters.CharFilter()
    source = django_filters.CharFilter(field_name="source_address", help_text="The address it came from.")
    subject_kind = django_filters.CharFilter()
    subject_id = django_filters.CharFilter()
    subject = django_filters.CharFilter(field_name="subject_name", lookup_expr="icontains")
    since = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")
    search = django_filters.CharFilter(method="by_search")

    def by_action(self, rows: QuerySet[Change], name: str, value: str) -> QuerySet[Change]:
        if value.endswith("*"):
            return rows.filter(action__startswith=value.removesuffix("*"))
        return rows.filter(action=value)

    def by_search(self, rows: QuerySet[Change], name: str, value: str) -> QuerySet[Change]:
        return rows.filter(by_text(value))


FORM = OpenApiParameter("form", str, enum=[form.value for form in ExportForm], description="jsonl unless said.")


class AuditViewSet(ListMixin, TenantView):
    """Who changed what, chained by hash."""

    queryset = Change.objects.all()
    serializer_class = ChangeOut
    filterset_class = ChangeFilter
    page_order = ("-sequence",)
    lookup_field = "sequence"
    lookup_value_regex = "[0-9]{1,18}"
    # By name: the table of rights lies above this package.
    rights = dict.fromkeys(("list", "retrieve", "verify", "export", "heads", "publish_heads"), "audit.read")
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[Change]:
        return changes_of(self.caller.organization_id)

    def found(self, rows: QuerySet[Any]) -> Any:
        change = rows.filter(sequence=int(self.kwargs["sequence"])).first()
        if change is None:
            raise Http404
        return change

    def retrieve(self, request: Request, sequence: str) -> Response:
        """One entry, by its number in the chain."""
        return Response(ChangeOut(self.get_object()).data)

    @extend_schema(responses=VerdictOut)
    @action(detail=False, methods=["get"], filterset_class=None, pagination_class=None)
    def verify(self, request: Request) -> Response:
        """Verify the whole chain of the organization, against its own end and every head that was published."""
        verdict = verify_chain(self.caller.organization_id)
        if isinstance(verdict, Broken):
            facts = {"is_intact": False, "entries": None, "broken_at": verdict.sequence, "how": str(verdict.how)}
            return Response({**facts, "detail": verdict.why})
        facts = {"is_intact": True, "entries": verdict.length, "broken_at": None, "how": None}
        return Response({**facts, "detail": f"every entry is as it was written, up to hash {verdict.head.hex()}"})

    @extend_schema(
        operation_id="audit_export",
        filters=True,
        parameters=[FORM],
        responses={(200, "application/jsonl"): OpenApiTypes.STR, (200, "text/csv"): OpenApiTypes.STR},
    )
    @action(detail=False, methods=["get"], pagination_class=None, renderer_classes=[JsonLinesRenderer, CsvRenderer])
    def export(self, request: Request) -> StreamingHttpResponse:
        """The entries, oldest first, in the form that `switchyard verify-audit` checks. Filters as in the list; an
        export without any is complete and brings its signed head along. CSV also by `Accept: text/csv`."""
        form = ExportForm.CSV if _wants_csv(request) else ExportForm.JSONL
        filters = {name: request.query_params[name] for name in FILTER_NAMES if request.query_params.get(name)}
        lines = audit_export(
            self.caller.organization_id,
            form,
            rows=self.filter_queryset(self.scoped()),
            filters=filters,
            now=timezone.now(),
        )
        response = StreamingHttpResponse(lines, content_type=form.content_type)
        name = f"audit-{self.caller.organization.slug}-{timezone.now():%Y-%m-%d}.{form.value}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    @extend_schema(operation_id="audit_heads_list", responses=AuditHeadOut(many=True))
    @action(detail=False, methods=["get"], filterset_class=None, pagination_class=CursorPages)
    def heads(self, request: Request) -> Response:
        """Where the chain stood, signed, newest first. Keep them elsewhere: they prove what was there."""
        page = self.paginate_queryset(published_heads_of(self.caller.organization_id))
        return self.get_paginated_response([AuditHeadOut(row).data for row in page or []])

    @extend_schema(operation_id="audit_heads_publish", request=None, responses={201: HeadsPublished})
    @heads.mapping.post
    def publish_heads(self, request: Request) -> Response:
        """Sign where the chain stands now, and hand it to pods and the heads' file. A broken chain is not signed."""

        def act() -> Response:
            published = heads_publish(scopes=[scope_of(self.caller.organization_id)])
            return Response({"published": [AuditHeadOut(row).data for row in published]}, status=201)

        return self.once(act)


def _wants_csv(request: Request) -> bool:
    asked = request.query_params.get("form", "")
    if asked:
        if asked not in [form.value for form in ExportForm]:
            raise serializers.ValidationError({"form": f"One of {', '.join(ExportForm)}."})
        return asked == ExportForm.CSV
    renderer = request.accepted_renderer
    return isinstance(renderer, CsvRenderer)

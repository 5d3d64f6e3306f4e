"""REST: earlier policies, compared and brought back."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.declarative.api.answers import ObjectChangeOut, PlanOut, change_data, plan_answer, refusal_answer
from control_plane.declarative.api.files import asker_of
from control_plane.declarative.models import PolicyRevision, RevisionSource
from control_plane.declarative.nodes import RefusedPolicy
from control_plane.declarative.selectors import missing_reading_rights, revision_by_number, revisions_of
from control_plane.declarative.services import (
    Busy,
    ChangedMeanwhile,
    removal_on_restore,
    restore_apply,
    restore_plan,
)
from control_plane.declarative.texts import changes_between, unified
from control_plane.declarative.versions import etag_of_policy, policy_version
from control_plane.organizations.roles import Permission
from control_plane.rest.problems import Conflict
from control_plane.rest.views import ListMixin, TenantView


class RevisionChangeOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    name = serializers.CharField()
    action = serializers.CharField()


class RevisionOut(serializers.Serializer[PolicyRevision]):
    number = serializers.IntegerField()
    source = serializers.ChoiceField(RevisionSource.choices)  # type: ignore[assignment]  # a field named so
    source_label = serializers.CharField()
    author = serializers.CharField()
    reason = serializers.CharField()
    restored_number = serializers.IntegerField(allow_null=True)
    changes = RevisionChangeOut(many=True)
    change_count = serializers.IntegerField()
    object_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class RevisionTextOut(RevisionOut):
    yaml = serializers.CharField(source="text")


class ComparisonOut(serializers.Serializer[Any]):
    changes = ObjectChangeOut(many=True)
    unified = serializers.CharField()


class RestoreIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")
    takes_people = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Also take away people, teams and service accounts that came after it. People lose their keys.",
    )
    confirm = serializers.ChoiceField(choices=["deletions"], required=False)
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Only say what it would mean.")


class PolicyRevisionViewSet(ListMixin, TenantView):
    """What the policy was after each change."""

    queryset = PolicyRevision.objects.all()
    serializer_class = RevisionOut
    page_order = ("-number",)
    lookup_field = "number"
    lookup_value_regex = "[0-9]{1,9}"
    rights = {
        "list": Permission.POLICY_READ,
        "retrieve": Permission.POLICY_READ,
        "compare": Permission.POLICY_READ,
        "restore": Permission.POLICY_MANAGE,
    }
    asks_proof = ("restore",)
    http_method_names = ["get", "post", "head", "options"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        for right in missing_reading_rights(self.caller.standing):
            raise PermissionDenied(self.caller.rights.refusal(right))

    def scoped(self) -> QuerySet[PolicyRevision]:
        return revisions_of(self.caller.organization)

    def found(self, rows: QuerySet[Any]) -> Any:
        found = revision_by_number(self.caller.organization, int(self.kwargs["number"]))
        if found is None:
            raise Http404
        return found

    @extend_schema(responses=RevisionTextOut)
    def retrieve(self, request: Request, number: str) -> Response:
        """One revision with its text."""
        return Response(RevisionTextOut(self.get_object()).data)

    @extend_schema(
        responses=ComparisonOut, parameters=[OpenApiParameter("to", int, description="Left out: the newest one.")]
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def compare(self, request: Request, number: str) -> Response:
        """What leads from this revision to another."""
        before = self.get_object()
        after = self._other(request.query_params.get("to", ""))
        names = (f"revision {before.number}", f"revision {after.number}")
        return Response(
            {
                "changes": [change_data(change) for change in changes_between(before.text, after.text)],
                "unified": "\n".join(unified(before.text, after.text, names=names)),
            }
        )

    @extend_schema(request=RestoreIn, responses=PlanOut)
    @action(detail=True, methods=["post"], pagination_class=None)
    def restore(self, request: Request, number: str) -> Response:
        """Go back to this revision, as a new one."""
        given = self.read_input(RestoreIn)
        revision, asker = self.get_object(), asker_of(self.caller)
        removal = removal_on_restore(takes_people=given["takes_people"], is_confirmed="confirm" in given)
        try:
            if given["dry_run"]:
                return plan_answer(restore_plan(asker=asker, revision=revision, removal=removal))
            self.require_reason()
            plan = restore_apply(asker=asker, revision=revision, removal=removal, reason=given["reason"])
        except RefusedPolicy as refused:
            return refusal_answer(refused)
        except (Busy, ChangedMeanwhile) as failure:
            raise Conflict("The policy is being changed by somebody else. Try again.") from failure
        return plan_answer(plan, etag=etag_of_policy(policy_version(self.caller.organization_id)))

    def _other(self, text: str) -> PolicyRevision:
        if text and (not text.isdigit() or len(text) > 9):
            raise ValidationError({"to": "The number of a revision."})
        organization = self.caller.organization
        newest = revisions_of(organization).values_list("number", flat=True).first() or 0
        found = revision_by_number(organization, int(text) if text else newest)
        if found is None:
            raise Http404
        return found

"""REST: plan, apply, export, drift."""

import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.declarative.api.answers import (
    ObjectChangeOut,
    PlanOut,
    RefusedPolicyOut,
    change_data,
    plan_answer,
    refusal_answer,
)
from control_plane.declarative.api.bodies import PARSERS, YamlRenderer, brought
from control_plane.declarative.drift import drift_of
from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.nodes import RefusedPolicy
from control_plane.declarative.parsing import MOST_BYTES, TooLarge
from control_plane.declarative.selectors import (
    missing_reading_rights,
    newest_revision,
    objects_of,
    policy_text,
)
from control_plane.declarative.services import (
    Asker,
    Busy,
    ChangedMeanwhile,
    StaleBase,
    policy_apply,
    policy_plan,
)
from control_plane.declarative.shapes import short_spec
from control_plane.declarative.versions import etag_of_policy, policy_version
from control_plane.declarative.writing import API_VERSION, sort_objects
from control_plane.organizations.roles import Permission
from control_plane.rest import idempotency
from control_plane.rest.caller import Caller, caller_of
from control_plane.rest.problems import PROBLEM_JSON, Conflict, PreconditionFailed

_TAG = re.compile(r'(?:W/)?"policy-(\d{1,18})"')
_FILE = {"application/yaml": OpenApiTypes.STR, "application/json": OpenApiTypes.OBJECT}
_OPTIONS = [
    OpenApiParameter(
        "prune",
        str,
        description=f"true: what is in no file is taken away; or only of some kinds: {', '.join(kinds())}.",
    ),
    OpenApiParameter("confirm", str, enum=["deletions"], description="Yes to taking away a great part."),
    OpenApiParameter("reason", str, description="Why; kept in the audit and with the revision."),
    OpenApiParameter(
        "source", str, description="What the file's own history calls it (a commit): the policy comes from code then."
    ),
    OpenApiParameter(
        "If-Match", str, OpenApiParameter.HEADER, description="The ETag of an export or plan: 412 when it has moved."
    ),
]
_ANSWERS = {
    200: PlanOut,
    (400, PROBLEM_JSON): OpenApiResponse(RefusedPolicyOut, description="Refused as a whole, with every error."),
}


class FileTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"A policy file has at most {MOST_BYTES // (1024 * 1024)} MiB."
    default_code = "too_large"


class _PolicyView(APIView):
    """Only for whoever may see the whole: a file holds people, accounts and addresses."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        caller = caller_of(request)
        for right in missing_reading_rights(caller.standing):
            raise PermissionDenied(caller.rights.refusal(right))


class PlanView(_PolicyView):
    """What a file would change, and what that means for people. Changes nothing."""

    rights = {"post": Permission.POLICY_READ}
    parser_classes = PARSERS

    @extend_schema(request=_FILE, responses=_ANSWERS, parameters=_OPTIONS)
    def post(self, request: Request) -> Response:
        """Exactly what an apply of the same file would do; every error of the file at once."""
        return _answered(lambda: _plan(request))


class ApplyView(_PolicyView):
    """Make a file true."""

    rights = {"post": Permission.POLICY_MANAGE}
    asks_proof = ("post",)
    parser_classes = PARSERS

    @extend_schema(request=_FILE, responses=_ANSWERS, parameters=_OPTIONS)
    def post(self, request: Request) -> Response:
        """As a whole or not at all. The same file again changes nothing. Each kind needs the right its form needs."""
        if request.headers.get(idempotency.HEADER):
            return _answered(lambda: idempotency.once(request, lambda: _apply(request)))
        return _answered(lambda: _apply(request))


class ExportOut(serializers.Serializer[Any]):
    apiVersion = serializers.CharField()
    kind = serializers.CharField()
    metadata = serializers.DictField(child=serializers.CharField())
    spec = serializers.DictField()


class ExportedOut(serializers.Serializer[Any]):
    revision = serializers.IntegerField()
    objects = ExportOut(many=True)


class ExportView(_PolicyView):
    """The whole policy as a file: YAML, or JSON when asked for."""

    rights = {"get": Permission.POLICY_READ, "post": Permission.POLICY_READ}
    parser_classes = PARSERS
    renderer_classes = (YamlRenderer, JSONRenderer)

    @extend_schema(responses={(200, "application/yaml"): OpenApiTypes.STR, (200, "application/json"): ExportedOut})
    def get(self, request: Request) -> Response:
        """Applied to an empty organization it gives the same export there; secrets are gaps that say so."""
        return _export(request)

    @extend_schema(
        request=None, responses={(200, "application/yaml"): OpenApiTypes.STR, (200, "application/json"): ExportedOut}
    )
    def post(self, request: Request) -> Response:
        """The same as GET."""
        return _export(request)


class DriftOut(serializers.Serializer[Any]):
    is_managed = serializers.BooleanField(help_text="Whether the policy comes from code.")
    source = serializers.CharField()  # type: ignore[assignment]  # a field named so
    revision = serializers.IntegerField()
    applied_at = serializers.DateTimeField(allow_null=True)
    applied_by = serializers.CharField()
    changes = ObjectChangeOut(many=True)
    yaml = serializers.CharField(help_text="The edits as documents, to be put back into the code.")


class DriftView(_PolicyView):
    """How the policy differs from the file that was applied last with a source."""

    rights = {"get": Permission.POLICY_READ}

    @extend_schema(responses=DriftOut)
    def get(self, request: Request) -> Response:
        drift = drift_of(caller_of(request).organization)
        if drift is None:
            none = {"source": "", "revision": 0, "applied_at": None, "applied_by": "", "changes": [], "yaml": ""}
            return Response({"is_managed": False, **none})
        code = drift.code
        return Response(
            {
                "is_managed": True,
                "source": code.label,
                "revision": code.revision_number,
                "applied_at": code.applied_at.isoformat(),
                "applied_by": code.applied_by,
                "changes": [change_data(change) for change in drift.changes],
                "yaml": drift.text,
            }
        )


def asker_of(caller: Caller) -> Asker:
    return Asker(caller.organization, caller.actor, caller.standing)


def _plan(request: Request) -> Response:
    file = brought(request)
    plan = policy_plan(
        asker=asker_of(caller_of(request)),
        documents=file.documents,
        removal=file.removal,
        base_version=_base(request),
    )
    return plan_answer(plan)


def _apply(request: Request) -> Response:
    file = brought(request)
    caller = caller_of(request)
    plan = policy_apply(
        asker=asker_of(caller),
        documents=file.documents,
        removal=file.removal,
        base_version=_base(request),
        reason=file.reason,
        label=file.label,
    )
    return plan_answer(plan, etag=etag_of_policy(policy_version(caller.organization_id)))


def _answered(act: Any) -> Response:
    """What can go wrong with a file, in the words of HTTP."""
    try:
        answer: Response = act()
        return answer
    except RefusedPolicy as refused:
        return refusal_answer(refused)
    except TooLarge as failure:
        raise FileTooLarge from failure
    except StaleBase as failure:
        raise PreconditionFailed("The policy has changed since. Plan again with what is there now.") from failure
    except ChangedMeanwhile as failure:
        raise Conflict(f"{failure} Plan again.") from failure
    except Busy as failure:
        raise Conflict("Another plan or apply is under way. Try again.") from failure


def _base(request: Request) -> int | None:
    wanted = request.headers.get("If-Match", "").strip()
    if wanted in ("", "*"):
        return None
    match = _TAG.fullmatch(wanted)
    if match is None:
        raise ValidationError({"If-Match": 'The ETag of an export or plan, such as "policy-42".'})
    return int(match[1])


def _export(request: Request) -> Response:
    caller = caller_of(request)
    newest = newest_revision(caller.organization_id)
    number = 0 if newest is None else newest.number
    headers = {
        "ETag": etag_of_policy(policy_version(caller.organization_id)),
        "X-Switchyard-Policy-Revision": str(number),
    }
    if request.accepted_renderer.format == "yaml":
        return Response(policy_text(caller.organization), headers=headers)
    objects = [
        {
            "apiVersion": API_VERSION,
            "kind": each.key.kind,
            "metadata": {"name": each.key.name},
            "spec": short_spec(kinds()[each.key.kind].spec, each.spec),
        }
        for each in sort_objects(objects_of(caller.organization))
    ]
    return Response({"revision": number, "objects": objects}, headers=headers)

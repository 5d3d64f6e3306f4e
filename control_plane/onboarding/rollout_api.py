"""REST: the files that lead a whole group's coding tools through the gateway, per tool and device management."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.onboarding.rollout.catalog import all_tools, format_names, formats_of, package_of
from control_plane.onboarding.selectors import rollout_context
from control_plane.organizations.reach import teams_within
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of

NAME_LENGTH = 200


class RolloutRow(serializers.Serializer[Any]):
    tool = serializers.CharField()
    name = serializers.CharField()
    checked_against = serializers.CharField(help_text="The version in which each setting's name was looked up.")
    formats = serializers.ListField(child=serializers.CharField())


class RolloutFile(serializers.Serializer[Any]):
    name = serializers.CharField()
    media_type = serializers.CharField()
    path = serializers.CharField(help_text="Where it belongs on a machine or in a repository; empty: it is uploaded.")
    text = serializers.CharField()


class RolloutOut(RolloutRow):
    format = serializers.CharField()
    files = RolloutFile(many=True)
    steps = serializers.ListField(child=serializers.CharField())
    notes = serializers.ListField(child=serializers.CharField())
    needs = serializers.ListField(child=serializers.CharField(), help_text="What people's machines need besides.")
    limit = serializers.CharField(help_text="What people can still override.")
    warning = serializers.CharField(help_text="What would keep the tool from working here; empty: nothing known.")


class RolloutAsked(serializers.Serializer[Any]):
    team = serializers.CharField(required=False, allow_blank=True, max_length=NAME_LENGTH)
    helper = serializers.BooleanField(required=False, default=True)
    status_line = serializers.BooleanField(required=False, default=False)
    project = serializers.CharField(required=False, allow_blank=True, max_length=NAME_LENGTH)
    repository = serializers.CharField(required=False, allow_blank=True, max_length=NAME_LENGTH)


PARAMETERS = [
    OpenApiParameter("tool", str, OpenApiParameter.PATH, enum=list(all_tools())),
    OpenApiParameter(
        "target", str, OpenApiParameter.PATH, enum=list(format_names()), description="One of the tool's formats."
    ),
    OpenApiParameter("team", str, description="Whose models are named and who is charged; left out: everybody."),
    OpenApiParameter("helper", bool, description="Whether tools ask `switchyard key helper` for their key; default."),
    OpenApiParameter("status_line", bool, description="Whether Claude Code's status bar says what is left."),
    OpenApiParameter("project", str, description="A tag of a project's own file."),
    OpenApiParameter("repository", str, description="A tag of a project's own file."),
]


class RolloutsView(APIView):
    """The tools that can be rolled out."""

    rights = {"get": Permission.ROLLOUT_READ}

    @extend_schema(responses=RolloutRow(many=True), operation_id="rollouts_list")
    def get(self, request: Request) -> Response:
        """All of them, with the formats each comes in."""
        context = rollout_context(caller_of(request).organization)
        return Response(
            [
                {
                    "tool": tool.id,
                    "name": tool.name,
                    "checked_against": tool.checked_against,
                    "formats": formats_of(tool.render(context)),
                }
                for tool in all_tools().values()
            ]
        )


class RolloutView(APIView):
    """One tool in one format."""

    rights = {"get": Permission.ROLLOUT_READ}

    @extend_schema(responses=RolloutOut, parameters=PARAMETERS, operation_id="rollouts_retrieve")
    def get(self, request: Request, tool: str, target: str) -> Response:
        """Files, none of which holds a secret, and what to do with them."""
        found = all_tools().get(tool)
        if found is None or target not in format_names():
            raise Http404
        asked = RolloutAsked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        caller = caller_of(request)
        team = None
        if given.get("team"):
            team = teams_within(caller.standing).filter(name=given["team"]).first()
            if team is None:
                raise serializers.ValidationError({"team": [f"There is no team {given['team']} here."]})
        context = rollout_context(
            caller.organization,
            team=team,
            with_helper=given["helper"],
            with_status_line=given["status_line"],
            project=given.get("project", ""),
            repository=given.get("repository", ""),
        )
        package = package_of(found, target, context)
        if package is None:
            raise Http404
        made = found.render(context)
        answer = {
            "tool": found.id,
            "name": found.name,
            "checked_against": found.checked_against,
            "formats": formats_of(made),
            "format": target,
            "files": package.files,
            "steps": package.steps,
            "notes": package.notes,
            "needs": made.before,
            "limit": made.limit,
            "warning": made.warning,
        }
        return Response(RolloutOut(answer).data)

"""REST: what `switchyard setup` needs to know of a coding tool in the caller's organization."""

from typing import Any

from django.conf import settings
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.onboarding.recipes.recipe import SetupContext
from control_plane.onboarding.selectors import gateway_url, models_usable_by
from control_plane.onboarding.setup_facts import SETUP_TOOLS
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import teams_of, teams_of_user
from control_plane.rest.caller import caller_of

TOOL = OpenApiParameter("tool", str, OpenApiParameter.PATH, enum=list(SETUP_TOOLS))


class UsableModelOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    protocols = serializers.ListField(child=serializers.CharField())


class RecipeRow(serializers.Serializer[Any]):
    tool = serializers.CharField()
    name = serializers.CharField()
    keys_by_command = serializers.BooleanField(help_text="Whether the tool asks a command for its key.")


class RecipeOut(RecipeRow):
    organization = serializers.CharField()
    organization_name = serializers.CharField()
    gateway_url = serializers.CharField()
    console_url = serializers.CharField()
    models = UsableModelOut(many=True)
    teams = serializers.ListField(child=serializers.CharField(), help_text="Whom the caller's keys may be charged to.")
    settings = serializers.DictField(help_text="Per file of the tool, the entries to merge; no key among them.")
    warning = serializers.CharField(help_text="What would keep the tool from working here; empty: nothing known.")


class RecipesView(APIView):
    """The tools that can be set up by one command."""

    rights = {"get": Permission.MODELS_READ}

    @extend_schema(responses=RecipeRow(many=True), operation_id="recipes_list")
    def get(self, request: Request) -> Response:
        """All of them."""
        return Response([RecipeRow(_row(tool)).data for tool in SETUP_TOOLS])


class RecipeView(APIView):
    """One tool."""

    rights = {"get": Permission.MODELS_READ}

    @extend_schema(responses=RecipeOut, parameters=[TOOL], operation_id="recipes_retrieve")
    def get(self, request: Request, tool: str) -> Response:
        """Addresses, models and the entries to merge into the tool's own files, for the caller's organization."""
        if tool not in SETUP_TOOLS:
            raise Http404
        caller = caller_of(request)
        organization = caller.organization
        models = models_usable_by(organization, ())
        facts = SETUP_TOOLS[tool].facts(SetupContext(gateway_url(organization), "", models, organization.name))
        teams = teams_of_user(organization, caller.user)
        answer = {
            **_row(tool),
            "organization": organization.slug,
            "organization_name": organization.name,
            "gateway_url": gateway_url(organization),
            "console_url": settings.SWITCHYARD.console_public_url.rstrip("/"),
            "models": [
                {"name": model.name, "protocols": sorted(protocol.value for protocol in model.protocols)}
                for model in models
            ],
            "teams": [team.name for team in (teams if teams.exists() else teams_of(organization))],
            "settings": facts.settings,
            "warning": facts.warning,
        }
        return Response(RecipeOut(answer).data)


def _row(tool: str) -> dict[str, Any]:
    found = SETUP_TOOLS[tool]
    return {"tool": found.id, "name": found.name, "keys_by_command": found.keys_by_command}

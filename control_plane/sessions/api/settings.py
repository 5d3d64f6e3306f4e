"""REST: what an organization holds to be a low cache share, and how its repositories are named."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from control_plane.rest.views import TenantView, check_unchanged
from control_plane.sessions.models import SessionSettings
from control_plane.sessions.selectors.settings import settings_of
from control_plane.sessions.services import session_settings_update


class SessionSettingsOut(serializers.ModelSerializer[SessionSettings]):
    class Meta:
        model = SessionSettings
        fields = ("least_cache_share_per_mille", "repository_keys")


class SessionSettingsIn(serializers.Serializer[Any]):
    least_cache_share_per_mille = serializers.IntegerField(
        min_value=0, max_value=1000, help_text="Sessions below it are flagged."
    )
    repository_keys = serializers.ListField(
        child=serializers.CharField(max_length=64),
        min_length=1,
        max_length=8,
        help_text="Metadata keys that name a repository; the first one that a session has counts.",
    )


class SessionSettingsView(TenantView):
    """The organization's settings for sessions."""

    queryset = SessionSettings.objects.all()
    serializer_class = SessionSettingsOut
    pagination_class = None
    rights = {"retrieve": Permission.ORGANIZATION_READ, "partial_update": Permission.ORGANIZATION_MANAGE}

    def scoped(self) -> QuerySet[SessionSettings]:
        return SessionSettings.objects.filter(organization=self.caller.organization)

    @extend_schema(operation_id="session_settings_retrieve", responses=SessionSettingsOut)
    def retrieve(self, request: Request) -> Response:
        return self.answer(settings_of(self.caller.organization_id))

    @extend_schema(operation_id="session_settings_update", request=SessionSettingsIn, responses=SessionSettingsOut)
    def partial_update(self, request: Request) -> Response:
        given = self.read_input(SessionSettingsIn, partial=True)
        organization = self.caller.organization
        with transaction.atomic():
            Organization.objects.select_for_update().get(id=organization.id)
            check_unchanged(request, settings_of(organization.id))
            return self.answer(session_settings_update(organization=organization, actor=self.caller.actor, **given))

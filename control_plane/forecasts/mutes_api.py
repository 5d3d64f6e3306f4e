"""REST: whose unusual days are told to nobody for a time."""

from datetime import UTC, timedelta
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.forecasts.models import UnusualMute
from control_plane.forecasts.reach import may_mute, mutes_seen_by
from control_plane.forecasts.selectors import mutes_in_force
from control_plane.forecasts.services import mute_lift, mute_set
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId
from control_plane.rest.views import ListMixin, RemoveMixin, RetrieveMixin, TenantView
from control_plane.usage.selectors.names import names_of


class UnusualMuteOut(serializers.Serializer[UnusualMute]):
    id = HexId()
    principal_id = HexId()
    principal_kind = serializers.ChoiceField(choices=["user", "service_account"])
    principal = serializers.SerializerMethodField(help_text="Name of the person or service account; null: gone.")
    last_day = serializers.DateField(help_text="Of UTC: of days up to this one nobody is told.")
    reason = serializers.CharField()
    muted_by = serializers.CharField()
    muted_at = serializers.DateTimeField()

    def get_principal(self, row: UnusualMute) -> str | None:
        names = self.context.get("names") or names_of(row.organization_id, principal_ids=[row.principal_id])
        name: str | None = names.principal(row.principal_id)
        return name


class UnusualMuteIn(serializers.Serializer[Any]):
    principal = serializers.UUIDField(help_text="Id of a member or a service account.")
    days = serializers.IntegerField(required=False, min_value=1, max_value=366, help_text="Today and so many more.")
    last_day = serializers.DateField(required=False, help_text="In place of `days`: the last day, of UTC.")
    reason = serializers.CharField(max_length=1000, help_text="Why; whoever wonders at the silence reads it.")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("days" in given) == ("last_day" in given):
            raise serializers.ValidationError({"last_day": "Give this or `days`, one of them."})
        return given


class UnusualMuteFilter(django_filters.FilterSet):
    principal = django_filters.UUIDFilter(field_name="principal_id")


class UnusualMuteViewSet(ListMixin, RetrieveMixin, RemoveMixin, TenantView):
    """People and service accounts of whose unusual days nobody is told at present. The days are found all the same."""

    queryset = UnusualMute.objects.all()
    serializer_class = UnusualMuteOut
    filterset_class = UnusualMuteFilter
    page_order: ClassVar = ("last_day", "id")
    rights: ClassVar = {
        "list": Permission.USAGE_READ,
        "retrieve": Permission.USAGE_READ,
        "create": Permission.BUDGETS_MANAGE,
        "destroy": Permission.BUDGETS_MANAGE,
    }
    http_method_names = ["get", "post", "delete", "head", "options"]

    def scoped(self) -> QuerySet[UnusualMute]:
        return mutes_in_force(self.caller.organization_id).filter(mutes_seen_by(self.caller.standing))

    def is_allowed(self, right: str, row: UnusualMute) -> bool:
        return may_mute(self.caller.standing, row.principal_id)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        names = names_of(self.caller.organization_id, principal_ids=[row.principal_id for row in page])
        return self.get_paginated_response([UnusualMuteOut(row, context={"names": names}).data for row in page])

    @extend_schema(request=UnusualMuteIn, responses={201: UnusualMuteOut})
    def create(self, request: Request) -> Response:
        """Mute, in place of a mute that stands. It ends by itself."""
        given = self.read_input(UnusualMuteIn)
        standing, principal_id = self.caller.standing, given["principal"]
        if not may_mute(standing, principal_id):
            # Who it is that may not be muted is told to nobody who does not see it.
            raise PermissionDenied(self.caller.rights.refusal(Permission.BUDGETS_MANAGE))
        last_day = given.get("last_day") or timezone.now().astimezone(UTC).date() + timedelta(days=given["days"])

        def act() -> Response:
            made = mute_set(
                organization=self.caller.organization,
                principal_id=principal_id,
                last_day=last_day,
                by=self.caller.actor,
            )
            return self.answer(made, status=201)

        return self.once(act)

    def remove(self, mute: UnusualMute) -> None:
        mute_lift(mute=mute, by=self.caller.actor)

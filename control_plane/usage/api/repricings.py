"""REST: a past window priced anew, and models that have no price."""

from datetime import timedelta
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.organizations.models import Team
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of
from control_plane.rest.fields import HexId, Reference, money
from control_plane.rest.views import ListMixin, RetrieveMixin, TenantView
from control_plane.usage.repricing import (
    LONGEST_REASON,
    RepricingFailure,
    counts_now,
    repricing_apply,
    repricing_begin,
    repricing_drop,
    repricing_wake,
)
from control_plane.usage.repricing_models import Repricing, RepricingState
from control_plane.usage.selectors.unpriced import models_without_price

UNPRICED_DAYS = 30


class RepricedOut(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="Model, or id of the team; empty: no team; …: all others.")
    rows = serializers.IntegerField()
    old_nano_usd = serializers.IntegerField()
    new_nano_usd = serializers.IntegerField()


class RepricingOut(serializers.Serializer[Repricing]):
    id = HexId()
    state = serializers.ChoiceField(RepricingState.choices)
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    models = serializers.ListField(child=serializers.CharField(), source="model_globs")
    teams = serializers.ListField(child=serializers.CharField(), source="team_ids")
    reason = serializers.CharField()
    rows_seen = serializers.IntegerField(source="seen")
    rows_changed = serializers.IntegerField(source="changed")
    old_nano_usd = serializers.IntegerField(help_text="What the changed rows cost as they stand.")
    old_usd = serializers.SerializerMethodField()
    new_nano_usd = serializers.IntegerField()
    new_usd = serializers.SerializerMethodField()
    difference_nano_usd = serializers.IntegerField()
    by_model = serializers.SerializerMethodField()
    by_team = serializers.SerializerMethodField()
    counts_now = serializers.SerializerMethodField(help_text="Part of the window is closed: that part counts now.")
    rows_booked = serializers.IntegerField(source="booked")
    booked_nano_usd = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    applied_at = serializers.DateTimeField(allow_null=True)
    applied_by = serializers.CharField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_old_usd(self, run: Repricing) -> str:
        return money(run.old_nano_usd)

    def get_new_usd(self, run: Repricing) -> str:
        return money(run.new_nano_usd)

    @extend_schema_field(RepricedOut(many=True))
    def get_by_model(self, run: Repricing) -> list[dict[str, Any]]:
        return _changes(run.by_model)

    @extend_schema_field(RepricedOut(many=True))
    def get_by_team(self, run: Repricing) -> list[dict[str, Any]]:
        return _changes(run.by_team)

    def get_counts_now(self, run: Repricing) -> bool:
        return counts_now(run)


def _changes(table: dict[str, list[int]]) -> list[dict[str, Any]]:
    rows = sorted(table.items(), key=lambda item: (-abs(item[1][2] - item[1][1]), item[0]))
    return [{"name": name, "rows": count, "old_nano_usd": old, "new_nano_usd": new} for name, (count, old, new) in rows]


class RepricingIn(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    models = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, default=list, help_text="With * and ?; none: all."
    )
    teams = serializers.ListField(
        child=Reference(lambda caller: Team.objects.filter(organization=caller.organization), names=("name",)),
        required=False,
        default=list,
        help_text="None: all.",
    )
    reason = serializers.CharField(max_length=LONGEST_REASON, help_text="Why; stands in the audit.")


class RepricingFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=RepricingState.choices)


class RepricingViewSet(ListMixin, RetrieveMixin, TenantView):
    """Worked out first, and shown; booked as superseding rows when it is applied. Nothing is rewritten."""

    queryset = Repricing.objects.all()
    serializer_class = RepricingOut
    filterset_class = RepricingFilter
    page_order = ("-created_at", "id")
    rights = {
        "list": Permission.PRICES_MANAGE,
        "retrieve": Permission.PRICES_MANAGE,
        "create": Permission.PRICES_MANAGE,
        "apply": Permission.PRICES_MANAGE,
        "drop": Permission.PRICES_MANAGE,
    }
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[Repricing]:
        return Repricing.objects.filter(organization_id=self.caller.organization.id)

    @extend_schema(request=RepricingIn, responses={202: RepricingOut})
    def create(self, request: Request) -> Response:
        """Begin to work out what a window would cost at today's prices. `state` becomes `ready`."""
        given = self.read_input(RepricingIn)

        def begin() -> Response:
            run = repricing_begin(
                organization=self.caller.organization,
                since=given["since"],
                until=given["until"],
                model_globs=given["models"],
                team_ids=[team.id for team in given["teams"]],
                reason=given["reason"],
                actor=self.caller.actor,
            )
            repricing_wake(run)
            return self.answer(run, status=202)

        return self.once(begin)

    @extend_schema(request=None, responses={202: RepricingOut})
    @action(detail=True, methods=["post"])
    def apply(self, request: Request, pk: str) -> Response:
        """Book what was worked out. Where prices have changed since, `state` becomes `stale` and nothing is booked."""
        return self._step(repricing_apply, actor=self.caller.actor)

    @extend_schema(request=None, responses=RepricingOut)
    @action(detail=True, methods=["post"])
    def drop(self, request: Request, pk: str) -> Response:
        """Put it away, unbooked."""
        return self._step(repricing_drop)

    def _step(self, step: Any, **more: Any) -> Response:
        def act() -> Response:
            try:
                run = step(repricing=self.get_object(), **more)
            except RepricingFailure as failure:
                raise ValidationError({"state": [str(failure)]}) from failure
            repricing_wake(run)
            return self.answer(run, status=202 if run.state == RepricingState.APPLYING else 200)

        return self.once(act)


class UnpricedOut(serializers.Serializer[Any]):
    vendor = serializers.CharField()
    model = serializers.CharField()
    requests = serializers.IntegerField()
    cost_nano_usd = serializers.IntegerField()
    price_version = serializers.CharField(help_text="The price that stood in, the last time.")
    last_at = serializers.DateTimeField()


class UnpricedModelsView(APIView):
    """Models that were billed by the dearest price that was known, because they have none."""

    rights = {"get": Permission.PRICES_MANAGE}

    @extend_schema(responses=UnpricedOut(many=True), operation_id="unpriced_models_list")
    def get(self, request: Request) -> Response:
        """Of the last 30 days."""
        found = models_without_price(caller_of(request).organization_id, timezone.now() - timedelta(days=UNPRICED_DAYS))
        return Response([UnpricedOut(one).data for one in found])

"""REST: `forecasts`, their history and score; `unusual-spend`."""

from collections.abc import Sequence
from typing import Any, ClassVar

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.forecasts.drivers import Driver
from control_plane.forecasts.models import FindingState, Forecast, UnusualSpend
from control_plane.forecasts.reach import forecasts_seen_by, unusual_seen_by
from control_plane.forecasts.selectors import (
    forecasts_in_force,
    history_of,
    score_of,
    scored_forecasts,
    unusual_of,
)
from control_plane.forecasts.services import unusual_decide
from control_plane.forecasts.told import counter_texts, forecast_out, names_for
from control_plane.organizations.roles import Permission, Reach, reach_of
from control_plane.rest.fields import HexId, money
from control_plane.rest.views import ListMixin, TenantView
from control_plane.usage.selectors.names import names_of


class SpentAtOut(serializers.Serializer[Any]):
    p10 = serializers.DateTimeField(allow_null=True)
    p50 = serializers.DateTimeField(allow_null=True)
    p90 = serializers.DateTimeField(allow_null=True)


class BandOut(serializers.Serializer[Any]):
    p10_usd = serializers.CharField(allow_null=True, help_text="Of the period's end; null: there is no band.")
    p50_usd = serializers.CharField(allow_null=True)
    p90_usd = serializers.CharField(allow_null=True)
    p50_nano_usd = serializers.IntegerField(allow_null=True)
    over_percent = serializers.IntegerField(allow_null=True, help_text="Of 100 courses, those that pass the limit.")
    spent_at = SpentAtOut(help_text="When the limit is reached in 10, 50, 90 of 100 courses; null: not in the period.")
    why_none = serializers.CharField(allow_null=True, help_text="Why there is no band: few_days, mostly_quiet, …")
    why_none_text = serializers.CharField(allow_null=True)
    days_needed = serializers.IntegerField(help_text="So many more days make a band; 0: days are not what lacks.")


class ForecastOut(BandOut):
    id = HexId()
    budget_id = HexId(allow_null=True, help_text="null: the organization as a whole, by months of UTC.")
    budget = serializers.CharField(allow_null=True)
    counter = serializers.CharField(help_text="Values of the budget's `per`, with / between them.")
    counter_text = serializers.CharField()
    period = serializers.CharField()
    timezone = serializers.CharField()
    ends_at = serializers.DateTimeField(allow_null=True)
    as_of = serializers.DateTimeField()
    spent_nano_usd = serializers.IntegerField()
    spent_usd = serializers.CharField()
    previous_usd = serializers.CharField(allow_null=True, help_text="The whole period before; null: not known.")
    limit_usd = serializers.CharField(allow_null=True)
    actual_usd = serializers.CharField(allow_null=True, help_text="What the period came to, once it is over.")
    is_inside = serializers.BooleanField(allow_null=True, help_text="Whether that lies inside the band.")


class DriverOut(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["user", "service_account", "team", "model", "client"])
    value = serializers.CharField()
    name = serializers.CharField()
    is_new = serializers.BooleanField(help_text="It spent nothing in the period before.")
    spent_usd = serializers.CharField()
    expected_usd = serializers.CharField()
    previous_usd = serializers.CharField()


class CoursePointOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    spent_usd = serializers.CharField(required=False)
    p10_usd = serializers.CharField(required=False)
    p50_usd = serializers.CharField(required=False)
    p90_usd = serializers.CharField(required=False)


class OneForecastOut(ForecastOut):
    drivers = DriverOut(many=True, help_text="What makes it dearer than the period before, the greatest first.")
    course = CoursePointOut(many=True, help_text="Sums so far, then the band at the end of each day to come.")


class ScoreOut(serializers.Serializer[Any]):
    forecasts = serializers.IntegerField(help_text="How many of the newest scored ones are counted.")
    inside = serializers.IntegerField(help_text="Periods that ended inside the band.")
    inside_percent = serializers.IntegerField()
    error_percent = serializers.IntegerField(help_text="The median of |P50 - end|, in per cent of the end.")


class ForecastHistoryOut(serializers.Serializer[Any]):
    score = ScoreOut()
    results = ForecastOut(many=True)
    next = serializers.URLField(allow_null=True)


class ForecastFilter(django_filters.FilterSet):
    budget = django_filters.CharFilter(method="of_budget", help_text="Its id or name; `organization`: the whole.")
    counter = django_filters.CharFilter()

    def of_budget(self, rows: QuerySet[Forecast], name: str, value: str) -> QuerySet[Forecast]:
        if value == "organization":
            return rows.filter(budget_id__isnull=True)
        try:
            return rows.filter(budget_id=serializers.UUIDField().to_internal_value(value))
        except serializers.ValidationError:
            return rows.filter(budget_name=value.replace("\x00", ""))


class ForecastViewSet(ListMixin, TenantView):
    """Where the organization's month and budgets are heading: the newest forecast of each, made every hour."""

    queryset = Forecast.objects.all()
    serializer_class = ForecastOut
    filterset_class = ForecastFilter
    page_order: ClassVar = ("-as_of", "id")
    rights: ClassVar = {
        "list": Permission.BUDGETS_READ,
        "retrieve": Permission.BUDGETS_READ,
        "history": Permission.BUDGETS_READ,
    }
    http_method_names = ["get", "head", "options"]

    def scoped(self) -> QuerySet[Forecast]:
        rows = forecasts_in_force(self.caller.organization_id) if self.action == "list" else self._all()
        return rows.filter(forecasts_seen_by(self.caller.standing))

    def _all(self) -> QuerySet[Forecast]:
        return Forecast.objects.filter(organization_id=self.caller.organization_id)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(self._told(page))

    @extend_schema(responses=OneForecastOut)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One forecast with its course and what drives it. Of past days the course is not kept."""
        row: Forecast = self.get_object()
        names = names_for(row.organization_id, [Driver.from_json(stored) for stored in row.drivers])
        text = counter_texts(row.organization_id, [row])[row.id]
        return Response(forecast_out(row, counter_text=text, names=names))

    @extend_schema(responses=ForecastHistoryOut, filters=False)
    @action(detail=True, methods=["get"], filterset_class=None)
    def history(self, request: Request, pk: str) -> Response:
        """All forecasts of the same budget's counter, or of the organization: what was said, and what became of it."""
        row: Forecast = self.get_object()
        page = self.paginate_queryset(history_of(row.organization_id, row.subject_id)) or []
        score = score_of(scored_forecasts(row.organization_id, subject_id=row.subject_id))
        answer = self.get_paginated_response(self._told(page))
        answer.data["score"] = {
            "forecasts": score.forecasts,
            "inside": score.inside,
            "inside_percent": score.inside_percent,
            "error_percent": score.error_percent,
        }
        return answer

    def _told(self, rows: Sequence[Forecast]) -> Sequence[dict[str, Any]]:
        texts = counter_texts(self.caller.organization_id, rows)
        return [forecast_out(row, counter_text=texts[row.id]) for row in rows]


class UnusualSpendOut(serializers.Serializer[UnusualSpend]):
    id = HexId()
    day = serializers.DateField(help_text="Of UTC.")
    principal_id = HexId()
    principal_kind = serializers.CharField()
    principal = serializers.SerializerMethodField(help_text="Name of the person or service account; null: gone.")
    team_id = HexId(allow_null=True)
    spent_usd = serializers.SerializerMethodField()
    usual_usd = serializers.SerializerMethodField(help_text="The middle of the days it is compared with.")
    line_usd = serializers.SerializerMethodField(help_text="From here on it was unusual.")
    compared = serializers.CharField(help_text="weekday: the same one; kind: days of work or weekends; days: all.")
    compared_days = serializers.IntegerField()
    model = serializers.CharField(help_text="Which cost most of it.")
    model_usd = serializers.SerializerMethodField()
    session = serializers.CharField(source="session_id", help_text="Which cost most of it; empty: none is known.")
    session_usd = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=FindingState.choices)
    decided_by = serializers.CharField()
    decided_at = serializers.DateTimeField(allow_null=True)
    muted_at = serializers.DateTimeField(allow_null=True, help_text="Since when nobody is told; null: it is told.")

    def get_principal(self, row: UnusualSpend) -> str | None:
        names = self.context.get("names")
        return None if names is None else names.principal(row.principal_id)

    def get_spent_usd(self, row: UnusualSpend) -> str:
        return money(row.spent_nano_usd)

    def get_usual_usd(self, row: UnusualSpend) -> str:
        return money(row.usual_nano_usd)

    def get_line_usd(self, row: UnusualSpend) -> str:
        return money(row.line_nano_usd)

    def get_model_usd(self, row: UnusualSpend) -> str:
        return money(row.model_nano_usd)

    def get_session_usd(self, row: UnusualSpend) -> str:
        return money(row.session_nano_usd)


class UnusualSpendDecision(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=FindingState.choices)


class UnusualSpendFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=FindingState.choices)
    principal = django_filters.UUIDFilter(field_name="principal_id")
    is_muted = django_filters.BooleanFilter(field_name="muted_at", lookup_expr="isnull", exclude=True)
    team = django_filters.UUIDFilter(field_name="team_id")


class UnusualSpendViewSet(ListMixin, TenantView):
    """Days on which somebody spent far more than on such days before; judged by their own history alone."""

    queryset = UnusualSpend.objects.all()
    serializer_class = UnusualSpendOut
    filterset_class = UnusualSpendFilter
    page_order: ClassVar = ("-day", "-spent_nano_usd", "id")
    rights: ClassVar = {
        "list": Permission.USAGE_READ,
        "retrieve": Permission.USAGE_READ,
        "decide": Permission.USAGE_READ,
    }
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[UnusualSpend]:
        return unusual_of(self.caller.organization_id).filter(unusual_seen_by(self.caller.standing))

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(self._told(page))

    def retrieve(self, request: Request, pk: str) -> Response:
        """One finding."""
        return Response(self._told([self.get_object()])[0])

    @extend_schema(request=UnusualSpendDecision, responses=UnusualSpendOut, filters=False)
    @action(detail=True, methods=["post"], filterset_class=None)
    def decide(self, request: Request, pk: str) -> Response:
        """Say that it was seen, that it was nothing (`dismissed`), or that it is `open` again."""
        finding: UnusualSpend = self.get_object()
        standing = self.caller.standing
        if reach_of(standing, Permission.USAGE_READ) < Reach.TEAM:
            raise PermissionDenied("Team leads and those who see everybody's usage decide about it.")
        given = self.read_input(UnusualSpendDecision)
        with transaction.atomic():
            decided = unusual_decide(finding=finding, state=given["state"], by=self.caller.actor)
        return Response(self._told([decided])[0])

    def _told(self, rows: Sequence[UnusualSpend]) -> Sequence[dict[str, Any]]:
        names = names_of(self.caller.organization_id, principal_ids=[row.principal_id for row in rows])
        return [dict(UnusualSpendOut(row, context={"names": names}).data) for row in rows]

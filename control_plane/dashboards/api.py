"""REST: `budgets/{id or name}/standing`."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.budgets.api import BudgetViewSet
from control_plane.dashboards.budget_standing import (
    BudgetStanding,
    CounterStanding,
    counters_seen_by,
    standing_of_budget,
)
from control_plane.forecasts.api import BandOut
from control_plane.forecasts.models import Forecast
from control_plane.forecasts.told import band_out
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId, money
from control_plane.rest.pagination import cursor_of, limit_of, next_link


class StageReachedOut(serializers.Serializer[Any]):
    at_percent = serializers.IntegerField()
    action = serializers.CharField()


class StandingForecastOut(BandOut):
    id = HexId(help_text="More of it at `forecasts/{id}`.")
    as_of = serializers.DateTimeField()


class CounterStandingOut(serializers.Serializer[Any]):
    counter = serializers.CharField(help_text="Values of `per`, percent-encoded, with / between them.")
    counter_text = serializers.CharField(help_text="Whose counter; empty: everybody's together.")
    spent_nano_usd = serializers.IntegerField()
    spent_usd = serializers.CharField()
    reserved_usd = serializers.CharField(allow_null=True, help_text="Held by what runs, at its bound; null: not known.")
    reserved_expected_usd = serializers.CharField(allow_null=True, help_text="The same, as it is expected to cost.")
    limit_nano_usd = serializers.IntegerField()
    limit_usd = serializers.CharField(help_text="Raises included.")
    left_usd = serializers.CharField()
    percent = serializers.IntegerField()
    stage = StageReachedOut(allow_null=True, help_text="The last one that is reached.")
    attempts = serializers.IntegerField()
    last_at = serializers.DateTimeField(allow_null=True)
    forecast = StandingForecastOut(allow_null=True, help_text="The newest; null: none yet, or a period too short.")


class BudgetStandingOut(serializers.Serializer[Any]):
    id = HexId()
    name = serializers.CharField()
    mode = serializers.CharField()
    period = serializers.CharField()
    timezone = serializers.CharField()
    period_starts_at = serializers.DateTimeField(allow_null=True)
    resets_at = serializers.DateTimeField(allow_null=True, help_text="null: never.")
    results = CounterStandingOut(many=True)
    next = serializers.URLField(allow_null=True)


class BudgetStandingViewSet(BudgetViewSet):
    """Where a budget's counters stand; whoever may not see all sees their own."""

    rights = {"retrieve": Permission.BUDGETS_READ, "standing": Permission.BUDGETS_READ}

    @extend_schema(responses=BudgetStandingOut)
    def standing(self, request: Request, pk: str) -> Response:
        """The fullest counters first. Spent is what the books say, seconds behind; reserved is of this moment."""
        budget = self.get_object()
        try:
            found = standing_of_budget(
                budget,
                now=timezone.now(),
                within=counters_seen_by(self.caller.standing, budget),
                after=cursor_of(request),
                limit=limit_of(request),
            )
        except ValueError as failure:
            raise ValidationError({"cursor": "This is no cursor of ours. Begin again without one."}) from failure
        return Response(
            {
                "id": budget.id.hex,
                "name": budget.name,
                "mode": budget.mode,
                "period": budget.period,
                "timezone": budget.timezone,
                **_period_out(found),
                "results": [_counter_out(counter) for counter in found.counters],
                "next": next_link(request, found.after),
            }
        )


def _period_out(found: BudgetStanding) -> dict[str, Any]:
    end = found.period.end
    return {
        "period_starts_at": None if end is None else found.period.start.isoformat(),
        "resets_at": None if end is None else end.isoformat(),
    }


def _counter_out(counter: CounterStanding) -> dict[str, Any]:
    held = counter.reserved
    return {
        "counter": counter.counter,
        "counter_text": counter.counter_text,
        "spent_nano_usd": counter.spent,
        "spent_usd": money(counter.spent),
        "reserved_usd": None if held is None else money(held.worst),
        "reserved_expected_usd": None if held is None else money(held.expected),
        "limit_nano_usd": counter.limit,
        "limit_usd": money(counter.limit),
        "left_usd": money(max(0, counter.limit - counter.spent)),
        "percent": counter.percent,
        "stage": None
        if counter.stage is None
        else {"at_percent": counter.stage.at_percent, "action": counter.stage.action},
        "attempts": counter.count,
        "last_at": None if counter.last_at is None else counter.last_at.isoformat(),
        "forecast": None if counter.forecast is None else _forecast_out(counter.forecast),
    }


def _forecast_out(row: Forecast) -> dict[str, Any]:
    return {"id": row.id.hex, "as_of": row.as_of.isoformat(), **band_out(row)}

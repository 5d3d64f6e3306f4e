"""REST: budgets and their temporary raises."""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any
from uuid import UUID

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.budgets.api.fields import BudgetChange, BudgetIn, BudgetOut, RaiseIn, RaiseOut
from control_plane.budgets.bound_finding import BoundFinder
from control_plane.budgets.models import Budget, Period
from control_plane.budgets.selectors import raises_of
from control_plane.budgets.services import BUDGETS, budget_raise_add, budget_raise_end
from control_plane.organizations.models import Team
from control_plane.organizations.reach import teams_within
from control_plane.organizations.roles import Permission, can
from control_plane.rules.api.views import GroupedRuleFilter, RuleView
from control_plane.rules.problems import Problems
from control_plane.rules.reading import SpecReader
from switchyard_contract.quantity import NanoUsd


class BudgetFilter(GroupedRuleFilter):
    period = django_filters.ChoiceFilter(choices=Period.choices)
    team = django_filters.CharFilter(field_name="team__name")


class BudgetViewSet(RuleView):
    """How much may be spent in a period. All that match must allow. Leads set their own teams' where that is delegated;
    whoever may not see all sees those that apply to them."""

    kind = BUDGETS
    queryset = Budget.objects.all()
    serializer_class = BudgetOut
    filterset_class = BudgetFilter
    read_right = Permission.BUDGETS_READ
    rights = {
        "list": Permission.BUDGETS_READ,
        "retrieve": Permission.BUDGETS_READ,
        "create": Permission.BUDGETS_MANAGE,
        "partial_update": Permission.BUDGETS_MANAGE,
        "destroy": Permission.BUDGETS_MANAGE,
        "raises": Permission.BUDGETS_READ,
        "add_raise": Permission.BUDGETS_MANAGE,
        "end_raise": Permission.BUDGETS_MANAGE,
    }

    @cached_property
    def bounds(self) -> BoundFinder:
        return BoundFinder.of(self.caller.organization)

    def rows(self) -> QuerySet[Budget]:
        return super().rows().select_related("organization", "team")

    def whose(self, budget: Budget) -> tuple[UUID | None, Collection[UUID]]:
        return None, () if budget.team_id is None else (budget.team_id,)

    def get_serializer_context(self) -> dict[str, Any]:
        context = super().get_serializer_context()
        return context if getattr(self, "swagger_fake_view", False) else {**context, "bounds": self.bounds}

    @extend_schema(request=BudgetIn, responses={201: BudgetOut})
    def create(self, request: Request) -> Response:
        """Everything that is wrong is told at once, by field. A team lead names the team."""
        return super().create(request)

    @extend_schema(request=BudgetChange, responses=BudgetOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change the fields that are given; null: a field's default. `when` and `stages` are given whole."""
        return super().partial_update(request, *args, **kwargs)

    def check_new(self, spec: Mapping[str, Any]) -> None:
        if can(self.caller.standing, Permission.BUDGETS_MANAGE):
            return
        led = teams_within(self.caller.standing, Permission.BUDGETS_MANAGE)
        name = spec.get("team")
        if not name:
            names = ", ".join(led.values_list("name", flat=True)[:10])
            raise ValidationError({"team": f"Say for which of your teams. Right: {names or 'a team that you lead'}."})
        self.require(Permission.BUDGETS_MANAGE, team_ids=self._team_ids(name))

    def check_change(self, budget: Budget, spec: Mapping[str, Any]) -> None:
        if "team" not in spec or can(self.caller.standing, Permission.BUDGETS_MANAGE):
            return
        # Whoever gives a budget of theirs to the organization, or to another team, needs the right there too.
        if not spec["team"]:
            self.require(Permission.BUDGETS_MANAGE)
        self.require(Permission.BUDGETS_MANAGE, team_ids=self._team_ids(spec["team"]))

    @extend_schema(responses=RaiseOut(many=True))
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def raises(self, request: Request, pk: str) -> Response:
        """The raises of a budget, newest first, at most 1,000; those that are over too."""
        budget = self.get_object()
        rows = raises_of(budget)
        if not self.sight.has_all and not self.is_allowed(Permission.BUDGETS_MANAGE, budget):
            # A counter is somebody's: others' raises are theirs.
            rows = rows.filter(counter="")
        return Response([RaiseOut(row).data for row in rows[:1000]])

    @extend_schema(request=RaiseIn, responses={201: RaiseOut})
    @raises.mapping.post
    def add_raise(self, request: Request, pk: str) -> Response:
        """Add to the limit of one counter, or of all, for a while."""
        budget = self.get_object()
        given = self.read_input(RaiseIn)
        amount = amount_of(given["amount_usd"])

        def act() -> Response:
            made = budget_raise_add(
                budget=budget,
                amount=amount,
                counter=given.get("counter", ""),
                from_at=given.get("from_at"),
                until_at=given.get("until_at"),
                reason=given.get("note", "") or self.caller.actor.reason,
                standing=self.caller.standing,
                actor=self.caller.actor,
            )
            return Response(RaiseOut(made).data, status=201)

        return self.once(act)

    @extend_schema(
        request=None,
        responses={204: OpenApiResponse(description="It is over.")},
        parameters=[OpenApiParameter("raise_id", str, OpenApiParameter.PATH)],
    )
    @action(detail=True, methods=["delete"], url_path="raises/(?P<raise_id>[^/]+)", filterset_class=None)
    def end_raise(self, request: Request, pk: str, raise_id: str) -> Response:
        """Take a raise back; what was spent under it stays spent."""
        budget = self.get_object()
        try:
            wanted = UUID(raise_id)
        except ValueError as failure:
            raise ValidationError({"raise_id": "This is no id of a raise. Right: 32 hex digits."}) from failure
        found = raises_of(budget).filter(id=wanted).select_related("budget").first()
        if found is None:
            raise Http404
        budget_raise_end(budget_raise=found, actor=self.caller.actor)
        return Response(status=204)

    def _team_ids(self, name: object) -> list[UUID]:
        """The team of that name, if there is one; what is wrong with it otherwise, the service says."""
        teams = Team.objects.filter(organization=self.caller.organization)
        found = teams.filter(name=name).values_list("id", flat=True).first() if isinstance(name, str) else None
        return [] if found is None else [found]


def amount_of(text: str, field: str = "amount_usd") -> NanoUsd:
    """Read an amount of dollars; raises ValidationError."""
    problems = Problems()
    amount = SpecReader({field: text}, problems).money(field)
    problems.raise_any()
    assert amount is not None
    return amount

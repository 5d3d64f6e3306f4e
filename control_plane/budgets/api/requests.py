"""REST: requests for more of a budget, and decisions about them."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.budgets.api.budgets import amount_of
from control_plane.budgets.api.fields import ApproveIn, BudgetRequestIn, BudgetRequestOut, DeclineIn
from control_plane.budgets.models import Budget, BudgetRequest, RequestState
from control_plane.budgets.selectors import budget_requests_of, budgets_of
from control_plane.budgets.services import (
    budget_request_approve,
    budget_request_decline,
    budget_request_make,
    budget_request_withdraw,
)
from control_plane.organizations.models import TeamMembership
from control_plane.organizations.roles import Permission, Reach, Standing, reach_of
from control_plane.rest.views import ListMixin, RetrieveMixin, TenantView, named
from control_plane.rules.reach import sight_of


class BudgetRequestFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=RequestState.choices)
    budget = django_filters.CharFilter(field_name="budget__name")
    requester = django_filters.CharFilter(field_name="requester__email", lookup_expr="iexact")


def requests_within(standing: Standing, rows: QuerySet[BudgetRequest]) -> QuerySet[BudgetRequest]:
    """Requests that a person sees: all; their own, and those of their led teams' budgets and people; their own."""
    match reach_of(standing, Permission.BUDGETS_READ):
        case Reach.ALL:
            return rows
        case Reach.TEAM:
            led = TeamMembership.objects.filter(
                organization_id=standing.organization_id, team_id__in=standing.led_team_ids
            )
            return rows.filter(
                Q(requester_id=standing.user_id)
                | Q(budget__team_id__in=standing.led_team_ids)
                | Q(requester_id__in=led.values("user_id"))
            )
        case Reach.OWN:
            return rows.filter(requester_id=standing.user_id)
        case Reach.NONE:
            return rows.none()


class BudgetRequestViewSet(ListMixin, RetrieveMixin, TenantView):
    """Wishes of people whom a budget stopped. Whoever manages the budget approves or declines."""

    queryset = BudgetRequest.objects.all()
    serializer_class = BudgetRequestOut
    filterset_class = BudgetRequestFilter
    page_order = ("-created_at", "id")
    field_names = {"reason": "purpose"}
    rights = {
        "list": Permission.BUDGETS_READ,
        "retrieve": Permission.BUDGETS_READ,
        "create": Permission.BUDGET_REQUESTS_MAKE,
        "withdraw": Permission.BUDGET_REQUESTS_MAKE,
        "approve": Permission.BUDGETS_MANAGE,
        "decline": Permission.BUDGETS_MANAGE,
    }
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[BudgetRequest]:
        return requests_within(self.caller.standing, budget_requests_of(self.caller.organization))

    def whose(self, request: BudgetRequest) -> tuple[UUID | None, Collection[UUID]]:
        team_id = request.budget.team_id
        return request.requester_id, () if team_id is None else (team_id,)

    @extend_schema(request=BudgetRequestIn, responses={201: BudgetRequestOut})
    def create(self, request: Request) -> Response:
        """Ask for more of a counter that counts what you spend."""
        given = self.read_input(BudgetRequestIn)
        amount = amount_of(given["amount_usd"])
        budget = self._budget(given["budget"])
        return self.once(
            lambda: self._answer_anew(
                budget_request_make(
                    budget=budget,
                    requester=self.caller.user,
                    amount=amount,
                    counter=given.get("counter", ""),
                    reason=given["purpose"],
                    decision_id=given.get("decision_id", ""),
                    actor=self.caller.actor,
                ),
                201,
            )
        )

    @extend_schema(request=ApproveIn, responses=BudgetRequestOut)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Grant it, or another amount: makes a temporary raise. Nobody grants their own wish, unless they are alone."""
        wish, given = self.get_object(), self.read_input(ApproveIn)
        amount = amount_of(given["amount_usd"]) if "amount_usd" in given else None
        return self.once(
            lambda: self._answer_anew(
                budget_request_approve(
                    request=wish,
                    approver=self.caller.user,
                    standing=self.caller.standing,
                    amount=amount,
                    until_at=given.get("until_at"),
                    note=given.get("note", ""),
                    actor=self.caller.actor,
                )
            )
        )

    @extend_schema(request=DeclineIn, responses=BudgetRequestOut)
    @action(detail=True, methods=["post"])
    def decline(self, request: Request, pk: str) -> Response:
        """Say no; the note tells why."""
        wish, given = self.get_object(), self.read_input(DeclineIn)
        return self.once(
            lambda: self._answer_anew(
                budget_request_decline(
                    request=wish, decider=self.caller.user, note=given.get("note", ""), actor=self.caller.actor
                )
            )
        )

    @extend_schema(request=None, responses=BudgetRequestOut)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take your own request back."""
        wish = self.get_object()
        return self.once(
            lambda: self._answer_anew(
                budget_request_withdraw(request=wish, requester=self.caller.user, actor=self.caller.actor)
            )
        )

    def _answer_anew(self, wish: BudgetRequest, status: int = 200) -> Response:
        return self.answer(budget_requests_of(self.caller.organization).get(id=wish.id), status=status)

    def _budget(self, text: str) -> Budget:
        rows = budgets_of(self.caller.organization)
        sight = sight_of(self.caller.standing, Permission.BUDGETS_READ)
        found: Any = rows.filter(named(text, ("name",))).first()
        if found is None or not sight.sees(found):
            raise ValidationError({"budget": "There is no such budget that applies to you."})
        budget: Budget = found
        return budget

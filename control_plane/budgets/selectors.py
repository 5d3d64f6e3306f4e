"""Find budgets, raises and requests for more."""

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from control_plane.budgets.models import Budget, BudgetRaise, BudgetRequest
from control_plane.organizations.models import Organization
from control_plane.rules.models import Mode


def budgets_of(organization: Organization) -> QuerySet[Budget]:
    return Budget.objects.filter(organization=organization).select_related("organization", "team").order_by("name")


def budget_by_name(organization: Organization, name: str) -> Budget | None:
    return budgets_of(organization).filter(name=name).first()


def budgets_for_pods(organization_id: UUID) -> QuerySet[Budget]:
    """Those that pods must know, in a stable order."""
    return Budget.objects.filter(organization_id=organization_id).exclude(mode=Mode.OFF).order_by("id")


def raises_for_pods(organization_id: UUID, now: datetime) -> QuerySet[BudgetRaise]:
    """Raises of those budgets that are in force or to come."""
    return (
        BudgetRaise.objects.filter(organization_id=organization_id, until_at__gt=now)
        .exclude(budget__mode=Mode.OFF)
        .order_by("id")
    )


def raises_of(budget: Budget) -> QuerySet[BudgetRaise]:
    """All raises of a budget, newest first; those that are over too."""
    return BudgetRaise.objects.filter(budget=budget, organization_id=budget.organization_id).order_by("-created_at")


def budget_requests_of(organization: Organization) -> QuerySet[BudgetRequest]:
    """All requests for more, newest first."""
    return (
        BudgetRequest.objects.filter(organization=organization)
        .select_related("budget__organization", "budget__team", "requester", "decided_by", "granted")
        .order_by("-created_at")
    )

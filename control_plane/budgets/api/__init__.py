"""REST: budgets, their raises, and requests for more."""

from control_plane.budgets.api.budgets import BudgetViewSet
from control_plane.budgets.api.requests import BudgetRequestViewSet

__all__ = ["BudgetRequestViewSet", "BudgetViewSet"]

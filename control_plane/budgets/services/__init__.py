"""Change budgets, raise them for a while, ask for more and decide about it."""

from control_plane.budgets.services.budgets import budget_create, budget_delete, budget_update
from control_plane.budgets.services.kind import BUDGETS
from control_plane.budgets.services.raises import budget_raise_add, budget_raise_end
from control_plane.budgets.services.requests import (
    AlreadyDecided,
    AskedAlready,
    budget_request_approve,
    budget_request_decline,
    budget_request_make,
    budget_request_withdraw,
)

__all__ = [
    "BUDGETS",
    "AlreadyDecided",
    "AskedAlready",
    "budget_create",
    "budget_delete",
    "budget_raise_add",
    "budget_raise_end",
    "budget_request_approve",
    "budget_request_decline",
    "budget_request_make",
    "budget_request_withdraw",
    "budget_update",
]

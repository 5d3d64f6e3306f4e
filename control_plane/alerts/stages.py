"""Where a counter of a budget stands among the budget's stages. Pure but for the rows it is handed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_plane.budgets.models import Budget, BudgetRaise

ALERT = "alert"
ORDINARY_RECIPIENTS = ("team_lead",)
"""Whom an alert that names nobody goes to."""


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage, as far as telling people goes. notify: recipients as the budget names them."""

    at_percent: int
    action: str
    notify: tuple[str, ...]


def lines_of(budget: Budget) -> tuple[StageLine, ...]:
    """Read the stages of a budget, ascending."""
    return tuple(_line(stored) for stored in budget.stages)


def limit_at(limit_nano_usd: int, raises: Iterable[BudgetRaise], counter: str, now: datetime) -> int:
    """The limit of one counter, with what was added to it for now."""
    added = sum(
        more.amount_nano_usd for more in raises if more.counter in ("", counter) and more.from_at <= now < more.until_at
    )
    return limit_nano_usd + added


def is_reached(posted_nano_usd: int, limit_nano_usd: int, at_percent: int) -> bool:
    """Exactly at the line is reached."""
    return posted_nano_usd * 100 >= limit_nano_usd * at_percent


def _line(stored: dict[str, Any]) -> StageLine:
    action = str(stored["do"])
    notify = tuple(str(each) for each in stored.get("notify") or ())
    return StageLine(int(stored["at"]), action, notify or (ORDINARY_RECIPIENTS if action == ALERT else ()))

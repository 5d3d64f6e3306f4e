"""Notes that a budget is heading above its limit, in the transaction that keeps the forecast.

It is a crossing like that of a stage: one row per counter and period, whoever writes it first, told from the outbox.
Where the limit is reached already, its stage has told it. A forecast that comes down again is not taken back.
Source: docs/decisions/0165-a-forecast-is-told-like-a-stage.md
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from control_plane.alerts.crossings import wake_sender
from control_plane.alerts.models import StageCrossing
from control_plane.alerts.stages import ORDINARY_RECIPIENTS, lines_of
from control_plane.budgets.models import Budget
from control_plane.forecasts.drivers import Driver
from control_plane.forecasts.listening import listen_to_forecasts
from control_plane.forecasts.models import Forecast
from control_plane.forecasts.words import day_words, drivers_words
from control_plane.rules.models import Mode
from control_plane.rules.periods import zone_of
from control_plane.usage.spending import Counter
from switchyard_contract.quantity import NanoUsd, usd_text

FORECAST = "forecast"
WHOLE = 100

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Where a counter was heading, as it was said. day_words: when it passes its limit; empty: not known."""

    p10: int
    p50: int
    p90: int
    reached_at: str = ""
    day_words: str = ""
    drivers_words: str = ""

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Foreseen":
        return cls(**stored)

    def as_json(self) -> dict[str, Any]:
        return {
            "p10": self.p10,
            "p50": self.p50,
            "p90": self.p90,
            "reached_at": self.reached_at,
            "day_words": self.day_words,
            "drivers_words": self.drivers_words,
        }

    def told(self) -> dict[str, Any]:
        """As webhooks have it."""
        told: dict[str, Any] = {"limit_reached_at": self.reached_at or None, "drivers": self.drivers_words}
        for name in ("p10", "p50", "p90"):
            amount = NanoUsd(getattr(self, name))
            told |= {f"{name}_nano_usd": amount, f"{name}_usd": usd_text(amount)}
        return told


def listen() -> None:
    listen_to_forecasts(_forecast)


def _forecast(made: Sequence[Forecast]) -> None:
    foreseen_note(made)


def foreseen_note(forecasts: Sequence[Forecast]) -> int:
    """Write those that are new; says how many. Must run in a transaction."""
    over = [row for row in forecasts if row.is_over and row.spent_nano_usd < (row.limit_nano_usd or 0)]
    if not over:
        return 0
    ids = {row.budget_id for row in over if row.budget_id is not None}
    # Shadows alert nobody, as their stages do not.
    budgets = {row.id: row for row in Budget.objects.filter(id__in=ids, mode=Mode.ENFORCE)}
    found = []
    for row in over:
        budget = budgets.get(row.budget_id) if row.budget_id else None
        if budget is not None and budget.organization_id == row.organization_id:
            found.append(_crossing(row, budget))
    known = set(
        StageCrossing.objects.filter(spend_id__in=[one.spend_id for one in found], action=FORECAST).values_list(
            "spend_id", flat=True
        )
    )
    new = sorted((one for one in found if one.spend_id not in known), key=lambda one: one.spend_id)
    if not new:
        return 0
    StageCrossing.objects.bulk_create(new, ignore_conflicts=True)
    transaction.on_commit(wake_sender, robust=True)
    return len(new)


def _crossing(row: Forecast, budget: Budget) -> StageCrossing:
    return StageCrossing(
        organization_id=row.organization_id,
        budget_id=budget.id,
        budget_name=budget.name,
        spend_id=_spend_id(row, budget.id),
        counter=row.counter,
        per=list(budget.per),
        period_ms=row.period_ms,
        period_unit=row.period_unit,
        timezone=row.timezone,
        anchor=row.anchor,
        at_percent=WHOLE,
        action=FORECAST,
        next_percent=None,
        next_action="",
        notify=_notify(budget),
        posted_nano_usd=row.spent_nano_usd,
        limit_nano_usd=row.limit_nano_usd or budget.limit_nano_usd,
        crossed_at=row.as_of,
        forecast=_foreseen(row).as_json(),
    )


def _foreseen(row: Forecast) -> Foreseen:
    zone = zone_of(row.timezone)
    reached: datetime | None = row.spent_p50_at
    drivers = [Driver.from_json(stored) for stored in row.drivers]
    return Foreseen(
        p10=row.p10_nano_usd or 0,
        p50=row.p50_nano_usd or 0,
        p90=row.p90_nano_usd or 0,
        reached_at="" if reached is None else reached.isoformat(),
        day_words="" if reached is None or zone is None else day_words(reached, zone, seen_from=row.as_of),
        drivers_words=drivers_words(drivers, expected=row.p50_nano_usd or 0, previous=row.previous_nano_usd),
    )


def _notify(budget: Budget) -> list[str]:
    """Whoever any of its stages tells; the forecast comes before all of them."""
    try:
        told = [each for line in lines_of(budget) for each in line.notify]
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        log.error("the stages of a budget cannot be read", budget_id=budget.id.hex, why=type(failure).__name__)
        told = []
    return list(dict.fromkeys(told)) or list(ORDINARY_RECIPIENTS)


def _spend_id(row: Forecast, budget_id: UUID) -> UUID:
    return Counter(row.organization_id, budget_id, row.counter, row.period_ms).id

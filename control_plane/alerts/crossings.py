"""Notes that counters of budgets reached stages, in the transaction that posts to them.

A crossing is a row with a unique name, so it is written once: by the booking that sees it first, and in the same
commit. A worker that dies takes both back. What follows (who is told, and the sending) begins after the commit, from
the row; a lost message is found by the sweep.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from control_plane.alerts.models import StageCrossing
from control_plane.alerts.no_room import Shortage, shortage_of
from control_plane.alerts.stages import StageLine, is_reached, limit_at, lines_of
from control_plane.budgets.models import Budget
from control_plane.rules.models import Mode
from control_plane.usage.listening import listen_to_spending
from control_plane.usage.refusals import BudgetRefusal
from control_plane.usage.spending import Posted

SEND = "alerts.send"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one counter of a budget stands."""

    spend_id: UUID
    organization_id: UUID
    budget_id: UUID
    counter: str
    period_ms: int
    posted_nano_usd: int


def listen() -> None:
    listen_to_spending(_booked)


def _booked(posted: Sequence[Posted], refused: Sequence[BudgetRefusal]) -> None:
    grown = [
        Standing(
            one.counter.id,
            one.counter.organization_id,
            one.counter.budget_id,
            one.counter.counter,
            one.counter.period_ms,
            one.posted_nano_usd,
        )
        for one in posted
        if one.added_nano_usd > 0
    ]
    if grown or refused:
        crossings_note(grown, refused, now=timezone.now())


def crossings_note(standings: Sequence[Standing], refused: Sequence[BudgetRefusal] = (), *, now: datetime) -> int:
    """Write the crossings that are new among these counters; says how many. Must run in a transaction.

    refused: counters that had no room for what was asked. Where that is as good as spent, it is the stage that blocks.
    """
    by_budget: dict[tuple[UUID, UUID], list[Standing]] = defaultdict(list)
    for standing in standings:
        by_budget[standing.organization_id, standing.budget_id].append(standing)
    refusing: dict[tuple[UUID, UUID], list[BudgetRefusal]] = defaultdict(list)
    for refusal in refused:
        refusing[refusal.counter.organization_id, refusal.counter.budget_id].append(refusal)
    ids = {budget_id for _, budget_id in (*by_budget, *refusing)}
    # Shadows and budgets that are off count on, and alert nobody.
    reached: list[StageCrossing] = []
    for budget in Budget.objects.filter(id__in=ids, mode=Mode.ENFORCE).prefetch_related("raises"):
        # An event that names another organization's budget is charged to a counter that nobody asks for.
        whose = budget.organization_id, budget.id
        reached += _reached(budget, by_budget.get(whose, ()), refusing.get(whose, ()), now)
    new = _unknown(reached)
    if not new:
        return 0
    # Unique by counter, period and stage: whoever else writes the same one waits here, and then writes nothing.
    StageCrossing.objects.bulk_create(new, ignore_conflicts=True)
    transaction.on_commit(wake_sender, robust=True)
    return len(new)


def wake_sender() -> None:
    """Ask a worker to send what waits. A lost message costs until the next sweep."""
    try:
        current_app.send_task(SEND, retry=False, expires=60)
    except (OSError, OperationalError) as failure:
        log.warning("the broker took no message; the sweep will find the alerts", why=type(failure).__name__)


def _reached(
    budget: Budget, standings: Iterable[Standing], refused: Iterable[BudgetRefusal], now: datetime
) -> list[StageCrossing]:
    try:
        lines = lines_of(budget)
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        # The booking must go on whatever a row says; whoever reads the log mends the budget.
        log.error("the stages of a budget cannot be read", budget_id=budget.id.hex, why=type(failure).__name__)
        return []
    raises = list(budget.raises.all())
    found = []
    for standing in standings:
        limit = limit_at(budget.limit_nano_usd, raises, standing.counter, now)
        found += [
            _crossing(budget, standing, line, following, limit, now)
            for line, following in zip(lines, (*lines[1:], None), strict=True)
            if is_reached(standing.posted_nano_usd, limit, line.at_percent)
        ]
    for refusal in refused:
        shortage = shortage_of(refusal, budget, lines)
        if shortage is not None:
            found.append(
                _crossing(budget, _standing(refusal), shortage.line, None, refusal.limit_nano_usd, now, shortage)
            )
    return found


def _standing(refusal: BudgetRefusal) -> Standing:
    counter = refusal.counter
    return Standing(
        counter.id,
        counter.organization_id,
        counter.budget_id,
        counter.counter,
        counter.period_ms,
        refusal.posted_nano_usd,
    )


def _crossing(
    budget: Budget,
    standing: Standing,
    line: StageLine,
    following: StageLine | None,
    limit: int,
    now: datetime,
    shortage: Shortage | None = None,
) -> StageCrossing:
    return StageCrossing(
        organization_id=budget.organization_id,
        budget_id=budget.id,
        budget_name=budget.name,
        spend_id=standing.spend_id,
        counter=standing.counter,
        per=list(budget.per),
        period_ms=standing.period_ms,
        period_unit=budget.period,
        timezone=budget.timezone,
        anchor=budget.anchor,
        at_percent=line.at_percent,
        action=line.action,
        next_percent=None if following is None else following.at_percent,
        next_action="" if following is None else following.action,
        notify=list(line.notify),
        posted_nano_usd=standing.posted_nano_usd,
        limit_nano_usd=limit,
        crossed_at=now,
        wanted_nano_usd=None if shortage is None else shortage.wanted_nano_usd,
        reserved_nano_usd=None if shortage is None else shortage.reserved_nano_usd,
    )


def _unknown(reached: list[StageCrossing]) -> list[StageCrossing]:
    """Leave out what is written already: above a line every booking finds it again."""
    if not reached:
        return []
    known = set(
        StageCrossing.objects.filter(spend_id__in={one.spend_id for one in reached}).values_list(
            "spend_id", "at_percent", "action"
        )
    )
    new: dict[tuple[UUID, int, str], StageCrossing] = {}
    for one in reached:
        key = (one.spend_id, one.at_percent, one.action)
        if key not in known:
            # A line that is reached comes before a refusal below it, in one booking too.
            new.setdefault(key, one)
    return [new[key] for key in sorted(new)]

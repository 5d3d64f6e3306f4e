"""What a refusal of a budget below its line is worth telling. Pure.

A budget refuses what does not fit beside what is spent and what runs. Nearly spent, that is the stage that blocks: the
rest is too little to work with. Far below, it is told only where the request would not fit although nothing else ran:
then the budget is too small for what is asked of it. What finds no room because others run finds it again when they
have ended, and its caller alone is told.
Source: docs/decisions/0196-work-refused-for-want-of-room.md
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from control_plane.alerts.stages import ORDINARY_RECIPIENTS, StageLine
from control_plane.budgets.models import Bound, Budget
from control_plane.usage.refusals import BudgetRefusal

BLOCK, NO_ROOM = "block", "no_room"
NEARLY_PERCENT = 90
"""Of the line that blocks: from here on a refusal is as good as reaching it."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """What is told of a refusal. line: which stage it counts as, and whom it tells. Amounts None: it is reached."""

    line: StageLine
    wanted_nano_usd: int | None
    reserved_nano_usd: int | None


def shortage_of(refusal: BudgetRefusal, budget: Budget, lines: Iterable[StageLine]) -> Shortage | None:
    """Say what people are to be told; None: nothing, or the budget blocks no more."""
    lines = tuple(lines)
    block = next((line for line in lines if line.action == BLOCK), None)
    if block is None or refusal.limit_nano_usd <= 0:
        return None
    line_at = refusal.limit_nano_usd * block.at_percent // 100
    told = replace(block, notify=_told(block, lines))
    posted = refusal.posted_nano_usd
    if posted >= line_at:
        # The counters know more than the books, and may for long: an event that never comes is in no sum.
        return Shortage(block, None, None)
    reserved, wanted = _did_not_fit(refusal, line_at, is_strict=budget.bound == Bound.STRICT)
    if posted * 100 >= line_at * NEARLY_PERCENT:
        return Shortage(told, wanted, reserved)
    if posted + wanted > line_at:
        return Shortage(replace(told, action=NO_ROOM), wanted, reserved)
    return None


def _did_not_fit(refusal: BudgetRefusal, line_at: int, *, is_strict: bool) -> tuple[int, int]:
    """What was reserved and what was asked for, as the budget bounds both; else as both were expected."""
    wanted = refusal.worst_nano_usd if is_strict else refusal.calibrated_nano_usd
    if refusal.posted_nano_usd + refusal.reserved.bounded + wanted > line_at:
        return refusal.reserved.bounded, wanted
    return refusal.reserved.expected, refusal.expected_nano_usd


def _told(block: StageLine, lines: Iterable[StageLine]) -> tuple[str, ...]:
    """Whom the stage names; else whom any of the budget's stages names: nobody chose silence about this."""
    return block.notify or tuple(dict.fromkeys(each for line in lines for each in line.notify)) or ORDINARY_RECIPIENTS

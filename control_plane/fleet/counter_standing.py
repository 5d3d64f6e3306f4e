"""Whether an organization's counters count, or are being brought back after a loss. Shown, never decided from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from control_plane.fleet.models import CounterLoss
from control_plane.organizations.models import Organization


class CounterState(StrEnum):
    COUNTING = "counting"
    RECOVERING = "recovering"
    """They were lost, and the books are being laid in. Pods spend what they were issued."""
    BEGINNING = "beginning"
    """The books are in; the new generation is named in a moment."""


@dataclass(frozen=True, slots=True)
class CounterStanding:
    """Of one organization."""

    state: CounterState
    generation: int
    lost_at: datetime | None = None
    """When the latest loss was reported, however long ago; None: never one."""
    floors_laid: int = 0
    """Of the latest loss: how many sums of counters the store has been given back."""
    floors_of: int = 0
    laid_at: datetime | None = None
    """When it had all of them."""

    @property
    def text(self) -> str:
        """What a person is told."""
        if self.state is CounterState.COUNTING:
            return "counting"
        if self.state is CounterState.BEGINNING:
            return f"recovering, all {self.floors_of:,} floors applied"
        if not self.floors_of:
            return "recovering, the books are read"
        return f"recovering, floors applied {self.floors_laid:,} of {self.floors_of:,}"


def counter_standing(organization: Organization) -> CounterStanding:
    """Read how an organization's counters stand."""
    generation = organization.counter_generation
    row = CounterLoss.objects.filter(organization_id=organization.id).first()
    if row is None:
        return CounterStanding(CounterState.COUNTING, generation)
    if row.generation < generation:
        state = CounterState.COUNTING
    else:
        state = CounterState.BEGINNING if row.told_at else CounterState.RECOVERING
    return CounterStanding(state, generation, row.reported_at, row.floors_laid, row.floors_of, row.told_at)

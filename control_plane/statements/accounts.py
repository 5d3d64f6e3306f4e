"""A month's statement as values, and its arithmetic. Pure.

A statement is an account of the calendar year: it opens with what the year came to before the month, adds what was
used, then corrections, and closes with the sum. Money is what the organization pays, nano-USD; what callers' own
subscriptions paid stands beside it and is in no sum.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from uuid import UUID

LATE = "late"
"""Usage of an earlier month that was booked after that month was closed, and prices that were corrected since."""
BY_HAND = "by hand"
"""A correction by people."""


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What one person or service account used of one model in the month, charged to one team."""

    team_id: UUID | None
    principal_id: UUID | None
    principal_kind: str
    principal: str
    """E-mail or name, as it was when the statement was made; empty: not known."""
    provider: str
    model: str
    requests: int
    tokens_in: int
    tokens_out: int
    paid_nano_usd: int
    shadow_nano_usd: int


@dataclass(frozen=True, slots=True)
class CorrectionLine:
    """What was learned or decided in this month about money: one dated line."""

    team_id: UUID | None
    counted_on: date
    about_month: date | None
    """The month it belonged to; None: a correction of nothing in particular."""
    kind: str
    note: str
    principal_id: UUID | None
    principal: str
    model: str
    rows: int
    amount_nano_usd: int


@dataclass(frozen=True, slots=True)
class TeamAccount:
    """One team's part of a statement. team_id None: keys that are charged to no team."""

    team_id: UUID | None
    team: str
    cost_centre: str
    opening_nano_usd: int = 0
    used_nano_usd: int = 0
    corrected_nano_usd: int = 0
    shadow_nano_usd: int = 0
    requests: int = 0

    @property
    def closing_nano_usd(self) -> int:
        return self.opening_nano_usd + self.used_nano_usd + self.corrected_nano_usd

    @property
    def is_empty(self) -> bool:
        return not (self.closing_nano_usd or self.used_nano_usd or self.corrected_nano_usd or self.shadow_nano_usd)


@dataclass(frozen=True, slots=True)
class CostCentre:
    """The teams of one cost centre. name empty: teams without one."""

    name: str
    teams: tuple[TeamAccount, ...]

    @property
    def opening_nano_usd(self) -> int:
        return sum(team.opening_nano_usd for team in self.teams)

    @property
    def used_nano_usd(self) -> int:
        return sum(team.used_nano_usd for team in self.teams)

    @property
    def corrected_nano_usd(self) -> int:
        return sum(team.corrected_nano_usd for team in self.teams)

    @property
    def closing_nano_usd(self) -> int:
        return sum(team.closing_nano_usd for team in self.teams)

    @property
    def shadow_nano_usd(self) -> int:
        return sum(team.shadow_nano_usd for team in self.teams)

    @property
    def requests(self) -> int:
        return sum(team.requests for team in self.teams)


@dataclass(frozen=True, slots=True)
class Statement:
    """A month of an organization. closed_at None: the month is open, and its sums still move."""

    month: date
    cost_centres: tuple[CostCentre, ...]
    closed_at: datetime | None = None
    closed_by: str = ""

    @property
    def is_closed(self) -> bool:
        return self.closed_at is not None

    @property
    def whole(self) -> CostCentre:
        """All cost centres as one."""
        return CostCentre("", tuple(team for centre in self.cost_centres for team in centre.teams))

    def cost_centre(self, name: str) -> CostCentre | None:
        return next((centre for centre in self.cost_centres if centre.name == name), None)


@dataclass(frozen=True, slots=True)
class Lines:
    """What stands behind some accounts of a statement."""

    usage: tuple[UsageLine, ...] = field(default=())
    corrections: tuple[CorrectionLine, ...] = field(default=())


def by_cost_centre(accounts: Iterable[TeamAccount]) -> tuple[CostCentre, ...]:
    """Gather teams by cost centre, by name, those without one last; teams that never spent anything are left out."""
    ordered = sorted(
        (account for account in accounts if not account.is_empty),
        key=lambda account: (not account.cost_centre, account.cost_centre, account.team),
    )
    return tuple(CostCentre(name, tuple(teams)) for name, teams in groupby(ordered, key=lambda each: each.cost_centre))

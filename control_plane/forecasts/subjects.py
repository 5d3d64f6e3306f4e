"""What is forecast: a counter of a budget, or an organization as a whole. Pure."""

from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

from control_plane.rules.periods import PeriodRule

MONTH_OF_UTC = PeriodRule("month", "UTC", 1)
"""An organization as a whole is forecast by the months that its statements have."""


@dataclass(frozen=True, slots=True)
class Subject:
    """budget_id None: the organization. counter: as `switchyard_contract.counters` writes it."""

    organization_id: UUID
    budget_id: UUID | None = None
    counter: str = ""

    @property
    def id(self) -> UUID:
        """The same in every period; also the seed of chance, so that a forecast made again says the same."""
        budget = self.budget_id.hex if self.budget_id else ""
        text = "\x00".join((self.organization_id.hex, budget, self.counter))
        return UUID(bytes=blake2b(text.encode(), digest_size=16, person=b"forecasts").digest())

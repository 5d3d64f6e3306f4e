"""What makes a period dearer than the one before: who, with what. Pure.

Each person, service account, team, model and tool is taken to keep its share of what is spent, so where the whole is
heading its part is heading too; the difference from the whole period before is its growth.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.forecasts.matching import Grain, plain_model

WHO = ("user", "service_account")
KINDS = (*WHO, "team", "model", "client")
MOST_PER_KIND = 5
LEAST_SHARE = 0.05
"""What makes less of the growth than this is not named."""


@dataclass(frozen=True, slots=True)
class Driver:
    """value: an id (32 hex digits) of a person, service account or team, or the name of a model or tool. is_new: it
    spent nothing in the period before."""

    kind: str
    value: str
    spent_nano_usd: int
    expected_nano_usd: int
    previous_nano_usd: int

    @property
    def growth_nano_usd(self) -> int:
        return self.expected_nano_usd - self.previous_nano_usd

    @property
    def is_new(self) -> bool:
        return self.previous_nano_usd == 0

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "value": self.value,
            "spent": self.spent_nano_usd,
            "expected": self.expected_nano_usd,
            "previous": self.previous_nano_usd,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Driver":
        return cls(stored["kind"], stored["value"], stored["spent"], stored["expected"], stored["previous"])


def drivers_of(sums: Iterable[tuple[Grain, tuple[int, ...]]], *, heading_for: int) -> tuple[Driver, ...]:
    """The greatest contributors to growth, of each kind. sums: of the period so far, and of the whole one before.
    heading_for: where the period as a whole is expected to end."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    spent = previous = 0
    for grain, (now, before) in sums:
        spent += now
        previous += before
        for name in _names(grain):
            found[name][0] += now
            found[name][1] += before
    if spent <= 0:
        return ()
    pace = heading_for / spent
    alone = _alone(found)
    drivers = [
        Driver(kind, value, now, round(now * pace), before)
        for (kind, value), (now, before) in found.items()
        if kind not in alone
    ]
    least = max(1, LEAST_SHARE * (heading_for - previous))
    growing = sorted((one for one in drivers if one.growth_nano_usd >= least), key=_order)
    kept: dict[str, int] = defaultdict(int)
    chosen = []
    for driver in growing:
        kept[driver.kind] += 1
        if kept[driver.kind] <= MOST_PER_KIND:
            chosen.append(driver)
    return tuple(chosen)


def _alone(found: Iterable[tuple[str, str]]) -> set[str]:
    """Kinds with one value alone: that everything comes from the one team there is tells nobody anything."""
    counts = Counter(kind for kind, _ in found)
    return {kind for kind in KINDS if counts[kind] == 1 and kind not in WHO}


def _order(driver: Driver) -> tuple[int, str, str]:
    return -driver.growth_nano_usd, driver.kind, driver.value


def _names(grain: Grain) -> list[tuple[str, str]]:
    found = []
    if grain.principal_id is not None and grain.principal_kind in ("user", "service_account"):
        found.append((grain.principal_kind, grain.principal_id.hex))
    if grain.team_id is not None:
        found.append(("team", grain.team_id.hex))
    if grain.model:
        found.append(("model", plain_model(grain.model)))
    if grain.client:
        found.append(("client", grain.client))
    return found

"""Runs of coding tools, drawn like the published quantities of 357,161 calls of 43 developers.

What is drawn here is one run (a conversation session); its calls are drawn by the database, with the run's own medians
(`tests.load.crowd_usage`). All is drawn from one seed, so that two crowds are alike.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from switchyard_contract.v1 import usage_pb2

T = TypeVar("T")

MEDIAN_CALLS: Final = 8
SPREAD_OF_CALLS: Final = 2.16
"""Calls of a run: 82 in the mean, since a few runs are very long; the median run is short."""
MOST_CALLS: Final = 4_000
REPOSITORIES: Final = 300
WEEKEND: Final = 0.15
"""So busy is a day of the weekend, measured by a working day."""
BUSIEST_HOUR, SPREAD_OF_HOURS = 13.0, 3.2
"""When runs begin, hours of UTC: the day of offices in Europe."""
SERVICES: Final = 0.12
"""So many runs are those of service accounts."""
SUBAGENTS: Final = 0.2
"""So many runs of Claude Code send a sub-agent off."""
LOOPS, BREAKS = 0.02, 0.04
"""So many runs go in circles for a while; in so many the list of tools changes in the middle."""


@dataclass(frozen=True, slots=True)
class Made:
    """A model, how often it is taken among those of its vendor, and the client's window that fills up."""

    vendor: str
    model: str
    weight: float
    window: int


MODELS: Final = (
    Made("anthropic", "claude-opus-4-7", 0.67, 200_000),
    Made("anthropic", "claude-opus-4-6", 0.13, 1_000_000),
    Made("anthropic", "claude-haiku-4-5", 0.10, 200_000),
    Made("anthropic", "claude-sonnet-4-5", 0.10, 200_000),
    Made("openai", "gpt-5.5", 0.54, 240_000),
    Made("openai", "gpt-5.5-codex", 0.30, 240_000),
    Made("openai", "gpt-5.1-codex", 0.16, 240_000),
)
CLIENTS: Final[Mapping[str, tuple[tuple[str, float], ...]]] = {
    "anthropic": (("claude-code", 0.9), ("opencode", 0.1)),
    "openai": (("codex", 0.9), ("opencode", 0.1)),
}
VENDORS: Final = (("anthropic", 0.39), ("openai", 0.61))
PROTOCOLS: Final = {
    "anthropic": ("anthropic_messages", "/v1/messages"),
    "openai": ("openai_responses", "/v1/responses"),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody, or a service account, with its keys: (id, team charged)."""

    principal_id: UUID
    kind: str
    keys: tuple[tuple[str, UUID], ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run: whose it is, when it began, and what its calls are drawn around."""

    owner: Owner
    key_id: str
    team_id: UUID
    session_id: str
    made: Made
    client: str
    version: str
    begun_at: datetime
    calls: int
    repository: int
    """Its number; one less than 0: it names none."""
    context: int
    """Tokens of its first prompt."""
    growth: int
    """Tokens that a call adds."""
    agent_id: str
    """Of the sub-agent that makes some of the calls; empty: there is none."""
    loops: bool
    breaks_at: int
    """From this call on the list of tools is another; 0: it stays."""

    def facts(self, tools: str) -> bytes:
        """What a pod says of each of its turns; what differs from turn to turn is put behind it."""
        return usage_pb2.TurnFacts(
            tools_digest=tools.encode().ljust(8, b"."),
            system_digest=b"system..",
            history_marks=self.session_id.encode().ljust(16, b".")[-16:],
            tool_results=1,
            tools=["Bash"],
        ).SerializeToString()


def runs_drawn(
    people: Sequence[Owner], services: Sequence[Owner], *, calls: int, until: datetime, days: int, series: str
) -> list[Run]:
    """As many runs of the days before an instant as make so many calls. series: begins the names of their sessions."""
    chance = random.Random(f"{series}:{calls}")
    busy = [until - timedelta(days=back) for back in range(days)]
    weights = [WEEKEND if day.weekday() >= 5 else 1.0 for day in busy]
    runs: list[Run] = []
    made = 0
    while made < calls:
        run = _drawn(chance, people, services, chance.choices(busy, weights)[0], until, f"{series}-{len(runs):06d}")
        runs.append(run)
        made += run.calls
    return runs


def _drawn(
    chance: random.Random,
    people: Sequence[Owner],
    services: Sequence[Owner],
    day: datetime,
    until: datetime,
    session_id: str,
) -> Run:
    owners = services if chance.random() < SERVICES else people
    # A few are very busy, most have some runs a month.
    owner = owners[int(chance.random() ** 2 * len(owners))]
    # Most of what somebody uses goes over one key; the others are of other machines and tools.
    key_id, team_id = owner.keys[min(int(chance.expovariate(1.2)), len(owner.keys) - 1)]
    vendor = _choice(chance, VENDORS)
    model = _choice(chance, [(made, made.weight) for made in MODELS if made.vendor == vendor])
    client = _choice(chance, CLIENTS[vendor])
    midnight = day.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begun_at = midnight + timedelta(hours=min(23.9, max(0.0, chance.gauss(BUSIEST_HOUR, SPREAD_OF_HOURS))))
    if begun_at >= until:
        begun_at -= timedelta(days=1)
    calls = max(1, min(MOST_CALLS, round(chance.lognormvariate(math.log(MEDIAN_CALLS), SPREAD_OF_CALLS))))
    return Run(
        owner=owner,
        key_id=key_id,
        team_id=team_id,
        session_id=session_id,
        made=model,
        client=client,
        version=f"2.1.{chance.randrange(4)}",
        begun_at=begun_at,
        calls=calls,
        repository=int(chance.random() ** 2 * REPOSITORIES) if chance.random() < 0.9 else -1,
        context=int(chance.lognormvariate(math.log(25_000), 0.4)),
        growth=int(chance.lognormvariate(math.log(1_300), 0.5)),
        agent_id=f"explore-{session_id[-4:]}" if client == "claude-code" and chance.random() < SUBAGENTS else "",
        loops=chance.random() < LOOPS,
        breaks_at=chance.randrange(2, calls + 2) if chance.random() < BREAKS else 0,
    )


def _choice(chance: random.Random, among: Sequence[tuple[T, float]]) -> T:
    return chance.choices([value for value, _ in among], [weight for _, weight in among])[0]

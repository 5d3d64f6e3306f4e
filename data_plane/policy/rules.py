"""The rules of one organization, frozen and ready to be asked. What they mean: docs/reference/rules.md.

Every rule is enforced or a shadow; one that is off does not come here. Money is nano-USD, time Unix milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from data_plane.policy.claims import Outage, RateUnit
from data_plane.policy.globs import Globs
from data_plane.policy.periods import Periods
from switchyard_contract.quantity import NanoUsd

StageAction = Literal["alert", "downgrade", "block"]


class Pattern(Protocol):
    """What is used of a compiled RE2 expression."""

    def fullmatch(self, text: str) -> object | None: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """Which exchanges a rule is about: every part that is given has to fit, alternatives inside a part."""

    subjects: frozenset[str] = frozenset()
    models: Globs | None = None
    metadata: tuple[tuple[str, Globs], ...] = ()
    clients: Globs | None = None
    protocols: frozenset[str] = frozenset()
    hours: tuple[tuple[int, int], ...] | None = None
    """[start, end) in Unix milliseconds, ascending and apart; None: at any time."""
    hours_text: str = ""

    @property
    def parts(self) -> int:
        """How many parts are given; each key of metadata is one."""
        given = (self.subjects, self.models, self.clients, self.protocols, self.hours is not None)
        return sum(map(bool, given)) + len(self.metadata)


EVERYTHING = Condition()


@dataclass(frozen=True, slots=True)
class Parts:
    """What a rule of access grants or denies; None: it says nothing of that part."""

    models: Globs | None = None
    providers: Globs | None = None
    regions: Globs | None = None
    external: bool | None = None

    @property
    def is_empty(self) -> bool:
        return self.models is None and self.providers is None and self.regions is None and self.external is None


@dataclass(frozen=True, slots=True)
class AccessRule:
    id: str
    name: str
    is_shadow: bool
    when: Condition
    when_not: tuple[Condition, ...]
    allow: Parts | None
    """Empty parts: everything. None: the rule only denies."""
    deny: Parts
    """Empty parts: nothing."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    id: str
    name: str
    is_shadow: bool
    when: Condition
    when_not: tuple[Condition, ...]
    group: str
    per: tuple[str, ...]
    unit: RateUnit
    is_concurrency: bool
    """Requests that run at the same time are counted, not those that come."""
    limit: int
    burst: int
    periods: Periods
    """Minute and hour: a sliding rate; anything else: a counter that starts anew."""
    contact: str


@dataclass(frozen=True, slots=True)
class Stage:
    at_percent: int
    action: StageAction
    to: tuple[str, ...] = ()
    uncached_input_tokens_below: int = 0
    """0: all turns."""
    cache_aware: bool = False
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Raise:
    """For a time, one counter of a budget has more."""

    id: str
    counter: str
    """Empty: every counter of the budget."""
    amount: NanoUsd
    from_ms: int
    until_ms: int


Counts = Literal["paid", "shadow", "both"]
"""What a budget counts: what the organization pays, what callers' own accounts would have cost, or all of it."""


@dataclass(frozen=True, slots=True)
class Budget:
    id: str
    name: str
    is_shadow: bool
    when: Condition
    when_not: tuple[Condition, ...]
    group: str
    per: tuple[str, ...]
    limit: NanoUsd
    periods: Periods
    stages: tuple[Stage, ...]
    is_strict: bool
    outage: Outage
    outage_allowance: NanoUsd
    grace: NanoUsd
    raises: tuple[Raise, ...]
    contact: str
    counts: Counts = "paid"


@dataclass(frozen=True, slots=True)
class SessionCap:
    """0 anywhere: no such cap."""

    id: str
    name: str
    is_shadow: bool
    when: Condition
    when_not: tuple[Condition, ...]
    group: str
    max_cost: NanoUsd
    max_turns: int
    max_retries: int
    max_failed_tool_results: int
    max_same_tool_call: int
    per_key_hour_factor: int
    contact: str


@dataclass(frozen=True, slots=True)
class MetadataKey:
    """What may stand in a key of metadata."""

    key: str
    is_required: bool
    values: frozenset[str]
    """Empty: any, as far as the pattern goes."""
    pattern: Pattern | None
    pattern_text: str
    counts_unknown_as_other: bool


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a vendor's model beyond its price. 0: unknown."""

    context_tokens: int = 0
    max_output_tokens: int = 0
    retired_at_ms: int = 0
    bytes_per_token_milli: int = 1000
    """At least so many thousandths of a byte make a token; a byte makes one at most."""
    expected_per_mille: int = 0
    calibrated_per_mille: int = 0


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """What an account takes from all callers together. 0: no limit."""

    concurrent_requests: int = 0
    requests_per_minute: int = 0
    tokens_per_minute: int = 0


NO_LIMITS = ProviderLimits()


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of an organization, each kind by name."""

    access: tuple[AccessRule, ...] = ()
    rates: tuple[RateLimit, ...] = ()
    budgets: tuple[Budget, ...] = ()
    caps: tuple[SessionCap, ...] = ()
    metadata_keys: tuple[MetadataKey, ...] = ()
    model_facts: Mapping[tuple[str, str], ModelFacts] = field(default_factory=dict)
    """By vendor and model."""
    counter_generation: int = 0
    always_429: bool = False
    """Budgets and caps are refused with 429 whatever the client (budget_status)."""


NO_RULES = Rules()

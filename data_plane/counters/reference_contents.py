"""What a reference store keeps (`reference.py`), in plain values."""

from dataclasses import dataclass, field

from data_plane.policy.claims import BudgetClaim
from switchyard_contract.counters import MICRO, CountersAnswer

HOLD_MS, LEASE_MS = 120_000, 30_000
DONE_SPAN_MS, DONE_SPANS = 15_000, 60


@dataclass(slots=True)
class Purse:
    """One counter of a budget in one period; micro-USD."""

    posted: int = 0
    expected: int = 0
    worst: int = 0
    issued: int = 0
    """Allowances given out to pods, all together."""
    left_of: dict[str, int] = field(default_factory=dict)
    """What each pod still has of its own."""


@dataclass(slots=True)
class Hold:
    """What is reserved for an attempt."""

    answer: CountersAnswer
    amounts: dict[str, tuple[int, int]]
    """By purse: expected, and as it bounds it."""
    due_ms: int


@dataclass(slots=True)
class Contents:
    """Of one organization: how far they have come, and whether they are known to be incomplete."""

    generation: int = -1
    sequence: int = 0
    is_lost: bool = False
    laying: str = ""
    """How far the books are laid in: `<attempt>:<floors>`."""
    laid: int = -1
    """The generation that all of the books are laid in for."""


@dataclass(slots=True)
class Organization:
    revoked: set[str] = field(default_factory=set)
    contents: Contents = field(default_factory=Contents)
    holds: dict[str, Hold] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    """Settled attempts, and the span of time in which each was; so many spans later that is forgotten."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a pod saw of the contents; -1: nothing yet."""

    generation: int = -1
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """On the way of laying an organization's whole books into a store."""

    leads_to: str
    goes_on_from: str = ""
    """Empty: it begins."""
    opens: int = 0
    """With the last step: the generation that the books are laid in for."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """Of the pod that asks. wanted: places of budgets whose allowance it was not told yet."""

    pod_id: str = "pod"
    live_pods: int = 1
    wanted: frozenset[int] = frozenset()


NOTHING_SEEN, ONE_POD = Seen(), PodFacts()


def issue(purse: Purse, budget: BudgetClaim, pod: PodFacts) -> int:
    """Give a pod its part of the allowance, once; what it has left of it when it asks again."""
    if pod.pod_id not in purse.left_of:
        allowance = budget.allowance // MICRO
        part = max(0, min(allowance // max(pod.live_pods, 1), allowance - purse.issued))
        purse.issued += part
        purse.left_of[pod.pod_id] = part
    return purse.left_of[pod.pod_id]


def know(contents: Contents, wanted: int, seen: Seen) -> bool:
    """Whether the contents are what was last seen, or later.

    A generation in the policy that is newer than everything known is believed where the books were laid into these
    contents for it. Nothing was ever spent before generation 0, and generation 1 needs nothing but contents that are
    whole.
    """
    known = max(contents.generation, seen.generation)
    is_older = contents.generation < 0 or contents.generation < seen.generation
    is_older |= contents.generation == seen.generation and contents.sequence < seen.sequence
    if wanted > known:
        is_whole = wanted == 1 and not is_older and not contents.is_lost
        if wanted == 0 or is_whole or contents.laid == wanted:
            contents.generation, contents.is_lost, contents.laying, contents.laid = wanted, False, "", -1
            return True
    elif contents.is_lost:
        return False
    elif not is_older:
        return True
    contents.generation, contents.is_lost = max(known, wanted), True
    return False

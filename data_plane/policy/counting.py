"""What a rule counts by: from its `per` to the counter of one exchange."""

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from data_plane.policy.claims import SESSION
from data_plane.policy.conditions import Scene
from data_plane.policy.decision import Destination
from data_plane.policy.estimate import Tariff
from data_plane.policy.naming import known_names
from switchyard_contract.counters import OTHER, PER_METADATA

_LONGEST_SHOWN = 60


class Candidate(msgspec.Struct, frozen=True):
    """A model that may answer, and what it is called by."""

    bit: int
    """FIRST or SECOND of claims.py."""
    asked: str
    """What the client asked for, or the name in a downgrade's list."""
    destination: Destination
    names: tuple[str, ...]
    """What money and tokens are counted under: they belong to the model that answers."""
    request_names: tuple[str, ...]
    """What requests are counted under: the client's own name for it as well, whoever answers."""
    request_model: str
    """The counter of requests by model."""
    tariff: Tariff | None = None
    """None: no price is known."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Where an exchange counts."""

    text: str
    """Values of `per`, as the contract writes them; may still hold SESSION."""
    is_open: bool
    """It does."""
    whose: str
    """For people; "": of all whom the rule is about."""


@dataclass(frozen=True, slots=True)
class NoCounter:
    """The exchange has none of what the rule counts by, so the rule does not match it."""

    why: str


def counter_in(
    per: tuple[str, ...], scene: Scene, candidate: Candidate, *, is_of_requests: bool = False
) -> Counter | NoCounter:
    """Find the counter of a rule for an exchange.

    A tag that is missing counts as "other"; an exchange that tells no session, in its key's own one.
    """
    values, whose = [], []
    is_open = False
    for what in per:
        found = _value(what, scene, candidate, is_of_requests=is_of_requests)
        if found is None:
            return NoCounter(f"per {what}: a {scene.caller.principal_kind.replace('_', ' ')} calls")
        value, shown = found
        is_open = is_open or value is SESSION
        values.append(value if value is SESSION else quote(value, safe="", errors="replace"))
        if shown:
            whose.append(shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "…")
    return Counter("/".join(values), is_open, ", ".join(whose))


def _value(what: str, scene: Scene, candidate: Candidate, *, is_of_requests: bool) -> tuple[str, str] | None:
    """A value and how people know it. None: this exchange has none."""
    caller, destination = scene.caller, candidate.destination
    match what:
        case "organization":
            return caller.organization_id, caller.organization_name
        case "team":
            return caller.team_id, f"team {caller.team_name}"
        case "principal":
            return caller.principal_id, caller.principal_name
        case "user" | "service_account":
            return (caller.principal_id, caller.principal_name) if caller.principal_kind == what else None
        case "key":
            return caller.key_id, f"key {caller.key_name}"
        case "model":
            model = candidate.request_model if is_of_requests else known_names(destination.model)[-1]
            return model, model
        case "provider":
            return destination.provider_id, destination.provider_name
        case "session":
            return (SESSION, "this session") if scene.has_session else (caller.key_id, "requests without a session")
        case _:
            key = what.removeprefix(PER_METADATA)
            value = scene.tags.get(key, OTHER)
            return value, f"{key}={value}"

"""What was worked out from one policy, so that it is worked out once and not for every request.

A memory lives in its policy and dies with it: another policy starts with an empty one, so nothing outlives what it was
worked out from. Whatever can change under the same policy (the time, tombstones, how old the policy is) is no part of
it and is asked each time.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from data_plane.policy.decision import Caller, Destination
from switchyard_contract.price_choice import Chosen

LIMIT = 4096
"""Entries per table; beyond, the oldest goes."""
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class ProvenKey:
    """A key whose secret was found right, with everything about it that this policy says."""

    caller: Caller
    material: int
    """The revision of the key material it was proven under."""
    expires_at_ms: int
    """0: never."""
    max_stale_ms: int


@dataclass(frozen=True, slots=True)
class OpenCredential:
    """The headers that carry an account's secret, opened. Unprintable."""

    headers: tuple[tuple[bytes, bytes], ...]
    material: int
    """The revision of the key material it was opened with."""

    def __repr__(self) -> str:
        return "OpenCredential(***)"


@dataclass(slots=True)
class PolicyMemory:
    """The tables. Keys themselves are no part of them: a presented key is known by its SHA-256."""

    proven: dict[bytes, ProvenKey] = field(default_factory=dict)
    destinations: dict[tuple[str, tuple[str, ...], str, str], Destination] = field(default_factory=dict)
    """By organization, what the key may name, the name asked for, protocol."""
    prices: dict[tuple[str, str, str], Chosen] = field(default_factory=dict)
    """By organization, vendor, model."""
    list_prices: dict[tuple[str, str, str], Chosen] = field(default_factory=dict)
    """The same where the caller's own account pays: what the list asks."""
    credentials: dict[tuple[str, str, str], OpenCredential] = field(default_factory=dict)
    """By organization, provider id, protocol."""
    regulars: dict[Hashable, object] = field(default_factory=dict)
    """Callers known again by their headers (exchange/regulars.py)."""

    def __repr__(self) -> str:
        return f"PolicyMemory({len(self.proven)} keys, {len(self.destinations)} destinations)"


def remember(table: dict[_K, _V], key: _K, value: _V) -> _V:
    """Keep a value, letting go of the oldest where the table is full."""
    if len(table) >= LIMIT:
        del table[next(iter(table))]
    table[key] = value
    return value

"""Callers that come again: what one tool's requests have in common, worked out once under one policy.

A coding tool sends the same key, the same headers and the same model thousands of times. Caller, headers, destination,
the first bytes for the provider and the lasting part of the usage event are kept together in the policy's memory, so
they go with the policy they were worked out from. What may change under the same policy is asked each time
(`policy/authentication.py`, `still_holds`). Keys are known by their SHA-256; a caller's own credential that travels on
is never remembered.
"""

from hashlib import sha256

import msgspec

from data_plane.exchange.ports import Ports
from data_plane.exchange.stages import Arrival, Terms, Wish
from data_plane.policy.authentication import still_holds
from data_plane.policy.memory import ProvenKey, remember
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.credentials import CARRIERS
from data_plane.protocols.standing import Standing, lasting_headers

Sight = bytes
"""What a caller is known again by: the SHA-256 of its headers that last and of those that carry a key."""


class Regular(msgspec.Struct, frozen=True):
    """One key used by one tool."""

    proven: ProvenKey
    passes_caller: bool
    standing: Standing
    terms: dict[Wish, Terms]

    def __repr__(self) -> str:
        return f"Regular({self.proven.caller.key_id}, {len(self.terms)} terms)"


def sight_of(head: RequestHead) -> Sight | None:
    """Look at who comes; None where a key may be somewhere else than in a header."""
    query = head.query
    if query and ("%" in query or "key" in query.lower()):
        return None
    # No header holds a NUL, so the joint text says exactly which headers came.
    said = [b"\0".join(header) for header in lasting_headers(head)]
    said.append(b"")
    said += [b"\0".join(header) for header in head.headers if header[0] in CARRIERS]
    return sha256(b"\0".join(said)).digest()


def find_regular(arrival: Arrival, policy: PolicySnapshot, ports: Ports) -> Regular | None:
    """Know a caller again, if nothing has happened since that ends its welcome."""
    found = policy.memory.regulars.get(arrival.sight)
    if not isinstance(found, Regular) or not still_holds(
        found.proven, ports.secrets.revision, ports.is_revoked, arrival.started_at_ms, ports.beacon_age_ms()
    ):
        return None
    return found


def greet(
    sight: Sight | None, proven: ProvenKey | None, standing: Standing, policy: PolicySnapshot, *, passes_caller: bool
) -> Regular | None:
    """Remember a caller that was let in; None where it cannot be known again."""
    if sight is None or proven is None:
        return None
    regular = Regular(proven, passes_caller, standing, {})
    remember(policy.memory.regulars, sight, regular)
    return regular

"""The arithmetic of the chain: what is hashed, and how a broken chain is told. Pure; an offline verifier uses it too.

`hash = SHA-256(previous hash ‖ canonical text of the change)`, the first previous hash being empty.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any


class Break(StrEnum):
    """How a chain is broken."""

    ALTERED = "altered"
    DELETED = "deleted"
    REORDERED = "reordered"


@dataclass(frozen=True, slots=True)
class Link:
    """A change as it is stored: the fields that are hashed, and its two hashes."""

    sequence: int
    fields: Mapping[str, Any]
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Intact:
    """Every link fits, up to the head."""

    length: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """The first change that is not as it was written."""

    sequence: int
    how: Break
    why: str


Verdict = Intact | Broken


def canonical(sequence: int, fields: Mapping[str, Any]) -> bytes:
    """Write a change as bytes in one way only."""
    whole = {**fields, "sequence": sequence}
    return json.dumps(
        whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_text, allow_nan=False
    ).encode()


def link_hash(previous: bytes, sequence: int, fields: Mapping[str, Any]) -> bytes:
    return sha256(previous + canonical(sequence, fields)).digest()


def verify(links: Iterable[Link], *, head_sequence: int, head_hash: bytes) -> Verdict:
    """Walk a chain from its first link; links ascend by sequence.

    head: where the chain is known to end, from the chain's head row or from an exported one; this is what a cut tail
    is found by.
    """
    previous, last = b"", 0
    for link in links:
        if link.sequence != last + 1:
            return Broken(last + 1, Break.DELETED, f"change {last + 1} is missing; the next one is {link.sequence}")
        own = link_hash(bytes(link.previous_hash), link.sequence, link.fields)
        if bytes(link.previous_hash) != previous:
            if own == bytes(link.hash):
                return Broken(last, Break.ALTERED, f"change {link.sequence} was chained to another change {last}")
            return Broken(link.sequence, Break.REORDERED, f"change {link.sequence} was not written at this place")
        if own != bytes(link.hash):
            return Broken(
                link.sequence, Break.ALTERED, f"change {link.sequence} does not give the hash it was stored with"
            )
        previous, last = bytes(link.hash), link.sequence
    if last < head_sequence:
        return Broken(last + 1, Break.DELETED, f"the chain ended at change {head_sequence}, now it ends at {last}")
    if last > head_sequence or previous != head_hash:
        return Broken(last, Break.ALTERED, f"change {last} is not the one at which the chain ended")
    return Intact(last, previous)


def plain(value: Any) -> Any:
    """Turn a value into what JSON holds, so that what is hashed is what the database gives back.

    Raises TypeError for bytes and floats: the one may be a secret, the other does not survive a round trip.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, (bytes, bytearray, memoryview, float)):
        raise TypeError(f"{type(value).__name__} has no place in an audit entry")
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value)

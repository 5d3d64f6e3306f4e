"""The arithmetic of an audit chain: what is hashed, and how a broken chain is told. Pure.

`hash = SHA-256(previous hash ‖ canonical text of the entry)`, the first previous hash being empty. Whoever holds an
export can check it with nothing but this file; the control plane writes by the same arithmetic.
Source: docs/decisions/0003-a-hash-chain-per-organization.md, 0092-signed-heads.md
"""

import json
from collections.abc import Container, Iterable, Mapping
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
    """It stands in another entry's place: swapped, moved, or put in."""
    CUT = "cut"
    """Missing with all that came after it."""


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as it is stored: the fields that are hashed, and its two hashes."""

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
    """The first entry that is not as it was written."""

    sequence: int
    how: Break
    why: str


Verdict = Intact | Broken


def canonical(sequence: int, fields: Mapping[str, Any]) -> bytes:
    """Write an entry as bytes in one way only."""
    whole = {**fields, "sequence": sequence}
    return json.dumps(
        whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain_text, allow_nan=False
    ).encode()


def link_hash(previous: bytes, sequence: int, fields: Mapping[str, Any]) -> bytes:
    return sha256(previous + canonical(sequence, fields)).digest()


def verify(
    links: Iterable[Link],
    *,
    heads: Mapping[int, bytes],
    present: Container[int] = (),
    after: tuple[int, bytes] = (0, b""),
) -> Verdict:
    """Walk a chain and name the first link that is not as it was written.

    heads: sequence to hash of entries that are known from elsewhere: the chain's own end, heads that were signed. A
    head beyond the last link is what a cut tail is found by; one in the middle is what a chain that was written anew
    from some entry on is found by.
    present: the sequences that come at all, where the caller knows; tells a moved entry from a deleted one.
    after: sequence and hash of the entry before the first link; left out, the chain is walked from its beginning.
    """
    last, previous = after
    trusted = last
    for link in links:
        if link.sequence != last + 1:
            return _out_of_place(link.sequence, last + 1, present)
        broken = _broken_link(link, previous)
        if broken is not None:
            return broken
        known = heads.get(link.sequence)
        if known is not None and known != bytes(link.hash):
            where = f"{trusted + 1} to {link.sequence}" if trusted + 1 < link.sequence else str(link.sequence)
            return Broken(
                trusted + 1,
                Break.ALTERED,
                f"the chain was written anew: entry {link.sequence} is not the one whose hash was published; what was "
                f"altered lies in {where}",
            )
        trusted = link.sequence if known is not None else trusted
        previous, last = bytes(link.hash), link.sequence
    newest = max(heads, default=0)
    if newest > last:
        return Broken(last + 1, Break.CUT, f"the chain reached entry {newest}; here it ends at {last}")
    return Intact(last, previous)


def _broken_link(link: Link, previous: bytes) -> Broken | None:
    own = link_hash(bytes(link.previous_hash), link.sequence, link.fields)
    if bytes(link.previous_hash) != previous:
        if own == bytes(link.hash):
            before = link.sequence - 1
            return Broken(before, Break.ALTERED, f"entry {link.sequence} was chained to another entry {before}")
        return Broken(link.sequence, Break.REORDERED, f"entry {link.sequence} was not written at this place")
    if own != bytes(link.hash):
        return Broken(link.sequence, Break.ALTERED, f"entry {link.sequence} does not give the hash it was stored with")
    return None


def _out_of_place(found: int, expected: int, present: Container[int]) -> Broken:
    if found < expected:
        return Broken(found, Break.REORDERED, f"entry {found} comes again where entry {expected} belongs")
    if expected in present:
        return Broken(expected, Break.REORDERED, f"entry {found} stands where entry {expected} belongs")
    return Broken(expected, Break.DELETED, f"entry {expected} is missing; the next one is {found}")


def plain_text(value: object) -> str:
    """A value that JSON does not know, as the text that is hashed."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value)

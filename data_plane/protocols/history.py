"""The newest end of a conversation's history, read for what it shows of the session.

Called only where a rule needs it. The cost is one look over the body, one over its turns, and the few newest of these
in full: 0.7 ms for 400 KB, which is no reason to leave the event loop (docs/decisions/0112-signs-of-a-session.md).
A protocol tells its turns apart (`Entry`), the counting is here.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from hashlib import sha256

import msgspec

from data_plane.conversation.session_signs import SessionSigns
from data_plane.protocols.body import without_half_pairs
from data_plane.protocols.codec import Body

_DIGEST_BYTES = 8
_DIGESTED_TAIL = 8 * 1024
_DIGESTED_HEAD = 4 * 1024
"""A history grows at its end: of a long one, its length and what stands at both ends tell requests apart."""

Call = tuple[str, bytes]
"""A tool's name and its arguments as they were written."""


class Side(Enum):
    """Who says what stands in an entry."""

    CLIENT = 1
    MODEL = 2
    NEITHER = 3
    """Instructions: they neither answer nor ask."""


class Entry(msgspec.Struct, frozen=True):
    """One turn of a history, or an item of one."""

    side: Side
    results: tuple[bool, ...] = ()
    """Tool results in their order; True: flagged as failed."""
    is_typed: bool = False
    """A person wrote something, behind whatever results there are."""
    calls: tuple[Call, ...] = ()


OF_NEITHER = Entry(Side.NEITHER)
TYPED = Entry(Side.CLIENT, is_typed=True)
SAID = Entry(Side.MODEL)


class Recent(msgspec.Struct, frozen=True):
    """What the newest entries show."""

    failed_tool_results: int = 0
    same_tool_call: int = 0
    is_tool_loop: bool = False


def read_recent(newest_first: Iterable[Entry]) -> Recent:
    """Count back from the newest entry to where somebody last typed; no further than the rows go.

    A person who types begins anew: else a session that met its cap could never be led out of it. The newest call counts
    as repeated while each of the model's replies has it, alone or beside others.
    """
    failed = same = in_reply = 0
    newest: Call | None = None
    counts_failed = counts_same = is_newest_run = True
    is_tool_loop = is_typed = is_reply = False
    for entry in newest_first:
        match entry.side:
            case Side.MODEL:
                if is_typed:
                    break
                is_newest_run, is_reply = False, True
                for call in reversed(entry.calls):
                    newest = newest or call
                    in_reply += call == newest
            case Side.CLIENT:
                if is_reply:
                    counts_same = counts_same and in_reply > 0
                    same += in_reply if counts_same else 0
                    is_reply, in_reply = False, 0
                is_tool_loop = is_tool_loop or (is_newest_run and bool(entry.results))
                is_typed = is_typed or entry.is_typed
                if is_typed:
                    if not is_newest_run:
                        break
                    continue
                for has_failed in reversed(entry.results):
                    counts_failed = counts_failed and has_failed
                    failed += counts_failed
        if not (counts_failed or counts_same or is_newest_run):
            break
    if is_reply and counts_same:
        same += in_reply
    return Recent(failed, same, is_tool_loop)


def count_turns(sides: Iterable[Side]) -> int:
    """How often the client's side has spoken: runs of its entries, instructions apart."""
    turns = 0
    last = Side.MODEL
    for side in sides:
        if side is Side.NEITHER:
            continue
        turns += side is Side.CLIENT and last is Side.MODEL
        last = side
    return turns


def read_signs(body: Body, read: Callable[[bytes | bytearray], SessionSigns]) -> SessionSigns:
    """Read a body's signs by its protocol's reader; what cannot be read shows nothing. Never raises."""
    text = bytes(body) if isinstance(body, memoryview) else body
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return read(text)
    stand_in = without_half_pairs(text)
    if stand_in is not text:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return read(stand_in)
    return SessionSigns()


def digest_of(model: msgspec.Raw, system: msgspec.Raw, turns: msgspec.Raw) -> bytes:
    """8 bytes that are equal for equal requests, whatever else of the body a client changes when it tries again."""
    tail = memoryview(turns)[-_DIGESTED_TAIL:]
    lengths = b"%d %d %d" % (len(memoryview(model)), len(memoryview(system)), len(memoryview(turns)))
    digest = sha256(lengths)
    for part in (memoryview(model), memoryview(system)[:_DIGESTED_HEAD], memoryview(turns)[:_DIGESTED_HEAD], tail):
        digest.update(part)
    return digest.digest()[:_DIGEST_BYTES]

"""Facts of a turn, read from both ends of a request: digests of what it begins with, and its newest entries.

The middle of a history is never looked at, so 400 KB cost hardly more than 100 (docs/decisions/0155-facts-of-turns.md).
The newest entries are found from behind: a quote inside of a JSON text is escaped, so `{"role"` only stands where an
object begins, and what begins there is an entry if it ends where the next one begins.
"""

from collections.abc import Callable
from hashlib import sha256
from zlib import crc32

import msgspec

from data_plane.conversation.turn_facts import TurnFacts
from data_plane.protocols.fields import Fields
from data_plane.protocols.history import Call, Entry, Side, digest_of

TAIL_BYTES = 64 * 1024
"""The newest entries are looked for in so much of a history."""
_RESORT_BYTES = 16 * 1024
"""And in so much, where a tool writes its fields in an unusual order."""
MARKS = (1024, 4 * 1024, 16 * 1024, 64 * 1024)
_SLACK = 1024
"""What cache marks may take away from the beginning of a history."""
_DIGESTED_HEAD, _DIGESTED_TAIL = 32 * 1024, 8 * 1024
_DIGEST_BYTES = 8
_HASHED_BYTES = 16 * 1024
_EMPTY_BYTES = 4
"""An empty list, an empty text, null."""
_BILLING_WITHIN = 512
_MOST_TRIES = 64
_MOST_LEADING, _LEADING_HEAD = 8, 200
_MOST_TOOLS, _LONGEST_NAME = 8, 64
_BLANKS_AND_COMMA = b" \t\r\n,"
_CACHE_MARK = b'"cache_control"'
_BILLING = b"x-anthropic-billing-header"
_ANY_OBJECT = (b'{"',)
_NO_RAW = msgspec.Raw()

Text = bytes | bytearray
Span = tuple[int, int]
_NOTHING: Span = (0, 0)


class Layout(msgspec.Struct, frozen=True):
    """Where a protocol's requests have what is looked at."""

    turns: str
    system: tuple[str, ...]
    """Fields of which one may hold the system prompt."""
    starts: tuple[bytes, ...]
    """How an entry mostly begins."""
    read_entry: Callable[[bytes], Entry]
    """Raises msgspec.DecodeError for what is none."""
    messages: tuple[bytes, ...] = ()
    """How an entry begins that somebody says, if the system prompt may be one of these."""
    leads: tuple[bytes, ...] = ()
    """Said near its start, an entry at the very beginning is the system prompt, or a part of it."""
    leading_tools: tuple[bytes, ...] = ()
    """Said there, it brings the tools."""
    has_marks: bool = False
    """Its clients mark what is to be cached, and move these marks along."""


class _Newest(msgspec.Struct):
    """What came since the model last spoke."""

    results: list[bool]
    calls: list[Call]
    is_typed: bool = False
    settled: int = -1
    """Where the model's last words begin; -1: they were not found."""


def read_turn_facts(fields: Fields, layout: Layout) -> TurnFacts:
    """Read what a request shows. Never raises: what cannot be read shows nothing."""
    body, raw, spans = fields.body, fields.raw, fields.spans
    tools = spans.get("tools", _NOTHING)
    system = next((spans[name] for name in layout.system if name in spans), _NOTHING)
    start, end = spans.get(layout.turns, _NOTHING)
    newest = _Newest([], [])
    marks = b""
    if body.startswith(b"[", start, end):
        newest = _read_newest(body, start + 1, end - 1, layout)
        if layout.leads and system[1] - system[0] <= _EMPTY_BYTES:
            lead_tools, system = _leading(body, start + 1, end - 1, layout)
            if tools[1] - tools[0] <= _EMPTY_BYTES:
                tools = lead_tools
        settled = newest.settled
        if settled < 0:
            # The newest entry is longer than what is searched, and goes on before it for at most as long again.
            settled = end - 2 * TAIL_BYTES
        if settled - start >= MARKS[0]:
            marks = _marks(body, start, settled, layout)
    elif body.startswith(b'"', start, end):
        # One text instead of turns.
        newest.is_typed = True
    calls = newest.calls if newest.results else []
    system_raw = next((raw[name] for name in layout.system if name in raw), _NO_RAW)
    return TurnFacts(
        tools_digest=_digest(body, *tools, layout),
        system_digest=_digest(body, *system, layout),
        history_marks=marks,
        history_bytes=end - start,
        request_digest=digest_of(raw.get("model", _NO_RAW), system_raw, raw.get(layout.turns, _NO_RAW)),
        tool_results=len(newest.results),
        failed_tool_results=sum(newest.results),
        calls_digest=_digest_of_calls(calls) if calls else b"",
        tools=tuple(dict.fromkeys([name[:_LONGEST_NAME] for name, _ in calls if name]))[:_MOST_TOOLS],
        is_typed=newest.is_typed,
    )


def _read_newest(body: Text, start: int, end: int, layout: Layout) -> _Newest:
    newest = _newest_from(body, max(start, end - TAIL_BYTES), end, layout.starts, layout.read_entry)
    if newest.settled < 0:
        other = _newest_from(body, max(start, end - _RESORT_BYTES), end, _ANY_OBJECT, layout.read_entry)
        if other.settled >= 0 or len(other.results) > len(newest.results):
            return other
    return newest


def _newest_from(
    body: Text, first: int, end: int, starts: tuple[bytes, ...], read_entry: Callable[[bytes], Entry]
) -> _Newest:
    """Read entries from the newest back to the one before the model's last words. first: not before that place."""
    newest = _Newest([], [])
    at = end
    for _ in range(_MOST_TRIES):
        at = body.rfind(starts[0], first, at) if len(starts) == 1 else max([body.rfind(s, first, at) for s in starts])
        if at < 0:
            break
        try:
            entry = read_entry(bytes(body[at:end]).rstrip(_BLANKS_AND_COMMA))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        end = at
        if entry.side is Side.MODEL:
            newest.settled = at
            newest.calls[:0] = entry.calls
        elif entry.side is Side.CLIENT:
            if newest.settled >= 0:
                break
            newest.results[:0] = entry.results
            newest.is_typed = newest.is_typed or entry.is_typed
    return newest


def _leading(body: Text, start: int, end: int, layout: Layout) -> tuple[Span, Span]:
    """Tools and system prompt, where these are the first entries of the history."""
    end = min(end, start + TAIL_BYTES)
    tools, at = _lead(body, start, end, layout, layout.leading_tools)
    system, _ = _lead(body, at, end, layout, layout.leads)
    return tools, system


def _lead(body: Text, start: int, end: int, layout: Layout, said: tuple[bytes, ...]) -> tuple[Span, int]:
    """The entries from a place on that say so near their start, and where the next one begins."""
    at = start
    for _ in range(_MOST_LEADING if said else 0):
        head = body[at : min(end, at + _LEADING_HEAD)]
        if not any(each in head for each in said):
            break
        # Written with blanks or without, and one of the two all through.
        has_blanks, following = b'": ' in head[:20], end
        for each in layout.messages:
            if (b" " in each) == has_blanks and (found := body.find(each, at + 1, following)) >= 0:
                following = found
        if following == end:
            break
        at = following
    return (start, at), at


def _marks(body: Text, start: int, end: int, layout: Layout) -> bytes:
    """Digests of the beginning of what stands between two places."""
    end = min(end, start + MARKS[-1] + _SLACK)
    head = memoryview(body)[start:end]
    if layout.has_marks and body.rfind(_CACHE_MARK, start, end) >= 0:
        head = memoryview(without_cache_marks(bytes(head)))
    digest = sha256()
    marks, before = b"", 0
    for size in MARKS:
        if len(head) < size:
            break
        part = head[before:size]
        # A checksum is enough for the last one, which is as long as three of the others.
        digest.update(part if size <= _HASHED_BYTES else b"%d" % crc32(part))
        marks += digest.digest()[:_DIGEST_BYTES]
        before = size
    return marks


def _digest(body: Text, start: int, end: int, layout: Layout) -> bytes:
    """Digest a field, or entries: of a long text both ends, and a checksum of what is between."""
    size = end - start
    if size <= _EMPTY_BYTES:
        return b""
    whole = memoryview(body)[start:end]
    parts = [whole]
    if size > _DIGESTED_HEAD + _DIGESTED_TAIL:
        between = b"%d" % crc32(whole[_DIGESTED_HEAD:-_DIGESTED_TAIL])
        parts = [whole[:_DIGESTED_HEAD], memoryview(between), whole[-_DIGESTED_TAIL:]]
    if layout.has_marks:
        if body.find(_BILLING, start, min(end, start + _BILLING_WITHIN)) >= 0:
            parts[0] = memoryview(_without_billing(bytes(parts[0])))
        if body.rfind(_CACHE_MARK, start, end) >= 0:
            parts = [memoryview(without_cache_marks(bytes(part))) for part in parts]
    digest = sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()[:_DIGEST_BYTES]


def _digest_of_calls(calls: list[Call]) -> bytes:
    digest = sha256()
    for name, arguments in calls:
        digest.update(b"%d %d " % (len(name), len(arguments)))
        digest.update(name.encode("utf-8", "replace"))
        digest.update(arguments)
    return digest.digest()[:_DIGEST_BYTES]


def without_cache_marks(text: bytes) -> bytes:
    """The same without `cache_control` and what it says: clients move their marks along with the conversation."""
    end = len(text)
    kept: list[bytes] = []
    while (at := text.rfind(_CACHE_MARK, 0, end)) >= 0:
        close = text.find(b"}", at, at + 200)
        if close < 0:
            close = end - 1
        rest = close + 1
        begin = at
        while begin > 0 and text[begin - 1] in b" \t\r\n":
            begin -= 1
        if begin > 0 and text[begin - 1] == _COMMA:
            begin -= 1
        else:
            # The first field of its object: the comma is behind it.
            while rest < end and text[rest] in _BLANKS_AND_COMMA:
                rest += 1
        kept.append(text[rest:end])
        end = begin
    if not kept:
        return text
    kept.append(text[:end])
    kept.reverse()
    return b"".join(kept)


_COMMA = b","[0]


def _without_billing(text: bytes) -> bytes:
    """Claude Code says its version and entry point in a block of its own before the system prompt."""
    at = text.find(_BILLING, 0, _BILLING_WITHIN)
    if at < 0:
        return text
    begin, close = text.rfind(b"{", 0, at), text.find(b"}", at, at + 1024)
    if begin < 0 or close < 0:
        return text
    return text[:begin] + text[close + 1 :].lstrip(_BLANKS_AND_COMMA)

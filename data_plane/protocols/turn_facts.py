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
_MOST_TRIES = 64
_MOST_LEADING, _LEADING_HEAD = 8, 200
_MOST_TOOLS, _LONGEST_NAME = 8, 64
_BLANKS_AND_COMMA = b" \t\r\n,"
_CACHE_MARK = b'"cache_control"'
_BILLING = b"x-anthropic-billing-header"
_ANY_OBJECT = (b'{"',)


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
    settled_bytes: int = -1
    """What stands before the model's last words; -1: they were not found."""


def read_turn_facts(fields: Fields, layout: Layout) -> TurnFacts:
    """Read what a request shows. Never raises: what cannot be read shows nothing."""
    body, raw = fields.body, fields.raw
    tools = _span(fields, "tools", body)
    system = next((found for name in layout.system if (found := _span(fields, name, body))), b"")
    start, end = fields.spans.get(layout.turns, (0, 0))
    newest = _Newest([], [])
    marks = b""
    if body[start : start + 1] == b"[":
        newest = _read_newest(body, start, end, layout)
        if layout.leads and not system:
            lead_tools, system = _leading(body, start, end, layout)
            tools = tools or lead_tools
        settled_bytes = newest.settled_bytes
        if settled_bytes < 0 and end - start > 2 * TAIL_BYTES:
            # The newest entry is longer than what is searched, and goes on before it for at most as long again.
            settled_bytes = end - start - 2 * TAIL_BYTES
        if settled_bytes >= MARKS[0]:
            marks = _marks(bytes(body[start : start + min(settled_bytes, MARKS[-1] + _SLACK)]), layout)
    nothing = msgspec.Raw()
    kept = newest.calls if newest.results else []
    system_raw = next((raw[name] for name in layout.system if name in raw), nothing)
    return TurnFacts(
        tools_digest=_digest(tools, layout),
        system_digest=_digest(system, layout),
        history_marks=marks,
        history_bytes=end - start,
        request_digest=digest_of(raw.get("model", nothing), system_raw, raw.get(layout.turns, nothing)),
        tool_results=len(newest.results),
        failed_tool_results=sum(newest.results),
        calls_digest=_digest_of_calls(kept),
        tools=tuple(dict.fromkeys(name[:_LONGEST_NAME] for name, _ in kept if name))[:_MOST_TOOLS],
        is_typed=newest.is_typed,
    )


def _span(fields: Fields, name: str, body: bytes | bytearray) -> bytes:
    """A field's text where it holds something; of a long one both ends, and a checksum of what is between."""
    start, end = fields.spans.get(name, (0, 0))
    if end - start <= 4:
        return b""
    if end - start <= _DIGESTED_HEAD + _DIGESTED_TAIL:
        return bytes(body[start:end])
    between = crc32(memoryview(body)[start + _DIGESTED_HEAD : end - _DIGESTED_TAIL])
    return bytes(body[start : start + _DIGESTED_HEAD]) + b"%d" % between + bytes(body[end - _DIGESTED_TAIL : end])


def _read_newest(body: bytes | bytearray, start: int, end: int, layout: Layout) -> _Newest:
    window_start = max(start + 1, end - 1 - TAIL_BYTES)
    newest = _newest_in(bytes(body[window_start : end - 1]), layout.starts, layout.read_entry)
    if newest.settled_bytes < 0:
        window_start = max(start + 1, end - 1 - _RESORT_BYTES)
        other = _newest_in(bytes(body[window_start : end - 1]), _ANY_OBJECT, layout.read_entry)
        if other.settled_bytes >= 0 or len(other.results) > len(newest.results):
            newest = other
    if newest.settled_bytes >= 0:
        newest.settled_bytes += window_start - start
    return newest


def _newest_in(window: bytes, starts: tuple[bytes, ...], read_entry: Callable[[bytes], Entry]) -> _Newest:
    """Read entries from the newest back to the one before the model's last words. window: without the list's end."""
    newest = _Newest([], [])
    end = at = len(window)
    for _ in range(_MOST_TRIES):
        at = max([window.rfind(start, 0, at) for start in starts])
        if at < 0:
            break
        try:
            entry = read_entry(window[at:end].rstrip(_BLANKS_AND_COMMA))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        end = at
        if entry.side is Side.MODEL:
            newest.settled_bytes = at
            newest.calls[:0] = entry.calls
        elif entry.side is Side.CLIENT:
            if newest.settled_bytes >= 0:
                break
            newest.results[:0] = entry.results
            newest.is_typed = newest.is_typed or entry.is_typed
    return newest


def _leading(body: bytes | bytearray, start: int, end: int, layout: Layout) -> tuple[bytes, bytes]:
    """Tools and system prompt, where these are the first entries of the history."""
    window = bytes(body[start + 1 : min(end, start + TAIL_BYTES)])
    at = 0
    tools = system = b""
    for _ in range(_MOST_LEADING):
        head = window[at : at + _LEADING_HEAD]
        is_tools = bool(layout.leading_tools) and any(each in head for each in layout.leading_tools)
        if not is_tools and not any(lead in head for lead in layout.leads):
            break
        # Written with blanks or without, and one of the two all through.
        has_blanks, following = b'": ' in head[:20], len(window)
        for each in layout.messages:
            if (b" " in each) == has_blanks and (found := window.find(each, at + 1, following)) >= 0:
                following = found
        if following == len(window):
            break
        if is_tools:
            tools += window[at:following]
        else:
            system += window[at:following]
        at = following
    return tools, system


def _marks(head: bytes, layout: Layout) -> bytes:
    if layout.has_marks:
        head = without_cache_marks(head)
    digest = sha256()
    marks, before = b"", 0
    for size in MARKS:
        if len(head) < size:
            break
        digest.update(memoryview(head)[before:size])
        marks += digest.digest()[:_DIGEST_BYTES]
        before = size
    return marks


def _digest(text: bytes, layout: Layout) -> bytes:
    if not text:
        return b""
    if layout.has_marks:
        text = without_cache_marks(_without_billing(text))
    return sha256(text).digest()[:_DIGEST_BYTES]


def _digest_of_calls(calls: list[Call]) -> bytes:
    if not calls:
        return b""
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
    at = text.find(_BILLING, 0, 512)
    if at < 0:
        return text
    begin, close = text.rfind(b"{", 0, at), text.find(b"}", at, at + 1024)
    if begin < 0 or close < 0:
        return text
    return text[:begin] + text[close + 1 :].lstrip(_BLANKS_AND_COMMA)

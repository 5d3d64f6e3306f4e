"""Reading a JSON body without reading it: the byte ranges of its top-level fields, and splices between them.

Everything below the top level is checked for syntax and skipped. Bytes outside a splice are never touched: prompt
caches and signatures of reasoning depend on them (docs/protocols/pass-through.md).
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from json import JSONDecodeError, JSONDecoder
from typing import Any

import msgspec

from data_plane.protocols.codec import Body, RequestHead, SessionHints, Splice
from data_plane.protocols.fields import Fields, InvalidRequest
from data_plane.protocols.headers import names_a_session

_OPENING_WINDOW = 64 * 1024
_FIRST_LOOK = 20 * 1024
"""Most conversations open within this; more than four bytes for each character of the longest text that counts."""
_OPENING_TEXT = 4096
_OPENING_SYSTEM = 2048
_OPENING_TURNS = 16
_COMMA, _CLOSE, _SPACE, _SPACES = b","[0], b"}"[0], b" "[0], b" \t\n\r"
_KEY = re.compile(rb'[ \t\n\r]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_GAP = re.compile(rb"[ \t\n\r]*([,}])")
# A whole pair and any other escape are matched first, so that only a half without its other half is left for `lone`.
_HALF_OF_A_PAIR = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
_OPENER = re.compile(rb"[ \t\n\r]*\{")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY: JSONDecoder = JSONDecoder()
_TEXT = msgspec.json.Decoder(str | None)
_KEY_NAME = msgspec.json.Decoder(str)


class _Turn(msgspec.Struct, gc=False):
    """Who says what, in the words of any of the protocols."""

    role: Any = "user"
    content: Any = None
    parts: Any = None


_TURNS = msgspec.json.Decoder(list[_Turn])
_COMPACT_KEYS = {
    name: b'"%b":' % name.encode()
    for name in (
        *("model", "messages", "max_tokens", "stream", "stream_options", "temperature", "tools", "tool_choice"),
        *("system", "metadata", "thinking", "input", "instructions", "reasoning", "include", "store", "top_p"),
        *("contents", "systemInstruction", "generationConfig", "prompt_cache_key", "parallel_tool_calls"),
    )
}
"""The fields that tools send most, as they are mostly written."""
_READ_WHOLE = 16 * 1024
"""Turns up to this size are read all at once, which is quicker than one by one."""


def read_fields(body: Body, watched: frozenset[str]) -> Fields:
    """Find the top-level fields of a body.

    watched: fields the gateway decides by. Raises InvalidRequest when the body is no JSON object, when a field comes
    twice (upstreams differ in which one they take, so what was allowed could not be what is done), or when a field
    differs from a watched one only in case (some upstreams ignore case).
    """
    text = bytes(body) if isinstance(body, memoryview) else body
    try:
        raw = _decode(text)
        spans, after_brace = _locate(text, raw)
    except InvalidRequest:
        # Tools cut text in the middle of an emoji; providers differ in what they make of it, so it is not ours to
        # refuse. The stand-in has the same length, so its offsets are the body's.
        stand_in = without_half_pairs(text)
        if stand_in == text:
            raise
        raw = _decode(stand_in)
        spans, after_brace = _locate(stand_in, raw)
    for name in raw:
        if name not in watched and name.lower() in watched:
            raise InvalidRequest(name[:64], f"must be written {name.lower()}")
    return Fields(text, raw, spans, after_brace)


def _decode(text: bytes | bytearray) -> dict[str, msgspec.Raw]:
    try:
        return _FIELDS.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise InvalidRequest("body", "is no JSON object") from failure
    except RecursionError as failure:
        raise InvalidRequest("body", "is nested too deeply") from failure


def without_half_pairs(text: bytes | bytearray) -> bytes | bytearray:
    """The same text with a space, written as long, in place of each half of an emoji; itself where there is none."""
    stand_in = _HALF_OF_A_PAIR.sub(_blank_out, text)
    return text if stand_in == text else stand_in


def _blank_out(match: re.Match[bytes]) -> bytes:
    return b"\\u0020" if match["lone"] else match[0]


def _locate(text: bytes | bytearray, raw: Mapping[str, msgspec.Raw]) -> tuple[dict[str, tuple[int, int]], int]:
    """Walk over the top level, stepping over each value by its known length.

    The parser keeps of a field that comes twice the first place and the last value, so the walk finds something else
    than the value there, or ends before the body does. Comparing the bytes makes that exact, and costs a fraction of
    the parsing.
    """
    if text.startswith(b"{"):
        at = after_brace = 1
    else:
        opener = _OPENER.match(text)
        assert opener is not None, "the parser found an object"
        at = after_brace = opener.end()
    spans: dict[str, tuple[int, int]] = {}
    more = _COMMA if raw else _CLOSE
    for name, value in raw.items():
        # Nearly all bodies are written compactly or with one space; whatever else is allowed is walked over slowly.
        compact = _COMPACT_KEYS.get(name) or b'"%b":' % name.encode()
        if text.startswith(compact, at):
            start = at + len(compact)
            if text[start] == _SPACE:
                start += 1
            if text[start] in _SPACES:
                start = _behind_key(text, at, name)
        else:
            start = _behind_key(text, at, name)
        if more == _CLOSE or start < 0 or not text.startswith(value, start):
            raise InvalidRequest(name[:64], "or a field before it is given twice")
        at = start + len(value)
        spans[name] = (start, at)
        more = text[at]
        if more in _SPACES:
            gap = _GAP.match(text, at)
            at, more = (gap.end() - 1, text[gap.end() - 1]) if gap is not None else (at, 0)
        if more not in (_COMMA, _CLOSE):
            raise InvalidRequest(name[:64], "or a field before it is given twice")
        at += 1
        if more == _COMMA and text[at] == _SPACE:
            at += 1
    if more != _CLOSE:
        raise InvalidRequest("body", "holds a field twice")
    return spans, after_brace


def _behind_key(text: bytes | bytearray, at: int, name: str) -> int:
    """Where the value of a field begins that should stand here; -1: another one does."""
    key = _KEY.match(text, at)
    return key.end() if key is not None and _key_text(key[1]) == name else -1


def _key_text(key: bytes) -> str:
    return key.decode() if b"\\" not in key else _KEY_NAME.decode(b'"' + key + b'"')


def splice(body: Body, splices: Iterable[Splice]) -> tuple[bytes | bytearray | memoryview, ...]:
    """Cut a body at its splices: parts that together are the new body. Nothing to splice: the body itself."""
    ordered = sorted(splices, key=lambda cut: cut.start)
    if not ordered:
        return (body,)
    view = memoryview(body)
    parts: list[bytes | bytearray | memoryview] = []
    at = 0
    for cut in ordered:
        if cut.start > at:
            parts.append(view[at : cut.start])
        parts.append(cut.text)
        at = cut.end
    if at < len(view):
        parts.append(view[at:])
    return tuple(parts)


def model_splice(span: tuple[int, int] | None, asked: str, model: str) -> tuple[Splice, ...]:
    """The splice that replaces the model's value; none when it is what was asked for, or stands in the path."""
    if span is None or asked == model:
        return ()
    return (Splice(span[0], span[1], msgspec.json.encode(model)),)


def read_hints(
    head: RequestHead, fields: Fields, session_id: str, *, system: str, turns: str, parts: str = "content"
) -> SessionHints:
    """What the body says about its conversation; its opening is looked at only where nothing names the session."""
    if session_id or names_a_session(head):
        return SessionHints(session_id)
    return SessionHints("", opening(fields, system, turns, parts))


def opening(fields: Fields, system: str, turns: str, parts: str = "content") -> bytes:
    """Digest of what a conversation opens with: system prompt and the first user turn's text.

    Tools resend the whole history, so this stays the same from turn to turn. Only text counts: cache marks move on.
    system, turns, parts: names of the fields in this protocol. Empty when there is no user turn.
    """
    before, first = _opening_texts(fields, turns, parts)
    if not first:
        return b""
    prompt = fields.prefix(system, _OPENING_SYSTEM) if system else b""
    said = f"\0{before}\0{first}".encode("utf-8", "replace")
    return sha256(prompt + said).digest()[:16]


def _opening_texts(fields: Fields, turns: str, parts: str) -> tuple[str, str]:
    """What system turns say before the first user turn, and what that one says."""
    raw = fields.raw.get(turns)
    if raw is None:
        return "", ""
    if len(raw) <= _READ_WHOLE:
        try:
            # From the body, not from its stand-in: longer histories are read by their window below.
            start, end = fields.spans[turns]
            return _texts_of_turns(_TURNS.decode(memoryview(fields.body)[start:end]), parts)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # One string, or half an emoji, which the reader below lets pass.
    if len(raw) > _FIRST_LOOK:
        before, first, is_cut = _texts_in(fields.prefix(turns, _FIRST_LOOK), parts)
        if first and not is_cut:
            return before, first
    before, first, _ = _texts_in(fields.prefix(turns, _OPENING_WINDOW), parts)
    return before, first


def _texts_in(window: bytes, parts: str) -> tuple[str, str, bool]:
    """The same, from the first bytes of the turns; and whether the user turn goes on behind them."""
    text = window.decode("utf-8", "replace")
    if text.startswith('"'):
        return "", text[1 : 1 + _OPENING_TEXT], False  # Responses: the input may be one string
    before = ""
    at = 1
    for _ in range(_OPENING_TURNS):
        while at < len(text) and text[at] in " \t\n\r,":
            at += 1
        if at >= len(text) or text[at] != "{":
            break
        try:
            turn, end = _ANY.raw_decode(text, at)
        except (JSONDecodeError, RecursionError):
            # Longer than the window, so what stands in the window does not change from turn to turn.
            return before, text[at : at + _OPENING_TEXT], True
        said = _text_of(turn.get(parts)) if isinstance(turn, dict) else ""
        if said and turn.get("role", "user") == "user":
            return before, said[:_OPENING_TEXT], False
        before = (before + said)[:_OPENING_SYSTEM]
        at = end
    return before, "", False


def _texts_of_turns(turns: list[_Turn], parts: str) -> tuple[str, str]:
    before = ""
    for turn in turns[:_OPENING_TURNS]:
        said = _text_of(turn.content if parts == "content" else turn.parts)
        if said and turn.role == "user":
            return before, said[:_OPENING_TEXT]
        before = (before + said)[:_OPENING_SYSTEM]
    return before, ""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return ""

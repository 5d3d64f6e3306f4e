"""What a chat request shows of its session. The protocol has no flag for a failed tool result: none is ever counted."""

from collections.abc import Iterator, Sequence

import msgspec

from data_plane.conversation.session_signs import SessionSigns
from data_plane.protocols.history import OF_NEITHER, TYPED, Call, Entry, Side, count_turns, digest_of, read_recent
from data_plane.protocols.turn_facts import Layout

_NO_FUNCTION = msgspec.Raw(b"null")


class _Request(msgspec.Struct):
    model: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()


class _Function(msgspec.Struct):
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw()


class _Custom(msgspec.Struct):
    name: str = ""
    input: msgspec.Raw = msgspec.Raw()


class _ToolCall(msgspec.Struct):
    function: _Function | None = None
    custom: _Custom | None = None


class _Turn(msgspec.Struct):
    role: str = ""
    tool_calls: msgspec.Raw = _NO_FUNCTION
    function_call: msgspec.Raw = _NO_FUNCTION
    """How calls were written before there were several of them."""


_REQUEST = msgspec.json.Decoder(_Request)
_TURNS = msgspec.json.Decoder(list[_Turn])
_TURN = msgspec.json.Decoder(_Turn)
_CALLS = msgspec.json.Decoder(list[_ToolCall] | None)
_FUNCTION = msgspec.json.Decoder(_Function | None)
_RESULT = Entry(Side.CLIENT, (False,))
_SIGNED = (b'"thought_signature"', b'"reasoning_details"')
"""Gemini's compatible endpoint and OpenRouter; `reasoning_content` is plain text that any model may read."""


def read_signs(body: bytes | bytearray) -> SessionSigns:
    """Read the signs; raises msgspec.DecodeError where they cannot be read."""
    request = _REQUEST.decode(body)
    turns = _TURNS.decode(request.messages)
    recent = read_recent(_entries(turns))
    return SessionSigns(
        failed_tool_results=recent.failed_tool_results,
        same_tool_call=recent.same_tool_call,
        is_tool_loop=recent.is_tool_loop,
        has_signed_thinking=any(sign in body for sign in _SIGNED),
        request_digest=digest_of(request.model, msgspec.Raw(), request.messages),
        turn=count_turns(map(_side, turns)),
    )


def read_entry(text: bytes) -> Entry:
    """One turn by itself; raises msgspec.DecodeError for what is none."""
    return _entry(_TURN.decode(text))


def _side(turn: _Turn) -> Side:
    match turn.role:
        case "user" | "tool" | "function":
            return Side.CLIENT
        case "assistant":
            return Side.MODEL
        case _:
            # Aider says its instructions once more at the end.
            return Side.NEITHER


def _entries(turns: Sequence[_Turn]) -> Iterator[Entry]:
    return map(_entry, reversed(turns))


def _entry(turn: _Turn) -> Entry:
    match turn.role:
        case "user":
            return TYPED
        case "tool" | "function":
            return _RESULT
        case "assistant":
            return Entry(Side.MODEL, calls=_calls(turn))
        case _:
            return OF_NEITHER


def _calls(turn: _Turn) -> tuple[Call, ...]:
    calls = [_call(each) for each in _CALLS.decode(turn.tool_calls) or ()]
    older = _FUNCTION.decode(turn.function_call)
    if older is not None:
        calls.append((older.name, bytes(older.arguments)))
    return tuple(calls)


def _call(tool_call: _ToolCall) -> Call:
    if tool_call.function is not None:
        return (tool_call.function.name, bytes(tool_call.function.arguments))
    if tool_call.custom is not None:
        return (tool_call.custom.name, bytes(tool_call.custom.input))
    return ("", b"")


FACTS = Layout(
    turns="messages",
    system=(),
    starts=(b'{"role"',),
    read_entry=read_entry,
    messages=(b'{"role":"', b'{"role": "'),
    leads=tuple(b'"role":%b"%b"' % (blank, role) for blank in (b"", b" ") for role in (b"system", b"developer")),
    # Some clients mark what Claude is to cache in this protocol too.
    has_marks=True,
)

"""What a Messages request shows of its session. Failed tool results are flagged: `is_error`."""

from collections.abc import Iterator, Sequence

import msgspec

from data_plane.conversation.session_signs import SessionSigns
from data_plane.protocols.history import (
    OF_NEITHER,
    SAID,
    TYPED,
    Call,
    Entry,
    Side,
    count_turns,
    digest_of,
    read_recent,
)
from data_plane.protocols.turn_facts import Layout

_REMINDER = "<system-reminder>"
"""Claude Code writes such texts into the user's turns by itself."""


class _Request(msgspec.Struct):
    model: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()


class _Turn(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = msgspec.Raw()


class _Block(msgspec.Struct):
    type: str = ""
    text: str = ""
    is_error: bool | None = None
    name: str = ""
    input: msgspec.Raw = msgspec.Raw()
    signature: str | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_TURNS = msgspec.json.Decoder(list[_Turn])
_TURN = msgspec.json.Decoder(_Turn)
_CONTENT = msgspec.json.Decoder(list[_Block] | str)


def read_signs(body: bytes | bytearray) -> SessionSigns:
    """Read the signs; raises msgspec.DecodeError where they cannot be read."""
    request = _REQUEST.decode(body)
    turns = _TURNS.decode(request.messages)
    recent = read_recent(_entries(turns))
    return SessionSigns(
        failed_tool_results=recent.failed_tool_results,
        same_tool_call=recent.same_tool_call,
        is_tool_loop=recent.is_tool_loop,
        has_signed_thinking=_may_be_signed(body) and any(map(_is_signed, reversed(turns))),
        request_digest=digest_of(request.model, request.system, request.messages),
        turn=count_turns(map(_side, turns)),
    )


def read_entry(text: bytes) -> Entry:
    """One turn by itself; raises msgspec.DecodeError for what is none."""
    turn = _TURN.decode(text)
    side = _side(turn)
    return OF_NEITHER if side is Side.NEITHER else _entry(side, _CONTENT.decode(turn.content))


def _side(turn: _Turn) -> Side:
    match turn.role:
        case "user":
            return Side.CLIENT
        case "assistant":
            return Side.MODEL
        case _:
            # Newer versions of Claude Code put instructions between the turns.
            return Side.NEITHER


def _entries(turns: Sequence[_Turn]) -> Iterator[Entry]:
    for turn in reversed(turns):
        side = _side(turn)
        yield OF_NEITHER if side is Side.NEITHER else _entry(side, _CONTENT.decode(turn.content))


def _entry(side: Side, content: list[_Block] | str) -> Entry:
    if isinstance(content, str):
        return SAID if side is Side.MODEL else OF_NEITHER if content.startswith(_REMINDER) else TYPED
    if side is Side.MODEL:
        calls: tuple[Call, ...] = tuple(
            (block.name, bytes(block.input)) for block in content if block.type == "tool_use"
        )
        return Entry(side, calls=calls)
    results = tuple(block.is_error is True for block in content if block.type == "tool_result")
    is_typed = False
    for block in content:
        if block.type == "tool_result":
            is_typed = False
        elif block.type != "text" or not block.text.startswith(_REMINDER):
            is_typed = True
    return Entry(side, results, is_typed) if results or is_typed else OF_NEITHER


def _may_be_signed(body: bytes | bytearray) -> bool:
    # Finding nothing in the whole body costs a tenth of reading it; inside of a text the quotes would be escaped.
    return b'"signature"' in body or b'"redacted_thinking"' in body


def _is_signed(turn: _Turn) -> bool:
    if turn.role != "assistant":
        return False
    content = _CONTENT.decode(turn.content)
    return not isinstance(content, str) and any(
        block.type == "redacted_thinking" or (block.type == "thinking" and bool(block.signature)) for block in content
    )


FACTS = Layout(
    turns="messages",
    system=("system",),
    starts=(b'{"role"',),
    read_entry=read_entry,
    has_marks=True,
)

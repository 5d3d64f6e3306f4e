"""What a Gemini request shows of its session. A result that failed says so by the key `error` of its response."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from data_plane.conversation.session_signs import SessionSigns
from data_plane.protocols.history import Call, Entry, Side, count_turns, digest_of, read_recent
from data_plane.protocols.turn_facts import Layout


class _Request(msgspec.Struct):
    systemInstruction: msgspec.Raw = msgspec.Raw()
    system_instruction: msgspec.Raw = msgspec.Raw()
    contents: msgspec.Raw = msgspec.Raw()


class _Turn(msgspec.Struct):
    role: str | None = None
    parts: msgspec.Raw = msgspec.Raw(b"[]")


class _Called(msgspec.Struct):
    name: str | None = None
    args: msgspec.Raw = msgspec.Raw()


class _Result(msgspec.Struct):
    response: Mapping[str, msgspec.Raw] | None = None


# The SDK for Python writes some names with underscores, and Google takes both.
class _Part(msgspec.Struct):
    functionCall: _Called | None = None
    function_call: _Called | None = None
    functionResponse: _Result | None = None
    function_response: _Result | None = None
    thoughtSignature: str | None = None
    thought_signature: str | None = None

    @property
    def call(self) -> _Called | None:
        return self.functionCall or self.function_call

    @property
    def result(self) -> _Result | None:
        return self.functionResponse or self.function_response


_REQUEST = msgspec.json.Decoder(_Request)
_TURNS = msgspec.json.Decoder(list[_Turn] | _Turn)
_TURN = msgspec.json.Decoder(_Turn)
_PARTS = msgspec.json.Decoder(list[_Part] | _Part)


def read_signs(body: bytes | bytearray) -> SessionSigns:
    """Read the signs; raises msgspec.DecodeError where they cannot be read."""
    request = _REQUEST.decode(body)
    found = _TURNS.decode(request.contents)
    turns = found if isinstance(found, list) else [found]
    recent = read_recent(_entries(turns))
    system = request.systemInstruction if bytes(request.systemInstruction) else request.system_instruction
    return SessionSigns(
        failed_tool_results=recent.failed_tool_results,
        same_tool_call=recent.same_tool_call,
        is_tool_loop=recent.is_tool_loop,
        has_signed_thinking=_may_be_signed(body) and any(map(_is_signed, reversed(turns))),
        # The model stands in the path.
        request_digest=digest_of(msgspec.Raw(), system, request.contents),
        turn=count_turns(map(_side, turns)),
    )


def read_entry(text: bytes) -> Entry:
    """One turn by itself; raises msgspec.DecodeError for what is none."""
    return _entry(_TURN.decode(text))


def _side(turn: _Turn) -> Side:
    return Side.MODEL if turn.role == "model" else Side.CLIENT


def _parts(turn: _Turn) -> list[_Part]:
    found = _PARTS.decode(turn.parts)
    return found if isinstance(found, list) else [found]


def _entries(turns: Sequence[_Turn]) -> Iterator[Entry]:
    return map(_entry, reversed(turns))


def _entry(turn: _Turn) -> Entry:
    parts = _parts(turn)
    if _side(turn) is Side.MODEL:
        return Entry(Side.MODEL, calls=tuple(_call(part.call) for part in parts if part.call is not None))
    results = tuple(_has_failed(part.result) for part in parts if part.result is not None)
    return Entry(Side.CLIENT, results, is_typed=not results)


def _call(called: _Called) -> Call:
    return (called.name or "", bytes(called.args))


def _has_failed(result: _Result) -> bool:
    error = (result.response or {}).get("error")
    return error is not None and bytes(error) not in (b"null", b'""', b"false")


def _may_be_signed(body: bytes | bytearray) -> bool:
    return b'"thoughtSignature"' in body or b'"thought_signature"' in body


def _is_signed(turn: _Turn) -> bool:
    return any(part.thoughtSignature or part.thought_signature for part in _parts(turn))


FACTS = Layout(
    turns="contents",
    system=("systemInstruction", "system_instruction"),
    starts=(b'{"parts"', b'{"role"'),
    read_entry=read_entry,
)

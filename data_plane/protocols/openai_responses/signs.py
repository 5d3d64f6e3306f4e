"""What a Responses request shows of its session.

Only results of patches are flagged as failed, by their `status`. A function's output, which is what Codex sends for
every command, is text without a flag, so a command that failed is not told from one that did not.
"""

from collections.abc import Iterator, Sequence

import msgspec

from data_plane.conversation.session_signs import SessionSigns
from data_plane.protocols.history import OF_NEITHER, SAID, TYPED, Entry, Side, count_turns, digest_of, read_recent
from data_plane.protocols.turn_facts import Layout


class _Request(msgspec.Struct):
    model: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    previous_response_id: msgspec.Raw = msgspec.Raw()


class _Item(msgspec.Struct):
    type: str = "message"
    role: str = ""
    status: str | None = None
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    action: msgspec.Raw = msgspec.Raw()
    operation: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_INPUT = msgspec.json.Decoder(list[_Item] | str)
_ITEM = msgspec.json.Decoder(_Item)
_RESULT, _FAILURE = Entry(Side.CLIENT, (False,)), Entry(Side.CLIENT, (True,))
_SEALED = frozenset({"reasoning", "compaction", "compaction_summary"})
"""Items whose content only the model that wrote them can read, encrypted or kept by its provider."""


def read_signs(body: bytes | bytearray) -> SessionSigns:
    """Read the signs; raises msgspec.DecodeError where they cannot be read."""
    request = _REQUEST.decode(body)
    items = _INPUT.decode(request.input)
    # What an earlier answer left with the provider cannot be seen from here, its reasoning perhaps among it.
    continues = bytes(request.previous_response_id) not in (b"", b"null", b'""')
    digest = digest_of(request.model, request.instructions, request.input)
    if isinstance(items, str):
        return SessionSigns(has_signed_thinking=continues, request_digest=digest, turn=1)
    recent = read_recent(map(_entry, reversed(items)))
    return SessionSigns(
        failed_tool_results=recent.failed_tool_results,
        same_tool_call=recent.same_tool_call,
        is_tool_loop=recent.is_tool_loop,
        has_signed_thinking=continues or any(item.type in _SEALED for item in items),
        request_digest=digest,
        turn=count_turns(_sides(items)),
    )


def read_entry(text: bytes) -> Entry:
    """One item by itself; raises msgspec.DecodeError for what is none."""
    return _entry(_ITEM.decode(text))


def _sides(items: Sequence[_Item]) -> Iterator[Side]:
    for item in items:
        if item.type == "message":
            yield _side_of(item.role)
        elif item.type != "additional_tools":
            yield Side.CLIENT if item.type.endswith("_output") else Side.MODEL


def _side_of(role: str) -> Side:
    return Side.CLIENT if role == "user" else Side.MODEL if role == "assistant" else Side.NEITHER


def _entry(item: _Item) -> Entry:
    if item.type == "message":
        side = _side_of(item.role)
        return TYPED if side is Side.CLIENT else SAID if side is Side.MODEL else OF_NEITHER
    if item.type.endswith("_output"):
        return _FAILURE if item.status == "failed" else _RESULT
    if item.type == "additional_tools":
        return OF_NEITHER
    if item.type.endswith("_call"):
        written = next(
            (bytes(raw) for raw in (item.arguments, item.input, item.action, item.operation) if bytes(raw)), b""
        )
        return Entry(Side.MODEL, calls=((item.name or item.type, written),))
    return SAID


FACTS = Layout(
    turns="input",
    system=("instructions",),
    starts=(b'{"type"', b'{"role"'),
    read_entry=read_entry,
    messages=(b'{"type":"message"', b'{"type": "message"', b'{"role":"', b'{"role": "'),
    leads=tuple(b'"role":%b"%b"' % (blank, role) for blank in (b"", b" ") for role in (b"system", b"developer")),
    # Codex's newest models get their tools as the first item.
    leading_tools=(b'"additional_tools"',),
)

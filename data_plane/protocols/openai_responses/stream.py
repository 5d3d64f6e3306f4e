"""Listening to a Responses stream."""

import msgspec
from msgspec.structs import replace

from data_plane.conversation.tally import Tally
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.error_text import clean_error
from data_plane.protocols.frames import data_of
from data_plane.protocols.openai_envelope import ErrorBody
from data_plane.protocols.openai_responses.response import Answer, sum_up
from data_plane.protocols.stream_tap import StreamTap
from switchyard_contract.usage import TokenCounts

_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
# Events that open an answer or one of its parts; whatever else comes is content.
_OPENING = frozenset(
    {
        "response.created",
        "response.in_progress",
        "response.queued",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "keepalive",
    }
)


class _Event(msgspec.Struct):
    type: str = ""
    response: Answer | None = None
    delta: str | msgspec.Raw | None = None
    item: msgspec.Raw = msgspec.Raw()
    code: str | None = None
    message: str | None = None
    error: ErrorBody | None = None


class _Item(msgspec.Struct):
    name: str | None = None


_EVENT = msgspec.json.Decoder(_Event)
_ITEM = msgspec.json.Decoder(_Item)
_NO_TEXT = frozenset({"response.audio.delta"})
"""Deltas that are no words but bytes, written as base64."""


class ResponsesTap(StreamTap):
    """One answer. Ends with response.completed, .incomplete, .failed or an error event."""

    _markers = (b"response.completed", b"response.incomplete", b"response.failed", b'"error"')
    __slots__ = ("_cache_write_default", "_error", "_tally")

    def __init__(self, facts: RequestFacts) -> None:
        super().__init__(facts.body_bytes)
        self._cache_write_default = facts.cache_write_default
        self._tally = Tally()
        self._error = ("", "")

    def _read(self, event: bytes) -> bool:
        read = _event(data_of(event))
        if read is None:
            return False
        if read.type not in _OPENING:
            self.has_content = True
        if read.response is not None:
            told = sum_up(read.response, self._cache_write_default, "generate")
            if read.type in _TERMINAL or not self._tally.model:
                self._tally = told
        if read.type in _TERMINAL:
            self.is_over = True
        if read.type == "error":
            error = read.error or ErrorBody(message=read.message, code=read.code)
            self._error = (error.kind[:100], clean_error(error.text))
        return False

    def _glance(self, start: bytes) -> None:
        # The last event repeats the whole answer, images included.
        self.is_over = self.is_over or any(f'"{kind}"'.encode() in start for kind in _TERMINAL)

    def _usage(self) -> TokenCounts | None:
        return self._tally.tokens if self._tally.is_reported else None

    def _usage_is_final(self) -> bool:
        return True

    def _collect_text(self, event: bytes, visible: list[str], reasoning: list[str]) -> None:
        read = _event(data_of(event))
        if read is None:
            return
        if read.type == "response.output_item.added":
            visible.append(_name_of(read.item))
        if not isinstance(read.delta, str) or read.type in _NO_TEXT:
            return
        (reasoning if "reasoning" in read.type else visible).append(read.delta)

    def _sum_up(self, tokens: TokenCounts, *, is_reported: bool) -> Tally:
        told = self._tally
        return replace(
            told,
            tokens=tokens,
            is_reported=is_reported,
            error_type=self._error[0] or told.error_type,
            error_text=self._error[1] or told.error_text,
        )


def _name_of(item: msgspec.Raw) -> str:
    """The tool that an item calls; the model writes its name, and no delta repeats it."""
    try:
        return _ITEM.decode(item).name or ""
    except (msgspec.DecodeError, RecursionError):
        return ""


def _event(data: bytes) -> _Event | None:
    if not data.startswith(b"{"):
        return None
    try:
        return _EVENT.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None

"""Listening to a Messages stream."""

from typing import Any

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.protocols.anthropic_messages.response import ErrorBody, Message, Usage, web_searches
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.error_text import clean_error
from data_plane.protocols.frames import data_of
from data_plane.protocols.stream_tap import StreamTap
from switchyard_contract.usage import TokenCounts

# A block of text or thinking opens empty; every other kind brings something at once.
_EMPTY_AT_START = frozenset({"text", "thinking"})


class _Block(msgspec.Struct):
    type: str = ""
    name: Any = None


class _Delta(msgspec.Struct):
    stop_reason: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    message: Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: Usage | None = None
    error: ErrorBody | None = None
    request_id: str | None = None


_EVENT = msgspec.json.Decoder(_Event)


class MessagesTap(StreamTap):
    """One message. Ends with message_stop or an error event."""

    _markers = (b'"usage"', b"message_stop", b'"error"')
    __slots__ = ("_error", "_id", "_is_final", "_model", "_stop", "_sums")

    def __init__(self, facts: RequestFacts) -> None:
        super().__init__(facts.body_bytes)
        self._model = self._id = self._stop = ""
        self._error = ("", "")
        self._sums: Usage | None = None
        self._is_final = False

    def _read(self, raw: bytes) -> bool:
        event = _event(data_of(raw))
        if event is None:
            return False
        match event.type:
            case "message_start":
                message = event.message or Message()
                self._model = message.model or ""
                self._id = message.id or ""
                self._sums = message.usage
            case "content_block_start":
                block = event.content_block
                self.has_content = self.has_content or (block is not None and block.type not in _EMPTY_AT_START)
            case "content_block_delta":
                self.has_content = True
            case "message_delta":
                self.has_content = True
                self._stop = (event.delta.stop_reason if event.delta is not None else None) or self._stop
                if event.usage is not None:
                    self._sums = event.usage if self._sums is None else self._sums.overlaid(event.usage)
                    self._is_final = True
            case "message_stop":
                self.has_content = self.is_over = True
            case "error":
                self.is_over = True
                error = event.error or ErrorBody()
                self._error = (error.type[:100] or "error", clean_error(error.message))
                self._id = event.request_id or self._id
            case _:
                pass  # ping, and whatever comes to be: no business of ours
        return False

    def _usage(self) -> TokenCounts | None:
        return self._sums.counts(self._model)[0] if self._sums is not None else None

    def _usage_is_final(self) -> bool:
        return self._is_final

    def _collect_text(self, event: bytes, visible: list[str], reasoning: list[str]) -> None:
        read = _event(data_of(event))
        if read is None:
            return
        if read.type == "content_block_start" and read.content_block is not None:
            # The name of a tool is written by the model too. Results of the vendor's own tools have none.
            if isinstance(read.content_block.name, str):
                visible.append(read.content_block.name)
        elif read.type == "content_block_delta" and read.delta is not None:
            # A signature is no text: deltas of other kinds are left out.
            if read.delta.thinking:
                reasoning.append(read.delta.thinking)
            visible.append(read.delta.text or read.delta.partial_json or "")

    def _sum_up(self, tokens: TokenCounts, *, is_reported: bool) -> Tally:
        sums = self._sums or Usage()
        return Tally(
            tokens=tokens,
            model=self._model,
            stop_reason=self._stop,
            web_searches=web_searches(sums),
            service_tier=sums.tier,
            inference_geo=sums.inference_geo or "",
            units=sums.units,
            parts=sums.parts(self._model),
            is_reported=is_reported,
            is_inconsistent=sums.counts(self._model)[1],
            error_type=self._error[0],
            error_text=self._error[1],
            upstream_request_id=self._id,
        )


def _event(data: bytes) -> _Event | None:
    if not data.startswith(b"{"):
        return None
    try:
        return _EVENT.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None

"""Listening to a Gemini stream: every chunk is a whole document with running sums."""

import msgspec
from msgspec.structs import replace

from data_plane.conversation.tally import Tally
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.frames import data_of
from data_plane.protocols.gemini_content.response import CONTENT, Content, sum_up
from data_plane.protocols.stream_tap import StreamTap
from switchyard_contract.usage import TokenCounts


class ContentTap(StreamTap):
    """One answer. Ends with a finish reason, a blocked prompt or an error object."""

    _markers = (b'"usageMetadata"', b'"finishReason"', b'"blockReason"', b'"error"')
    _runs_sums = True
    __slots__ = ("_operation", "_told")

    def __init__(self, facts: RequestFacts) -> None:
        super().__init__(facts.body_bytes)
        self._operation = facts.operation
        self._told = Tally()

    def _read(self, event: bytes) -> bool:
        chunk = _content(data_of(event))
        if chunk is None:
            return False
        if chunk.stop_reason or chunk.error is not None:
            self.is_over = True
        if any(candidate.parts for candidate in chunk.candidates or ()):
            self.has_content = True
        self._told = _overlay(self._told, sum_up([chunk], self._operation))
        return False

    def _usage(self) -> TokenCounts | None:
        return self._told.tokens if self._told.is_reported else None

    def _usage_is_final(self) -> bool:
        return self.is_over

    def _collect_text(self, event: bytes, visible: list[str], reasoning: list[str]) -> None:
        chunk = _content(data_of(event))
        for candidate in (chunk.candidates or ()) if chunk is not None else ():
            for part in candidate.parts:
                if isinstance(part.get("text"), str):
                    (reasoning if part.get("thought") is True else visible).append(part["text"])
                elif isinstance(called := part.get("functionCall"), dict):
                    visible.append(str(called.get("name", "")))
                    visible.append(msgspec.json.encode(called.get("args")).decode())

    def _sum_up(self, tokens: TokenCounts, *, is_reported: bool) -> Tally:
        return replace(self._told, tokens=tokens, is_reported=is_reported)


def _overlay(before: Tally, chunk: Tally) -> Tally:
    """The running account after one more chunk: its sums are cumulative, what it leaves out stays."""
    sums = chunk if chunk.is_reported else before
    return Tally(
        tokens=sums.tokens,
        model=chunk.model or before.model,
        stop_reason=chunk.stop_reason or before.stop_reason,
        web_searches=max(chunk.web_searches, before.web_searches),
        service_tier=chunk.service_tier or before.service_tier,
        units=sums.units,
        is_reported=sums.is_reported,
        is_inconsistent=sums.is_inconsistent,
        error_type=chunk.error_type or before.error_type,
        error_text=chunk.error_text or before.error_text,
        upstream_request_id=chunk.upstream_request_id or before.upstream_request_id,
    )


def _content(data: bytes) -> Content | None:
    if not data.startswith(b"{"):
        return None
    try:
        return CONTENT.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None

"""Listening to a Gemini stream: every chunk is a whole document with running sums, so the last one tells all."""

from dataclasses import replace

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.frames import data_of, split_events
from data_plane.protocols.gemini_content.response import CONTENT, Content, sum_up
from data_plane.protocols.stream_tap import StreamTap
from switchyard_contract.usage import TokenCounts


class ContentTap(StreamTap):
    """One answer. Ends with a finish reason, a blocked prompt or an error object."""

    __slots__ = ("_last", "_operation", "_told")

    def __init__(self, facts: RequestFacts) -> None:
        super().__init__(facts.body_bytes)
        self._operation = facts.operation
        self._last = b""  # the newest block with sums, unread
        self._told: list[Content] = []  # chunks that said more than text

    def _examine(self, block: bytes) -> bytes:
        if b'"usageMetadata"' in block:
            self._last = block
        if (
            not self.has_content
            or b'"finishReason"' in block
            or b'"blockReason"' in block
            or b'"groundingMetadata"' in block
            or b'"error"' in block
        ):
            for event in split_events(block):
                self._read(event)
        return block

    def _read(self, event: bytes) -> None:
        chunk = _content(data_of(event))
        if chunk is None:
            return
        if chunk.stop_reason or chunk.error is not None:
            self.is_over = True
        if any((candidate.content or {}).get("parts") for candidate in chunk.candidates or ()):
            self.has_content = True
        if self.is_over or chunk.web_searches or not self._told:
            self._told.append(chunk)

    def _summary(self) -> Tally:
        newest = [chunk for event in split_events(self._last) if (chunk := _content(data_of(event))) is not None]
        # Sums first: stop reason and error of the chunks that told them stay the last word on those.
        return sum_up([*newest, *(_without_sums(chunk) for chunk in self._told)], self._operation)

    def _usage(self) -> TokenCounts | None:
        summary = self._summary()
        return summary.tokens if summary.is_reported else None

    def _usage_is_final(self) -> bool:
        return self.is_over

    def _collect_text(self, event: bytes, visible: list[str], reasoning: list[str]) -> None:
        chunk = _content(data_of(event))
        for candidate in (chunk.candidates or ()) if chunk is not None else ():
            for part in (candidate.content or {}).get("parts") or ():
                if isinstance(part.get("text"), str):
                    (reasoning if part.get("thought") is True else visible).append(part["text"])
                elif "functionCall" in part:
                    visible.append(msgspec.json.encode(part["functionCall"]).decode())

    def _sum_up(self, tokens: TokenCounts, *, is_reported: bool) -> Tally:
        return replace(self._summary(), tokens=tokens, is_reported=is_reported)


def _without_sums(chunk: Content) -> Content:
    return msgspec.structs.replace(chunk, usage_metadata=None)


def _content(data: bytes) -> Content | None:
    if not data.startswith(b"{"):
        return None
    try:
        return CONTENT.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None

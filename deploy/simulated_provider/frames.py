"""Pieces of an answer as bytes, each knowing how much has been generated when it is out."""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from deploy.simulated_provider.answer import Answer

Stage = Literal["opening", "content", "closing", "terminal"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One event on the wire. output, reasoning: tokens generated up to and including this frame."""

    data: bytes
    stage: Stage
    output: int
    reasoning: int


def encode(value: Any) -> bytes:
    """Write JSON compactly, non-ASCII as it is."""
    return orjson.dumps(value)


def data_line(value: Any, *, newline: bytes = b"\n") -> bytes:
    """Write a server-sent event without a name."""
    return b"data: " + encode(value) + newline + newline


def named_event(name: str, value: Any) -> bytes:
    """Write a server-sent event with a name."""
    return b"event: " + name.encode() + b"\ndata: " + encode(value) + b"\n\n"


class FrameList:
    """Collects the frames of one answer and shares its output tokens over them, by bytes of content."""

    def __init__(self, answer: Answer) -> None:
        self.frames: list[Frame] = []
        self.output = 0
        self.reasoning = 0
        self._billed = answer.billed
        self._visible_bytes = sum(len(piece.encode()) for piece in answer.text) + sum(
            len(call.arguments.encode()) for call in answer.calls
        )
        self._thought_bytes = sum(len(piece.encode()) for piece in answer.thinking)
        self._visible_done = 0
        self._thought_done = 0

    def say(self, piece: str) -> None:
        """Count a piece of visible output: text or tool arguments."""
        self._visible_done += len(piece.encode())
        if self._visible_bytes:
            self.output = self._billed.output * self._visible_done // self._visible_bytes

    def think(self, piece: str) -> None:
        """Count a piece of thought."""
        self._thought_done += len(piece.encode())
        if self._thought_bytes:
            self.reasoning = self._billed.reasoning * self._thought_done // self._thought_bytes

    def think_silently(self) -> None:
        """Count the whole thought at once: it happened, but is not shown."""
        self.reasoning = self._billed.reasoning

    def add(self, data: bytes, stage: Stage) -> None:
        if stage in ("closing", "terminal"):
            self.output, self.reasoning = self._billed.output, self._billed.reasoning
        self.frames.append(Frame(data, stage, self.output, self.reasoning))


def split_arguments(arguments: str) -> tuple[str, ...]:
    """Cut tool arguments into up to four pieces, also in the middle of words."""
    size = max(8, -(-len(arguments) // 4))
    return tuple(arguments[start : start + size] for start in range(0, len(arguments), size))

"""Listening to an answer that is one JSON document: collect it up to a bound, read it at the end."""

import re
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from data_plane.conversation.tally import Tally
from data_plane.conversation.token_estimate import Scale, count_text, estimate_prompt, plain_scale
from data_plane.protocols.codec import MAX_COLLECTED_BYTES

TAIL_BYTES = 64 * 1024
_WORDS = re.compile(
    rb'"(?:text|content|refusal|thinking|reasoning_content|reasoning|arguments|input|name)"\s*:\s*'
    rb'("(?:[^"\\]|\\.)*+"?|\{[^{}]*+\}?)',
    re.DOTALL,
)
"""What a model writes into a document of any of the protocols. Signatures, ids and pictures have other names."""
_HALF_AN_ESCAPE = re.compile(rb"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?$")
_TEXT = msgspec.json.Decoder(str)


class BodyTap:
    """One answer as a document.

    read: from its bytes to a tally. marker: the key of the usage object, which providers write near the end; of a
    document too large to be kept only that end is read.
    """

    __slots__ = ("_chunks", "_marker", "_read", "_request_bytes", "_size", "_tail")

    def __init__(self, read: Callable[[bytes], Tally], marker: bytes, request_bytes: int) -> None:
        self._read = read
        self._marker = marker
        self._request_bytes = request_bytes
        self._chunks: list[bytes] = []
        self._size = 0
        self._tail = b""

    @property
    def has_content(self) -> bool:
        return self._size > 0

    @property
    def at_boundary(self) -> bool:
        """Nothing may be written into a document."""
        return False

    @property
    def has_ended(self) -> bool:
        """A document has no last event; whether it is whole is told by its framing."""
        return True

    def feed(self, chunk: bytes) -> bytes:
        if self._size <= MAX_COLLECTED_BYTES:
            self._chunks.append(chunk)
        else:
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
        self._size += len(chunk)
        return chunk

    def rest(self) -> bytes:
        return b""

    def finish(self) -> Tally:
        """Sum up a whole document; an answer that tells a model and no usage is counted by its size."""
        told = self._told()
        return self._by_words(told, plain_scale(self._request_bytes)) if told.model and not told.is_reported else told

    def counted(self, request_bytes: int, scale: Scale | None = None) -> Tally:
        """A document that was cut cannot be read: the words in it are counted, and extended to its whole length where
        that was told. A provider has written all of it before it sends the first byte."""
        told = self._told()
        if told.is_reported or told.error_type:
            return told
        return self._by_words(told, scale or plain_scale(request_bytes))

    def own_count(self) -> None:
        """Documents are counted only where nobody tells their usage."""

    def _by_words(self, told: Tally, scale: Scale) -> Tally:
        if told.error_type:
            return told
        size, whole = self._size, max(scale.answer_bytes, self._size)
        output = 0
        if self._chunks:
            kept = b"".join(self._chunks)
            words = count_text([_text_of(match[1]) for match in _WORDS.finditer(kept)])
            output = -(-words * whole // len(kept))
        if not output and (size or whole):
            # Nothing in it that we know, or it has not begun: its size stands for its words.
            output = estimate_prompt(whole)
        return replace(told, tokens=scale.prompt._replace(output=scale.scaled(output)))

    def _told(self) -> Tally:
        if not self._size:
            return Tally()
        if self._size <= MAX_COLLECTED_BYTES:
            return self._read(b"".join(self._chunks))
        end = (self._chunks[-1] + self._tail)[-TAIL_BYTES:]
        at = end.rfind(self._marker)
        return self._read(b"{" + end[at:]) if at >= 0 else Tally()


def _text_of(raw: bytes) -> str:
    """A value as text, be it cut off in the middle."""
    if not raw.startswith(b'"'):
        return raw.decode("utf-8", "replace")
    if len(raw) < 2 or not raw.endswith(b'"'):
        raw = _HALF_AN_ESCAPE.sub(rb"\1", raw) + b'"'
    try:
        return _TEXT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw.decode("utf-8", "replace")

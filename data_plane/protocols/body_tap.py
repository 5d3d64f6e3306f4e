"""Listening to an answer that is one JSON document: collect it up to a bound, read it at the end."""

from collections.abc import Callable

from msgspec.structs import replace

from data_plane.conversation.tally import Tally
from data_plane.conversation.token_estimate import estimate_prompt
from data_plane.protocols.codec import MAX_COLLECTED_BYTES
from switchyard_contract.usage import TokenCounts

TAIL_BYTES = 64 * 1024


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
        return self._by_size(told, self._request_bytes) if told.model and not told.is_reported else told

    def counted(self, request_bytes: int) -> Tally:
        """A document that was cut cannot be read: its size stands for its output."""
        told = self._told()
        if told.is_reported or told.error_type or not self._size:
            return told
        return self._by_size(told, request_bytes)

    def _by_size(self, told: Tally, request_bytes: int) -> Tally:
        if told.error_type:
            return told
        size = TokenCounts(input_fresh=estimate_prompt(request_bytes), output=estimate_prompt(self._size))
        return replace(told, tokens=size)

    def _told(self) -> Tally:
        if not self._size:
            return Tally()
        if self._size <= MAX_COLLECTED_BYTES:
            return self._read(b"".join(self._chunks))
        end = (self._chunks[-1] + self._tail)[-TAIL_BYTES:]
        at = end.rfind(self._marker)
        return self._read(b"{" + end[at:]) if at >= 0 else Tally()

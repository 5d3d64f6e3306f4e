"""Listening to an event stream: pass whole events on, read only those that say something about the answer.

An answer tells about itself at its two ends. So events are read until the first content, then only the last few are
kept aside, unread, until somebody asks how it ended: a stream's thousands of chunks are neither parsed nor searched.
A protocol says how to read an event; cutting, holding back, keeping and counting are here.
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar

from data_plane.conversation.tally import Tally
from data_plane.conversation.token_estimate import Counted, RunningCount, Scale, plain_scale
from data_plane.protocols.codec import MAX_COLLECTED_BYTES, MAX_KEPT_BYTES
from data_plane.protocols.frames import end_of_first_event, end_of_last_event, split_events
from switchyard_contract.usage import TokenCounts

HOLD_LIMIT = 64 * 1024
"""An unfinished event is held back up to this size, so that a cut never leaves half an event with the client."""
_WHOLE = (b"\n\n", b"\r\n\r\n")
_HALF_A_BLANK = 2
_GLANCE_BYTES = 200
RECENT_BLOCKS = 8
"""So many chunks before the end are searched for what ended the answer: three events in every protocol known."""


class StreamTap(ABC):
    """One answer as server-sent events."""

    __slots__ = (
        "_blind",
        "_counted_bytes",
        "_counts",
        "_end",
        "_kept",
        "_kept_bytes",
        "_open",
        "_open_bytes",
        "_recent",
        "_removes",
        "_request_bytes",
        "_seen_bytes",
        "_sent",
        "has_content",
        "is_over",
    )

    _markers: ClassVar[tuple[bytes, ...]]
    """One of these is in every event that tells something after the first content."""
    _runs_sums: ClassVar[bool] = False
    """Usage that comes before the end counts what was produced until then, and comes with every event or with none."""

    def __init__(self, request_bytes: int, *, removes: bool = False) -> None:
        """removes: an event may have to be taken out (`_read` says which)."""
        self.has_content = False
        self.is_over = False  # the last event was read
        self._request_bytes = request_bytes
        self._removes = removes
        self._recent: deque[bytes] = deque(maxlen=RECENT_BLOCKS)
        self._open: list[bytes] = []  # the event that is not complete yet
        self._open_bytes = 0
        self._sent = 0  # how much of it the client has nevertheless
        self._end = b""  # its last bytes, where half of a blank line may stand
        self._kept: list[bytes] = []  # passed, and not counted yet
        self._kept_bytes = self._counted_bytes = self._seen_bytes = 0
        self._counts: tuple[RunningCount, RunningCount] | None = None  # of text and of reasoning, once anybody asks
        self._blind = False

    @property
    def at_boundary(self) -> bool:
        """The client holds whole events only."""
        return self._sent == 0 and not self._blind

    @property
    def has_ended(self) -> bool:
        """The last event was seen, be it without the blank line that should end it."""
        self._catch_up()
        if not self.is_over and self._open and not self._sent:
            self._read(b"".join(self._open))
        return self.is_over

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk; give back what the client gets now."""
        if self._open or self._blind or not chunk.endswith(_WHOLE):
            return self._feed_slowly(chunk)
        return self._take(chunk)

    def rest(self) -> bytes:
        """What is held back of an event that never became complete."""
        if not self._open:
            return b""
        event = b"".join(self._open)
        sent, self._open, self._open_bytes, self._sent, self._end = self._sent, [], 0, 0, b""
        # A last event without its blank line is one all the same: SDKs read it, so its usage counts.
        return self._take(event) if sent == 0 else event[sent:]

    def finish(self) -> Tally:
        """Sum up a complete answer; without the provider's usage it is counted like one that was cut."""
        return self.counted(self._request_bytes)

    def counted(self, request_bytes: int, scale: Scale | None = None) -> Tally:
        """Sum up an answer that was cut, or how far it is by now: what was told, and the rest counted."""
        self._catch_up()
        told = self._usage()
        if told is not None and self._usage_is_final():
            return self._sum_up(told, is_reported=True)
        nothing = self._sum_up(TokenCounts(), is_reported=False)
        if told is None and nothing.error_type and not self.has_content:
            return nothing
        scale = scale or plain_scale(request_bytes)
        return self._sum_up(self._merge(told, scale), is_reported=False)

    def own_count(self) -> Counted:
        """Count all that passed by ourselves, whatever was told. Each event is read once, however often this is asked.

        What is not kept any more is extended to: a stream that nobody asks about keeps its first half megabyte.
        """
        blocks, self._kept = self._kept, []
        self._counted_bytes += self._kept_bytes
        self._kept_bytes = 0
        visible: list[str] = []
        reasoning: list[str] = []
        for block in blocks:
            for event in split_events(block):
                self._collect_text(event, visible, reasoning)
        if self._counts is None:
            self._counts = (RunningCount(), RunningCount())
        of_text, of_reasoning = self._counts
        return Counted(self._extend(of_text.add(visible)), self._extend(of_reasoning.add(reasoning)))

    def _merge(self, told: TokenCounts | None, scale: Scale) -> TokenCounts:
        if told is not None and self._runs_sums and told.output:
            return told
        own = self.own_count()
        output, reasoning = scale.scaled(own.visible), scale.scaled(own.reasoning)
        if told is None:
            return scale.prompt._replace(output=output, reasoning=reasoning)
        return told._replace(output=max(told.output, output), reasoning=max(told.reasoning, reasoning))

    @abstractmethod
    def _read(self, event: bytes) -> bool:
        """Take in one event; say whether it is one that the client did not ask for. Reading it twice does no harm."""

    def _glance(self, start: bytes) -> None:  # noqa: B027  # most protocols end with a short event
        """An event that is too long to be read begins like this: note whether it is the last one."""

    @abstractmethod
    def _usage(self) -> TokenCounts | None:
        """What the provider told so far; None: nothing."""

    @abstractmethod
    def _usage_is_final(self) -> bool:
        """Whether that is the usage of the whole answer."""

    @abstractmethod
    def _collect_text(self, event: bytes, visible: list[str], reasoning: list[str]) -> None:
        """Append the output that an event carries."""

    @abstractmethod
    def _sum_up(self, tokens: TokenCounts, *, is_reported: bool) -> Tally:
        """Everything the answer told, with these tokens."""

    def _take(self, block: bytes) -> bytes:
        self._seen_bytes += len(block)
        if self._kept_bytes < MAX_KEPT_BYTES:
            self._kept.append(block)
            self._kept_bytes += len(block)
        if self.has_content and not (self._removes and _tells_usage(block)):
            self._recent.append(block)
            return block
        self._catch_up()
        shown = [event for event in split_events(block) if not self._read(event)]
        passed = b"".join(shown)
        return block if len(passed) == len(block) else passed

    def _catch_up(self) -> None:
        """Read what was kept aside, where it says something. What does not match is text, whose quotes are escaped."""
        while self._recent:
            block = self._recent.popleft()
            if any(marker in block for marker in self._markers):
                for event in split_events(block):
                    self._read(event)

    def _feed_slowly(self, chunk: bytes) -> bytes:
        if not chunk:
            return chunk
        if self._blind:
            return self._skip(chunk)
        before = self._end
        self._open.append(chunk)
        self._open_bytes += len(chunk)
        self._end = (before + chunk)[-_HALF_A_BLANK:]
        end = end_of_last_event(before + chunk)
        if end == 0:
            return self._hold(chunk)
        text = b"".join(self._open)
        cut = self._open_bytes - len(chunk) - len(before) + end
        block, tail = text[:cut], text[cut:]
        sent, self._sent = self._sent, 0
        self._open = [tail] if tail else []
        self._open_bytes = len(tail)
        self._end = tail[-_HALF_A_BLANK:]
        shown = self._take(block)
        # What was too long to be held is no event that gets removed, so the client's share is the rest of the block.
        return shown if sent == 0 else block[sent:]

    def _hold(self, chunk: bytes) -> bytes:
        if self._open_bytes > MAX_COLLECTED_BYTES:
            self._blind = self.has_content = True
            unsent = b"".join(self._open)[self._sent :]
            self._glance(self._open[0][:_GLANCE_BYTES])
            self._open, self._open_bytes, self._sent = [], 0, 0
            return unsent
        if self._sent:
            self._sent += len(chunk)
            return chunk
        if self._open_bytes > HOLD_LIMIT:
            self._sent = self._open_bytes
            return b"".join(self._open)
        return b""

    def _skip(self, chunk: bytes) -> bytes:
        """The rest of an event that is too long to be read. Behind its end everything is as before."""
        before = self._end
        end = end_of_first_event(before + chunk)
        if end == 0:
            self._end = (before + chunk)[-_HALF_A_BLANK:]
            return chunk
        self._blind, self._end = False, b""
        at = end - len(before)
        return chunk[:at] + self.feed(chunk[at:])

    def _extend(self, tokens: int) -> int:
        """From what was counted to all that passed."""
        counted, seen = self._counted_bytes, self._seen_bytes
        return -(-tokens * seen // counted) if 0 < counted < seen else tokens


def _tells_usage(block: bytes) -> bool:
    return b'"usage":{' in block or b'"usage": {' in block

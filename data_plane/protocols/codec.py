"""The shape every protocol fills: read a request, listen to its answer, say no in its own words.

Same-protocol traffic passes byte for byte. A codec never re-serialises: it finds byte ranges and splices.
Values are structs, not dataclasses: they are made for every request, and a frozen dataclass costs twelve times as much.
Failure: `InvalidRequest`.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec
from msgspec.structs import force_setattr

from data_plane.conversation.session_signs import SessionSigns
from data_plane.conversation.tally import Tally
from data_plane.conversation.token_estimate import Counted, Scale
from data_plane.conversation.turn_facts import TurnFacts
from data_plane.policy.access import ListedModel
from data_plane.policy.decision import Refusal
from data_plane.protocols.fields import Fields

Body = bytes | bytearray | memoryview
RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Names in lower case, values as they came, repeated names repeated."""


MAX_COLLECTED_BYTES = 8 * 1024 * 1024
"""An answer or event larger than this is passed on unread; its usage is then unknown."""
MAX_KEPT_BYTES = 512 * 1024
"""So much of a stream is kept to count tokens should it be cut."""


class RequestHead(msgspec.Struct, frozen=True):
    """The start of a request."""

    method: str
    path: str
    """As it came, still percent-encoded, without the query."""
    query: str
    """Without the question mark."""
    headers: RawHeaders
    names: frozenset[bytes] = frozenset()
    """The names of the headers; worked out from them."""

    def __post_init__(self) -> None:
        # Asked for several times per request, while many requests of a connection share one head.
        force_setattr(self, "names", frozenset([name for name, _ in self.headers]))

    def first(self, name: bytes) -> bytes | None:
        """The first value of a header; name in lower case."""
        if name not in self.names:
            return None
        for key, value in self.headers:
            if key == name:
                return value
        return None


class SessionHints(msgspec.Struct, frozen=True):
    """What the body says about the conversation it belongs to."""

    session_id: str = ""
    """Named by the client itself."""
    opening: bytes = b""
    """Digest of system prompt and first user message; every tool without a session id resends both. Empty: none."""


class Splice(msgspec.Struct, frozen=True):
    """Replace body[start:end] by text. start == end: insert."""

    start: int
    end: int
    text: bytes


class OutputLimit(msgspec.Struct, frozen=True):
    """How much a request lets the model write (protocols/output_limit.py)."""

    tokens: int = 0
    """0: it does not say."""
    answers: int = 1
    """So many answers are asked for, each of so many tokens."""
    least: int = 0
    """The tokens it sets aside for thinking: the limit has to stay above."""
    places: tuple[tuple[int, int], ...] = ()
    """Byte ranges of the number in the body, or where it would be put in; none: it cannot be lowered."""
    before: bytes = b""
    after: bytes = b""
    """What stands around a number that is put in."""


class RequestFacts(msgspec.Struct, frozen=True):
    """What the gateway must know of a request; everything else in it is none of its business."""

    protocol: str
    operation: str
    """generate, count_tokens, embed, compact"""
    model: str
    """As the client asked."""
    model_span: tuple[int, int] | None
    """Byte range of the JSON string in the body, quotes included; None: the model is in the path."""
    streamed: bool
    """The client asked for server-sent events."""
    adds_usage: bool = False
    """The upstream is asked for usage that the client did not ask for: the answer's extra chunk is removed."""
    usage_splice: Splice | None = None
    """How it is asked for."""
    hints: SessionHints = SessionHints()
    cache_write_default: str = "cache_write_other"
    """Where cache writes are counted whose lifetime the answer does not tell; a name of TokenCounts."""
    has_tools: bool = False
    body_bytes: int = 0
    """Size of the body: what a prompt is estimated from where nobody tells its tokens."""
    fields: Fields | None = None
    """The body's top level, for whoever needs more of it (sizing.py, output_limit.py)."""


class Client(msgspec.Struct, frozen=True):
    """The tool at the other end and the conversation it is in, as far as it tells."""

    name: str = ""
    version: str = ""
    session_id: str = ""
    agent_id: str = ""
    parent_session_id: str = ""
    is_derived: bool = False
    """The session was worked out from the conversation's opening; the client named none."""
    is_wrapped: bool = False
    """An official SDK inside of a library that reads its raw answers (LiteLLM, and so Aider)."""


class WireAnswer(msgspec.Struct, frozen=True):
    """A complete answer of the gateway's own."""

    status: int
    headers: RawHeaders
    body: bytes


class Tap(Protocol):
    """Listens to one answer. Bytes pass unchanged except the one usage chunk that was added on request."""

    def feed(self, chunk: bytes) -> bytes:
        """Take what the provider sent; give back what the client gets now (the same object when unchanged).

        An event that is not complete yet may be held back until it is (`rest` gives it up).
        """
        ...

    def rest(self) -> bytes:
        """Call once when the provider's body ended or broke: what is still held back.

        After a clean end it goes to the client; after a break it is half an event and is dropped.
        """
        ...

    @property
    def has_content(self) -> bool:
        """The first content has passed; frames that only open an answer do not count."""
        ...

    @property
    def at_boundary(self) -> bool:
        """The client holds whole events only: a sign of life may be written."""
        ...

    @property
    def has_ended(self) -> bool:
        """The protocol's own last event (or its error event) was seen, though it may still be held back."""
        ...

    def finish(self) -> Tally:
        """Sum up an answer that is complete; where the provider told no usage, it is counted."""
        ...

    def counted(self, request_bytes: int, scale: Scale | None = None) -> Tally:
        """Sum up an answer that was cut, or how far it is by now: what was told so far, the rest counted from what
        passed. scale: what is known of the model; None: a prompt is worked out from the request's size."""
        ...

    def own_count(self) -> Counted | None:
        """What passed by our own count, whatever was told; None: it cannot be told apart from what is around it."""
        ...


class Codec(Protocol):
    """One wire protocol."""

    @property
    def name(self) -> str: ...

    @property
    def keep_alive(self) -> bytes:
        """A sign of life that every SDK of the protocol tolerates between events."""
        ...

    @property
    def has_failed_end(self) -> bool:
        """Its error event is an end of a stream that clients know: after a final no the stream may end cleanly."""
        ...

    def read_request(self, head: RequestHead, operation: str, path_model: str | None, body: Body) -> RequestFacts:
        """Find what the gateway needs. The body is checked to be one JSON object; raises InvalidRequest."""
        ...

    def session_signs(self, body: Body) -> SessionSigns:
        """What the body shows of its session; never raises: what cannot be read shows nothing.

        Called only where a rule asks, since it looks at the whole body again (0.7 ms for 400 KB, 25 us for 8 KB).
        """
        ...

    def turn_facts(self, facts: RequestFacts) -> TurnFacts:
        """What a generating request shows of its place in a conversation; never raises: what cannot be read shows
        nothing. Looks at both ends of the body only."""
        ...

    def rewrite_body(
        self, facts: RequestFacts, body: Body, model: str, max_output: int = 0
    ) -> tuple[bytes | bytearray | memoryview, ...]:
        """The body for the upstream, in parts to be written one after the other.

        model: as the vendor names it. max_output: lower the output's limit to so many tokens; 0: leave it. Nothing to
        change: the one part is the body itself.
        """
        ...

    def tap(self, facts: RequestFacts, *, streamed: bool) -> Tap:
        """A listener for one answer. streamed: whether the answer really is an event stream."""
        ...

    def write_refusal(self, refusal: Refusal, client: Client, decision_id: str) -> WireAnswer:
        """Say no so that this client stops (or waits) and shows the sentence.

        Headers: content-type, and where they apply retry-after and x-should-retry.
        """
        ...

    def stream_failure(self, refusal: Refusal, request_id: str) -> bytes:
        """The protocol's error event for a stream that has begun; the connection is aborted after it, unless the no is
        final and the event an end of its own (`has_failed_end`)."""
        ...

    def list_models(self, models: Iterable[ListedModel]) -> bytes:
        """The body that answers a listing of models."""
        ...

    def one_model(self, model: ListedModel) -> bytes:
        """The body that answers a question for one model."""
        ...


NO_TAGS: Mapping[str, str] = {}

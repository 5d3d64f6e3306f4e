"""Gemini generateContent, streamGenerateContent and countTokens."""

from collections.abc import Iterable

from data_plane.conversation.session_signs import SessionSigns
from data_plane.conversation.turn_facts import NO_FACTS, TurnFacts
from data_plane.policy.access import ListedModel
from data_plane.policy.decision import Refusal
from data_plane.protocols.body import splice
from data_plane.protocols.body_tap import BodyTap
from data_plane.protocols.codec import Body, Client, Codec, RequestFacts, RequestHead, Tap, WireAnswer
from data_plane.protocols.gemini_content.failure import stream_failure, write_refusal
from data_plane.protocols.gemini_content.request import read_request
from data_plane.protocols.gemini_content.response import list_models, one_model, read_document
from data_plane.protocols.gemini_content.signs import FACTS
from data_plane.protocols.gemini_content.signs import read_signs as read_own
from data_plane.protocols.gemini_content.stream import ContentTap
from data_plane.protocols.history import read_signs
from data_plane.protocols.output_limit import lowered, output_of
from data_plane.protocols.turn_facts import read_turn_facts
from switchyard_contract.routes import GEMINI_CONTENT


class GeminiContent:
    """The codec of …/models/{model}:generateContent and its sisters."""

    name = GEMINI_CONTENT
    # google-genai raises on comments and on every line that is neither blank nor `data: …`.
    keep_alive = b"\n"
    has_failed_end = False

    def read_request(self, head: RequestHead, operation: str, path_model: str | None, body: Body) -> RequestFacts:
        return read_request(head, operation, path_model, body)

    def rewrite_body(
        self, facts: RequestFacts, body: Body, model: str, max_output: int = 0
    ) -> tuple[bytes | bytearray | memoryview, ...]:
        return splice(body, lowered(output_of(facts), max_output)) if max_output else (body,)

    def session_signs(self, body: Body) -> SessionSigns:
        return read_signs(body, read_own)

    def turn_facts(self, facts: RequestFacts) -> TurnFacts:
        return read_turn_facts(facts.fields, FACTS) if facts.fields is not None else NO_FACTS

    def tap(self, facts: RequestFacts, *, streamed: bool) -> Tap:
        if streamed:
            return ContentTap(facts)
        return BodyTap(lambda text: read_document(text, facts), b'"usageMetadata"', facts.body_bytes)

    def write_refusal(self, refusal: Refusal, client: Client, decision_id: str) -> WireAnswer:
        return write_refusal(refusal, client, decision_id)

    def stream_failure(self, refusal: Refusal, request_id: str) -> bytes:
        return stream_failure(refusal, request_id)

    def list_models(self, models: Iterable[ListedModel]) -> bytes:
        return list_models(models)

    def one_model(self, model: ListedModel) -> bytes:
        return one_model(model)


CODEC: Codec = GeminiContent()

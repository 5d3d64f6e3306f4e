"""OpenAI Responses, with its token count and compaction."""

from collections.abc import Iterable

from data_plane.conversation.session_signs import SessionSigns
from data_plane.conversation.turn_facts import NO_FACTS, TurnFacts
from data_plane.policy.access import ListedModel
from data_plane.policy.decision import Refusal
from data_plane.protocols import openai_envelope
from data_plane.protocols.body import model_splice, splice
from data_plane.protocols.body_tap import BodyTap
from data_plane.protocols.codec import Body, Client, Codec, RequestFacts, RequestHead, Tap, WireAnswer
from data_plane.protocols.history import read_signs
from data_plane.protocols.openai_responses.failure import stream_failure
from data_plane.protocols.openai_responses.request import read_request
from data_plane.protocols.openai_responses.response import read_document
from data_plane.protocols.openai_responses.signs import FACTS
from data_plane.protocols.openai_responses.signs import read_signs as read_own
from data_plane.protocols.openai_responses.stream import ResponsesTap
from data_plane.protocols.output_limit import lowered, output_of
from data_plane.protocols.turn_facts import read_turn_facts
from switchyard_contract.routes import OPENAI_RESPONSES


class OpenAiResponses:
    """The codec of /v1/responses."""

    name = OPENAI_RESPONSES
    keep_alive = b": keep-alive\n\n"
    # Codex reads `response.failed` when the stream ends, and asks again where the connection breaks instead.
    has_failed_end = True

    def read_request(self, head: RequestHead, operation: str, path_model: str | None, body: Body) -> RequestFacts:
        return read_request(head, operation, body)

    def rewrite_body(
        self, facts: RequestFacts, body: Body, model: str, max_output: int = 0
    ) -> tuple[bytes | bytearray | memoryview, ...]:
        cuts = model_splice(facts.model_span, facts.model, model)
        return splice(body, (*cuts, *lowered(output_of(facts), max_output)) if max_output else cuts)

    def session_signs(self, body: Body) -> SessionSigns:
        return read_signs(body, read_own)

    def turn_facts(self, facts: RequestFacts) -> TurnFacts:
        return read_turn_facts(facts.fields, FACTS) if facts.fields is not None else NO_FACTS

    def tap(self, facts: RequestFacts, *, streamed: bool) -> Tap:
        if streamed:
            return ResponsesTap(facts)
        return BodyTap(lambda text: read_document(text, facts), b'"usage"', facts.body_bytes)

    def write_refusal(self, refusal: Refusal, client: Client, decision_id: str) -> WireAnswer:
        return openai_envelope.write_refusal(refusal, client, decision_id)

    def stream_failure(self, refusal: Refusal, request_id: str) -> bytes:
        return stream_failure(refusal, request_id)

    def list_models(self, models: Iterable[ListedModel]) -> bytes:
        return openai_envelope.list_models(models)

    def one_model(self, model: ListedModel) -> bytes:
        return openai_envelope.one_model(model)


CODEC: Codec = OpenAiResponses()

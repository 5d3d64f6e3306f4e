"""OpenAI embeddings: never a stream."""

from collections.abc import Iterable

from data_plane.conversation.session_signs import NO_SIGNS, SessionSigns
from data_plane.conversation.turn_facts import NO_FACTS, TurnFacts
from data_plane.policy.access import ListedModel
from data_plane.policy.decision import Refusal
from data_plane.protocols import openai_envelope
from data_plane.protocols.body import model_splice, splice
from data_plane.protocols.body_tap import BodyTap
from data_plane.protocols.codec import Body, Client, Codec, RequestFacts, RequestHead, Tap, WireAnswer
from data_plane.protocols.openai_chat.response import read_document
from data_plane.protocols.openai_embeddings.request import read_request
from switchyard_contract.routes import OPENAI_EMBEDDINGS


class OpenAiEmbeddings:
    """The codec of /v1/embeddings."""

    name = OPENAI_EMBEDDINGS
    keep_alive = b""
    has_failed_end = False

    def read_request(self, head: RequestHead, operation: str, path_model: str | None, body: Body) -> RequestFacts:
        return read_request(head, operation, body)

    def rewrite_body(
        self, facts: RequestFacts, body: Body, model: str, max_output: int = 0
    ) -> tuple[bytes | bytearray | memoryview, ...]:
        return splice(body, model_splice(facts.model_span, facts.model, model))

    def session_signs(self, body: Body) -> SessionSigns:
        return NO_SIGNS

    def turn_facts(self, facts: RequestFacts) -> TurnFacts:
        return NO_FACTS

    def tap(self, facts: RequestFacts, *, streamed: bool) -> Tap:
        return BodyTap(lambda text: read_document(text, facts), b'"usage"', facts.body_bytes)

    def write_refusal(self, refusal: Refusal, client: Client, decision_id: str) -> WireAnswer:
        return openai_envelope.write_refusal(refusal, client, decision_id)

    def stream_failure(self, refusal: Refusal, request_id: str) -> bytes:
        """There is no stream: the connection is aborted without a word."""
        return b""

    def list_models(self, models: Iterable[ListedModel]) -> bytes:
        return openai_envelope.list_models(models)

    def one_model(self, model: ListedModel) -> bytes:
        return openai_envelope.one_model(model)


CODEC: Codec = OpenAiEmbeddings()

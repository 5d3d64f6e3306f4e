"""What the gateway needs of an embeddings request."""

from data_plane.protocols.body import read_fields
from data_plane.protocols.codec import Body, RequestFacts, RequestHead
from switchyard_contract.routes import OPENAI_EMBEDDINGS

WATCHED = frozenset({"model", "input"})


def read_request(head: RequestHead, operation: str, body: Body) -> RequestFacts:
    """Read an embeddings request."""
    fields = read_fields(body, WATCHED)
    return RequestFacts(
        protocol=OPENAI_EMBEDDINGS,
        operation=operation,
        model=fields.model(),
        model_span=fields.spans["model"],
        streamed=False,
        body_bytes=len(body),
        fields=fields,
    )

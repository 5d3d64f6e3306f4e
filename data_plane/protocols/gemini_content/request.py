"""What the gateway needs of a Gemini request; model and method are in the path."""

from data_plane.protocols.body import read_fields, read_hints
from data_plane.protocols.codec import Body, RequestFacts, RequestHead
from data_plane.protocols.fields import MAX_MODEL, InvalidRequest
from switchyard_contract.routes import GEMINI_CONTENT

WATCHED = frozenset({"contents", "systemInstruction", "system_instruction", "tools", "generationConfig"})


def read_request(head: RequestHead, operation: str, path_model: str | None, body: Body) -> RequestFacts:
    """Read a request for content or a token count.

    A stream is server-sent events only with `alt=sse`; without it the answer is one JSON array that grows, and is
    treated as a document.
    """
    if not path_model:
        raise InvalidRequest("model", "is missing in the path")
    if len(path_model) > MAX_MODEL:
        raise InvalidRequest("model", f"is longer than {MAX_MODEL} characters")
    fields = read_fields(body, WATCHED)
    system = "systemInstruction" if "systemInstruction" in fields.raw else "system_instruction"
    return RequestFacts(
        protocol=GEMINI_CONTENT,
        operation=operation,
        model=path_model,
        model_span=None,
        streamed="streamGenerateContent" in head.path and "alt=sse" in head.query.split("&"),
        hints=read_hints(head, fields, "", system=system, turns="contents", parts="parts"),
        has_tools=fields.has_items("tools"),
        body_bytes=len(body),
        fields=fields,
    )

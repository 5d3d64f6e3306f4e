"""What the gateway needs of a Responses request."""

from data_plane.protocols.body import read_fields, read_hints
from data_plane.protocols.codec import Body, RequestFacts, RequestHead
from data_plane.protocols.fields import Fields
from switchyard_contract.routes import OPENAI_RESPONSES

WATCHED = frozenset(
    {
        *("model", "stream", "input", "instructions", "tools", "prompt_cache_key", "client_metadata"),
        "max_output_tokens",
    }
)


def read_request(head: RequestHead, operation: str, body: Body) -> RequestFacts:
    """Read a request for an answer, a token count or a compaction."""
    fields = read_fields(body, WATCHED)
    return RequestFacts(
        protocol=OPENAI_RESPONSES,
        operation=operation,
        model=fields.model(),
        model_span=fields.spans["model"],
        streamed=operation == "generate" and fields.flag("stream"),
        hints=read_hints(head, fields, _session(fields), system="instructions", turns="input"),
        cache_write_default=(
            "cache_write_12h" if b'"12h"' in fields.prefix("prompt_cache_options", 1024) else "cache_write_30m"
        ),
        # Codex's newest models get their tools as an input item, the first one.
        has_tools=fields.has_items("tools") or b'"additional_tools"' in fields.prefix("input", 256),
        body_bytes=len(body),
        fields=fields,
    )


def _session(fields: Fields) -> str:
    session_id = fields.object("client_metadata").get("session_id")
    if isinstance(session_id, str) and session_id:
        return session_id
    return fields.text("prompt_cache_key")

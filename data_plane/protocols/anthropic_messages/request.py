"""What the gateway needs of a Messages request."""

import msgspec

from data_plane.protocols.body import read_fields, read_hints
from data_plane.protocols.codec import Body, RequestFacts, RequestHead
from data_plane.protocols.fields import Fields
from switchyard_contract.routes import ANTHROPIC_MESSAGES

WATCHED = frozenset({"model", "stream", "messages", "system", "tools", "metadata", "max_tokens"})


def read_request(head: RequestHead, operation: str, body: Body) -> RequestFacts:
    """Read a request for a message or a token count."""
    fields = read_fields(body, WATCHED)
    return RequestFacts(
        protocol=ANTHROPIC_MESSAGES,
        operation=operation,
        model=fields.model(),
        model_span=fields.spans["model"],
        streamed=operation == "generate" and fields.flag("stream"),
        hints=read_hints(head, fields, _session(fields), system="system", turns="messages"),
        cache_write_default="cache_write_5m",
        has_tools=fields.has_items("tools"),
        body_bytes=len(body),
        fields=fields,
    )


def _session(fields: Fields) -> str:
    """Claude Code writes a JSON text into metadata.user_id; its session_id is the one of the header."""
    user_id = fields.object("metadata").get("user_id")
    if not isinstance(user_id, str) or not user_id.startswith("{"):
        return ""
    try:
        told = msgspec.json.decode(user_id)
    except (msgspec.DecodeError, RecursionError):
        return ""
    session_id = told.get("session_id") if isinstance(told, dict) else None
    return session_id if isinstance(session_id, str) else ""

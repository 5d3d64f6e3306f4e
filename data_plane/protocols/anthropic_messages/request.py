"""What the gateway needs of a Messages request."""

from typing import Any

import msgspec

from data_plane.protocols.body import Fields, opening, read_fields
from data_plane.protocols.codec import ANTHROPIC_MESSAGES, Body, RequestFacts, RequestHead, SessionHints

WATCHED = frozenset({"model", "stream", "messages", "system", "tools", "metadata"})


def read_request(head: RequestHead, operation: str, body: Body) -> RequestFacts:
    """Read a request for a message or a token count."""
    fields = read_fields(body, WATCHED)
    return RequestFacts(
        protocol=ANTHROPIC_MESSAGES,
        operation=operation,
        model=fields.model(),
        model_span=fields.spans["model"],
        streamed=operation == "generate" and (fields.read("stream", bool) or False),
        hints=SessionHints(session_id=_session(fields), opening=opening(fields, "system", "messages")),
        cache_write_default="cache_write_5m",
        has_tools=fields.has_items("tools"),
    )


def _session(fields: Fields) -> str:
    """Claude Code writes a JSON text into metadata.user_id; its session_id is the one of the header."""
    metadata: Any = fields.read("metadata", dict)
    user_id = metadata.get("user_id") if metadata else None
    if not isinstance(user_id, str) or not user_id.startswith("{"):
        return ""
    try:
        told = msgspec.json.decode(user_id)
    except (msgspec.DecodeError, RecursionError):
        return ""
    session_id = told.get("session_id") if isinstance(told, dict) else None
    return session_id if isinstance(session_id, str) else ""

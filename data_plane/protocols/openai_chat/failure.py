"""How a chat stream says that it failed."""

import msgspec

from data_plane.policy.decision import Refusal
from data_plane.protocols.openai_envelope import error_object


def stream_failure(refusal: Refusal, request_id: str) -> bytes:
    """An error object in place of a chunk: the official SDK raises on it. No [DONE] follows."""
    error = error_object(refusal, request_id, status=refusal.reason.http_status)
    return b"\n\ndata: " + msgspec.json.encode({"error": error}) + b"\n\n"

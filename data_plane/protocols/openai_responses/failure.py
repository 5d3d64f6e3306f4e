"""How a Responses stream says that it failed."""

import msgspec

from data_plane.policy.decision import Refusal
from data_plane.protocols.openai_envelope import error_object


def stream_failure(refusal: Refusal, request_id: str) -> bytes:
    """`response.failed`, the one failure that Codex reads.

    The official SDKs would hand it out as one more event; they raise on an `error` member beside it.
    """
    error = error_object(refusal, request_id, status=refusal.reason.http_status)
    # Of the codes that end Codex's turn this is the one after which it shows our words instead of its own.
    code = error["code"] if refusal.reason.waiting_helps else "invalid_prompt"
    event = {
        "type": "response.failed",
        "response": {
            "id": request_id,
            "object": "response",
            "created_at": 0,
            "status": "failed",
            "error": {"code": code, "message": error["message"]},
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": "",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        },
        "error": error,
    }
    return b"\n\nevent: response.failed\ndata: " + msgspec.json.encode(event) + b"\n\n"

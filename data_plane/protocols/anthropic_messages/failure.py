"""How Anthropic's protocol says no, before and inside a stream."""

import msgspec

from data_plane.policy.decision import Refusal
from data_plane.protocols.codec import Client, WireAnswer
from data_plane.protocols.refusal_text import text_of
from data_plane.protocols.refusals import SPENT, answer, judge

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def write_refusal(refusal: Refusal, client: Client, decision_id: str) -> WireAnswer:
    """The whole answer."""
    verdict = judge(refusal, client, decision_id)
    return answer(verdict, _envelope(verdict.status, verdict.text, refusal, decision_id, verdict.code))


def stream_failure(refusal: Refusal, request_id: str) -> bytes:
    """The `error` event; message_stop never follows."""
    text = text_of(refusal, request_id)
    body = _envelope(refusal.reason.http_status, text, refusal, request_id, refusal.reason.code)
    return b"\n\nevent: error\ndata: " + msgspec.json.encode(body) + b"\n\n"


def _envelope(status: int, text: str, refusal: Refusal, request_id: str, code: str) -> dict[str, object]:
    error = {
        "type": "billing_error" if refusal.reason in SPENT else _TYPES.get(status, "api_error"),
        "message": text,
        "details": {"error_code": code},
    }
    return {"type": "error", "error": error, "request_id": request_id}

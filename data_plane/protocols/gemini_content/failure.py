"""How Google's protocol says no, before and inside a stream."""

import msgspec

from data_plane.policy.decision import Refusal
from data_plane.protocols.codec import Client, WireAnswer
from data_plane.protocols.refusal_text import text_of
from data_plane.protocols.refusals import answer, judge

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

_TOO_LONG_S = 3600
"""Gemini CLI tries a 429 again for minutes, unless it is to wait for more than 300 s: then it stops at once."""


def write_refusal(refusal: Refusal, client: Client, decision_id: str) -> WireAnswer:
    """The whole answer."""
    verdict = judge(refusal, client, decision_id)
    error = _error(verdict.status, verdict.text, verdict.code, decision_id)
    delay_s = verdict.retry_after_s
    if delay_s is None and verdict.status == 429:
        delay_s = _TOO_LONG_S
    if delay_s is not None:
        details = error["details"]
        assert isinstance(details, list)
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{delay_s}s"})
    return answer(verdict, {"error": error})


def stream_failure(refusal: Refusal, request_id: str) -> bytes:
    """An error object in place of a chunk: the official SDK raises on it."""
    error = _error(refusal.reason.http_status, text_of(refusal, request_id), refusal.reason.code, request_id)
    return b"\r\n\r\ndata: " + msgspec.json.encode({"error": error}) + b"\r\n\r\n"


def _error(status: int, text: str, code: str, decision_id: str) -> dict[str, object]:
    return {
        "code": status,
        "message": text,
        "status": _STATUSES.get(status, "INTERNAL"),
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": code.upper(),
                "domain": "switchyard",
                "metadata": {"decision": decision_id},
            }
        ],
    }

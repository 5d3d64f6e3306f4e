"""What OpenAI's protocols share: the error envelope, the models listing, the tap's view of usage sums."""

from collections.abc import Iterable
from typing import Any

import msgspec

from data_plane.policy.access import ListedModel
from data_plane.policy.decision import Refusal
from data_plane.protocols.codec import Client, WireAnswer
from data_plane.protocols.refusal_text import text_of
from data_plane.protocols.refusals import CODEX, SPENT, Verdict, answer, judge
from switchyard_contract.reason import Reason
from switchyard_contract.usage import TokenCounts

_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "requests",
}
# Codes that SDKs and tools know; every other reason goes by its own name.
_CODES = {
    Reason.UNAUTHENTICATED: "invalid_api_key",
    Reason.KEY_REVOKED: "invalid_api_key",
    Reason.KEY_EXPIRED: "invalid_api_key",
    Reason.BUDGET_EXCEEDED: "insufficient_quota",
    Reason.SESSION_CAP: "insufficient_quota",
    Reason.RETRY_CAP: "insufficient_quota",
    Reason.RATE_LIMITED: "rate_limit_exceeded",
    Reason.CONCURRENCY_LIMITED: "rate_limit_exceeded",
    Reason.NO_TARGET: "model_not_found",
    Reason.UPSTREAM_FAILED: "server_error",
    Reason.UPSTREAM_TRUNCATED: "server_error",
}


class ErrorBody(msgspec.Struct):
    """An error as OpenAI's protocols write it, read leniently: compatible servers differ."""

    message: Any = None
    type: Any = None
    code: Any = None

    @property
    def kind(self) -> str:
        """The most telling of code and type."""
        for word in (self.code, self.type):
            if isinstance(word, str) and word:
                return word
        return str(self.code) if isinstance(self.code, int) else "error"

    @property
    def text(self) -> str:
        return self.message if isinstance(self.message, str) else ""


def error_object(refusal: Refusal, decision_id: str, *, status: int) -> dict[str, str | None]:
    """The `error` object."""
    return {
        "message": text_of(refusal, decision_id),
        "type": "insufficient_quota" if refusal.reason in SPENT else _TYPES.get(status, "server_error"),
        "param": "model" if refusal.reason in (Reason.NO_TARGET, Reason.MODEL_NOT_ALLOWED) else None,
        "code": _CODES.get(refusal.reason, refusal.reason.code),
    }


def write_refusal(refusal: Refusal, client: Client, decision_id: str) -> WireAnswer:
    """The whole answer."""
    verdict = judge(refusal, client, decision_id)
    error = error_object(refusal, decision_id, status=verdict.status)
    body: dict[str, object] = {"error": error}
    if verdict.is_usage_limit:
        body["error"] = {**error, "type": "usage_limit_reached", **_reset_of(verdict)}
    elif client.name == CODEX and verdict.status == 400:
        # Codex shows a 400 as raw JSON, except under this code: then the message alone.
        body["error"] = {**error, "code": "invalid_prompt", "reason": verdict.code}
    elif verdict.code != refusal.reason.code:
        body["error"] = {**error, "code": verdict.code}
    return answer(verdict, body)


def _reset_of(verdict: Verdict) -> dict[str, int]:
    return {"resets_at": verdict.resets_at_s} if verdict.resets_at_s else {}


def list_models(models: Iterable[ListedModel]) -> bytes:
    """GET /v1/models"""
    return msgspec.json.encode({"object": "list", "data": [_line(model) for model in models]})


def one_model(model: ListedModel) -> bytes:
    """GET /v1/models/{id}"""
    return msgspec.json.encode(_line(model))


def _line(model: ListedModel) -> dict[str, str | int]:
    return {"id": model.id, "object": "model", "created": model.created_at_ms // 1000, "owned_by": "switchyard"}


def input_units(tokens: TokenCounts, *, audio: int, image: int) -> dict[str, int]:
    """Tokens of the prompt by what they carry, where it is told; never more than the counters hold.

    Whether sound was cached is not told: what is more than was read fresh was.
    """
    fresh = tokens.input_fresh
    found = {"input_audio": min(audio, fresh), "cache_read_audio": min(max(audio - fresh, 0), tokens.cache_read)}
    found["input_image"] = min(image, fresh - found["input_audio"])
    return {kind: count for kind, count in found.items() if count}


def disjoint(
    *,
    prompt: int,
    cached: int,
    writes: dict[str, int],
    output: int,
    reasoning: int,
    total: int,
) -> tuple[TokenCounts, bool]:
    """Bring OpenAI-style sums to disjoint counters; the second value says that a difference was negative.

    Whether reasoning is inside `output` is decided by arithmetic, never by the vendor's name: a total above prompt and
    output holds reasoning that `output` leaves out (xAI, Gemini's compatible endpoint).
    """
    inconsistent = False
    if total > prompt + output:
        hidden = total - prompt - output
        output = total - prompt
        reasoning = reasoning or hidden
    elif 0 < total < prompt + output:
        inconsistent = True
    written = sum(writes.values()) if writes else 0
    fresh = prompt - cached - written
    visible = output - reasoning
    if fresh < 0 or visible < 0:
        inconsistent = True
        reasoning = min(reasoning, output) if visible < 0 else reasoning
        fresh, visible = max(fresh, 0), max(visible, 0)
    counts = TokenCounts(input_fresh=fresh, cache_read=cached, output=visible, reasoning=reasoning, **writes)
    return counts, inconsistent

"""Why a request was refused: a closed list, told to callers, stored in events, drawn on dashboards.

`http_status` is the default; a protocol adapts it to what its clients understand (docs/protocols/refusals.md).
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class ReasonFacts:
    code: str
    http_status: int
    waiting_helps: bool
    """Whether the same request may succeed later by itself."""
    sentence: str
    """What a person is told when nothing more precise is known."""


class Reason(Enum):
    """The expected no's."""

    UNAUTHENTICATED = ReasonFacts(
        "unauthenticated", 401, False, "No valid Switchyard key came with this request. Check the key your tool sends."
    )
    KEY_REVOKED = ReasonFacts("key_revoked", 401, False, "This key was revoked. Mint a new one in the console.")
    KEY_EXPIRED = ReasonFacts("key_expired", 401, False, "This key has expired. Mint a new one in the console.")
    POLICY_PENDING = ReasonFacts(
        "policy_pending", 503, True, "This gateway has not received its policy yet. Try again in a few seconds."
    )
    ORGANIZATION_DISABLED = ReasonFacts("organization_disabled", 403, False, "This organization is switched off.")
    MODEL_NOT_ALLOWED = ReasonFacts("model_not_allowed", 403, False, "This key may not use that model.")
    TOOL_NOT_ALLOWED = ReasonFacts("tool_not_allowed", 403, False, "This key may not use that tool.")
    SCOPE_NOT_ALLOWED = ReasonFacts("scope_not_allowed", 403, False, "This key may not be used here.")
    GUARDRAIL_BLOCKED = ReasonFacts("guardrail_blocked", 403, False, "A guardrail stopped this request.")
    RATE_LIMITED = ReasonFacts("rate_limited", 429, True, "Too many requests. Wait a moment.")
    CONCURRENCY_LIMITED = ReasonFacts("concurrency_limited", 429, True, "Too many requests at once. Wait a moment.")
    BUDGET_EXCEEDED = ReasonFacts("budget_exceeded", 402, False, "The budget is spent.")
    SESSION_CAP = ReasonFacts("session_cap", 402, False, "This session has reached its cap.")
    RETRY_CAP = ReasonFacts("retry_cap", 402, False, "This request was repeated too often.")
    REQUEST_INVALID = ReasonFacts("request_invalid", 400, False, "The request could not be read.")
    REQUEST_TOO_LARGE = ReasonFacts("request_too_large", 413, False, "The request is too large.")
    UNPRICED_MODEL = ReasonFacts("unpriced_model", 403, False, "No price is known for that model.")
    NO_TARGET = ReasonFacts("no_target", 404, False, "No provider here serves that model.")
    UPSTREAM_FAILED = ReasonFacts("upstream_failed", 502, True, "The provider could not be reached.")
    UPSTREAM_TRUNCATED = ReasonFacts("upstream_truncated", 502, True, "The provider's answer ended too early.")
    DRAINING = ReasonFacts("draining", 503, True, "This gateway is shutting down. Try again.")
    COUNTERS_UNAVAILABLE = ReasonFacts("counters_unavailable", 503, True, "Limits cannot be checked right now.")
    SPOOL_UNAVAILABLE = ReasonFacts("spool_unavailable", 503, True, "Usage cannot be recorded right now. Try again.")

    @property
    def code(self) -> str:
        return self.value.code

    @property
    def http_status(self) -> int:
        return self.value.http_status

    @property
    def waiting_helps(self) -> bool:
        return self.value.waiting_helps

    @property
    def sentence(self) -> str:
        return self.value.sentence


REASON_BY_CODE: dict[str, Reason] = {reason.code: reason for reason in Reason}

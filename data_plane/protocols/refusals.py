"""Which status stops which client, and the sentence a person reads.

The table was found by running the clients (docs/protocols/refusals.md): a refusal is to end within two requests with
our sentence on the screen. Codex repeats 401, 402, 403, 404 and 5xx as whole turns and stops at once only for 400.
"""

from dataclasses import dataclass

from data_plane.policy.decision import Refusal
from data_plane.protocols.codec import Client, RawHeaders
from switchyard_contract.reason import Reason

CODEX = "codex"
_CODEX_RETRIES_THESE = frozenset({402, 403, 404, 413, 415})
_SHORT_WAIT_S = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a refusal looks on the wire before a protocol words it."""

    status: int
    headers: RawHeaders
    text: str
    retry_after_s: int | None


def judge(refusal: Refusal, client: Client, decision_id: str) -> Verdict:
    """Choose status, headers and text for this client."""
    reason = refusal.reason
    status = refusal.http_status or reason.http_status
    if client.name == CODEX and (status in _CODEX_RETRIES_THESE or reason is Reason.KEY_REVOKED):
        # An unknown or expired key stays 401: Codex's `auth` command fetches a new one after it.
        status = 400
    wait = refusal.retry_after_s
    if wait is None and status in (429, 503):
        wait = _SHORT_WAIT_S
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
    if reason.waiting_helps:
        if wait is not None:
            headers.append((b"retry-after", b"%d" % wait))
    elif reason is not Reason.KEY_EXPIRED:
        # After an expired key the client's own helper fetches a fresh one and tries again.
        headers.append((b"x-should-retry", b"false"))
    return Verdict(status, tuple(headers), text_of(refusal, decision_id), wait)


def text_of(refusal: Refusal, decision_id: str) -> str:
    """The sentence, and the id under which the decision can be looked up."""
    return (
        f"Switchyard: {refusal.sentence} (decision {decision_id})" if decision_id else f"Switchyard: {refusal.sentence}"
    )

"""Which status stops which client.

The table was found by running the clients (docs/clients/refusals.md): a final refusal is to end within two requests
with our sentence on the screen; after a short rate limit the client goes on by itself.
"""

import re
from dataclasses import dataclass

import msgspec

from data_plane.policy.decision import Refusal
from data_plane.protocols.codec import Client, RawHeaders, WireAnswer
from data_plane.protocols.refusal_text import text_of
from switchyard_contract.reason import Reason

CODEX, OPENCODE = "codex", "opencode"
SPENT = frozenset({Reason.BUDGET_EXCEEDED, Reason.SESSION_CAP, Reason.RETRY_CAP})
"""Refusals that more of something would lift: a budget's money, a cap's numbers."""
LONGEST_WAIT_S = 60
"""After a longer `retry-after` Claude Code, Codex and opencode would hang for that long without a word."""
_RATES = frozenset({Reason.RATE_LIMITED, Reason.CONCURRENCY_LIMITED})
_CODEX_RETRIES_THESE = frozenset({402, 403, 404, 413, 415})
_LITELLM_RETRIES_THESE = frozenset({402, 403, 413, 415})
_RETRIES_ANY_429 = frozenset(
    {
        *("opencode", "cline", "roo-code", "cursor", "goose", "continue", "qwen-code", "aider", "crush", "ai-sdk"),
        "google-genai-sdk",
    }
)
"""Clients that try again after a 429 whatever its headers say."""
_SHORT_WAIT_S = 2
# opencode looks through the whole text of an error for these, and tries again where it finds one: an amount of $500
# would be enough.
_TAKEN_FOR_PASSING = re.compile(
    r"4(?=29)|5(?=0[0234]|24)|r(?=ate[ _-]limit)|[si](?=(?:erver|nternal)[ _-]error)|t(?=ry again|oo many requests)"
    r"|o(?=verloaded)|e(?=xhausted)|u(?=navailable)|t(?=imed out|imeout|erminated)",
    re.IGNORECASE,
)
_WORD_JOINER = "\u2060"
"""Keeps together what stands on both its sides, and is not seen."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a refusal looks on the wire before a protocol words it.

    retry_after_s: None where the client shall not try again by itself. code: the reason, for programs. is_usage_limit:
    worded as Codex knows it.
    """

    status: int
    headers: RawHeaders
    text: str
    code: str
    retry_after_s: int | None
    is_usage_limit: bool = False
    resets_at_s: int = 0
    """Unix seconds; 0: never, or not known."""
    is_searched: bool = False
    """The client searches the body for words and numbers of errors that pass by."""


def judge(refusal: Refusal, client: Client, decision_id: str) -> Verdict:
    """Choose status, headers and text for this client."""
    reason = refusal.reason
    text = text_of(refusal, decision_id)
    resets_at_s = -(-refusal.numbers.resets_at_ms // 1000) if refusal.numbers is not None else 0
    wait_s = _wait_of(refusal)
    is_final = not reason.waiting_helps or (reason in _RATES and (wait_s is None or wait_s > LONGEST_WAIT_S))
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
    status, is_usage_limit = _status_of(refusal, client, is_final=is_final, resets_at_s=resets_at_s)
    if not is_final:
        if wait_s is not None:
            headers.append((b"retry-after", b"%d" % wait_s))
    elif reason is not Reason.KEY_EXPIRED:
        # After an expired key the client's own helper fetches a fresh one and tries again.
        headers.append((b"x-should-retry", b"false"))
    if is_usage_limit:
        # Codex shows this beside its own words, and drops the body's message.
        headers.append((b"x-codex-promo-message", _plain(text)))
    code = "limit_reached" if is_final and reason in _RATES else reason.code
    return Verdict(
        status=status,
        headers=tuple(headers),
        text=text,
        code=code,
        retry_after_s=None if is_final else wait_s,
        is_usage_limit=is_usage_limit,
        resets_at_s=resets_at_s,
        is_searched=is_final and client.name == OPENCODE and status != 429,
    )


def answer(verdict: Verdict, body: object) -> WireAnswer:
    """The whole answer, its body as the client takes it for what it is."""
    written = msgspec.json.encode(body)
    if verdict.is_searched:
        written = _TAKEN_FOR_PASSING.sub(rf"\g<0>{_WORD_JOINER}", written.decode()).encode()
    return WireAnswer(verdict.status, verdict.headers, written)


def _wait_of(refusal: Refusal) -> int | None:
    if refusal.retry_after_s is not None:
        return refusal.retry_after_s
    if refusal.reason in _RATES and refusal.numbers is not None:
        # A rule that tells no time will not let this request through: it asks for more than the limit at once.
        return None
    status = refusal.http_status or refusal.reason.http_status
    return _SHORT_WAIT_S if status in (429, 503) and refusal.reason.waiting_helps else None


def _status_of(refusal: Refusal, client: Client, *, is_final: bool, resets_at_s: int) -> tuple[int, bool]:
    """The status, and whether Codex is told of a usage limit."""
    reason = refusal.reason
    status = refusal.http_status or reason.http_status
    is_codex = client.name == CODEX
    if reason in SPENT:
        # An organization may ask for 429 everywhere (budget_status), for automation that counts these.
        if is_codex:
            return (429, True) if status == 429 or resets_at_s else (400, False)
        return _as_wrapped(status, client), False
    if is_final and reason in _RATES:
        if is_codex:
            return 429, True
        retries = client.is_wrapped or client.name in _RETRIES_ANY_429
        return _as_wrapped(402 if retries else 429, client), False
    if is_codex and (status in _CODEX_RETRIES_THESE or reason is Reason.KEY_REVOKED):
        # An unknown or expired key stays 401: Codex's `auth` command fetches a new one after it.
        return 400, False
    return _as_wrapped(status, client), False


def _as_wrapped(status: int, client: Client) -> int:
    """LiteLLM tries everything again that it has no class for; 400, 401 and 404 end with the sentence."""
    return 400 if client.is_wrapped and status in _LITELLM_RETRIES_THESE else status


def _plain(text: str) -> bytes:
    """A header's value as every client reads it: ASCII, typographic quotes made plain."""
    straight = text.translate({0x201C: '"', 0x201D: '"', 0x2018: "'", 0x2019: "'", 0x2026: "..."})
    return " ".join(straight.encode("ascii", "replace").decode().split()).encode()

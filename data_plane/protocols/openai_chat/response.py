"""A chat answer's own account of itself."""

from typing import Any

import msgspec

from data_plane.conversation.tally import Tally, below_zero, told
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.error_text import clean_error
from data_plane.protocols.openai_envelope import ErrorBody, disjoint
from switchyard_contract.usage import TokenCounts

_NOTHING_WRITTEN: dict[str, int] = {}
_NO_TOKENS = TokenCounts()


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """OpenAI's chat usage; compatible servers leave most of it out."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None

    def counts(self, cache_write_default: str) -> tuple[TokenCounts, bool]:
        """Disjoint counters, and whether the numbers contradict one another."""
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        written = told(prompt.cache_write_tokens) if prompt is not None else 0
        counts, is_inconsistent = disjoint(
            prompt=told(self.prompt_tokens),
            cached=told(prompt.cached_tokens) if prompt is not None else 0,
            writes={cache_write_default: written} if written else _NOTHING_WRITTEN,
            output=told(self.completion_tokens),
            reasoning=told(completion.reasoning_tokens) if completion is not None else 0,
            total=told(self.total_tokens),
        )
        return counts, is_inconsistent or below_zero(self.prompt_tokens, self.completion_tokens)


class Choice(msgspec.Struct):
    delta: dict[str, Any] | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """A chunk of a stream, or a whole answer: both carry these."""

    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: ErrorBody | str | None = None


CHUNK = msgspec.json.Decoder(Chunk)


def error_of(error: ErrorBody | str | None) -> tuple[str, str]:
    """Type and cleaned text of an error, however the server wrote it."""
    if error is None:
        return "", ""
    if isinstance(error, str):
        return "error", clean_error(error)
    return error.kind[:100], clean_error(error.text)


def read_document(text: bytes, facts: RequestFacts) -> Tally:
    """Sum up an answer that came as one document."""
    try:
        answer = CHUNK.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Tally()
    tokens, is_inconsistent = _NO_TOKENS, False
    if answer.usage is not None:
        tokens, is_inconsistent = answer.usage.counts(facts.cache_write_default)
    error_type, error_text = error_of(answer.error)
    choices = answer.choices or []
    return Tally(
        tokens=tokens,
        model=answer.model or "",
        stop_reason=(choices[0].finish_reason or "") if choices else "",
        service_tier=answer.service_tier or "",
        is_reported=answer.usage is not None,
        is_inconsistent=is_inconsistent,
        error_type=error_type,
        error_text=error_text,
        upstream_request_id=answer.id or "",
    )

"""A chat answer's own account of itself."""

from typing import Any

import msgspec

from data_plane.conversation.tally import Tally, below_zero, told
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.error_text import clean_error
from data_plane.protocols.openai_envelope import ErrorBody, disjoint, input_units
from switchyard_contract.pricing import Units
from switchyard_contract.usage import TokenCounts

_NOTHING_WRITTEN: dict[str, int] = {}
_NO_TOKENS = TokenCounts()
_NO_UNITS: Units = ()


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(msgspec.Struct):
    """OpenAI's chat usage; compatible servers leave most of it out."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's word for what was cached."""
    num_sources_used: int | None = None
    """xAI: pages that a live search brought in."""

    def counts(self, cache_write_default: str) -> tuple[TokenCounts, bool]:
        """Disjoint counters, and whether the numbers contradict one another."""
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        written = told(prompt.cache_write_tokens) if prompt is not None else 0
        counts, is_inconsistent = disjoint(
            prompt=told(self.prompt_tokens),
            cached=told(self.prompt_cache_hit_tokens if prompt is None else prompt.cached_tokens),
            writes={cache_write_default: written} if written else _NOTHING_WRITTEN,
            output=told(self.completion_tokens),
            reasoning=told(completion.reasoning_tokens) if completion is not None else 0,
            total=told(self.total_tokens),
        )
        return counts, is_inconsistent or below_zero(self.prompt_tokens, self.completion_tokens)

    def units(self, tokens: TokenCounts) -> Units:
        """Tokens of sound and pictures, of those that are counted, and pages that were looked up."""
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        if prompt is None and completion is None and not self.num_sources_used:
            return ()
        found = {"grounding": told(self.num_sources_used)} if self.num_sources_used else {}
        if prompt is not None and (prompt.audio_tokens or prompt.image_tokens):
            found.update(input_units(tokens, audio=told(prompt.audio_tokens), image=told(prompt.image_tokens)))
        if completion is not None and completion.audio_tokens:
            found["output_audio"] = min(told(completion.audio_tokens), tokens.output)
        return tuple((kind, count) for kind, count in sorted(found.items()) if count) if found else ()


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
    tokens, is_inconsistent, units = _NO_TOKENS, False, _NO_UNITS
    if answer.usage is not None:
        tokens, is_inconsistent = answer.usage.counts(facts.cache_write_default)
        units = answer.usage.units(tokens)
    error_type, error_text = error_of(answer.error)
    choices = answer.choices or []
    return Tally(
        tokens=tokens,
        model=answer.model or "",
        stop_reason=(choices[0].finish_reason or "") if choices else "",
        service_tier=answer.service_tier or "",
        units=units,
        is_reported=answer.usage is not None,
        is_inconsistent=is_inconsistent,
        error_type=error_type,
        error_text=error_text,
        upstream_request_id=answer.id or "",
    )

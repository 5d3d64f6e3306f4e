"""A Gemini answer's own account of itself, and the listing of models in this protocol's form."""

from collections.abc import Iterable
from typing import Any

import msgspec

from data_plane.conversation.tally import Tally, below_zero, told
from data_plane.policy.access import ListedModel
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.error_text import clean_error
from switchyard_contract.pricing import Units
from switchyard_contract.usage import TokenCounts


class Modality(msgspec.Struct, rename="camel"):
    modality: str | None = None
    token_count: int | None = None


def _of(details: list[Modality] | None, modality: str) -> int:
    return sum(told(each.token_count) for each in details or () if each.modality == modality)


class Usage(msgspec.Struct, rename="camel"):
    """The prompt includes what was cached, candidates exclude thoughts, tool use is in neither."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    traffic_type: str | None = None
    prompt_tokens_details: list[Modality] | None = None
    cache_tokens_details: list[Modality] | None = None
    candidates_tokens_details: list[Modality] | None = None

    def counts(self) -> tuple[TokenCounts, bool]:
        """Disjoint counters, and whether the numbers contradict one another."""
        prompt = told(self.prompt_token_count)
        cached = told(self.cached_content_token_count)
        thoughts = told(self.thoughts_token_count)
        tool = told(self.tool_use_prompt_token_count)
        output = self.candidates_token_count
        if output is None:
            # Left out by some models: what the total has beyond the rest.
            output = max(told(self.total_token_count) - prompt - tool - thoughts, 0)
        counts = TokenCounts(
            input_fresh=max(prompt - cached, 0),
            input_tool=tool,
            cache_read=cached,
            output=told(output),
            reasoning=thoughts,
        )
        return counts, prompt < cached or below_zero(self.prompt_token_count, output)

    def units(self, tokens: TokenCounts) -> Units:
        """Tokens of sound and pictures, of those that are counted."""
        if not (self.prompt_tokens_details or self.candidates_tokens_details):
            return ()
        audio, cached_audio = _of(self.prompt_tokens_details, "AUDIO"), _of(self.cache_tokens_details, "AUDIO")
        cached_images = _of(self.cache_tokens_details, "IMAGE")
        heard = min(max(audio - cached_audio, 0), tokens.input_fresh)
        seen = max(_of(self.prompt_tokens_details, "IMAGE") - cached_images, 0)
        spoken = min(_of(self.candidates_tokens_details, "AUDIO"), tokens.output)
        units = (
            ("cache_read_audio", min(cached_audio, tokens.cache_read)),
            ("input_audio", heard),
            ("input_image", min(seen, tokens.input_fresh - heard)),
            ("output_audio", spoken),
            ("output_image", min(_of(self.candidates_tokens_details, "IMAGE"), tokens.output - spoken)),
        )
        return tuple((kind, count) for kind, count in units if count)

    @property
    def tier(self) -> str:
        """flex, priority … from ON_DEMAND_FLEX and its like; empty for the standard one."""
        word = (self.traffic_type or "").removeprefix("ON_DEMAND").strip("_").lower()
        return "" if word in ("", "provisioned_throughput") else word


class Grounding(msgspec.Struct, rename="camel"):
    web_search_queries: list[Any] | None = None
    image_search_queries: list[Any] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    finish_reason: str | None = None
    content: dict[str, Any] | None = None
    grounding_metadata: Grounding | None = None

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The parts of its content, whatever they hold."""
        found = (self.content or {}).get("parts")
        return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


class PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class ErrorBody(msgspec.Struct):
    code: int | None = None
    message: str | None = None
    status: str | None = None


class Content(msgspec.Struct, rename="camel"):
    """One chunk of a stream, or a whole answer."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: Usage | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: ErrorBody | None = None

    @property
    def stop_reason(self) -> str:
        for candidate in self.candidates or ():
            if candidate.finish_reason:
                return candidate.finish_reason
        if self.prompt_feedback is not None and self.prompt_feedback.block_reason:
            return f"blocked:{self.prompt_feedback.block_reason}"
        return ""

    @property
    def web_searches(self) -> int:
        """Searches that grounded the answer."""
        found = [candidate.grounding_metadata for candidate in self.candidates or ()]
        return sum(
            len(grounding.web_search_queries or ()) + len(grounding.image_search_queries or ())
            for grounding in found
            if grounding is not None
        )


CONTENT = msgspec.json.Decoder(Content)
_ARRAY = msgspec.json.Decoder(list[Content])


def read_document(text: bytes, facts: RequestFacts) -> Tally:
    """Sum up an answer that came as one document, or as the array that a stream without alt=sse is."""
    try:
        chunks = _ARRAY.decode(text) if text.lstrip()[:1] == b"[" else [CONTENT.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        return Tally()
    return sum_up(chunks, facts.operation)


def sum_up(chunks: list[Content], operation: str) -> Tally:
    """Everything the chunks tell; later ones win."""
    usage: Usage | None = None
    stop_reason = model = response_id = error_type = error_text = ""
    web_searches = 0
    for chunk in chunks:
        usage = chunk.usage_metadata or usage
        stop_reason = chunk.stop_reason or stop_reason
        model = chunk.model_version or model
        response_id = chunk.response_id or response_id
        web_searches = max(web_searches, chunk.web_searches)
        if chunk.error is not None:
            error_type = (chunk.error.status or str(chunk.error.code or "error"))[:100]
            error_text = clean_error(chunk.error.message or "")
    tokens, is_inconsistent = TokenCounts(), False
    units: Units = ()
    if usage is not None and operation != "count_tokens":
        tokens, is_inconsistent = usage.counts()
        units = usage.units(tokens)
    return Tally(
        tokens=tokens,
        model=model,
        stop_reason=stop_reason,
        web_searches=web_searches,
        service_tier=usage.tier if usage is not None else "",
        units=units,
        is_reported=usage is not None or operation == "count_tokens",
        is_inconsistent=is_inconsistent,
        error_type=error_type,
        error_text=error_text,
        upstream_request_id=response_id,
    )


def list_models(models: Iterable[ListedModel]) -> bytes:
    """GET /v1beta/models"""
    return msgspec.json.encode({"models": [_line(model) for model in models]})


def one_model(model: ListedModel) -> bytes:
    """GET /v1beta/models/{id}"""
    return msgspec.json.encode(_line(model))


def _line(model: ListedModel) -> dict[str, object]:
    line: dict[str, object] = {
        "name": f"models/{model.id}",
        "version": "1",
        "displayName": model.display_name,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    }
    if model.context_tokens:
        line["inputTokenLimit"] = model.context_tokens
    if model.max_output_tokens:
        line["outputTokenLimit"] = model.max_output_tokens
    return line

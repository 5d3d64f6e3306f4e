"""A Responses answer's own account of itself."""

import msgspec

from data_plane.conversation.tally import Tally, below_zero, told
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.error_text import clean_error
from data_plane.protocols.openai_envelope import ErrorBody, disjoint
from switchyard_contract.usage import TokenCounts


class WriteDetails(msgspec.Struct):
    ttl_30m_tokens: int | None = None
    ttl_12h_tokens: int | None = None


class InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_tokens_details: WriteDetails | None = None


class OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None

    def counts(self, cache_write_default: str) -> tuple[TokenCounts, bool]:
        """Disjoint counters, and whether the numbers contradict one another."""
        details = self.input_tokens_details or InputDetails()
        counts, is_inconsistent = disjoint(
            prompt=told(self.input_tokens),
            cached=told(details.cached_tokens),
            writes=_writes(details, cache_write_default),
            output=told(self.output_tokens),
            reasoning=told((self.output_tokens_details or OutputDetails()).reasoning_tokens),
            total=told(self.total_tokens),
        )
        return counts, is_inconsistent or below_zero(self.input_tokens, self.output_tokens)


def _writes(details: InputDetails, cache_write_default: str) -> dict[str, int]:
    """Cache writes by lifetime; what the split leaves over counts as the lifetime that was asked for."""
    written = told(details.cache_write_tokens)
    split = details.cache_write_tokens_details or WriteDetails()
    writes = {"cache_write_30m": told(split.ttl_30m_tokens), "cache_write_12h": told(split.ttl_12h_tokens)}
    left = written - sum(writes.values())
    if left > 0:
        writes[cache_write_default] = writes.get(cache_write_default, 0) + left
    return writes


class IncompleteDetails(msgspec.Struct):
    reason: str | None = None


class WebSearchUse(msgspec.Struct):
    num_requests: int | None = None


class ToolUsage(msgspec.Struct):
    web_search: WebSearchUse | None = None


class Answer(msgspec.Struct):
    """The response object: a whole answer, or inside an event of a stream."""

    id: str | None = None
    status: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: Usage | None = None
    tool_usage: ToolUsage | None = None
    incomplete_details: IncompleteDetails | None = None
    error: ErrorBody | None = None


_ANSWER = msgspec.json.Decoder(Answer)


def read_document(text: bytes, facts: RequestFacts) -> Tally:
    """Sum up an answer that came as one document."""
    try:
        answer = _ANSWER.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Tally()
    return sum_up(answer, facts.cache_write_default, facts.operation)


def sum_up(answer: Answer, cache_write_default: str, operation: str) -> Tally:
    """Everything the response object tells."""
    tokens, is_inconsistent = TokenCounts(), False
    # A token count is free, whatever it says.
    if answer.usage is not None and operation != "count_tokens":
        tokens, is_inconsistent = answer.usage.counts(cache_write_default)
    return Tally(
        tokens=tokens,
        model=answer.model or "",
        stop_reason=_stop_reason(answer),
        web_searches=_web_searches(answer),
        service_tier=answer.service_tier or "",
        is_reported=answer.usage is not None or operation == "count_tokens",
        is_inconsistent=is_inconsistent,
        error_type=answer.error.kind[:100] if answer.error is not None else "",
        error_text=clean_error(answer.error.text) if answer.error is not None else "",
        upstream_request_id=answer.id or "",
    )


def _stop_reason(answer: Answer) -> str:
    if answer.incomplete_details is not None and answer.incomplete_details.reason:
        return f"incomplete:{answer.incomplete_details.reason}"
    return answer.status or ""


def _web_searches(answer: Answer) -> int:
    if answer.tool_usage is None or answer.tool_usage.web_search is None:
        return 0
    return told(answer.tool_usage.web_search.num_requests)

"""A Responses answer's own account of itself."""

import msgspec

from data_plane.conversation.tally import PartTally, Tally, below_zero, told
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.error_text import clean_error
from data_plane.protocols.openai_envelope import ErrorBody, disjoint
from switchyard_contract.pricing import Units
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


class ImageTokens(msgspec.Struct):
    image_tokens: int | None = None
    cached_image_tokens: int | None = None


class ImageUse(msgspec.Struct):
    """What the models that draw used; outside of `usage`. Sums hold text and pictures."""

    input_tokens: int | None = None
    input_tokens_details: ImageTokens | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: ImageTokens | None = None

    def part(self, model: str) -> PartTally | None:
        """A pass of the model that drew. None: nothing was drawn."""
        given, cached, drawn = told(self.input_tokens), told(self.cached_tokens), told(self.output_tokens)
        if not given and not drawn:
            return None
        cached = min(cached, given)
        pictures = told(self.input_tokens_details.image_tokens) if self.input_tokens_details is not None else 0
        # Where the split is not told, what a model draws with is pictures.
        painted = told(self.output_tokens_details.image_tokens) if self.output_tokens_details is not None else drawn
        units = (("input_image", min(pictures, given - cached)), ("output_image", min(painted, drawn)))
        return PartTally(
            model,
            TokenCounts(input_fresh=given - cached, cache_read=cached, output=drawn),
            tuple((kind, count) for kind, count in units if count),
        )


class ToolUsage(msgspec.Struct):
    web_search: WebSearchUse | None = None
    image_gen: ImageUse | None = None


class Item(msgspec.Struct):
    type: str = ""
    container_id: str | None = None


class Tool(msgspec.Struct):
    type: str = ""
    model: str | None = None


class Answer(msgspec.Struct):
    """The response object: a whole answer, or inside an event of a stream."""

    id: str | None = None
    status: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: Usage | None = None
    tool_usage: ToolUsage | None = None
    tools: msgspec.Raw = msgspec.Raw()
    """Read only where a tool was used that has a model of its own."""
    output: list[Item] | None = None
    incomplete_details: IncompleteDetails | None = None
    error: ErrorBody | None = None

    @property
    def units(self) -> Units:
        """What the vendor's own tools bill by the piece: searches in files, and containers that ran code."""
        if not self.output:
            return ()
        searches, containers = 0, set()
        for item in self.output:
            if item.type == "file_search_call":
                searches += 1
            elif item.type == "code_interpreter_call":
                containers.add(item.container_id)
        units = (("code_execution", len(containers)), ("file_search", searches))
        return tuple((kind, count) for kind, count in units if count) if searches or containers else ()

    @property
    def parts(self) -> tuple[PartTally, ...]:
        """Passes of models that draw."""
        drawing = self.tool_usage.image_gen if self.tool_usage is not None else None
        part = drawing.part(self._drawing_model()) if drawing is not None else None
        return () if part is None else (part,)

    def _drawing_model(self) -> str:
        try:
            tools = _TOOLS.decode(self.tools) if self.tools else []
        except (msgspec.DecodeError, RecursionError):
            tools = []
        return next((tool.model for tool in tools if tool.type == "image_generation" and tool.model), DRAWS_BY_DEFAULT)


DRAWS_BY_DEFAULT = "gpt-image-1"
"""What the vendor draws with where the tool names no model."""
_TOOLS = msgspec.json.Decoder(list[Tool])
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
    parts = answer.parts
    for part in parts:
        tokens = TokenCounts(*map(sum, zip(tokens, part.tokens, strict=True)))
    return Tally(
        tokens=tokens,
        model=answer.model or "",
        stop_reason=_stop_reason(answer),
        web_searches=_web_searches(answer),
        service_tier=answer.service_tier or "",
        units=answer.units,
        parts=parts,
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

"""A message's own account of itself, and the listing of models in this protocol's form."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from data_plane.conversation.tally import PartTally, Tally, below_zero, told
from data_plane.policy.access import ListedModel
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.error_text import clean_error
from data_plane.protocols.passes import (
    CacheCreation,
    Iteration,
    Passes,
    added,
    read_passes,
    split_writes,
)
from switchyard_contract.pricing import Units
from switchyard_contract.usage import TokenCounts


class OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class ServerToolUse(msgspec.Struct):
    web_search_requests: int | None = None
    web_fetch_requests: int | None = None
    code_execution_requests: int | None = None


class Usage(msgspec.Struct):
    """Input excludes what was read from or written to the cache; output includes thinking."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerToolUse | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None
    iterations: list[Iteration] | None = None

    def overlaid(self, later: "Usage") -> "Usage":
        """The running sums after a later report: what it tells wins, what it leaves out or says null stays."""
        later_told = {name: value for name, value in msgspec.structs.asdict(later).items() if value is not None}
        merged = msgspec.structs.replace(self, **later_told)
        if later.cache_creation_input_tokens is not None and later.cache_creation is None:
            written = self.cache_creation_input_tokens or 0
            if later.cache_creation_input_tokens != written:
                # The split by lifetime is told once, at the start; when the sum grew, the rest counts as 5 minutes.
                split = self.cache_creation or CacheCreation()
                merged.cache_creation = CacheCreation(
                    max(later.cache_creation_input_tokens - (split.ephemeral_1h_input_tokens or 0), 0),
                    split.ephemeral_1h_input_tokens,
                )
        return merged

    def counts(self, model: str = "") -> tuple[TokenCounts, bool]:
        """Disjoint counters of all that is billed, and whether the numbers contradict one another."""
        top, is_inconsistent = self._top()
        passes = self.passes(top, model) if self.iterations else None
        if passes is None:
            return top, is_inconsistent
        return added(top, passes.outside), is_inconsistent or passes.is_inconsistent

    def parts(self, model: str) -> tuple[PartTally, ...]:
        """Passes that are billed by themselves. model: as the answer names it."""
        passes = self.passes(self._top()[0], model) if self.iterations else None
        return passes.parts if passes is not None else ()

    def passes(self, top: TokenCounts, model: str) -> Passes | None:
        sums = Iteration(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens,
            cache_creation_input_tokens=self.cache_creation_input_tokens,
        ).numbers
        return read_passes(self.iterations or [], sums, top, model)

    def _top(self) -> tuple[TokenCounts, bool]:
        write_5m, write_1h = split_writes(told(self.cache_creation_input_tokens), self.cache_creation)
        output = told(self.output_tokens)
        thinking = told(self.output_tokens_details.thinking_tokens) if self.output_tokens_details is not None else 0
        counts = TokenCounts(
            input_fresh=told(self.input_tokens),
            cache_read=told(self.cache_read_input_tokens),
            cache_write_5m=write_5m,
            cache_write_1h=write_1h,
            output=max(output - thinking, 0),
            reasoning=min(thinking, output),
        )
        return counts, thinking > output or below_zero(self.input_tokens, self.output_tokens)

    @property
    def units(self) -> Units:
        """What is billed by the piece, searches apart."""
        used = self.server_tool_use
        if used is None:
            return ()
        pieces = (("web_fetch", used.web_fetch_requests), ("code_execution", used.code_execution_requests))
        return tuple((kind, count) for kind, number in pieces if (count := told(number)))

    @property
    def tier(self) -> str:
        """What decides the price besides tokens: fast mode is told as a speed."""
        return "fast" if self.speed == "fast" else self.service_tier or ""


class ErrorBody(msgspec.Struct):
    type: str = ""
    message: str = ""


class Message(msgspec.Struct):
    """A whole answer, an error, or the message inside message_start."""

    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    error: ErrorBody | None = None
    request_id: str | None = None


_MESSAGE = msgspec.json.Decoder(Message)


def read_document(text: bytes, facts: RequestFacts) -> Tally:
    """Sum up an answer that came as one document."""
    try:
        message = _MESSAGE.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Tally()
    usage = message.usage
    model = message.model or ""
    tokens, is_inconsistent = usage.counts(model) if usage is not None else (TokenCounts(), False)
    error = message.error
    return Tally(
        tokens=tokens,
        model=model,
        stop_reason=message.stop_reason or "",
        web_searches=web_searches(usage),
        service_tier=usage.tier if usage is not None else "",
        inference_geo=(usage.inference_geo or "") if usage is not None else "",
        units=usage.units if usage is not None else (),
        parts=usage.parts(model) if usage is not None else (),
        # A token count is free: nothing is billed, and that is certain.
        is_reported=usage is not None or facts.operation == "count_tokens",
        is_inconsistent=is_inconsistent,
        error_type=error.type[:100] if error is not None else "",
        error_text=clean_error(error.message) if error is not None else "",
        upstream_request_id=message.request_id or message.id or "",
    )


def web_searches(usage: Usage | None) -> int:
    """Searches billed by the piece."""
    if usage is None or usage.server_tool_use is None:
        return 0
    return told(usage.server_tool_use.web_search_requests)


def list_models(models: Iterable[ListedModel]) -> bytes:
    """GET /v1/models"""
    lines = [_line(model) for model in models]
    return msgspec.json.encode(
        {
            "data": lines,
            "has_more": False,
            "first_id": lines[0]["id"] if lines else None,
            "last_id": lines[-1]["id"] if lines else None,
        }
    )


def one_model(model: ListedModel) -> bytes:
    """GET /v1/models/{id}"""
    return msgspec.json.encode(_line(model))


def _line(model: ListedModel) -> dict[str, object]:
    line: dict[str, object] = {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": datetime.fromtimestamp(model.created_at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
    }
    if model.context_tokens:
        line["max_input_tokens"] = model.context_tokens
    if model.max_output_tokens:
        line["max_tokens"] = model.max_output_tokens
    return line

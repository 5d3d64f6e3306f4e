"""Decide what to answer: thinking, text, tool calls, why it stops and what it costs."""

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Literal

from deploy.simulated_provider.ask import Ask
from deploy.simulated_provider.behaviour import Behaviour
from deploy.simulated_provider.metering import fold_usage, tokens_of
from deploy.simulated_provider.schema_values import fit_value
from deploy.simulated_provider.task import read_file_task, write_listing
from deploy.simulated_provider.toolbox import ToolCall, choose_calls
from switchyard_contract.usage import TokenCounts

_PLAIN_TEXT = (
    "This is the ",
    "simulated provider. ",
    "Your request arrived ",
    "and all is well: ",
    "é, 漢字 ",
    "and 🌍.",
)
_CLOSING_TEXT = ("Done. ", "The tool ", "did its work.")
_OPENING_TEXT = ("I will do ", "that now.")
_THOUGHTS = ("**Plan** ", "Read the request, ", "choose the way, ", "answer shortly.")

Stop = Literal["end", "tools", "length"]


@dataclass(frozen=True, slots=True)
class ToldUsage:
    """The counters as written on the wire: usually those billed, but a lie may be negative or too large."""

    input_fresh: int
    input_tool: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    cache_write_30m: int
    cache_write_12h: int
    cache_write_other: int
    output: int
    reasoning: int

    @property
    def cache_write(self) -> int:
        return (
            self.cache_write_5m
            + self.cache_write_1h
            + self.cache_write_30m
            + self.cache_write_12h
            + self.cache_write_other
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider says.

    thinking: pieces of thought, empty when it does not think aloud. seal: opaque proof of the thought (signature,
    encrypted content); empty when there is no thought. told: None when usage is withheld.
    """

    model: str
    thinking: tuple[str, ...]
    seal: str
    text: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    stop: Stop
    billed: TokenCounts
    told: ToldUsage | None

    @property
    def whole_text(self) -> str:
        return "".join(self.text)

    @property
    def whole_thinking(self) -> str:
        return "".join(self.thinking)


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes one answer distinct: a unique hex name, and the time in Unix seconds."""

    name: str
    at_s: int


def decide_answer(ask: Ask, behaviour: Behaviour, prompt: TokenCounts) -> Answer:
    """Decide the whole answer.

    prompt: the counters of what was read, output and reasoning still 0; ignored when the behaviour states exact usage.
    """
    calls = () if behaviour.text_chunks is not None else choose_calls(ask, behaviour.parallel_calls)
    text = _text(ask, behaviour, calls)
    stop: Stop = "tools" if calls else "end"
    # A limit yields to what a test asked for exactly: counters, or one huge event.
    shapes_itself = behaviour.usage is not None or behaviour.huge_bytes > 0
    if ask.output_limit is not None and not calls and not shapes_itself:
        text, cut = _shorten(text, ask.output_limit)
        stop = "length" if cut else stop
    thinks = behaviour.thinks or ask.thinks or (behaviour.usage is not None and behaviour.usage.reasoning > 0)
    thinking = _THOUGHTS if thinks else ()
    if behaviour.usage is not None:
        billed = fold_usage(ask.protocol, behaviour.usage)
    else:
        spoken = "".join(text) + "".join(call.tool.name + call.arguments for call in calls)
        billed = _with_output(prompt, tokens_of(spoken), tokens_of("".join(thinking)) if thinks else 0)
    return Answer(
        model=ask.model,
        thinking=thinking,
        seal=_seal(ask.model) if thinks else "",
        text=text,
        calls=calls,
        stop=stop,
        billed=billed,
        told=None if behaviour.withholds_usage else _tell(billed, behaviour.usage_lie),
    )


def _text(ask: Ask, behaviour: Behaviour, calls: tuple[ToolCall, ...]) -> tuple[str, ...]:
    if behaviour.text_chunks is not None:
        text = tuple(f"word{number} " for number in range(1, behaviour.text_chunks + 1))
    elif calls:
        text = _OPENING_TEXT
    elif ask.answer_schema is not None:
        whole = json.dumps(fit_value(ask.answer_schema) if ask.answer_schema else {"simulated": True})
        text = tuple(whole[start : start + 24] for start in range(0, len(whole), 24))
    else:
        listing = _listing(ask)
        text = (listing,) if listing else _CLOSING_TEXT if ask.instruction()[1] else _PLAIN_TEXT
    if behaviour.huge_bytes:
        text = (*text[:1], "x" * behaviour.huge_bytes, *text[1:])
    return text


def _listing(ask: Ask) -> str | None:
    task = None if ask.tools else read_file_task(ask.instruction()[0], ask.passages)
    return None if task is None else write_listing(task, ask.passages)


def _shorten(text: tuple[str, ...], limit: int) -> tuple[tuple[str, ...], bool]:
    """Keep the pieces that fit into the limit of output tokens, at least one; say whether any was left out."""
    kept: list[str] = []
    for piece in text:
        if kept and tokens_of("".join(kept) + piece) > limit:
            return tuple(kept), True
        kept.append(piece)
    return tuple(kept), False


def _with_output(prompt: TokenCounts, output: int, reasoning: int) -> TokenCounts:
    return prompt._replace(output=output, reasoning=reasoning)


def _tell(billed: TokenCounts, lie: str) -> ToldUsage:
    told = billed._asdict()
    if lie == "negative":
        # Where a protocol includes cached tokens in the prompt, this makes the cached part larger than the whole.
        told["input_fresh"] = -billed.prompt - 7
    elif lie == "larger":
        told = {name: count * 1000 for name, count in told.items()}
    return ToldUsage(**told)


def _seal(model: str) -> str:
    """Return 96 bytes that depend on the model, as base64: valid where a client decodes it."""
    first = hashlib.sha384(f"simulated thought of {model}".encode()).digest()
    return b64encode(first + hashlib.sha384(first).digest()).decode()

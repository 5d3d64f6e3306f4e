"""Anthropic Messages: read a request, write the answer as events or as one message. Source: protocols.md §1.1."""

from dataclasses import replace

from deploy.simulated_provider.answer import Answer, Identity, Stop, ToldUsage
from deploy.simulated_provider.ask import Ask, InvalidAsk, Json, OfferedTool, Passage, object_of, objects, text_of
from deploy.simulated_provider.frames import Frame, FrameList, named_event, split_arguments
from deploy.simulated_provider.toolbox import ToolCall

CONTENT_TYPE = "text/event-stream; charset=utf-8"
_STOPS: dict[Stop, str] = {"end": "end_turn", "tools": "tool_use", "length": "max_tokens"}


def read_ask(body: Json, *, counting: bool = False) -> Ask:
    """Read a request body.

    counting: it is one for count_tokens, which needs no max_tokens. Raises InvalidAsk.
    """
    model, limit = body.get("model"), body.get("max_tokens")
    if not isinstance(model, str) or not model:
        raise InvalidAsk("model: Field required")
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise InvalidAsk("messages: Field required")
    if not counting and not isinstance(limit, int):
        raise InvalidAsk("max_tokens: Field required")
    passages = [Passage("system", text) for text in _texts(body.get("system"))]
    for message in objects(body["messages"]):
        passages += _passages(message)
    thinking, choice = object_of(body.get("thinking")), object_of(body.get("tool_choice"))
    answer_format = object_of(object_of(body.get("output_config")).get("format"))
    long_breaks, short_breaks = _count_breaks(body)
    return Ask(
        protocol="anthropic_messages",
        model=model,
        streams=body.get("stream") is True,
        passages=tuple(passages),
        tools=tuple(_tools(body)) if choice.get("type") != "none" else (),
        forced_tool={"any": "*", "tool": text_of(choice.get("name"))}.get(text_of(choice.get("type"))),
        thinks=thinking.get("type") in ("enabled", "adaptive", "between_tools"),
        shows_thinking=thinking.get("display") != "omitted",
        answer_schema=object_of(answer_format.get("schema")) if answer_format.get("type") == "json_schema" else None,
        output_limit=limit if isinstance(limit, int) else None,
        long_breaks=long_breaks,
        short_breaks=short_breaks,
    )


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [text_of(block.get("text")) for block in objects(content) if block.get("type") == "text"]


def _passages(message: Json) -> list[Passage]:
    role, content = message.get("role"), message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    found = []
    for block in objects(content):
        if block.get("type") == "tool_result":
            found.append(Passage("tool_result", ""))
        elif block.get("type") == "text":
            text = text_of(block.get("text"))
            found.append(Passage(role if role in ("assistant", "system") else "user", text))
    return found


def _tools(body: Json) -> list[OfferedTool]:
    found = []
    for tool in objects(body.get("tools")):
        name, kind = text_of(tool.get("name")), text_of(tool.get("type")) or "custom"
        if tool.get("defer_loading") is True or not name:
            continue
        if kind == "custom":
            found.append(OfferedTool(name, "function", object_of(tool.get("input_schema"))))
        elif kind.startswith("bash_"):
            found.append(OfferedTool(name, "bash", {}))
        elif kind.startswith("text_editor_"):
            found.append(OfferedTool(name, "editor", {}))
    return found


def _count_breaks(value: object) -> tuple[int, int]:
    """Count cache breakpoints below a value: those of one hour, and those of five minutes."""
    long = short = 0
    pending: list[object] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            control = item.get("cache_control")
            if isinstance(control, dict):
                if control.get("ttl") == "1h":
                    long += 1
                else:
                    short += 1
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    return long, short


def write_stream(answer: Answer, ask: Ask, identity: Identity) -> list[Frame]:
    """Write the answer as the events of a stream."""
    out = FrameList(answer)
    message = _message(answer, identity) | {"content": [], "stop_reason": None}
    if answer.told is not None:
        begun = replace(answer.told, output=min(1, answer.told.output + answer.told.reasoning), reasoning=0)
        message["usage"] = _usage(begun)
    out.add(named_event("message_start", {"type": "message_start", "message": message}), "opening")
    index = 0
    if answer.thinking:
        _write_thinking(out, answer, ask, index)
        index += 1
    if answer.text:
        _start(out, index, {"type": "text", "text": "", "citations": None})
        out.add(named_event("ping", {"type": "ping"}), "opening")
        for piece in answer.text:
            out.say(piece)
            _delta(out, index, {"type": "text_delta", "text": piece})
        _stop(out, index)
        index += 1
    for position, call in enumerate(answer.calls):
        _start(out, index, _call_block(call, identity, position) | {"input": {}})
        _delta(out, index, {"type": "input_json_delta", "partial_json": ""})
        for piece in split_arguments(call.arguments):
            out.say(piece)
            _delta(out, index, {"type": "input_json_delta", "partial_json": piece})
        _stop(out, index)
        index += 1
    closing: Json = {
        "type": "message_delta",
        "delta": {"stop_reason": _STOPS[answer.stop], "stop_sequence": None, "stop_details": None},
    }
    if answer.told is not None:
        usage = _usage(answer.told)
        # The split of the writes by lifetime is told in message_start only (protocols.md §1.1).
        closing["usage"] = {
            name: usage[name] for name in usage if name not in ("cache_creation", "service_tier", "inference_geo")
        }
    out.add(named_event("message_delta", closing), "closing")
    out.add(named_event("message_stop", {"type": "message_stop"}), "terminal")
    return out.frames


def _write_thinking(out: FrameList, answer: Answer, ask: Ask, index: int) -> None:
    _start(out, index, {"type": "thinking", "thinking": "", "signature": ""})
    if ask.shows_thinking:
        for piece in answer.thinking:
            out.think(piece)
            _delta(out, index, {"type": "thinking_delta", "thinking": piece})
    else:
        out.think_silently()
    _delta(out, index, {"type": "signature_delta", "signature": answer.seal})
    _stop(out, index)


def _start(out: FrameList, index: int, block: Json) -> None:
    event = {"type": "content_block_start", "index": index, "content_block": block}
    out.add(named_event("content_block_start", event), "content")


def _delta(out: FrameList, index: int, delta: Json) -> None:
    event = {"type": "content_block_delta", "index": index, "delta": delta}
    out.add(named_event("content_block_delta", event), "content")


def _stop(out: FrameList, index: int) -> None:
    out.add(named_event("content_block_stop", {"type": "content_block_stop", "index": index}), "content")


def write_whole(answer: Answer, ask: Ask, identity: Identity) -> Json:
    """Write the answer as one message."""
    content: list[Json] = []
    if answer.thinking:
        shown = answer.whole_thinking if ask.shows_thinking else ""
        content.append({"type": "thinking", "thinking": shown, "signature": answer.seal})
    if answer.text:
        content.append({"type": "text", "text": answer.whole_text, "citations": None})
    content += [_call_block(call, identity, position) for position, call in enumerate(answer.calls)]
    message = _message(answer, identity) | {"content": content}
    return message if answer.told is None else message | {"usage": _usage(answer.told)}


def _message(answer: Answer, identity: Identity) -> Json:
    return {
        "id": f"msg_{identity.name}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": _STOPS[answer.stop],
        "stop_sequence": None,
        "stop_details": None,
    }


def _call_block(call: ToolCall, identity: Identity, position: int) -> Json:
    return {
        "type": "tool_use",
        "id": f"toolu_{identity.name}{position}",
        "name": call.tool.name,
        "input": call.fields,
        "caller": {"type": "direct"},
    }


def _usage(told: ToldUsage) -> Json:
    usage: Json = {
        "input_tokens": told.input_fresh + told.input_tool,
        "cache_creation_input_tokens": told.cache_write,
        "cache_read_input_tokens": told.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": told.cache_write - told.cache_write_1h,
            "ephemeral_1h_input_tokens": told.cache_write_1h,
        },
        "output_tokens": told.output + told.reasoning,
        "service_tier": "standard",
        "inference_geo": "global",
    }
    if told.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": told.reasoning}
    return usage


def write_error_event(error: Json) -> tuple[bytes, ...]:
    """Write an error in the middle of a stream."""
    return (named_event("error", error),)


MALFORMED_EVENT = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":\n\n'

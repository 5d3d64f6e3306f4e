"""OpenAI Chat Completions: read a request, write the answer as chunks or whole. Source: protocols.md §1.2."""

from deploy.simulated_provider.answer import Answer, Identity, Stop, ToldUsage
from deploy.simulated_provider.ask import Ask, InvalidAsk, Json, OfferedTool, Passage, object_of, objects, text_of
from deploy.simulated_provider.frames import Frame, FrameList, data_line, split_arguments
from deploy.simulated_provider.toolbox import ToolCall

CONTENT_TYPE = "text/event-stream; charset=utf-8"
_STOPS: dict[Stop, str] = {"end": "stop", "tools": "tool_calls", "length": "length"}
_DONE = b"data: [DONE]\n\n"


def read_ask(body: Json) -> Ask:
    """Read a request body. Raises InvalidAsk."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidAsk("you must provide a model parameter", "model")
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise InvalidAsk("Missing required parameter: 'messages'.", "messages")
    choice = body.get("tool_choice")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return Ask(
        protocol="openai_chat",
        model=model,
        streams=body.get("stream") is True,
        passages=tuple(passage for message in objects(body["messages"]) for passage in _passages(message)),
        tools=tuple(_tools(body)) if choice != "none" else (),
        forced_tool=_forced_tool(choice),
        thinks=text_of(body.get("reasoning_effort")) not in ("", "none", "minimal"),
        # The vendor counts reasoning but does not show it; servers with open models do (`-think`).
        shows_thinking=False,
        answer_schema=_answer_schema(object_of(body.get("response_format"))),
        output_limit=limit if isinstance(limit, int) else None,
        long_breaks=int(object_of(body.get("prompt_cache_options")).get("ttl") == "12h"),
        told_usage=object_of(body.get("stream_options")).get("include_usage") is True,
    )


def _passages(message: Json) -> list[Passage]:
    role, content = message.get("role"), message.get("content")
    if role in ("tool", "function"):
        return [Passage("tool_result", "")]
    texts = [content] if isinstance(content, str) else [text_of(part.get("text")) for part in objects(content)]
    match role:
        case "assistant":
            return [Passage("assistant", text) for text in texts] or [Passage("assistant", "")]
        case "system" | "developer":
            return [Passage("system", text) for text in texts]
        case _:
            return [Passage("user", text) for text in texts]


def _tools(body: Json) -> list[OfferedTool]:
    found = []
    for tool in objects(body.get("tools")):
        if tool.get("type") == "custom":
            found.append(OfferedTool(text_of(object_of(tool.get("custom")).get("name")), "custom", {}))
        elif tool.get("type") == "function":
            function = object_of(tool.get("function"))
            found.append(OfferedTool(text_of(function.get("name")), "function", object_of(function.get("parameters"))))
    return found


def _forced_tool(choice: object) -> str | None:
    if choice == "required":
        return "*"
    chosen = object_of(choice)
    return text_of(object_of(chosen.get("function") or chosen.get("custom")).get("name")) or None


def _answer_schema(response_format: Json) -> Json | None:
    match response_format.get("type"):
        case "json_schema":
            return object_of(object_of(response_format.get("json_schema")).get("schema"))
        case "json_object":
            return {}
        case _:
            return None


def write_stream(answer: Answer, ask: Ask, identity: Identity, *, thinks_aloud: bool) -> list[Frame]:
    """Write the answer as chunks.

    thinks_aloud: show thoughts as `reasoning_content`, as servers with open models do. A usage chunk is written only
    when the client asked for it.
    """
    out = FrameList(answer)

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage: Json = {"usage": None} if ask.told_usage else {}
        return data_line(_envelope(answer, identity, "chat.completion.chunk") | {"choices": [choice]} | usage)

    out.add(chunk({"role": "assistant", "content": "", "refusal": None}), "opening")
    if answer.thinking and not thinks_aloud:
        out.think_silently()
    for piece in answer.thinking if thinks_aloud else ():
        out.think(piece)
        out.add(chunk({"reasoning_content": piece}), "content")
    for piece in answer.text:
        out.say(piece)
        out.add(chunk({"content": piece}), "content")
    for position, call in enumerate(answer.calls):
        out.add(chunk({"tool_calls": [{"index": position} | _call(call, identity, position, "")]}), "content")
        for piece in split_arguments(call.arguments):
            out.say(piece)
            field = {"custom": {"input": piece}} if call.tool.kind == "custom" else {"function": {"arguments": piece}}
            out.add(chunk({"tool_calls": [{"index": position} | field]}), "content")
    out.add(chunk({}, _STOPS[answer.stop]), "closing")
    if ask.told_usage and answer.told is not None:
        last = _envelope(answer, identity, "chat.completion.chunk") | {"choices": [], "usage": _usage(answer.told)}
        out.add(data_line(last), "closing")
    out.add(_DONE, "terminal")
    return out.frames


def write_whole(answer: Answer, identity: Identity, *, thinks_aloud: bool) -> Json:
    """Write the answer as one completion."""
    message: Json = {"role": "assistant", "content": answer.whole_text, "refusal": None, "annotations": []}
    if answer.thinking and thinks_aloud:
        message["reasoning_content"] = answer.whole_thinking
    if answer.calls:
        message["tool_calls"] = [
            _call(call, identity, position, call.arguments) for position, call in enumerate(answer.calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _STOPS[answer.stop]}
    whole = _envelope(answer, identity, "chat.completion") | {"choices": [choice]}
    return whole if answer.told is None else whole | {"usage": _usage(answer.told)}


def _envelope(answer: Answer, identity: Identity, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{identity.name}",
        "object": kind,
        "created": identity.at_s,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _call(call: ToolCall, identity: Identity, position: int, arguments: str) -> Json:
    call_id = f"call_{identity.name}{position}"
    if call.tool.kind == "custom":
        return {"id": call_id, "type": "custom", "custom": {"name": call.tool.name, "input": arguments}}
    return {"id": call_id, "type": "function", "function": {"name": call.tool.name, "arguments": arguments}}


def _usage(told: ToldUsage) -> Json:
    prompt = told.input_fresh + told.input_tool + told.cache_read + told.cache_write
    completion = told.output + told.reasoning
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": told.cache_read,
            "cache_write_tokens": told.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": told.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def write_error_event(error: Json) -> tuple[bytes, ...]:
    """Write an error in the middle of a stream; the vendor still ends with [DONE]."""
    return (data_line(error), _DONE)


MALFORMED_EVENT = b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":\n\n'

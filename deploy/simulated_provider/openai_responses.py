"""OpenAI Responses: read a request, write the answer as events or whole. Source: protocols.md §1.3."""

from dataclasses import dataclass, field

from deploy.simulated_provider.answer import Answer, Identity, ToldUsage
from deploy.simulated_provider.ask import Ask, InvalidAsk, Json, OfferedTool, Passage, object_of, objects, text_of
from deploy.simulated_provider.frames import Frame, FrameList, Stage, named_event, split_arguments
from deploy.simulated_provider.toolbox import ToolCall

CONTENT_TYPE = "text/event-stream; charset=utf-8"


def read_ask(body: Json) -> Ask:
    """Read a request body. Raises InvalidAsk."""
    model, given = body.get("model"), body.get("input")
    if not isinstance(model, str) or not model:
        raise InvalidAsk("Missing required parameter: 'model'.", "model")
    if not isinstance(given, str | list):
        raise InvalidAsk("Missing required parameter: 'input'.", "input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else objects(given)
    passages = [Passage("system", body["instructions"])] if isinstance(body.get("instructions"), str) else []
    for item in items:
        passages += _passages(item)
    answer_format = object_of(object_of(body.get("text")).get("format"))
    reasoning, limit = object_of(body.get("reasoning")), body.get("max_output_tokens")
    return Ask(
        protocol="openai_responses",
        model=model,
        streams=body.get("stream") is True,
        passages=tuple(passages),
        tools=tuple(_offered(body, items)) if body.get("tool_choice") != "none" else (),
        forced_tool=_forced_tool(body.get("tool_choice")),
        thinks=text_of(reasoning.get("effort")) not in ("", "none", "minimal"),
        answer_schema=_answer_schema(answer_format),
        output_limit=limit if isinstance(limit, int) else None,
        long_breaks=int(object_of(body.get("prompt_cache_options")).get("ttl") == "12h"),
    )


def _passages(item: Json) -> list[Passage]:
    kind = text_of(item.get("type")) or "message"
    if kind.endswith("_output"):
        return [Passage("tool_result", "")]
    if kind.endswith("_call") or kind == "reasoning":
        return [Passage("assistant", "")]
    if kind != "message":
        return []
    content = item.get("content")
    texts = [content] if isinstance(content, str) else [text_of(part.get("text")) for part in objects(content)]
    match item.get("role"):
        case "assistant":
            return [Passage("assistant", text) for text in texts]
        case "system" | "developer":
            return [Passage("system", text) for text in texts]
        case _:
            return [Passage("user", text) for text in texts]


def _offered(body: Json, items: list[Json]) -> list[OfferedTool]:
    """Collect tools from `tools` and from `additional_tools` items, where code mode puts them (clients.md §3.2)."""
    found = _tools(objects(body.get("tools")), None)
    for item in items:
        if item.get("type") == "additional_tools":
            found += _tools(objects(item.get("tools")), None)
    return found


def _tools(tools: list[Json], namespace: str | None) -> list[OfferedTool]:
    found: list[OfferedTool] = []
    for tool in tools:
        name = text_of(tool.get("name"))
        match tool.get("type"):
            case "namespace":
                found += _tools(objects(tool.get("tools")), name)
            case "function":
                found.append(OfferedTool(name, "function", object_of(tool.get("parameters")), namespace))
            case "custom":
                found.append(OfferedTool(name, "custom", {}, namespace))
            case _:
                pass
    return found


def _forced_tool(choice: object) -> str | None:
    return "*" if choice == "required" else text_of(object_of(choice).get("name")) or None


def _answer_schema(answer_format: Json) -> Json | None:
    match answer_format.get("type"):
        case "json_schema":
            return object_of(answer_format.get("schema"))
        case "json_object":
            return {}
        case _:
            return None


def write_stream(answer: Answer, ask: Ask, identity: Identity) -> list[Frame]:
    """Write the answer as the events of a stream; sequence numbers count from 0."""
    stream = _Stream(FrameList(answer), answer, identity)
    running = _response(answer, identity, ask) | {"status": "in_progress", "output": [], "usage": None}
    running["incomplete_details"] = None
    stream.add("response.created", {"response": running}, "opening")
    stream.add("response.in_progress", {"response": running}, "opening")
    if answer.thinking:
        stream.write_reasoning()
    if answer.text:
        stream.write_message()
    for position, call in enumerate(answer.calls):
        stream.write_call(call, position)
    whole = write_whole(answer, ask, identity)
    stream.add(f"response.{whole['status']}", {"response": whole}, "terminal")
    return stream.out.frames


@dataclass(slots=True)
class _Stream:
    """Writes numbered events; an item takes the next output index."""

    out: FrameList
    answer: Answer
    identity: Identity
    sequence: int = 0
    index: int = 0
    place: Json = field(default_factory=dict)

    def add(self, kind: str, fields: Json, stage: Stage = "content") -> None:
        self.out.add(named_event(kind, {"type": kind, "sequence_number": self.sequence} | fields), stage)
        self.sequence += 1

    def open(self, item: Json) -> None:
        self.place = {"item_id": item["id"], "output_index": self.index}
        self.add("response.output_item.added", {"output_index": self.index, "item": item})

    def close(self, item: Json) -> None:
        self.add("response.output_item.done", {"output_index": self.index, "item": item})
        self.index += 1

    def write_reasoning(self) -> None:
        item = _reasoning_item(self.answer, self.identity)
        # What `added` carries is incomplete by contract; only `done` is to be replayed.
        self.open(item | {"summary": [], "encrypted_content": self.answer.seal[:16]})
        place = self.place | {"summary_index": 0}
        self.add("response.reasoning_summary_part.added", place | {"part": {"type": "summary_text", "text": ""}})
        for piece in self.answer.thinking:
            self.out.think(piece)
            self.add("response.reasoning_summary_text.delta", place | {"delta": piece})
        whole = self.answer.whole_thinking
        self.add("response.reasoning_summary_text.done", place | {"text": whole})
        self.add("response.reasoning_summary_part.done", place | {"part": {"type": "summary_text", "text": whole}})
        self.close(item)

    def write_message(self) -> None:
        item = _message_item(self.answer, self.identity)
        self.open(item | {"status": "in_progress", "content": []})
        place = self.place | {"content_index": 0}
        self.add("response.content_part.added", place | {"part": _text_part("")})
        for piece in self.answer.text:
            self.out.say(piece)
            self.add("response.output_text.delta", place | {"delta": piece, "logprobs": []})
        whole = self.answer.whole_text
        self.add("response.output_text.done", place | {"text": whole, "logprobs": []})
        self.add("response.content_part.done", place | {"part": _text_part(whole)})
        self.close(item)

    def write_call(self, call: ToolCall, position: int) -> None:
        item = _call_item(call, self.identity, position)
        custom = call.tool.kind == "custom"
        text_field = "input" if custom else "arguments"
        self.open(item | {"status": "in_progress", text_field: ""})
        kind = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
        for piece in split_arguments(call.arguments):
            self.out.say(piece)
            self.add(f"{kind}.delta", self.place | {"delta": piece})
        self.add(f"{kind}.done", self.place | {text_field: call.arguments})
        self.close(item)


def write_whole(answer: Answer, ask: Ask, identity: Identity) -> Json:
    """Write the answer as one response object."""
    output: list[Json] = []
    if answer.thinking:
        output.append(_reasoning_item(answer, identity))
    if answer.text:
        output.append(_message_item(answer, identity))
    output += [_call_item(call, identity, position) for position, call in enumerate(answer.calls)]
    usage = None if answer.told is None else _usage(answer.told)
    return _response(answer, identity, ask) | {"output": output, "usage": usage, "completed_at": identity.at_s}


def write_compaction(model: str, told: ToldUsage, identity: Identity) -> Json:
    """Write the answer to `/v1/responses/compact`: one sealed item that stands for the conversation."""
    return {
        "id": f"resp_{identity.name}",
        "object": "response.compaction",
        "created_at": identity.at_s,
        "output": [{"type": "compaction", "id": f"cmp_{identity.name}", "encrypted_content": f"simulated-{model}"}],
        "usage": _usage(told),
    }


def _response(answer: Answer, identity: Identity, ask: Ask) -> Json:
    short = answer.stop == "length"
    return {
        "id": f"resp_{identity.name}",
        "object": "response",
        "created_at": identity.at_s,
        "status": "incomplete" if short else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if short else None,
        "instructions": None,
        "max_output_tokens": ask.output_limit,
        "max_tool_calls": None,
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


def _reasoning_item(answer: Answer, identity: Identity) -> Json:
    summary = [{"type": "summary_text", "text": answer.whole_thinking}]
    return {
        "id": f"rs_{identity.name}",
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": answer.seal,
    }


def _message_item(answer: Answer, identity: Identity) -> Json:
    return {
        "id": f"msg_{identity.name}",
        "type": "message",
        "status": "incomplete" if answer.stop == "length" else "completed",
        "role": "assistant",
        "content": [_text_part(answer.whole_text)],
        "phase": "commentary" if answer.calls else "final_answer",
    }


def _text_part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _call_item(call: ToolCall, identity: Identity, position: int) -> Json:
    custom = call.tool.kind == "custom"
    item: Json = {
        "id": f"{'ctc' if custom else 'fc'}_{identity.name}{position}",
        "type": "custom_tool_call" if custom else "function_call",
        "status": "completed",
        "call_id": f"call_{identity.name}{position}",
        "name": call.tool.name,
        "input" if custom else "arguments": call.arguments,
    }
    return item if call.tool.namespace is None else item | {"namespace": call.tool.namespace}


def _usage(told: ToldUsage) -> Json:
    read = told.input_fresh + told.input_tool + told.cache_read + told.cache_write
    written = told.output + told.reasoning
    details: Json = {"cached_tokens": told.cache_read, "cache_write_tokens": told.cache_write}
    if told.cache_write:
        details["cache_write_tokens_details"] = {
            "ttl_30m_tokens": told.cache_write - told.cache_write_12h,
            "ttl_12h_tokens": told.cache_write_12h,
        }
    return {
        "input_tokens": read,
        "input_tokens_details": details,
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": told.reasoning},
        "total_tokens": read + written,
    }


def write_error_event(error: Json, answer: Answer, ask: Ask, identity: Identity, sequence: int) -> tuple[bytes, ...]:
    """Write the failure that ends a stream, as event number `sequence`."""
    reason = {"code": "server_error", "message": object_of(error.get("error")).get("message")}
    failed = _response(answer, identity, ask) | {"status": "failed", "error": reason, "incomplete_details": None}
    event = {"type": "response.failed", "sequence_number": max(0, sequence), "response": failed}
    return (named_event("response.failed", event),)


MALFORMED_EVENT = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":\n\n'

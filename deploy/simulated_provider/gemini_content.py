"""Gemini: read a request, write the answer as a stream or whole. Source: protocols.md §1.4."""

from typing import Any

from deploy.simulated_provider.answer import Answer, Identity, Stop, ToldUsage
from deploy.simulated_provider.ask import Ask, InvalidAsk, Json, OfferedTool, Passage, object_of, objects, text_of
from deploy.simulated_provider.frames import Frame, FrameList, Stage, data_line, encode

CONTENT_TYPE = "text/event-stream"
ARRAY_CONTENT_TYPE = "application/json; charset=UTF-8"
_STOPS: dict[Stop, str] = {"end": "STOP", "tools": "STOP", "length": "MAX_TOKENS"}


def _either(source: Json, name: str) -> Any:
    """Return a field by its camelCase name, or by its snake_case twin, which the Python SDK sends now and then."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return source[name] if name in source else source.get(snake)


def read_ask(model: str, body: Json, *, streams: bool) -> Ask:
    """Read a request body; the model comes from the path. Raises InvalidAsk."""
    if not isinstance(body.get("contents"), list | str | dict):
        raise InvalidAsk("GenerateContentRequest.contents: contents is not specified", "contents")
    contents = body["contents"]
    turns = objects(contents) if isinstance(contents, list) else objects([contents])
    passages = [
        Passage("system", text_of(part.get("text")))
        for part in objects(object_of(_either(body, "systemInstruction")).get("parts"))
    ]
    for turn in turns:
        passages += _passages(turn)
    config = object_of(_either(body, "generationConfig"))
    thinking = object_of(_either(config, "thinkingConfig"))
    calling = object_of(_either(object_of(_either(body, "toolConfig")), "functionCallingConfig"))
    allowed = _either(calling, "allowedFunctionNames")
    limit = _either(config, "maxOutputTokens")
    mode = text_of(calling.get("mode")).upper()
    return Ask(
        protocol="gemini_content",
        model=model,
        streams=streams,
        passages=tuple(passages),
        tools=tuple(_tools(body)) if mode != "NONE" else (),
        forced_tool=(allowed[0] if isinstance(allowed, list) and allowed else "*") if mode == "ANY" else None,
        thinks=_thinks(thinking),
        shows_thinking=_either(thinking, "includeThoughts") is True,
        answer_schema=_answer_schema(config),
        output_limit=limit if isinstance(limit, int) else None,
    )


def _thinks(thinking: Json) -> bool:
    budget = _either(thinking, "thinkingBudget")
    if isinstance(budget, int):
        return budget != 0
    return _either(thinking, "includeThoughts") is True or bool(_either(thinking, "thinkingLevel"))


def _answer_schema(config: Json) -> Json | None:
    for name in ("responseJsonSchema", "responseSchema"):
        schema = _either(config, name)
        if isinstance(schema, dict):
            return schema
    return {} if _either(config, "responseMimeType") == "application/json" else None


def _passages(turn: Json) -> list[Passage]:
    found: list[Passage] = []
    for part in objects(turn.get("parts")):
        if _either(part, "functionResponse") is not None:
            found.append(Passage("tool_result", ""))
        elif turn.get("role") == "model":
            found.append(Passage("assistant", text_of(part.get("text"))))
        elif "text" in part:
            found.append(Passage("user", text_of(part.get("text"))))
    return found


def _tools(body: Json) -> list[OfferedTool]:
    found = []
    for group in objects(body.get("tools")):
        for declaration in objects(_either(group, "functionDeclarations")):
            schema = _either(declaration, "parametersJsonSchema") or declaration.get("parameters")
            found.append(OfferedTool(text_of(declaration.get("name")), "function", object_of(schema)))
    return found


def write_stream(answer: Answer, ask: Ask, identity: Identity, *, as_events: bool, thinks_aloud: bool) -> list[Frame]:
    """Write the answer as a stream of whole responses, each with a part more and the usage so far.

    as_events: server-sent events (`alt=sse`, CRLF as the live service); otherwise one JSON array.
    thinks_aloud: show thought parts; otherwise thoughts are only counted.
    """
    out = FrameList(answer)

    def add(parts: list[Json], stage: Stage, finish: str | None = None) -> None:
        if stage == "terminal":
            output, reasoning = answer.billed.output, answer.billed.reasoning
        else:
            output, reasoning = out.output, out.reasoning
        candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if finish is not None:
            candidate["finishReason"] = finish
        value: Json = {"candidates": [candidate]} | _usage_field(answer, output, reasoning, whole=finish is not None)
        value |= {"modelVersion": answer.model, "responseId": identity.name}
        if as_events:
            out.add(data_line(value, newline=b"\r\n"), stage)
        else:
            opening = b"[" if not out.frames else b",\r\n"
            out.add(opening + encode(value) + (b"]" if finish is not None else b""), stage)

    if answer.thinking and not thinks_aloud:
        out.think_silently()
    for piece in answer.thinking if thinks_aloud else ():
        out.think(piece)
        add([{"text": piece, "thought": True}], "content")
    for piece in answer.text:
        out.say(piece)
        add([{"text": piece}], "content")
    if answer.calls:
        for call in answer.calls:
            out.say(call.arguments)
        add(_call_parts(answer, identity), "content")
    add([_last_part(answer)], "terminal", _STOPS[answer.stop])
    return out.frames


def write_whole(answer: Answer, identity: Identity, *, thinks_aloud: bool) -> Json:
    """Write the answer as one response."""
    parts: list[Json] = []
    if answer.thinking and thinks_aloud:
        parts.append({"text": answer.whole_thinking, "thought": True})
    if answer.text:
        signed = {"thoughtSignature": answer.seal} if answer.seal and not answer.calls else {}
        parts.append({"text": answer.whole_text} | signed)
    parts += _call_parts(answer, identity)
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0, "finishReason": _STOPS[answer.stop]}
    usage = _usage_field(answer, answer.billed.output, answer.billed.reasoning, whole=True)
    return {"candidates": [candidate]} | usage | {"modelVersion": answer.model, "responseId": identity.name}


def _call_parts(answer: Answer, identity: Identity) -> list[Json]:
    """Write calls; only the first of a batch is signed, and it always is (protocols.md §0.4)."""
    seal = answer.seal or "c2ltdWxhdGVkLXRob3VnaHQ="
    parts: list[Json] = []
    for position, call in enumerate(answer.calls):
        part: Json = {
            "functionCall": {"id": f"fc_{identity.name}{position}", "name": call.tool.name, "args": call.fields}
        }
        parts.append(part if position else part | {"thoughtSignature": seal})
    return parts


def _last_part(answer: Answer) -> Json:
    return {"text": "", "thoughtSignature": answer.seal} if answer.seal and not answer.calls else {"text": ""}


def _usage_field(answer: Answer, output: int, reasoning: int, *, whole: bool) -> Json:
    """Write the usage so far. A lie is told only at the end, where it counts."""
    if answer.told is None:
        return {}
    told = answer.told
    output, reasoning = (told.output, told.reasoning) if whole else (output, reasoning)
    return {"usageMetadata": _usage(told, output, reasoning)}


def _usage(told: ToldUsage, output: int, reasoning: int) -> Json:
    prompt = told.input_fresh + told.cache_read + told.cache_write
    usage: Json = {"promptTokenCount": prompt, "candidatesTokenCount": output}
    if told.cache_read:
        usage["cachedContentTokenCount"] = told.cache_read
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": told.cache_read}]
    if reasoning:
        usage["thoughtsTokenCount"] = reasoning
    if told.input_tool:
        usage["toolUsePromptTokenCount"] = told.input_tool
    usage["totalTokenCount"] = prompt + output + reasoning + told.input_tool
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
    return usage


def write_error_event(error: Json, *, as_events: bool, first: bool) -> tuple[bytes, ...]:
    """Write an error in the middle of a stream."""
    if as_events:
        return (data_line(error, newline=b"\r\n"),)
    return ((b"[" if first else b",\r\n") + encode(error) + b"]",)


MALFORMED_EVENT = b'data: {"candidates": [{"content": {"parts":\r\n\r\n'

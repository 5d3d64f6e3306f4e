"""Replies of every kind: streamed, whole, refused, counted, embedded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deploy.simulated_provider import (
    anthropic_messages,
    gemini_content,
    openai_chat,
    openai_embeddings,
    openai_responses,
)
from deploy.simulated_provider.answer import Answer, Identity
from deploy.simulated_provider.ask import Ask, Json, ProtocolName
from deploy.simulated_provider.behaviour import NEVER, Behaviour
from deploy.simulated_provider.call import Call
from deploy.simulated_provider.failures import error_body, error_headers
from deploy.simulated_provider.faults import Send, Step, stream_steps, whole_steps
from deploy.simulated_provider.frames import Frame, encode
from deploy.simulated_provider.metering import prompt_tokens
from switchyard_contract.usage import TokenCounts

Kind = Literal["generate", "count", "compact", "embed", "list", "probe", "unknown"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send and what to write into the ledger.

    prompt: the counters of what was read, billed as soon as the answer begins. wait_ms: before the headers.
    drops: reset the connection instead. length: None for chunked framing.
    """

    kind: Kind
    protocol: ProtocolName | None
    model: str
    status: int
    headers: Mapping[str, str]
    steps: tuple[Step, ...]
    length: int | None
    prompt: TokenCounts = field(default_factory=TokenCounts)
    fault: str = ""
    wait_ms: int = 0
    drops: bool = False
    streams: bool = False


def write_whole_value(answer: Answer, ask: Ask, identity: Identity, behaviour: Behaviour) -> Json:
    match ask.protocol:
        case "anthropic_messages":
            return anthropic_messages.write_whole(answer, ask, identity)
        case "openai_chat" | "openai_embeddings":
            return openai_chat.write_whole(answer, identity, thinks_aloud=behaviour.thinks)
        case "openai_responses":
            return openai_responses.write_whole(answer, ask, identity)
        case "gemini_content":
            aloud = behaviour.thinks or ask.shows_thinking
            return gemini_content.write_whole(answer, identity, thinks_aloud=aloud)


def stream_reply(call: Call, ask: Ask, answer: Answer, behaviour: Behaviour, prompt: TokenCounts) -> Reply:
    error = error_body(ask.protocol, _MIDSTREAM_STATUS[ask.protocol], call.request_id, "Overloaded, as asked.")
    frames: list[Frame]
    match ask.protocol:
        case "anthropic_messages":
            frames = anthropic_messages.write_stream(answer, ask, call.identity)
            events, malformed = anthropic_messages.write_error_event(error), anthropic_messages.MALFORMED_EVENT
            content_type = anthropic_messages.CONTENT_TYPE
        case "openai_chat" | "openai_embeddings":
            frames = openai_chat.write_stream(answer, ask, call.identity, thinks_aloud=behaviour.thinks)
            events, malformed = openai_chat.write_error_event(error), openai_chat.MALFORMED_EVENT
            content_type = openai_chat.CONTENT_TYPE
        case "openai_responses":
            frames = openai_responses.write_stream(answer, ask, call.identity)
            events = openai_responses.write_error_event(error, answer, ask, call.identity, behaviour.error_after)
            malformed, content_type = openai_responses.MALFORMED_EVENT, openai_responses.CONTENT_TYPE
        case "gemini_content":
            as_events = call.query.get("alt") == "sse"
            aloud = behaviour.thinks or ask.shows_thinking
            frames = gemini_content.write_stream(answer, ask, call.identity, as_events=as_events, thinks_aloud=aloud)
            events = gemini_content.write_error_event(error, as_events=as_events, first=behaviour.error_after == 0)
            malformed = gemini_content.MALFORMED_EVENT
            content_type = gemini_content.CONTENT_TYPE if as_events else gemini_content.ARRAY_CONTENT_TYPE
    return Reply(
        kind="generate",
        protocol=ask.protocol,
        model=ask.model,
        status=200,
        headers=_success_headers(call, ask.protocol) | {"content-type": content_type, "cache-control": "no-cache"},
        steps=tuple(stream_steps(frames, behaviour, error=events, malformed=malformed)),
        length=None,
        prompt=prompt,
        fault=behaviour.fault,
        wait_ms=behaviour.slow_ms,
        streams=True,
    )


_MIDSTREAM_STATUS: dict[ProtocolName, int] = {
    "anthropic_messages": 529,
    "openai_chat": 500,
    "openai_responses": 500,
    "openai_embeddings": 500,
    "gemini_content": 503,
}


def whole_reply(
    call: Call, ask: Ask, kind: Kind, answer: Answer, behaviour: Behaviour, prompt: TokenCounts, value: Json
) -> Reply:
    if behaviour.error_after != NEVER:
        status = _MIDSTREAM_STATUS[ask.protocol]
        return refusal_reply(
            call, ask.protocol, kind, ask.model, status, "Overloaded, as asked.", fault=behaviour.fault
        )
    body = encode(value)
    steps = whole_steps(body, behaviour, output=answer.billed.output, reasoning=answer.billed.reasoning)
    return Reply(
        kind=kind,
        protocol=ask.protocol,
        model=ask.model,
        status=200,
        headers=_success_headers(call, ask.protocol) | {"content-type": "application/json"},
        steps=tuple(steps),
        length=len(body),
        prompt=prompt,
        fault=behaviour.fault,
        wait_ms=behaviour.slow_ms,
    )


def fault_reply(call: Call, ask: Ask, kind: Kind, behaviour: Behaviour) -> Reply:
    status = behaviour.status or 500
    waiting = error_headers(status, behaviour.retry_after_s)
    error = error_body(ask.protocol, status, call.request_id, retry_after_s=behaviour.retry_after_s)
    body = encode(error)
    return Reply(
        kind=kind,
        protocol=ask.protocol,
        model=ask.model,
        status=status,
        headers=_id_headers(call) | {"content-type": "application/json"} | waiting,
        steps=(Send(body, 0, 0, True),),
        length=len(body),
        fault=behaviour.fault,
        wait_ms=behaviour.slow_ms,
        drops=behaviour.drops,
    )


def count_reply(call: Call, ask: Ask, behaviour: Behaviour) -> Reply:
    counted = behaviour.usage.prompt if behaviour.usage else prompt_tokens(len(call.body))
    match ask.protocol:
        case "anthropic_messages":
            value: Json = {"input_tokens": counted}
        case "gemini_content":
            details = [{"modality": "TEXT", "tokenCount": counted}]
            value = {"totalTokens": counted, "promptTokensDetails": details}
        case _:
            value = {"object": "response.input_tokens", "input_tokens": counted}
    return json_reply(call, "count", ask.protocol, ask.model, value, wait_ms=behaviour.slow_ms)


def embed_reply(call: Call, ask: Ask, behaviour: Behaviour, body: Json) -> Reply:
    read = TokenCounts(input_fresh=behaviour.usage.prompt if behaviour.usage else prompt_tokens(len(call.body)))
    told = None if behaviour.withholds_usage else read.prompt
    value = openai_embeddings.write_whole(body, ask.model, told)
    return json_reply(call, "embed", ask.protocol, ask.model, value, prompt=read, wait_ms=behaviour.slow_ms)


def json_reply(
    call: Call,
    kind: Kind,
    protocol: ProtocolName | None,
    model: str,
    value: Any,
    *,
    prompt: TokenCounts | None = None,
    wait_ms: int = 0,
) -> Reply:
    body = encode(value)
    headers = _success_headers(call, protocol) if protocol else _id_headers(call)
    return Reply(
        kind=kind,
        protocol=protocol,
        model=model,
        status=200,
        headers=headers | {"content-type": "application/json"},
        steps=(Send(body, 0, 0, True),),
        length=len(body),
        prompt=prompt or TokenCounts(),
        wait_ms=wait_ms,
    )


def refusal_reply(
    call: Call,
    protocol: ProtocolName,
    kind: Kind,
    model: str,
    status: int,
    message: str,
    parameter: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    fault: str = "",
) -> Reply:
    body = encode(error_body(protocol, status, call.request_id, message, parameter=parameter))
    return Reply(
        kind=kind,
        protocol=protocol,
        model=model,
        status=status,
        headers=_id_headers(call) | {"content-type": "application/json"} | dict(headers or {}),
        steps=(Send(body, 0, 0, True),),
        length=len(body),
        fault=fault,
    )


def _id_headers(call: Call) -> dict[str, str]:
    headers = {"request-id": call.request_id, "x-request-id": call.request_id}
    marker = call.headers.get("x-sim-marker")
    return headers if marker is None else headers | {"x-sim-marker": marker}


def _success_headers(call: Call, protocol: ProtocolName) -> dict[str, str]:
    match protocol:
        case "anthropic_messages":
            own = {
                "anthropic-ratelimit-requests-limit": "4000",
                "anthropic-ratelimit-requests-remaining": "3999",
                "anthropic-ratelimit-requests-reset": "2026-11-21T05:00:00Z",
                "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
            }
        case "gemini_content":
            own = {"server-timing": "gfet4t7; dur=12"}
        case _:
            own = {
                "openai-processing-ms": "12",
                "openai-version": "2020-10-01",
                "x-ratelimit-limit-requests": "10000",
                "x-ratelimit-remaining-requests": "9999",
                "x-ratelimit-reset-requests": "6ms",
            }
    return _id_headers(call) | own

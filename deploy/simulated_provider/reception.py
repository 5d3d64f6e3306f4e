"""From a request to what is to be sent: routes, checks, faults and answers. Pure but for what it remembers."""

import hashlib
import re
from collections import Counter

import orjson

from deploy.simulated_provider import (
    anthropic_messages,
    gemini_content,
    model_lists,
    openai_chat,
    openai_embeddings,
    openai_responses,
)
from deploy.simulated_provider.answer import decide_answer
from deploy.simulated_provider.ask import Ask, InvalidAsk, Json, ProtocolName, object_of
from deploy.simulated_provider.behaviour import Behaviour, read_behaviour
from deploy.simulated_provider.call import Call
from deploy.simulated_provider.metering import PrefixMemory, fold_usage
from deploy.simulated_provider.replies import (
    Kind,
    Reply,
    count_reply,
    embed_reply,
    fault_reply,
    json_reply,
    refusal_reply,
    stream_reply,
    whole_reply,
    write_whole_value,
)
from switchyard_contract.usage import TokenCounts

_REMEMBERED_CONVERSATIONS = 100_000
_GEMINI_CALL = re.compile(r"/(?:v1|v1beta|v1beta1)/(?:.*/)?models/(?P<model>.+):(?P<verb>[A-Za-z]+)\Z")
_GEMINI_VERBS: dict[str, Kind] = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "countTokens": "count",
}
_MODEL_PATH = re.compile(r"/(?P<version>v1|v1beta)/models(?:/(?P<model>.+))?\Z")


class Reception:
    """Answers calls; remembers prompt prefixes and how often a conversation has met its fault."""

    def __init__(self) -> None:
        self._prefixes = PrefixMemory()
        self._first_calls: Counter[str] = Counter()

    def answer(self, call: Call) -> Reply:
        """Decide the reply to one call. Never raises: what is wrong with a call is told in its protocol."""
        if call.method in ("GET", "HEAD"):
            return self._answer_get(call)
        route = _route(call)
        if route is None:
            nearest: ProtocolName = "anthropic_messages" if "anthropic-version" in call.headers else "openai_chat"
            return refusal_reply(call, nearest, "unknown", "", 404, f"Unknown request URL: {call.method} {call.path}.")
        protocol, kind = route
        try:
            _check(call, protocol)
            body = _read_json(call.body)
            ask = _read_ask(call, protocol, kind, body)
        except _Unauthenticated as refusal:
            return refusal_reply(call, protocol, kind, "", 401, str(refusal))
        except InvalidAsk as refusal:
            return refusal_reply(call, protocol, kind, "", 400, refusal.message, refusal.parameter)
        return self._perform(call, ask, kind, body)

    def _answer_get(self, call: Call) -> Reply:
        if call.path in ("/", "/api/hello"):
            return json_reply(call, "probe", None, "", {"simulated": True})
        if call.path == "/v1/responses":
            message = "Websockets are not spoken here; use POST."
            return refusal_reply(call, "openai_responses", "unknown", "", 426, message, headers={"upgrade": "http/1.1"})
        match = _MODEL_PATH.match(call.path)
        if match is None:
            return refusal_reply(call, "openai_chat", "unknown", "", 404, f"Unknown request URL: GET {call.path}.")
        if "anthropic-version" in call.headers:
            protocol: ProtocolName = "anthropic_messages"
        elif (
            match["version"] == "v1beta"
            or {"x-goog-api-key", "x-goog-api-client"} & call.headers.keys()
            or "key" in call.query
        ):
            protocol = "gemini_content"
        else:
            protocol = "openai_chat"
        if not call.credential:
            return refusal_reply(call, protocol, "list", "", 401, "No credential was presented.")
        return json_reply(call, "list", protocol, match["model"] or "", _models(protocol, match["model"]))

    def _perform(self, call: Call, ask: Ask, kind: Kind, body: Json) -> Reply:
        key = ask.conversation_key(call.credential)
        behaviour = read_behaviour(ask.model, call.headers.get("x-sim-behaviour", ""))
        behaviour = self._limit_to_first_calls(behaviour, key, kind, call)
        if behaviour.drops or behaviour.status is not None:
            return fault_reply(call, ask, kind, behaviour)
        if kind == "count":
            return count_reply(call, ask, behaviour)
        if kind == "embed":
            return embed_reply(call, ask, behaviour, body)
        prompt = _prompt_part(fold_usage(ask.protocol, behaviour.usage)) if behaviour.usage else None
        if prompt is None:
            prompt = self._prefixes.meter(key, ask, len(call.body))
        answer = decide_answer(ask, behaviour, prompt)
        if kind == "compact":
            if answer.told is None:
                return refusal_reply(call, ask.protocol, kind, ask.model, 400, "A compaction cannot go without usage.")
            compacted = openai_responses.write_compaction(ask.model, answer.told, call.identity)
            return whole_reply(call, ask, kind, answer, behaviour, prompt, compacted)
        if ask.streams:
            return stream_reply(call, ask, answer, behaviour, prompt)
        return whole_reply(
            call, ask, kind, answer, behaviour, prompt, write_whole_value(answer, ask, call.identity, behaviour)
        )

    def _limit_to_first_calls(self, behaviour: Behaviour, key: str, kind: Kind, call: Call) -> Behaviour:
        if not behaviour.first_calls or not behaviour.fault:
            return behaviour
        name = f"{kind}:{key}"
        if kind == "embed":
            name += hashlib.sha256(call.body).hexdigest()
        if len(self._first_calls) > _REMEMBERED_CONVERSATIONS:
            self._first_calls.clear()
        self._first_calls[name] += 1
        return behaviour if self._first_calls[name] <= behaviour.first_calls else behaviour.without_faults()


class _Unauthenticated(Exception):
    """The call brings no credential."""


def _route(call: Call) -> tuple[ProtocolName, Kind] | None:
    match call.path:
        case "/v1/messages":
            return "anthropic_messages", "generate"
        case "/v1/messages/count_tokens":
            return "anthropic_messages", "count"
        case "/v1/chat/completions":
            return "openai_chat", "generate"
        case "/v1/responses":
            return "openai_responses", "generate"
        case "/v1/responses/input_tokens":
            return "openai_responses", "count"
        case "/v1/responses/compact":
            return "openai_responses", "compact"
        case "/v1/embeddings":
            return "openai_embeddings", "embed"
        case _:
            pass
    match = _GEMINI_CALL.match(call.path)
    if match is None:
        return None
    kinds: dict[str, Kind] = {
        "generateContent": "generate",
        "streamGenerateContent": "generate",
        "countTokens": "count",
    }
    kind = kinds.get(match["verb"])
    return None if kind is None else ("gemini_content", kind)


def _asks_as_gemini(call: Call) -> bool:
    return "x-goog-api-key" in call.headers or "x-goog-api-client" in call.headers or "key" in call.query


def _check(call: Call, protocol: ProtocolName) -> None:
    if not call.credential:
        raise _Unauthenticated("No credential was presented.")
    if protocol == "anthropic_messages" and "anthropic-version" not in call.headers:
        raise InvalidAsk("anthropic-version: header is required")


def _read_json(body: bytes) -> Json:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as failure:
        raise InvalidAsk(f"The body is not valid JSON: {failure.msg} at byte {failure.pos}.") from failure
    if not isinstance(value, dict):
        raise InvalidAsk("The body is not a JSON object.")
    return value


def _read_ask(call: Call, protocol: ProtocolName, kind: Kind, body: Json) -> Ask:
    match protocol:
        case "anthropic_messages":
            return anthropic_messages.read_ask(body, counting=kind == "count")
        case "openai_chat":
            return openai_chat.read_ask(body)
        case "openai_responses":
            return openai_responses.read_ask(body)
        case "openai_embeddings":
            return openai_embeddings.read_ask(body)
        case "gemini_content":
            match = _GEMINI_CALL.match(call.path)
            model, verb = (match["model"], match["verb"]) if match else ("", "")
            if kind == "count" and "contents" not in body:
                body = object_of(body.get("generateContentRequest"))
            return gemini_content.read_ask(model, body, streams=verb == "streamGenerateContent")


def _models(protocol: ProtocolName, model: str | None) -> Json:
    match protocol:
        case "anthropic_messages":
            return model_lists.anthropic_model(model) if model else model_lists.anthropic_list()
        case "gemini_content":
            return model_lists.gemini_model(model) if model else model_lists.gemini_list()
        case _:
            return model_lists.openai_model(model) if model else model_lists.openai_list()


def _prompt_part(counts: TokenCounts) -> TokenCounts:
    return TokenCounts(
        input_fresh=counts.input_fresh,
        input_tool=counts.input_tool,
        cache_read=counts.cache_read,
        cache_write_5m=counts.cache_write_5m,
        cache_write_1h=counts.cache_write_1h,
        cache_write_30m=counts.cache_write_30m,
        cache_write_12h=counts.cache_write_12h,
        cache_write_other=counts.cache_write_other,
    )

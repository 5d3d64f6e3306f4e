"""The same small request in every protocol, and what tells its answer."""

import json
from dataclasses import dataclass
from typing import Any

from switchyard_contract.virtual_key import KeyToken


@dataclass(frozen=True, slots=True)
class Dialect:
    """One protocol as a client speaks it."""

    name: str
    model: str
    """One that is served and priced."""
    carrier: str
    """The header that its SDKs put the key into."""
    end: bytes
    """What a stream's end looks like."""
    failure: bytes
    """What an error in the middle of a stream looks like."""

    def __str__(self) -> str:
        return self.name

    def target(self, model: str, *, streams: bool) -> str:
        match self.name:
            case "anthropic_messages":
                return "/v1/messages"
            case "openai_chat":
                return "/v1/chat/completions"
            case "openai_responses":
                return "/v1/responses"
            case _:
                verb = "streamGenerateContent?alt=sse" if streams else "generateContent"
                return f"/v1beta/models/{model}:{verb}"

    def body(self, model: str, *, streams: bool, prompt: str = "hi", **more: Any) -> bytes:
        turn = {"role": "user", "content": prompt}
        fields: dict[str, Any]
        match self.name:
            case "anthropic_messages":
                fields = {"model": model, "max_tokens": 1024, "messages": [turn], "stream": streams}
            case "openai_chat":
                fields = {"model": model, "messages": [turn], "stream": streams}
            case "openai_responses":
                fields = {"model": model, "input": prompt, "stream": streams}
            case _:
                fields = {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}
        return json.dumps(fields | more).encode()

    def headers(self, key: str | KeyToken | None, **more: str) -> list[tuple[str, str]]:
        found = [("content-type", "application/json")]
        if key is not None:
            text = key if isinstance(key, str) else key.text
            found.append((self.carrier, f"Bearer {text}" if self.carrier == "authorization" else text))
        if self.name == "anthropic_messages":
            found.append(("anthropic-version", "2023-06-01"))
        return found + [(name.replace("_", "-"), value) for name, value in more.items()]


ANTHROPIC = Dialect("anthropic_messages", "claude-sonnet-4-6", "x-api-key", b"message_stop", b"event: error")
CHAT = Dialect("openai_chat", "gpt-5.2", "authorization", b"data: [DONE]", b'data: {"error"')
RESPONSES = Dialect("openai_responses", "gpt-5.2", "authorization", b"response.completed", b"event: response.failed")
GEMINI = Dialect("gemini_content", "gemini-2.5-pro", "x-goog-api-key", b'"finishReason"', b'data: {"error"')
DIALECTS = (ANTHROPIC, CHAT, RESPONSES, GEMINI)

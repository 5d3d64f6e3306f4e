"""What a request asks for, read out of any of the four protocols."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

ProtocolName = Literal["anthropic_messages", "openai_chat", "openai_responses", "gemini_content", "openai_embeddings"]

Json = dict[str, Any]
"""A JSON object at the edge; its fields are checked where they are read."""


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool the client can run. kind "custom" takes free text; "bash" and "editor" are Anthropic's typed tools."""

    name: str
    kind: Literal["function", "custom", "bash", "editor"]
    schema: Json
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A text or a tool's result in the order of the conversation."""

    role: Literal["system", "user", "assistant", "tool_result"]
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    answer_schema: JSON schema the answer must fit; {} any JSON; None plain text.
    forced_tool: name of the tool that must be called, "*" for any, None for a free choice.
    long_breaks, short_breaks: cache breakpoints of one hour and of five minutes.
    """

    protocol: ProtocolName
    model: str
    streams: bool
    passages: tuple[Passage, ...]
    tools: tuple[OfferedTool, ...] = ()
    forced_tool: str | None = None
    thinks: bool = False
    shows_thinking: bool = True
    answer_schema: Json | None = None
    output_limit: int | None = None
    long_breaks: int = 0
    short_breaks: int = 0
    told_usage: bool = True
    """Chat only: the client asked for a usage chunk."""

    def instruction(self) -> tuple[str, bool]:
        """Return the last thing a person said and whether a tool has answered since.

        Notes that clients put into user messages themselves (`<system-reminder>`, `<environment_context>`) are skipped.
        """
        answered = False
        for passage in reversed(self.passages):
            if passage.role == "tool_result":
                answered = True
            elif passage.role == "user" and not is_client_note(passage.text):
                return passage.text, answered
        return "", answered

    def conversation_key(self, credential: str) -> str:
        """Name the conversation: who asks, by what name, and everything a person said before the first answer.

        Clients resend the whole history, so this stays the same from turn to turn and on a retry.
        """
        digest = hashlib.sha256()
        for part in (credential, self.protocol, self.model, "tools" if self.tools else "plain"):
            digest.update(part.encode() + b"\0")
        for passage in self.passages:
            if passage.role in ("assistant", "tool_result"):
                break
            if passage.role == "user" and not is_client_note(passage.text):
                digest.update(passage.text.encode(errors="replace") + b"\0")
        return digest.hexdigest()


_NOTE_OPENINGS = (
    "<system-reminder",
    "<environment",
    "<session_context",
    "<user_instructions",
    "<info-msg",
    "# AGENTS.md",
    "<context",
)


def is_client_note(text: str) -> bool:
    """Say whether a user text was written by the client itself."""
    return not text.strip() or text.lstrip().startswith(_NOTE_OPENINGS)


class InvalidAsk(Exception):
    """The request is not one of its protocol; the message says which field is wrong."""

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.message, self.parameter = message, parameter


def objects(value: object) -> list[Json]:
    """Return the JSON objects in a list; anything else is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_of(value: object) -> str:
    """Return a JSON string, or nothing."""
    return value if isinstance(value, str) else ""


def object_of(value: object) -> Json:
    """Return a JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}

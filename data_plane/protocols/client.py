"""Which tool calls, and which conversation the call belongs to (clients' own words first)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from data_plane.protocols.codec import Client, RequestFacts, RequestHead, SessionHints
from data_plane.protocols.headers import GOOSE_SESSION_HEADER, SESSION_HEADERS, TOOL_SESSION_HEADERS

MAX_ID = 200
_USER_AGENTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("claude-code", r"claude-cli/(?P<version>[\w.+-]+)"),
        ("codex", r"codex[\w-]*/(?P<version>[\w.+-]+)"),
        ("gemini-cli", r"GeminiCLI(?:-\w+)?/(?P<version>[\w.+-]+)"),
        ("qwen-code", r"QwenCode/(?P<version>[\w.+-]+)"),
        ("opencode", r"opencode/(?P<version>[\w.+-]+)"),
        ("cline", r"cline/(?P<version>[\w.+-]+)"),
        ("roo-code", r"roo-?code/(?P<version>[\w.+-]+)"),
        ("cursor", r"cursor/(?P<version>[\w.+-]+)"),
        ("goose", r"goose/(?P<version>[\w.+-]+)"),
        ("continue", r"continue(?:-cli)?/(?P<version>[\w.+-]+)"),
        ("crush", r"crush/(?P<version>[\w.+-]+)"),
        ("aider", r"(?:aider|litellm)/(?P<version>[\w.+-]+)"),
        ("openai-agents", r"Agents/(?:Python|JS) (?P<version>[\w.+-]+)"),
        ("anthropic-sdk", r"Anthropic/\w+ (?P<version>[\w.+-]+)"),
        ("openai-sdk", r"OpenAI/\w+ (?P<version>[\w.+-]+)"),
        ("google-genai-sdk", r"google-genai-sdk/(?P<version>[\w.+-]+)"),
        ("ai-sdk", r"ai-sdk/[\w-]+/(?P<version>[\w.+-]+)"),
        ("curl", r"curl/(?P<version>[\w.+-]+)"),
    )
)
KNOWN_CLIENTS = frozenset(name for name, _ in _USER_AGENTS)
"""Names that may be used as a metric's label; every other name comes from an open set."""
_PRODUCT = re.compile(r"(?P<name>[A-Za-z][\w.-]{0,39})(?:/(?:\w+ )?(?P<version>[\w.+-]{1,40}))?")


def identify(head: RequestHead, facts: RequestFacts | None = None, key_id: str = "") -> Client:
    """Say which tool calls and in which conversation.

    Order for the session: our own header and its aliases, the tool's header, the tool's field in the body, and last a
    digest of key, system prompt and first user message. Without facts the head alone speaks; without key_id nothing is
    derived.
    """
    return place(read_tool(head), facts.hints if facts is not None else None, key_id)


@dataclass(frozen=True, slots=True)
class Tool:
    """What the headers alone say about who calls."""

    client: Client
    """With the session that a header names, if one does."""
    goose_session: str
    """A date and a counter that starts anew on every machine: unique only together with the key."""


def read_tool(head: RequestHead) -> Tool:
    """Say which tool calls, by its headers."""
    headers = _texts(head)
    name, version = _name(headers)
    agent_id = _codex_agent(headers) if name == "codex" else _claude_agent(headers)
    named = (headers.get(carrier, "") for carrier in (*SESSION_HEADERS, *TOOL_SESSION_HEADERS))
    session_id = next(filter(None, named), "")
    parent = headers.get(b"x-parent-session-id", "")
    if parent == session_id:
        # No session is its own child.
        parent = ""
    is_wrapped = name == "aider" or headers.get(b"x-stainless-raw-response", "") == "true"
    client = Client(name, version, session_id, agent_id, parent, is_wrapped=is_wrapped)
    return Tool(client, headers.get(GOOSE_SESSION_HEADER, ""))


def _claude_agent(headers: Mapping[bytes, str]) -> str:
    """Claude Code's sub-agents name themselves. Newer versions tell a request's class where they are asked to
    (CLAUDE_CODE_GATEWAY_HINT_HEADERS), which is believed before anything else."""
    agent_id = headers.get(b"x-claude-code-agent-id", "")
    match headers.get(b"x-claude-code-request-class", ""):
        case "main" | "compaction" | "auxiliary":
            return ""
        case "subagent" | "workflow" as request_class:
            return agent_id or headers.get(b"x-claude-code-agent-type", "") or request_class
        case _:
            return agent_id


def _codex_agent(headers: Mapping[bytes, str]) -> str:
    """Codex's sub-agents are threads of their own in the session of their parent; the session's own thread has its id.

    Its compaction and its other small tasks are named as sub-agents too, and run in the thread they are done for.
    """
    thread_id = headers.get(b"thread-id", "")
    session_id = headers.get(b"session-id", "") or headers.get(b"session_id", "")
    parent_id = headers.get(b"x-codex-parent-thread-id", "")
    if thread_id and ((session_id and thread_id != session_id) or (parent_id and thread_id != parent_id)):
        return thread_id
    label = headers.get(b"x-openai-subagent", "")
    return "" if label in _OWN_TASKS or (thread_id and thread_id == session_id) else label


_OWN_TASKS = frozenset({"", "compact", "memory_consolidation"})


def place(tool: Tool, hints: SessionHints | None, key_id: str) -> Client:
    """Say in which conversation the tool is; what its headers name comes before what its body hints at."""
    client = tool.client
    if client.session_id:
        return client
    if tool.goose_session:
        return _in_session(client, f"{tool.goose_session}@{key_id}" if key_id else tool.goose_session)
    if hints is None:
        return client
    if hints.session_id:
        return _in_session(client, _clean(hints.session_id))
    if hints.opening and key_id:
        return _in_session(client, _derive(key_id, hints.opening), is_derived=True)
    return client


# A conversation asks again and again; only digests are kept.
@lru_cache(maxsize=4096)
def _derive(key_id: str, opening: bytes) -> str:
    """The name of a conversation that has none: by its key and by what it opens with."""
    return sha256(key_id.encode() + b"\0" + opening).hexdigest()[:32]


def _in_session(client: Client, session_id: str, *, is_derived: bool = False) -> Client:
    return Client(
        client.name,
        client.version,
        session_id,
        client.agent_id,
        client.parent_session_id,
        is_derived,
        client.is_wrapped,
    )


def _texts(head: RequestHead) -> dict[bytes, str]:
    texts: dict[bytes, str] = {}
    for name, value in head.headers:
        if name in _READ and name not in texts:
            texts[name] = _clean(value.decode("latin-1"))
    return texts


_READ = frozenset(
    {
        *SESSION_HEADERS,
        *TOOL_SESSION_HEADERS,
        GOOSE_SESSION_HEADER,
        b"user-agent",
        b"originator",
        b"version",
        b"thread-id",
        b"x-codex-parent-thread-id",
        b"x-openai-subagent",
        b"x-claude-code-agent-id",
        b"x-claude-code-agent-type",
        b"x-claude-code-request-class",
        b"x-parent-session-id",
        b"x-goog-api-client",
        b"x-stainless-raw-response",
    }
)


def _clean(text: str) -> str:
    """Printable and short: these texts end on pages and in logs."""
    text = text.strip()[:MAX_ID]
    return text if text.isprintable() else "".join(sign for sign in text if sign.isprintable())


def _name(headers: dict[bytes, str]) -> tuple[str, str]:
    agent = headers.get(b"user-agent", "")
    if headers.get(b"originator", "").startswith("codex"):
        name, version = _name_of_agent(agent)
        return "codex", version if name == "codex" else headers.get(b"version", "")
    if GOOSE_SESSION_HEADER in headers and not agent:
        return "goose", ""
    return _name_of_agent(agent)


@lru_cache(maxsize=1024)
def _name_of_agent(agent: str) -> tuple[str, str]:
    for name, pattern in _USER_AGENTS:
        found = pattern.search(agent)
        if found is None:
            continue
        if name == "claude-code" and found["version"].startswith("0."):
            # Qwen Code with an Anthropic endpoint calls itself claude-cli, under its own version.
            return "qwen-code", found["version"]
        return name, found["version"]
    product = _PRODUCT.match(agent)
    return (product["name"].lower(), product["version"] or "") if product else ("", "")

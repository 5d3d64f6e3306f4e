"""The coding tools that can be set up: where their own files are, what in them is ours, and how they get a key.

The console says addresses and models; which file is written, which entries of it, and every command in it are decided
here. A console that is not what it seems can name a model, not a program to run.
"""

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.remote.refused import Refused
from deploy.remote.setup.document import ABSENT, Change, leaves
from deploy.remote.setup.document import Path as EntryPath
from deploy.remote.setup.edit import Format

CODEX_REFRESH_MS = 300_000
CODEX_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What the console says about one tool: `GET /api/v1/recipes/{tool}`. settings: per file, nested."""

    tool: str
    organization: str
    gateway_url: str
    settings: Mapping[str, Mapping[str, Any]]
    warning: str = ""
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """How the tool gets its key: by a command, or as text. Exactly one of the two.

    key_file: where a tool that can reads the text from. status_line: the command whose output its status bar shows;
    empty: the bar is the person's own.
    """

    command: tuple[str, ...] = ()
    key: str = field(default="", repr=False)
    key_file: Path | None = None
    status_line: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolFile:
    """One of a tool's files. name: what the console calls it.

    allowed: the entries the console may set there, a pattern for each step of the way, and which text each may hold.
    whole: objects that are ours entirely.
    """

    name: str
    kind: Format
    find: Callable[[Path, Mapping[str, str]], Path]
    allowed: Mapping[tuple[str, ...], str]
    whole: Callable[[Mapping[str, Any]], Sequence[EntryPath]] = lambda _: ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A coding tool. access: the changes by which it gets its key, per file; loud_variables: of the shell, which win.

    keeps_key_apart: it reads its key from a file of its own, so that the configuration holds none. status_line: where
    its status bar's command stands; None: it has no such bar.
    """

    id: str
    name: str
    program: str
    files: tuple[ToolFile, ...]
    has_helper: bool
    access: Callable[[Access, Facts], Mapping[str, Sequence[Change]]]
    loud_variables: tuple[str, ...] = ()
    keeps_key_apart: bool = False
    status_line: EntryPath | None = None


def changes_of(tool: Tool, facts: Facts, access: Access) -> dict[str, list[Change]]:
    """Per file, the entries it shall have. Raises Refused when the console names one that is none of its business."""
    unknown = set(facts.settings) - {file.name for file in tool.files}
    if unknown:
        raise Refused(f"the console speaks of files of {tool.name} that this version does not know: {sorted(unknown)}")
    own = tool.access(access, facts)
    found = {}
    for file in tool.files:
        settings = facts.settings.get(file.name, {})
        for leaf in leaves(settings):
            _check(tool, file, leaf)
        changes = list(leaves(settings, file.whole(settings)))
        found[file.name] = _joined(changes, own.get(file.name, ()))
    return found


def _joined(changes: list[Change], own: Sequence[Change]) -> list[Change]:
    """Lay our own entries over the console's: an entry inside an object that is set whole is put into that object."""
    result = {change.path: change.value for change in changes}
    for change in own:
        outer = next((path for path in result if path == change.path[: len(path)] and path != change.path), None)
        if outer is None:
            result[change.path] = change.value
        else:
            result[outer] = _with(result[outer], change.path[len(outer) :], change.value)
    return [Change(path, value) for path, value in result.items()]


def _with(value: Mapping[str, Any], path: EntryPath, inner: Any) -> dict[str, Any]:
    name, rest = path[0], path[1:]
    return {**value, name: _with(value.get(name, {}), rest, inner) if rest else inner}


def _check(tool: Tool, file: ToolFile, leaf: Change) -> None:
    named = ".".join(leaf.path)
    for steps, text in file.allowed.items():
        if len(steps) == len(leaf.path) and all(map(re.fullmatch, steps, leaf.path)):
            if not isinstance(leaf.value, str) or not re.fullmatch(text, leaf.value):
                raise Refused(f"the console's value for {named} of {tool.name} is not one it may have")
            return
    raise Refused(f"the console wants to set {named} of {tool.name}, which is none of its business")


ADDRESS = r"https?://[A-Za-z0-9._~:/\[\]-]{1,300}"
MODEL = r"[A-Za-z0-9][A-Za-z0-9._:/@+ -]{0,199}"
LABEL = r"[A-Za-z0-9][A-Za-z0-9._ ()-]{0,99}"


# Claude Code.

CLAUDE_KEYS = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY")
# Each of them would take requests past the gateway, or send another key to it.
CLAUDE_BYPASSES = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
CLAUDE_STATUS_LINE: EntryPath = ("statusLine",)


def _claude_access(access: Access, facts: Facts) -> Mapping[str, Sequence[Change]]:
    changes = [Change(("env", name), ABSENT) for name in CLAUDE_BYPASSES]
    if access.status_line:
        changes.append(Change(CLAUDE_STATUS_LINE, {"type": "command", "command": shlex.join(access.status_line)}))
    if access.command:
        changes += [Change(("env", name), ABSENT) for name in CLAUDE_KEYS]
        return {"settings": [Change(("apiKeyHelper",), shlex.join(access.command)), *changes]}
    return {
        "settings": [
            Change(("env", "ANTHROPIC_AUTH_TOKEN"), access.key),
            Change(("env", "ANTHROPIC_API_KEY"), ABSENT),
            Change(("apiKeyHelper",), ABSENT),
            *changes,
        ]
    }


CLAUDE_CODE = Tool(
    id="claude-code",
    name="Claude Code",
    program="claude",
    files=(
        ToolFile(
            "settings",
            Format.JSON,
            lambda home, environment: Path(environment.get("CLAUDE_CONFIG_DIR") or home / ".claude") / "settings.json",
            {("env", "ANTHROPIC_BASE_URL"): ADDRESS, ("env", "ANTHROPIC_(MODEL|DEFAULT_[A-Z]+_MODEL)"): MODEL},
        ),
    ),
    has_helper=True,
    access=_claude_access,
    loud_variables=("ANTHROPIC_BASE_URL", *CLAUDE_KEYS, *CLAUDE_BYPASSES),
    status_line=CLAUDE_STATUS_LINE,
)

# Codex CLI.

CODEX_PROVIDER: EntryPath = ("model_providers", "switchyard")


def _codex_access(access: Access, facts: Facts) -> Mapping[str, Sequence[Change]]:
    if access.command:
        auth = {
            "command": access.command[0],
            "args": list(access.command[1:]),
            "timeout_ms": CODEX_TIMEOUT_MS,
            "refresh_interval_ms": CODEX_REFRESH_MS,
        }
        return {"config": [Change((*CODEX_PROVIDER, "auth"), auth)]}
    return {"config": [Change((*CODEX_PROVIDER, "experimental_bearer_token"), access.key)]}


CODEX = Tool(
    id="codex",
    name="Codex CLI",
    program="codex",
    files=(
        ToolFile(
            "config",
            Format.TOML,
            lambda home, environment: Path(environment.get("CODEX_HOME") or home / ".codex") / "config.toml",
            {
                ("model",): MODEL,
                ("model_provider",): "switchyard",
                (*CODEX_PROVIDER, "name"): LABEL,
                (*CODEX_PROVIDER, "base_url"): ADDRESS,
                (*CODEX_PROVIDER, "wire_api"): "responses",
            },
            lambda settings: [CODEX_PROVIDER],
        ),
    ),
    has_helper=True,
    access=_codex_access,
)

# Gemini CLI.

GEMINI_CLI = Tool(
    id="gemini-cli",
    name="Gemini CLI",
    program="gemini",
    files=(
        ToolFile(
            "env",
            Format.ENV,
            lambda home, environment: Path(environment.get("GEMINI_CLI_HOME") or home) / ".gemini" / ".env",
            {("GOOGLE_GEMINI_BASE_URL",): ADDRESS, ("GEMINI_MODEL",): MODEL},
        ),
        ToolFile(
            "settings",
            Format.JSON,
            lambda home, environment: Path(environment.get("GEMINI_CLI_HOME") or home) / ".gemini" / "settings.json",
            {("security", "auth", "selectedType"): "gemini-api-key"},
        ),
    ),
    has_helper=False,
    access=lambda access, facts: {"env": [Change(("GEMINI_API_KEY",), access.key)]},
    loud_variables=("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "GEMINI_MODEL", "GOOGLE_GENAI_USE_VERTEXAI"),
)

# opencode.

OPENCODE_PROVIDER = "switchyard(-openai|-google|-chat)?"


def _opencode_file(home: Path, environment: Mapping[str, str]) -> Path:
    folder = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
    with_comments = folder / "opencode.jsonc"
    # Both are read, the one with comments last: what stands there wins.
    return with_comments if os.path.lexists(with_comments) else folder / "opencode.json"


def _opencode_access(access: Access, facts: Facts) -> Mapping[str, Sequence[Change]]:
    key = f"{{file:{access.key_file}}}" if access.key_file is not None else access.key
    providers = facts.settings.get("config", {}).get("provider", {})
    return {"config": [Change(("provider", name, "options", "apiKey"), key) for name in providers]}


OPENCODE = Tool(
    id="opencode",
    name="opencode",
    program="opencode",
    files=(
        ToolFile(
            "config",
            Format.JSON,
            _opencode_file,
            {
                (r"\$schema",): re.escape("https://opencode.ai/config.json"),
                ("model|small_model",): MODEL,
                # opencode installs and runs the package that is named here.
                ("provider", OPENCODE_PROVIDER, "npm"): "@ai-sdk/(anthropic|openai|google|openai-compatible)",
                ("provider", OPENCODE_PROVIDER, "name"): LABEL,
                ("provider", OPENCODE_PROVIDER, "options", "baseURL"): ADDRESS,
                ("provider", OPENCODE_PROVIDER, "models", MODEL, "name"): MODEL,
            },
            lambda settings: [("provider", name) for name in settings.get("provider", {})],
        ),
    ),
    has_helper=False,
    access=_opencode_access,
    keeps_key_apart=True,
)

TOOLS: Mapping[str, Tool] = {tool.id: tool for tool in (CLAUDE_CODE, CODEX, GEMINI_CLI, OPENCODE)}

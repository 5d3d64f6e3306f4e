"""How each coding tool is started headless, and what tells it where the gateway is.

Each runs in an empty project with a home of its own, so that nothing of the machine's user leaks in.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROMPT = "Create a file named hello.txt with content hello from switchyard"


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a tool. files: written below the home first; environment: on top of a bare one."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tool:
    """A coding tool and how to point it at a gateway. client: the name the gateway gives it."""

    name: str
    client: str
    prepare: Callable[[str, str], Run]


def _claude_code(base_url: str, key: str) -> Run:
    return Run(
        (
            "claude",
            "-p",
            PROMPT,
            "--permission-mode",
            "acceptEdits",
            "--allowedTools",
            "Write",
            "--model",
            "claude-sonnet-4-6",
        ),
        {
            "ANTHROPIC_BASE_URL": base_url,
            "ANTHROPIC_AUTH_TOKEN": key,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
        {},
    )


def _codex(base_url: str, key: str) -> Run:
    config = f"""model = "gpt-5.1"
model_provider = "switchyard"
[model_providers.switchyard]
name = "Switchyard"
base_url = "{base_url}/v1"
env_key = "SWITCHYARD_KEY"
wire_api = "responses"
"""
    return Run(_CODEX, {"SWITCHYARD_KEY": key}, {".codex/config.toml": config})


def _codex_builtin(base_url: str, key: str) -> Run:
    config = f'model = "gpt-5.1"\nopenai_base_url = "{base_url}/v1"\n'
    auth = json.dumps({"OPENAI_API_KEY": key})
    return Run(_CODEX, {"OPENAI_API_KEY": key}, {".codex/config.toml": config, ".codex/auth.json": auth})


_CODEX = ("codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", PROMPT)


def _gemini_cli(base_url: str, key: str) -> Run:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
    }
    return Run(
        ("gemini", "-p", PROMPT, "--yolo", "--skip-trust", "-m", "gemini-2.5-pro"),
        {"GOOGLE_GEMINI_BASE_URL": base_url, "GEMINI_API_KEY": key, "GEMINI_TELEMETRY_ENABLED": "false"},
        {".gemini/settings.json": json.dumps(settings)},
    )


def _opencode(base_url: str, key: str) -> Run:
    config = {
        "$schema": "https://opencode.ai/config.json",
        "model": "switchyard/gpt-5.1",
        "small_model": "switchyard/gpt-5.1",
        "autoupdate": False,
        "share": "disabled",
        "provider": {
            "switchyard": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Switchyard",
                "options": {"baseURL": f"{base_url}/v1", "apiKey": key},
                "models": {"gpt-5.1": {"name": "gpt-5.1"}},
            }
        },
    }
    return Run(
        ("opencode", "run", PROMPT),
        {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"},
        {".config/opencode/opencode.json": json.dumps(config)},
    )


TOOLS: tuple[Tool, ...] = (
    Tool("claude-code", "claude-code", _claude_code),
    Tool("codex", "codex", _codex),
    Tool("codex-builtin", "codex", _codex_builtin),
    Tool("gemini-cli", "gemini-cli", _gemini_cli),
    Tool("opencode", "opencode", _opencode),
)


def write_files(home: Path, files: Mapping[str, str]) -> None:
    """Put a tool's own files below its home."""
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

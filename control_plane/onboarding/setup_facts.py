"""What `switchyard setup` merges into a tool's own files: addresses and models, never a key or a command.

The command line decides which files these are and refuses entries that are none of the console's business
(deploy/remote/setup/tools.py); a new entry here needs its row there. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.onboarding.recipes import codex_cli, gemini_cli
from control_plane.onboarding.recipes.claude_code import model_warning, slot_variables
from control_plane.onboarding.recipes.model_choice import preferred
from control_plane.onboarding.recipes.opencode import config_of
from control_plane.onboarding.recipes.recipe import Protocol, SetupContext, missing_model

Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """settings: per file, nested as in the file. warning: what would keep the tool from working, in a sentence."""

    settings: Settings
    warning: str = ""


@dataclass(frozen=True, slots=True)
class SetupTool:
    """A tool that can be set up by one command. keys_by_command: it asks a command for its key."""

    id: str
    name: str
    keys_by_command: bool
    facts: Callable[[SetupContext], SetupFacts]


def _claude_code(context: SetupContext) -> SetupFacts:
    variables = {
        "ANTHROPIC_BASE_URL": context.base_url,
        **slot_variables(context.speaking(Protocol.ANTHROPIC_MESSAGES)),
    }
    return SetupFacts({"settings": {"env": variables}}, model_warning(context))


def _codex(context: SetupContext) -> SetupFacts:
    names = context.speaking(Protocol.OPENAI_RESPONSES)
    config = {
        "model": preferred(names, family="gpt") or codex_cli.EXAMPLE_MODEL,
        "model_provider": "switchyard",
        "model_providers": {
            "switchyard": {"name": "Switchyard", "base_url": f"{context.base_url}/v1", "wire_api": "responses"}
        },
    }
    return SetupFacts({"config": config}, "" if names else missing_model("OpenAI Responses"))


def _gemini_cli(context: SetupContext) -> SetupFacts:
    names = context.speaking(Protocol.GEMINI_CONTENT)
    return SetupFacts(
        {
            "env": {
                "GOOGLE_GEMINI_BASE_URL": context.base_url,
                "GEMINI_MODEL": preferred(names, family="gemini") or gemini_cli.EXAMPLE_MODEL,
            },
            "settings": {"security": {"auth": {"selectedType": "gemini-api-key"}}},
        },
        "" if names else missing_model("Gemini"),
    )


def _opencode(context: SetupContext) -> SetupFacts:
    config = config_of(context)
    providers = config["provider"]
    assert isinstance(providers, dict)
    for provider in providers.values():
        # Where the key comes from is the command line's business.
        provider["options"] = {"baseURL": provider["options"]["baseURL"]}
    return SetupFacts({"config": config}, "" if context.models else missing_model("any of its protocols"))


SETUP_TOOLS: Mapping[str, SetupTool] = {
    tool.id: tool
    for tool in (
        SetupTool("claude-code", "Claude Code", True, _claude_code),
        SetupTool("codex", "Codex CLI", True, _codex),
        SetupTool("gemini-cli", "Gemini CLI", False, _gemini_cli),
        SetupTool("opencode", "opencode", False, _opencode),
    )
}

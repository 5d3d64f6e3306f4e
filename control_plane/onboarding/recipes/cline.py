"""Cline 3: the VS Code extension is set by hand, the command line by `cline auth`."""

from control_plane.onboarding.recipes.model_choice import claude_slots, preferred
from control_plane.onboarding.recipes.recipe import (
    Entry,
    Protocol,
    Recipe,
    SetupContext,
    Step,
    Variant,
    missing_model,
    quoted,
    terminal,
)

EXAMPLE_MODEL = "gpt-5.1"


def _render(context: SetupContext) -> tuple[Variant, ...]:
    chat, messages = context.speaking(Protocol.OPENAI_CHAT), context.speaking(Protocol.ANTHROPIC_MESSAGES)
    chat_model = preferred(chat, family="gpt") or EXAMPLE_MODEL
    claude = claude_slots(messages).main or (messages[0] if messages else None)
    anthropic_step = Step(
        "Or, for Claude models, choose the provider “Anthropic”",
        "Tick “Use custom base URL”.",
        entries=(
            Entry("Anthropic API Key", context.key),
            Entry("Base URL", context.base_url),
            Entry("Model", claude or "claude-sonnet-4-6"),
        ),
    )
    warning = "" if chat or claude else missing_model("OpenAI Chat Completions")
    return (
        Variant(
            "vscode",
            "VS Code",
            (
                Step(
                    "Choose the provider “OpenAI Compatible”",
                    "Cline's settings → API configuration.",
                    entries=(
                        Entry("Base URL", context.base_url + "/v1"),
                        Entry("OpenAI Compatible API Key", context.key),
                        Entry("Model ID", chat_model),
                    ),
                ),
                *((anthropic_step,) if claude else ()),
            ),
            warning,
        ),
        Variant(
            "cli",
            "Command line",
            (
                Step(
                    "Sign in",
                    snippets=(
                        terminal(
                            "cline auth --provider openai-compatible \\",
                            f"  --apikey {context.key} \\",
                            f"  --baseurl {quoted(context.base_url + '/v1')} \\",
                            f"  --modelid {quoted(chat_model)}",
                        ),
                    ),
                ),
                Step("Run", snippets=(terminal('cline "Say hello in one sentence."'),)),
            ),
            warning if chat or not claude else missing_model("OpenAI Chat Completions"),
        ),
    )


RECIPE = Recipe(
    id="cline",
    name="Cline",
    icon="puzzle",
    summary="Coding agent for VS Code and the terminal.",
    render=_render,
    client="cline",
)

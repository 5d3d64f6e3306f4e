"""Aider 0.86: its library tells protocols apart by the prefix of the model's name."""

from control_plane.onboarding.recipes.model_choice import claude_slots, preferred
from control_plane.onboarding.recipes.recipe import (
    Protocol,
    Recipe,
    SetupContext,
    Snippet,
    Step,
    Variant,
    exports,
    missing_model,
    quoted,
    terminal,
)

CONFIG = "~/.aider.conf.yml"


def _render(context: SetupContext) -> tuple[Variant, ...]:
    chat, messages = context.speaking(Protocol.OPENAI_CHAT), context.speaking(Protocol.ANTHROPIC_MESSAGES)
    chat_model = "openai/" + (preferred(chat, family="gpt") or "gpt-5.1")
    claude = "anthropic/" + (claude_slots(messages).main or (messages[0] if messages else "claude-sonnet-4-6"))
    openai_way = Variant(
        "openai",
        "OpenAI models",
        (
            Step(
                "Try it in this terminal",
                snippets=(
                    terminal(
                        *exports(OPENAI_API_BASE=context.base_url + "/v1", OPENAI_API_KEY=context.key),
                        f"aider --model {quoted(chat_model)}",
                    ),
                ),
            ),
            Step(
                "Keep it",
                snippets=(
                    Snippet(
                        CONFIG,
                        "yaml",
                        f"model: {quoted(chat_model)}\n"
                        f"openai-api-base: {quoted(context.base_url + '/v1')}\n"
                        f"openai-api-key: {quoted(context.key)}",
                    ),
                ),
            ),
        ),
        "" if chat else missing_model("OpenAI Chat Completions"),
    )
    anthropic_way = Variant(
        "anthropic",
        "Claude models",
        (
            Step(
                "Try it in this terminal",
                snippets=(
                    terminal(
                        *exports(ANTHROPIC_API_BASE=context.base_url, ANTHROPIC_API_KEY=context.key),
                        f"aider --model {quoted(claude)}",
                    ),
                ),
            ),
            Step(
                "Keep it",
                snippets=(
                    Snippet(
                        CONFIG,
                        "yaml",
                        f"model: {quoted(claude)}\n"
                        f"anthropic-api-key: {quoted(context.key)}\n"
                        f"set-env:\n  - {quoted('ANTHROPIC_API_BASE=' + context.base_url)}",
                    ),
                ),
            ),
        ),
        "" if messages else missing_model("Anthropic Messages"),
    )
    return (anthropic_way, openai_way) if messages and not chat else (openai_way, anthropic_way)


RECIPE = Recipe(
    id="aider",
    name="Aider",
    icon="git-commit-horizontal",
    summary="Pair programming in the terminal, with git.",
    render=_render,
    client="aider",
)

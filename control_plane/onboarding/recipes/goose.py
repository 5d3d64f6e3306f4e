"""Goose 1.52: host and path are two settings; the key comes from the environment or the system's keyring."""

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

CONFIG = "~/.config/goose/config.yaml"


def _render(context: SetupContext) -> tuple[Variant, ...]:
    chat, messages = context.speaking(Protocol.OPENAI_CHAT), context.speaking(Protocol.ANTHROPIC_MESSAGES)
    openai_way = Variant(
        "openai",
        "OpenAI models",
        (
            Step(
                "Choose the provider",
                snippets=(
                    _config(
                        GOOSE_PROVIDER="openai",
                        GOOSE_MODEL=preferred(chat, family="gpt") or "gpt-5.1",
                        OPENAI_HOST=context.base_url,
                        OPENAI_BASE_PATH="v1/chat/completions",
                    ),
                ),
            ),
            _key_step("OPENAI_API_KEY", context.key),
        ),
        "" if chat else missing_model("OpenAI Chat Completions"),
    )
    anthropic_way = Variant(
        "anthropic",
        "Claude models",
        (
            Step(
                "Choose the provider",
                snippets=(
                    _config(
                        GOOSE_PROVIDER="anthropic",
                        GOOSE_MODEL=claude_slots(messages).main or (messages[0] if messages else "claude-sonnet-4-6"),
                        ANTHROPIC_HOST=context.base_url,
                    ),
                ),
            ),
            _key_step("ANTHROPIC_API_KEY", context.key),
        ),
        "" if messages else missing_model("Anthropic Messages"),
    )
    return (anthropic_way, openai_way) if messages and not chat else (openai_way, anthropic_way)


def _config(**values: str) -> Snippet:
    return Snippet(CONFIG, "yaml", "\n".join(f"{name}: {quoted(value)}" for name, value in values.items()))


def _key_step(variable: str, key: str) -> Step:
    return Step(
        "Give it your key",
        "The environment goes before the keyring; add the line to your shell's profile to keep it.",
        (terminal(*exports(**{variable: key}), "goose session"),),
    )


RECIPE = Recipe(
    id="goose",
    name="Goose",
    icon="bird",
    summary="Extensible agent for terminal and desktop.",
    render=_render,
    client="goose",
)

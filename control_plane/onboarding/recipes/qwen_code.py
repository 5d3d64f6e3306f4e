"""Qwen Code 0.24: needs all three of key, address and model before it skips its own sign-in."""

from control_plane.onboarding.recipes.model_choice import preferred
from control_plane.onboarding.recipes.recipe import (
    Protocol,
    Recipe,
    SetupContext,
    Snippet,
    Step,
    Variant,
    exports,
    json_file,
    missing_model,
    terminal,
)


def _render(context: SetupContext) -> tuple[Variant, ...]:
    names = context.speaking(Protocol.OPENAI_CHAT)
    variables = {
        "OPENAI_API_KEY": context.key,
        "OPENAI_BASE_URL": context.base_url + "/v1",
        "OPENAI_MODEL": preferred(names, family="qwen") or "qwen3-coder",
    }
    return (
        Variant(
            "key",
            "Switchyard key",
            (
                Step("Try it in this terminal", snippets=(terminal(*exports(**variables), "qwen"),)),
                Step(
                    "Keep it",
                    snippets=(
                        Snippet(
                            "~/.qwen/.env", "shell", "\n".join(f"{name}={value}" for name, value in variables.items())
                        ),
                        json_file("~/.qwen/settings.json", {"security": {"auth": {"selectedType": "openai"}}}),
                    ),
                ),
            ),
            "" if names else missing_model("OpenAI Chat Completions"),
        ),
    )


RECIPE = Recipe(
    id="qwen-code",
    name="Qwen Code",
    icon="command",
    summary="Coding agent in the terminal.",
    render=_render,
    client="qwen-code",
)

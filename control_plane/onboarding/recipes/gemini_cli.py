"""Gemini CLI 0.61: takes address, key and model from its own .env file; the sign-in kind from settings.json."""

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

EXAMPLE_MODEL = "gemini-2.5-pro"


def _render(context: SetupContext) -> tuple[Variant, ...]:
    names = context.speaking(Protocol.GEMINI_CONTENT)
    model = preferred(names, family="gemini") or EXAMPLE_MODEL
    variables = {
        "GOOGLE_GEMINI_BASE_URL": context.base_url,
        "GEMINI_API_KEY": context.key,
        "GEMINI_MODEL": model,
    }
    return (
        Variant(
            "key",
            "Switchyard key",
            (
                Step("Try it in this terminal", snippets=(terminal(*exports(**variables), "gemini"),)),
                Step(
                    "Keep it",
                    "A .env file of a project takes the place of this one.",
                    (
                        Snippet(
                            "~/.gemini/.env", "shell", "\n".join(f"{name}={value}" for name, value in variables.items())
                        ),
                        json_file(
                            "~/.gemini/settings.json", {"security": {"auth": {"selectedType": "gemini-api-key"}}}
                        ),
                    ),
                ),
            ),
            "" if names else missing_model("Gemini"),
        ),
    )


RECIPE = Recipe(
    id="gemini-cli",
    name="Gemini CLI",
    icon="sparkles",
    summary="Google's coding agent in the terminal.",
    render=_render,
    client="gemini-cli",
)

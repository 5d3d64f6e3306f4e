"""Codex CLI 0.169: an OpenAI Responses client.

A provider entry of its own goes straight to POST. The built-in provider with `openai_base_url` opens a websocket
first and falls back at once, because the gateway answers its upgrade with 426.
"""

from control_plane.onboarding.recipes.model_choice import preferred
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

EXAMPLE_MODEL = "gpt-5.1"
CONFIG = "~/.codex/config.toml"


def _render(context: SetupContext) -> tuple[Variant, ...]:
    names = context.speaking(Protocol.OPENAI_RESPONSES)
    model = preferred(names, family="gpt") or EXAMPLE_MODEL
    warning = "" if names else missing_model("OpenAI Responses")
    own_entry = f"""model = {quoted(model)}
model_provider = "switchyard"

[model_providers.switchyard]
name = "Switchyard"
base_url = {quoted(context.base_url + "/v1")}
env_key = "SWITCHYARD_API_KEY"
wire_api = "responses\""""
    built_in = f"""model = {quoted(model)}
openai_base_url = {quoted(context.base_url + "/v1")}"""
    return (
        Variant(
            "provider",
            "Own provider entry",
            (
                Step(
                    "Add Switchyard as a provider",
                    "The first two lines must stand above any [section] of the file.",
                    (Snippet(CONFIG, "toml", own_entry),),
                ),
                Step(
                    "Give it your key",
                    "Add the line to your shell's profile to keep it.",
                    (terminal(*exports(SWITCHYARD_API_KEY=context.key), "codex"),),
                ),
            ),
            warning,
        ),
        Variant(
            "built-in",
            "Built-in provider",
            (
                Step(
                    "Move the built-in provider here",
                    "For setups that must keep the name “openai”. The line must stand above any [section].",
                    (Snippet(CONFIG, "toml", built_in),),
                ),
                Step(
                    "Sign in with your key",
                    "It is kept in ~/.codex/auth.json.",
                    (
                        terminal(
                            *exports(OPENAI_API_KEY=context.key),
                            "printenv OPENAI_API_KEY | codex login --with-api-key",
                            "codex",
                        ),
                    ),
                ),
            ),
            warning,
        ),
    )


RECIPE = Recipe(
    id="codex-cli",
    name="Codex CLI",
    icon="square-terminal",
    summary="OpenAI's coding agent in the terminal.",
    render=_render,
    client="codex",
)

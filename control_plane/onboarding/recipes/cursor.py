"""Cursor: its servers, not the editor, call the address, so it must be public and encrypted."""

from control_plane.onboarding.recipes.model_choice import preferred
from control_plane.onboarding.recipes.reachability import is_encrypted, is_public
from control_plane.onboarding.recipes.recipe import (
    Entry,
    Protocol,
    Recipe,
    SetupContext,
    Step,
    Variant,
    missing_model,
)

EXAMPLE_MODEL = "gpt-5.1"


def _render(context: SetupContext) -> tuple[Variant, ...]:
    names = context.speaking(Protocol.OPENAI_CHAT)
    return (
        Variant(
            "key",
            "Switchyard key",
            (
                Step(
                    "Open Cursor Settings → Models → API keys",
                    "Enter these, then switch both on. Cursor answers with its own models again when they are off.",
                    entries=(
                        Entry("OpenAI API Key", context.key),
                        Entry("Override OpenAI Base URL", context.base_url + "/v1"),
                    ),
                ),
                Step(
                    "Add the model",
                    "“Add custom model” in the same place. Switch off models of which nobody here has approved the "
                    "use: tab completion and some features keep running on Cursor's own servers.",
                    entries=(Entry("Model name", preferred(names, family="gpt") or EXAMPLE_MODEL),),
                ),
            ),
            _warning(context, names),
        ),
    )


def _warning(context: SetupContext, names: tuple[str, ...]) -> str:
    if not is_public(context.base_url):
        return (
            f"Cursor's servers make the calls, and {context.base_url} cannot be reached from the internet. "
            "Ask an admin for a public gateway address, or use another tool with this key."
        )
    if not is_encrypted(context.base_url):
        return "Cursor's servers make the calls over the internet; the address must begin with https://."
    return "" if names else missing_model("OpenAI Chat Completions")


RECIPE = Recipe(
    id="cursor",
    name="Cursor",
    icon="mouse-pointer",
    summary="The editor; needs a public address.",
    render=_render,
    client="cursor",
)

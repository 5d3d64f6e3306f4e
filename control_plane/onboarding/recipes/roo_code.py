"""Roo Code: takes a profile from a settings file that it imports at start, or by hand."""

from control_plane.onboarding.recipes.model_choice import claude_slots, preferred
from control_plane.onboarding.recipes.recipe import (
    Entry,
    Protocol,
    Recipe,
    SetupContext,
    Step,
    Variant,
    json_file,
    missing_model,
)

EXAMPLE_MODEL = "gpt-5.1"


def _render(context: SetupContext) -> tuple[Variant, ...]:
    chat, messages = context.speaking(Protocol.OPENAI_CHAT), context.speaking(Protocol.ANTHROPIC_MESSAGES)
    claude = claude_slots(messages).main or (messages[0] if messages else None)
    chat_model = preferred(chat, family="gpt") or EXAMPLE_MODEL
    if claude is not None:
        profile = {
            "apiProvider": "anthropic",
            "apiKey": context.key,
            "anthropicBaseUrl": context.base_url,
            "apiModelId": claude,
        }
        entries = (
            Entry("API Provider", "Anthropic"),
            Entry("Anthropic API Key", context.key),
            Entry("Use custom base URL", context.base_url),
            Entry("Model", claude),
        )
    else:
        profile = {
            "apiProvider": "openai",
            "openAiBaseUrl": context.base_url + "/v1",
            "openAiApiKey": context.key,
            "openAiModelId": chat_model,
        }
        entries = (
            Entry("API Provider", "OpenAI Compatible"),
            Entry("Base URL", context.base_url + "/v1"),
            Entry("API Key", context.key),
            Entry("Model", chat_model),
        )
    imported = {
        "providerProfiles": {
            "currentApiConfigName": "switchyard",
            "apiConfigs": {"switchyard": profile},
        }
    }
    warning = "" if claude or chat else missing_model("OpenAI Chat Completions")
    return (
        Variant(
            "hand",
            "By hand",
            (Step("Open Roo Code's settings → Providers", "Save the profile as “switchyard”.", entries=entries),),
            warning,
        ),
        Variant(
            "file",
            "From a file",
            (
                Step("Write the profile", snippets=(json_file("~/.config/roo-code/switchyard.json", imported),)),
                Step(
                    "Let Roo Code import it at start",
                    "Then run “Developer: Reload Window”.",
                    (
                        json_file(
                            "VS Code: Preferences: Open User Settings (JSON)",
                            {"roo-cline.autoImportSettingsPath": "~/.config/roo-code/switchyard.json"},
                        ),
                    ),
                ),
            ),
            warning,
        ),
    )


RECIPE = Recipe(
    id="roo-code",
    name="Roo Code",
    icon="blocks",
    summary="Coding agent for VS Code.",
    render=_render,
    client="roo-code",
)

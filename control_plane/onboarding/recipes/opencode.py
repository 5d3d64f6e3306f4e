"""opencode 1.18: one provider entry per protocol, so that each model is asked in the one its provider speaks."""

from control_plane.onboarding.recipes.model_choice import claude_slots, preferred, small
from control_plane.onboarding.recipes.recipe import (
    Protocol,
    Recipe,
    SetupContext,
    Step,
    Variant,
    exports,
    json_file,
    missing_model,
    terminal,
)

CONFIG = "~/.config/opencode/opencode.json"
EXAMPLE_MODEL = "claude-sonnet-4-6"

# (provider id, its name, library, path under the base address, protocol). A model is listed once, under the first.
FLAVOURS = (
    ("switchyard", "Switchyard", "@ai-sdk/anthropic", "/v1", Protocol.ANTHROPIC_MESSAGES),
    ("switchyard-openai", "Switchyard (OpenAI)", "@ai-sdk/openai", "/v1", Protocol.OPENAI_RESPONSES),
    ("switchyard-google", "Switchyard (Gemini)", "@ai-sdk/google", "/v1beta", Protocol.GEMINI_CONTENT),
    ("switchyard-chat", "Switchyard (chat)", "@ai-sdk/openai-compatible", "/v1", Protocol.OPENAI_CHAT),
)


def config_of(context: SetupContext) -> dict[str, object]:
    """The file's entries: providers with their models, and which of them is asked first."""
    providers: dict[str, object] = {}
    place: dict[str, str] = {}
    for provider_id, label, library, path, protocol in FLAVOURS:
        names = [name for name in context.speaking(protocol) if name not in place and _belongs(name, protocol)]
        if names:
            providers[provider_id] = _provider(context, label, library, path, names)
            place.update(dict.fromkeys(names, provider_id))
    if not providers:
        provider_id, label, library, path, _ = FLAVOURS[0]
        providers[provider_id] = _provider(context, label, library, path, [EXAMPLE_MODEL])
        place[EXAMPLE_MODEL] = provider_id
    listed = tuple(place)
    main = claude_slots(listed).main or preferred(listed, family="gpt") or listed[0]
    beside = tuple(name for name in listed if place[name] == place[main])
    config: dict[str, object] = {
        "$schema": "https://opencode.ai/config.json",
        "provider": providers,
        "model": f"{place[main]}/{main}",
    }
    little = small(beside)
    if little is not None and little != main:
        config["small_model"] = f"{place[little]}/{little}"
    return config


def _render(context: SetupContext) -> tuple[Variant, ...]:
    return (
        Variant(
            "key",
            "Switchyard key",
            (
                Step(
                    "Add Switchyard",
                    "Merge it into your file; /models inside the tool lists what it found.",
                    (json_file(CONFIG, config_of(context)),),
                ),
                Step(
                    "Give it your key",
                    "Add the line to your shell's profile to keep it.",
                    (terminal(*exports(SWITCHYARD_API_KEY=context.key), "opencode"),),
                ),
            ),
            "" if context.models else missing_model("any of its protocols"),
        ),
    )


def _provider(context: SetupContext, label: str, library: str, path: str, names: list[str]) -> dict[str, object]:
    return {
        "npm": library,
        "name": label,
        "options": {"baseURL": context.base_url + path, "apiKey": "{env:SWITCHYARD_API_KEY}"},
        "models": {name: {"name": name} for name in names},
    }


def _belongs(name: str, protocol: Protocol) -> bool:
    """Whether a model that answers in several protocols is best asked in this one, by its family's name."""
    lowered = name.lower()
    match protocol:
        case Protocol.ANTHROPIC_MESSAGES:
            return "claude" in lowered or not any(family in lowered for family in ("gpt", "gemini"))
        case Protocol.OPENAI_RESPONSES | Protocol.OPENAI_CHAT:
            return "gemini" not in lowered and "claude" not in lowered
        case Protocol.GEMINI_CONTENT:
            return "gpt" not in lowered and "claude" not in lowered


RECIPE = Recipe(
    id="opencode",
    name="opencode",
    icon="braces",
    summary="Open-source coding agent in the terminal.",
    render=_render,
    client="opencode",
)

"""Claude Code 2.1: an Anthropic client that is pointed elsewhere by environment variables or its settings files.

Model slots: the tool asks for "opus", "sonnet" and "haiku" by what these variables name. The subscription way leaves
`Authorization` to the person's own sign-in and shows the Switchyard key in a header of its own.
"""

from control_plane.onboarding.recipes.model_choice import claude_slots
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

MANAGED_PATHS = (
    "Linux and WSL: /etc/claude-code/managed-settings.json · "
    "macOS: /Library/Application Support/ClaudeCode/managed-settings.json · "
    "Windows: C:\\Program Files\\ClaudeCode\\managed-settings.json"
)
MANAGED_FILE = "/etc/claude-code/managed-settings.json"


def slot_variables(names: tuple[str, ...]) -> dict[str, str]:
    """The variables that fill the tool's model slots; a slot without a model is left to the tool's default."""
    slots = claude_slots(names)
    chosen = {
        "ANTHROPIC_DEFAULT_OPUS_MODEL": slots.opus,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": slots.sonnet,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": slots.haiku,
    }
    variables = {name: model for name, model in chosen.items() if model is not None}
    if not variables and names:
        # Nothing here is called after a size: the one model takes every role.
        variables = {"ANTHROPIC_MODEL": names[0], **dict.fromkeys(chosen, names[0])}
    elif slots.sonnet is None and slots.main is not None:
        # The tool starts with its sonnet slot; without one it would ask for a model this key may not use.
        variables["ANTHROPIC_MODEL"] = slots.main
    return variables


def key_variables(context: SetupContext) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": context.base_url,
        "ANTHROPIC_AUTH_TOKEN": context.key,
        **slot_variables(context.speaking(Protocol.ANTHROPIC_MESSAGES)),
    }


def subscription_variables(context: SetupContext) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": context.base_url,
        "ANTHROPIC_CUSTOM_HEADERS": f"x-switchyard-key: {context.key}",
        **slot_variables(context.of_subscription(Protocol.ANTHROPIC_MESSAGES)),
    }


def model_warning(context: SetupContext) -> str:
    return "" if context.speaking(Protocol.ANTHROPIC_MESSAGES) else missing_model("Anthropic Messages")


STATUS_LINE = Step(
    "See what is left",
    "Optional: with the switchyard command installed, the status bar says what is left of your budget and which model "
    "really answered.",
    (json_file("~/.claude/settings.json", {"statusLine": {"type": "command", "command": "switchyard statusline"}}),),
)


def _managed(context: SetupContext, names: tuple[str, ...]) -> Snippet:
    return json_file(MANAGED_FILE, {"env": {"ANTHROPIC_BASE_URL": context.base_url, **slot_variables(names)}})


def _render(context: SetupContext) -> tuple[Variant, ...]:
    with_key, with_subscription = key_variables(context), subscription_variables(context)
    return (
        Variant(
            "key",
            "Switchyard key",
            (
                Step("Try it in this terminal", snippets=(terminal(*exports(**with_key), "claude"),)),
                Step(
                    "Keep it",
                    "Merge this into your user settings; every new session of the tool then goes through Switchyard. "
                    "If you were signed in to claude.ai before, run /logout once.",
                    (json_file("~/.claude/settings.json", {"env": with_key}),),
                ),
                STATUS_LINE,
                Step(
                    "For a whole fleet",
                    "Address and model slots without anybody's key; people cannot override it. " + MANAGED_PATHS,
                    (_managed(context, context.speaking(Protocol.ANTHROPIC_MESSAGES)),),
                ),
            ),
            model_warning(context),
        ),
        Variant(
            "subscription",
            "Max or Pro subscription",
            (
                Step(
                    "Point it here, keep your own sign-in",
                    "No ANTHROPIC_AUTH_TOKEN and no ANTHROPIC_API_KEY: your subscription pays, and Switchyard knows "
                    "you by a header of its own.",
                    (json_file("~/.claude/settings.json", {"env": with_subscription}),),
                ),
                Step("Sign in with your subscription", "Choose “Claude account”.", (terminal("claude", "/login"),)),
                STATUS_LINE,
                Step(
                    "For a whole fleet",
                    "The key stays in each person's own settings. " + MANAGED_PATHS,
                    (_managed(context, context.of_subscription(Protocol.ANTHROPIC_MESSAGES)),),
                ),
            ),
            ""
            if context.of_subscription(Protocol.ANTHROPIC_MESSAGES)
            else (
                "No provider here passes people's own sign-in on. Ask an admin to add an Anthropic provider whose "
                "credential is “passed through from the caller”."
            ),
        ),
    )


RECIPE = Recipe(
    id="claude-code",
    name="Claude Code",
    icon="terminal",
    summary="Anthropic's coding agent in the terminal.",
    render=_render,
    client="claude-code",
)

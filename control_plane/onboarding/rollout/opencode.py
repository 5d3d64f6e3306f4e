"""opencode's managed configuration: our providers and no others.

Checked against the package opencode-linux-x64 1.18.33: the folders of the managed opencode.json, the preferences domain
ai.opencode.managed, `enabled_providers`. The tool calls no command for its key; `{env:…}` reads a variable.
"""

from typing import Any, cast

from control_plane.onboarding.recipes.opencode import config_of
from control_plane.onboarding.recipes.recipe import SetupContext
from control_plane.onboarding.rollout.plan import (
    ManagedFile,
    Preferences,
    Rollout,
    RolloutContext,
    RolloutTool,
    System,
    as_json,
    missing,
)

PLACES = {
    System.MACOS: "/Library/Application Support/opencode/opencode.json",
    System.LINUX: "/etc/opencode/opencode.json",
    System.WINDOWS: "C:\\ProgramData\\opencode\\opencode.json",
}


def managed_config(context: RolloutContext) -> dict[str, Any]:
    config = config_of(SetupContext(context.base_url, "", context.models, context.organization))
    providers = cast(dict[str, dict[str, Any]], config["provider"])
    return {**config, "enabled_providers": list(providers)}


def _render(context: RolloutContext) -> Rollout:
    has_models = any(not model.passes_caller_credential for model in context.models)
    config = managed_config(context)
    return Rollout(
        files=(
            ManagedFile(
                "opencode.json",
                "json",
                as_json(config),
                PLACES,
                "Wins over people's and projects' configuration. Only the providers named here can be chosen.",
            ),
        ),
        variables={},
        limit="People cannot override what the file names; they may add other settings of their own.",
        warning="" if has_models else missing("any of its protocols", context.group),
        preferences=Preferences("ai.opencode.managed", config),
        before=(
            "The tool asks no command for its key. It reads SWITCHYARD_API_KEY; people put their own key there, or run "
            "switchyard setup opencode.",
        ),
    )


TOOL = RolloutTool(
    id="opencode",
    name="opencode",
    icon="braces",
    checked_against="opencode-ai 1.18.33",
    render=_render,
)

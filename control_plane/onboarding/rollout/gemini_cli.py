"""Gemini CLI's system settings: the sign-in kind is forced, since a Google sign-in would go past the gateway.

Checked against the package @google/gemini-cli 0.61.0 (bundle/docs/reference/configuration.md, docs/cli/enterprise.md
and the code): the three paths, `security.auth.selectedType`, `security.auth.enforcedType`, `model.name`; the variables
GOOGLE_GEMINI_BASE_URL (https, or localhost) and GEMINI_API_KEY. No settings file takes the address, and the tool calls
no command for its key: both are variables.
"""

from control_plane.onboarding.recipes.model_choice import preferred
from control_plane.onboarding.recipes.reachability import is_encrypted
from control_plane.onboarding.recipes.recipe import Protocol
from control_plane.onboarding.rollout.plan import (
    ManagedFile,
    Rollout,
    RolloutContext,
    RolloutTool,
    System,
    as_json,
    missing,
)

PLACES = {
    System.MACOS: "/Library/Application Support/GeminiCli/settings.json",
    System.LINUX: "/etc/gemini-cli/settings.json",
    System.WINDOWS: "C:\\ProgramData\\gemini-cli\\settings.json",
}


def system_settings(context: RolloutContext) -> dict[str, object]:
    settings: dict[str, object] = {
        "security": {"auth": {"selectedType": "gemini-api-key", "enforcedType": "gemini-api-key"}}
    }
    model = preferred(context.speaking(Protocol.GEMINI_CONTENT), family="gemini")
    return {**settings, "model": {"name": model}} if model else settings


def _render(context: RolloutContext) -> Rollout:
    names = context.speaking(Protocol.GEMINI_CONTENT)
    problems = [] if names else [missing("Gemini", context.group)]
    if not is_encrypted(context.base_url) and "127.0.0.1" not in context.base_url:
        problems.append("Gemini CLI takes https addresses only, apart from localhost.")
    return Rollout(
        files=(
            ManagedFile(
                "settings.json",
                "json",
                as_json(system_settings(context)),
                PLACES,
                "Has the last word over people's and projects' settings.",
            ),
        ),
        variables={"GOOGLE_GEMINI_BASE_URL": context.base_url},
        limit=(
            "The settings cannot be overridden, except by GEMINI_CLI_SYSTEM_SETTINGS_PATH. The address is a variable "
            "of the machine, so a person can set another in a shell."
        ),
        warning=" ".join(problems),
        before=(
            "The tool asks no command for its key. People put theirs into ~/.gemini/.env as GEMINI_API_KEY; "
            "switchyard setup gemini-cli does it for them.",
        ),
    )


TOOL = RolloutTool(
    id="gemini-cli",
    name="Gemini CLI",
    icon="sparkles",
    checked_against="@google/gemini-cli 0.61.0",
    render=_render,
)

"""VS Code with Claude Code's extension: its own sign-in prompt is switched off, the rest is Claude Code's managed file.

`claudeCode.disableLoginPrompt` and `claudeCode.environmentVariables` are those of the set-up recipe of the extension
(recipes/claude_code_vscode.py, for Claude Code 2.1); the extension itself is in no package registry, so it was not
looked into. VS Code has no settings file of a machine: what can be pushed are people's own, and a repository's.
"""

from control_plane.onboarding.recipes.recipe import Protocol
from control_plane.onboarding.rollout.claude_code import project_settings
from control_plane.onboarding.rollout.plan import (
    ManagedFile,
    ProjectFile,
    Rollout,
    RolloutContext,
    RolloutTool,
    System,
    as_json,
    missing,
)

PLACES = {
    System.MACOS: "~/Library/Application Support/Code/User/settings.json",
    System.LINUX: "~/.config/Code/User/settings.json",
    System.WINDOWS: "~\\AppData\\Roaming\\Code\\User\\settings.json",
}
USER_SETTINGS = {"claudeCode.disableLoginPrompt": True}


def workspace_settings(context: RolloutContext) -> dict[str, object]:
    """A repository's `.vscode/settings.json`, for editors that are not started from a shell."""
    variables = project_settings(context)["env"]
    assert isinstance(variables, dict)
    return {
        **USER_SETTINGS,
        "claudeCode.environmentVariables": [{"name": name, "value": value} for name, value in variables.items()],
    }


def _render(context: RolloutContext) -> Rollout:
    return Rollout(
        files=(
            ManagedFile(
                "settings.json",
                "json",
                as_json(USER_SETTINGS),
                PLACES,
                "Each person's own file. The script writes it only where there is none yet: comments and settings of "
                "people are theirs, so it says of the others what to add.",
            ),
        ),
        variables={},
        limit=(
            "People may change their own settings. What matters, the address and the models, is in Claude Code's "
            "managed file, which the extension reads too: push that one as well."
        ),
        warning="" if context.speaking(Protocol.ANTHROPIC_MESSAGES) else missing("Anthropic Messages", context.group),
        project=(ProjectFile(".vscode/settings.json", "json", as_json(workspace_settings(context))),),
        before=("Claude Code's own managed settings are pushed too; the address and the key come from there.",),
    )


TOOL = RolloutTool(
    id="vscode",
    name="VS Code (Claude Code)",
    icon="panel-right",
    checked_against="the set-up recipe for Claude Code 2.1 in VS Code",
    render=_render,
)

"""Claude Code's managed settings: address, model slots, which models can be chosen, and where the key comes from.

Checked against the package @anthropic-ai/claude-code 2.1.329: `env`, `apiKeyHelper`, `statusLine` and `availableModels`
of its settings schema; the folder C:\\Program Files\\ClaudeCode; the registry key
SOFTWARE\\Policies\\ClaudeCode with its value `Settings`. The preferences domain com.anthropic.claudecode is from the
vendor's documentation: the package for Linux does not hold it.
"""

import json

from control_plane.onboarding.recipes.claude_code import slot_variables
from control_plane.onboarding.recipes.recipe import Protocol
from control_plane.onboarding.rollout.plan import (
    ManagedFile,
    Preferences,
    ProjectFile,
    Registry,
    Rollout,
    RolloutContext,
    RolloutTool,
    System,
    VendorConsole,
    as_json,
    helper_command,
    helper_needs,
    missing,
    shell_line,
    status_line_command,
)

PLACES = {
    System.MACOS: "/Library/Application Support/ClaudeCode/managed-settings.json",
    System.LINUX: "/etc/claude-code/managed-settings.json",
    System.WINDOWS: "C:\\Program Files\\ClaudeCode\\managed-settings.json",
}


def managed_settings(context: RolloutContext) -> dict[str, object]:
    """The settings that win over the person's and the project's own."""
    names = context.speaking(Protocol.ANTHROPIC_MESSAGES)
    settings: dict[str, object] = {"env": {"ANTHROPIC_BASE_URL": context.base_url, **slot_variables(names)}}
    if names:
        settings["availableModels"] = list(names)
    if context.with_helper:
        settings["apiKeyHelper"] = shell_line(helper_command(context, "claude-code"))
    if context.with_status_line:
        line = shell_line(status_line_command(context, "claude-code"))
        settings["statusLine"] = {"type": "command", "command": line}
    return settings


def project_settings(context: RolloutContext) -> dict[str, object]:
    """A repository's `.claude/settings.json`: where requests go and what they are for; nobody's key."""
    variables = {"ANTHROPIC_BASE_URL": context.base_url}
    if context.tags:
        variables["ANTHROPIC_CUSTOM_HEADERS"] = f"x-switchyard-metadata: {json.dumps(context.tags)}"
    return {"env": variables}


def _render(context: RolloutContext) -> Rollout:
    settings = managed_settings(context)
    names = context.speaking(Protocol.ANTHROPIC_MESSAGES)
    return Rollout(
        files=(
            ManagedFile(
                "managed-settings.json",
                "json",
                as_json(settings),
                PLACES,
                "Wins over what people and projects set. On Linux it also holds for WSL.",
            ),
        ),
        variables={},
        limit="People cannot override it. Environment variables of a shell do not win over env in this file.",
        warning="" if names else missing("Anthropic Messages", context.group),
        project=(
            ProjectFile(
                ".claude/settings.json",
                "json",
                as_json(project_settings(context)),
                "The tags stand on every request of this repository. Put ANTHROPIC_CUSTOM_HEADERS nowhere else, since "
                "one value takes the place of another.",
            ),
        ),
        preferences=Preferences("com.anthropic.claudecode", settings),
        registry=Registry("HKLM\\SOFTWARE\\Policies\\ClaudeCode", "Settings", json.dumps(settings)),
        vendor=VendorConsole(
            "Claude for Teams and Enterprise: managed settings",
            as_json(settings),
            (
                "Open claude.ai as an owner: Admin settings, Claude Code, Managed settings.",
                "Paste the JSON and save. It reaches a machine at the next start of Claude Code.",
                "It reaches people who are signed in to the vendor's account; for those who never sign in there, push "
                "the file by a device management too.",
            ),
        ),
        before=helper_needs(context),
    )


TOOL = RolloutTool(
    id="claude-code",
    name="Claude Code",
    icon="terminal",
    checked_against="@anthropic-ai/claude-code 2.1.329",
    render=_render,
)

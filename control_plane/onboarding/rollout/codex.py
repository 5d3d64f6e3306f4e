"""Codex CLI's system configuration: a provider of its own, its model, and where the key comes from.

Checked against the package @openai/codex 0.169.0: /etc/codex/config.toml, /etc/codex/managed_config.toml (called
legacy there), /etc/codex/requirements.toml, which knows no rule about providers, and the fields of a provider's `auth`.
The folder of Windows and the preferences domain com.openai.codex with `config_toml_base64` are from the public source
(codex-rs/config/src/loader): the package for Linux does not hold them.
"""

from base64 import b64encode

from control_plane.onboarding.recipes.model_choice import preferred
from control_plane.onboarding.recipes.recipe import Protocol, quoted
from control_plane.onboarding.rollout.plan import (
    ManagedFile,
    Preferences,
    Rollout,
    RolloutContext,
    RolloutTool,
    System,
    helper_command,
    helper_needs,
    missing,
)

PLACES = {
    System.MACOS: "/etc/codex/config.toml",
    System.LINUX: "/etc/codex/config.toml",
    System.WINDOWS: "C:\\ProgramData\\OpenAI\\Codex\\config.toml",
}
REFRESH_MS, TIMEOUT_MS = 300_000, 10_000


def config(context: RolloutContext) -> str:
    """The file's text. Its first lines stand above every [section], as TOML wants it."""
    model = preferred(context.speaking(Protocol.OPENAI_RESPONSES), family="gpt")
    lines = [f"model = {quoted(model)}"] if model else []
    lines += [
        'model_provider = "switchyard"',
        "",
        "[model_providers.switchyard]",
        'name = "Switchyard"',
        f"base_url = {quoted(context.base_url + '/v1')}",
        'wire_api = "responses"',
    ]
    if not context.with_helper:
        return "\n".join([*lines, 'env_key = "SWITCHYARD_API_KEY"']) + "\n"
    program, *arguments = helper_command(context, "codex")
    lines += [
        "",
        "[model_providers.switchyard.auth]",
        f"command = {quoted(program)}",
        f"args = [{', '.join(quoted(argument) for argument in arguments)}]",
        f"timeout_ms = {TIMEOUT_MS}",
        f"refresh_interval_ms = {REFRESH_MS}",
    ]
    return "\n".join(lines) + "\n"


def _render(context: RolloutContext) -> Rollout:
    text = config(context)
    return Rollout(
        files=(
            ManagedFile(
                "config.toml",
                "toml",
                text,
                PLACES,
                "The machine's defaults. A project's own file cannot name a provider, so a repository cannot lead "
                "requests elsewhere.",
            ),
        ),
        variables={},
        limit=(
            "A person's own ~/.codex/config.toml wins over the file. On a Mac the profile wins over that; "
            "on Linux the same text as /etc/codex/managed_config.toml does, which this version calls legacy."
        ),
        warning="" if context.speaking(Protocol.OPENAI_RESPONSES) else missing("OpenAI Responses", context.group),
        preferences=Preferences("com.openai.codex", {"config_toml_base64": b64encode(text.encode()).decode()}),
        before=helper_needs(context)
        if context.with_helper
        else (*helper_needs(context), "Codex reads it from the variable SWITCHYARD_API_KEY."),
    )


TOOL = RolloutTool(
    id="codex",
    name="Codex CLI",
    icon="square-terminal",
    checked_against="@openai/codex 0.169.0",
    render=_render,
)

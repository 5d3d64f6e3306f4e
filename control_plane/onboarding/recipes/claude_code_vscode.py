"""Claude Code's VS Code extension: reads the same settings file; its own login prompt has to be switched off."""

from control_plane.onboarding.recipes.claude_code import key_variables, model_warning, subscription_variables
from control_plane.onboarding.recipes.recipe import Recipe, SetupContext, Step, Variant, json_file

EDITOR_FILE = "VS Code: Preferences: Open User Settings (JSON)"


def _render(context: SetupContext) -> tuple[Variant, ...]:
    variables = key_variables(context)
    return (
        Variant(
            "key",
            "Switchyard key",
            (
                Step(
                    "Tell Claude Code where to go",
                    "The extension and the terminal share this file.",
                    (json_file("~/.claude/settings.json", {"env": variables}),),
                ),
                Step(
                    "Switch off the extension's sign-in",
                    "Then run “Developer: Reload Window”.",
                    (json_file(EDITOR_FILE, {"claudeCode.disableLoginPrompt": True}),),
                ),
                Step(
                    "Or keep it inside VS Code",
                    "In place of the first file, for this editor only.",
                    (
                        json_file(
                            EDITOR_FILE,
                            {
                                "claudeCode.disableLoginPrompt": True,
                                "claudeCode.environmentVariables": [
                                    {"name": name, "value": value} for name, value in variables.items()
                                ],
                            },
                        ),
                    ),
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
                    "The extension asks you to sign in to claude.ai as before; Switchyard knows you by the header.",
                    (json_file("~/.claude/settings.json", {"env": subscription_variables(context)}),),
                ),
                Step("Reload the window", "Run “Developer: Reload Window”, then sign in when the extension asks."),
            ),
        ),
    )


RECIPE = Recipe(
    id="claude-code-vscode",
    name="Claude Code in VS Code",
    icon="panel-right",
    summary="The same agent inside the editor.",
    render=_render,
    client="claude-code",
)

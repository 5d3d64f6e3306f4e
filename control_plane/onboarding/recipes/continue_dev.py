"""Continue: one YAML file for editor extensions and the `cn` command."""

from control_plane.onboarding.recipes.model_choice import claude_slots, preferred
from control_plane.onboarding.recipes.recipe import (
    Protocol,
    Recipe,
    SetupContext,
    Snippet,
    Step,
    Variant,
    missing_model,
    quoted,
    terminal,
)


def _render(context: SetupContext) -> tuple[Variant, ...]:
    chat, messages = context.speaking(Protocol.OPENAI_CHAT), context.speaking(Protocol.ANTHROPIC_MESSAGES)
    chosen: list[tuple[str, str]] = []
    claude = claude_slots(messages).main
    if claude is not None:
        chosen.append(("anthropic", claude))
    beside = preferred(tuple(name for name in chat if name != claude), family="gpt")
    if beside is not None or not chosen:
        chosen.append(("openai", beside or "gpt-5.1"))
    lines = [f"name: {quoted('Switchyard')}", "version: 1.0.0", "schema: v1", "models:"]
    for provider, model in chosen:
        lines += [
            f"  - name: {quoted(model)}",
            f"    provider: {provider}",
            f"    model: {quoted(model)}",
            f"    apiBase: {quoted(context.base_url + '/v1/')}",
            f"    apiKey: {quoted(context.key)}",
            "    roles: [chat, edit, apply]",
        ]
    return (
        Variant(
            "key",
            "Switchyard key",
            (
                Step(
                    "Write the configuration",
                    "The extension picks it up when the file is saved.",
                    (Snippet("~/.continue/config.yaml", "yaml", "\n".join(lines)),),
                ),
                Step(
                    "Or try it in the terminal",
                    snippets=(terminal('cn --config ~/.continue/config.yaml -p "Say hello in one sentence."'),),
                ),
            ),
            "" if chat or claude else missing_model("OpenAI Chat Completions"),
        ),
    )


RECIPE = Recipe(
    id="continue",
    name="Continue",
    icon="chevrons-right",
    summary="Assistant for VS Code and JetBrains.",
    render=_render,
    client="continue",
)

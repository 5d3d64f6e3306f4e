"""Turns a rendered recipe into text for golden files, and holds the contexts they are rendered for.

`python -m tests.control_plane.onboarding.rendering` writes the golden files anew; look at the diff before committing.
"""

from pathlib import Path

from control_plane.onboarding.recipes.catalog import all_recipes
from control_plane.onboarding.recipes.recipe import Protocol, Recipe, SetupContext, UsableModel

GOLDEN = Path(__file__).parent / "golden"

ANTHROPIC = frozenset({Protocol.ANTHROPIC_MESSAGES})
OPENAI = frozenset({Protocol.OPENAI_CHAT, Protocol.OPENAI_RESPONSES})
GEMINI = frozenset({Protocol.GEMINI_CONTENT})

FULL = SetupContext(
    base_url="https://ai.example.com",
    key="sypat_ExampleId012ExampleSecretOfThirtyTwoChars00AbCdEf",
    models=(
        UsableModel("claude-haiku-4-5", ANTHROPIC),
        UsableModel("claude-opus-4-6", ANTHROPIC),
        UsableModel("claude-opus-4-8", ANTHROPIC),
        UsableModel("claude-sonnet-4-5-20250929", ANTHROPIC),
        UsableModel("claude-sonnet-4-6", ANTHROPIC),
        UsableModel("gpt-5.1", OPENAI),
        UsableModel("gpt-5.1-mini", OPENAI),
        UsableModel("gemini-2.5-flash", GEMINI),
        UsableModel("gemini-2.5-pro", GEMINI),
        UsableModel("max/claude-opus-4-8", ANTHROPIC, passes_caller_credential=True),
        UsableModel("max/claude-sonnet-4-6", ANTHROPIC, passes_caller_credential=True),
    ),
    organization="Example",
)
BARE = SetupContext(base_url="http://127.0.0.1:8080", key=FULL.key, models=(), organization="Example")


def as_text(recipe: Recipe) -> str:
    """All that a person would see of a recipe, in both contexts."""
    return "\n".join(
        line
        for title, context in (("with models of every vendor", FULL), ("on loopback, without models", BARE))
        for line in (f"################ {recipe.name}, {title}", *_lines(recipe, context), "")
    )


def _lines(recipe: Recipe, context: SetupContext) -> list[str]:
    lines: list[str] = []
    for variant in recipe.render(context):
        lines.append(f"======== {variant.label} [{variant.id}]")
        if variant.warning:
            lines.append(f"! {variant.warning}")
        for number, step in enumerate(variant.steps, start=1):
            lines.append(f"{number}. {step.title}")
            if step.note:
                lines.append(f"   {step.note}")
            lines += [f"   {entry.label}: {entry.value}" for entry in step.entries]
            for snippet in step.snippets:
                lines += [f"--- {snippet.where} ({snippet.language})", snippet.text, "---"]
    return lines


if __name__ == "__main__":
    for one in all_recipes():
        (GOLDEN / f"{one.id}.txt").write_text(as_text(one), encoding="utf-8")

"""Contexts to render roll-outs for, and their text in one piece.

    python -m tests.control_plane.onboarding.rollout.rendering

writes the golden files anew; what changed is then looked at in the diff.
"""

from pathlib import Path

from control_plane.onboarding.recipes.recipe import Protocol, UsableModel
from control_plane.onboarding.rollout.catalog import all_tools, format_names, package_of
from control_plane.onboarding.rollout.plan import Package, RolloutContext, RolloutTool

GOLDEN = Path(__file__).parent / "golden"
MODELS = (
    UsableModel("claude-opus-4-6", frozenset({Protocol.ANTHROPIC_MESSAGES})),
    UsableModel("claude-sonnet-4-6", frozenset({Protocol.ANTHROPIC_MESSAGES})),
    UsableModel("claude-haiku-4-5", frozenset({Protocol.ANTHROPIC_MESSAGES})),
    UsableModel("claude-max", frozenset({Protocol.ANTHROPIC_MESSAGES}), passes_caller_credential=True),
    UsableModel("gpt-5.1", frozenset({Protocol.OPENAI_RESPONSES, Protocol.OPENAI_CHAT})),
    UsableModel("gemini-2.5-pro", frozenset({Protocol.GEMINI_CONTENT})),
)


def a_context(
    *,
    models: tuple[UsableModel, ...] = MODELS,
    base_url: str = "https://ai.example.com",
    group: str = "platform",
    with_helper: bool = True,
    with_status_line: bool = False,
    organization: str = "Acme Instruments",
    project: str = "checkout",
    repository: str = "acme/checkout",
) -> RolloutContext:
    return RolloutContext(
        base_url=base_url,
        console_url="https://console.example.com",
        organization=organization,
        models=models,
        group=group,
        charged_to=group,
        with_helper=with_helper,
        with_status_line=with_status_line,
        project=project,
        repository=repository,
    )


def packages(context: RolloutContext) -> list[tuple[RolloutTool, str, Package]]:
    """Every tool in every format it comes in."""
    return [
        (tool, name, package)
        for tool in all_tools().values()
        for name in format_names()
        if (package := package_of(tool, name, context)) is not None
    ]


def as_text(package: Package) -> str:
    parts = [f"{number}. {step}" for number, step in enumerate(package.steps, 1)]
    parts += [f"   {note}" for note in package.notes]
    for file in package.files:
        parts += [f"--- {file.name} ({file.media_type}) {file.path}".rstrip(), file.text.replace("\r\n", "\n")]
    return "\n".join(parts)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each_tool, each_name, each_package in packages(a_context()):
        (GOLDEN / f"{each_tool.id}.{each_name}.txt").write_text(as_text(each_package), encoding="utf-8")

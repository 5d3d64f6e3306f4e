"""What lies where, and what things are called."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, python_files, tracked_files

TOP_LEVEL = {
    ".ci", ".gitignore", ".pre-commit-config.yaml", "Makefile", "README.md", "LICENSE", "pyproject.toml",
    "control_plane", "data_plane", "deploy", "docs", "proto", "tests",
}  # fmt: skip

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"}
"""Names that say nothing about what is inside, so that everything ends up there."""
NAMED_BY_CUSTOM = {Path("control_plane/project/settings/base.py")}

# One file, one plug: folder, the constant each file exports, files that are no plug.
PLUG_INS = [
    ("data_plane/providers", "PROVIDER", {"__init__", "provider", "catalog"}),
    ("data_plane/guardrails", "GUARDRAIL", {"__init__", "guardrail", "window", "catalog"}),
    ("control_plane/alerts/channels", "CHANNEL", {"__init__", "channel", "catalog"}),
    ("control_plane/declarative/kinds", "KIND", {"__init__", "kind", "catalog", "rows", "rule"}),
    ("control_plane/alerts/channels", "CHANNEL", {"__init__", "channel", "catalog"}),
    ("control_plane/onboarding/recipes", "RECIPE", {"__init__", "recipe", "catalog", "model_choice", "reachability"}),
    ("control_plane/onboarding/rollout", "TOOL", {"__init__", "plan", "catalog", "profiles", "scripts"}),
    ("control_plane/onboarding/rollout/mdm", "MDM", {"__init__", "apple"}),
]


def test_the_top_level_holds_only_what_the_architecture_names() -> None:
    assert {path.parts[0] for path in tracked_files()} - TOP_LEVEL == set()


def test_no_file_or_folder_has_an_empty_name() -> None:
    empty = [
        path
        for path in tracked_files()
        if path.suffix == ".py" and path not in NAMED_BY_CUSTOM and EMPTY_NAMES & {*path.parent.parts, path.stem}
    ]
    assert empty == []


def test_no_secret_or_state_of_an_installation_is_tracked() -> None:
    assert [path for path in tracked_files() if {".switchyard", ".venv", "node_modules"} & set(path.parts)] == []


def plugs() -> list[tuple[Path, str]]:
    return list(_plugs())


def _plugs() -> Iterator[tuple[Path, str]]:
    for folder, constant, others in PLUG_INS:
        for path in sorted((ROOT / folder).glob("*.py")):
            if path.stem not in others and not path.stem.startswith("_"):
                yield path, constant


@pytest.mark.parametrize(("path", "constant"), plugs(), ids=lambda value: getattr(value, "stem", None))
def test_a_plug_in_exports_its_one_constant(path: Path, constant: str) -> None:
    lines = path.read_text().splitlines()
    assert [line for line in lines if line.startswith((f"{constant} =", f"{constant}:"))], f"{path.name}: {constant}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path
        for path, tree in python_files(*PACKAGES)
        if tree.body and ast.get_docstring(tree) is None and not {"migrations", "apps.py"} & set(path.parts)
    ]
    assert silent == []

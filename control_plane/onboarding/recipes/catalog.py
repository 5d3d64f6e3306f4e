"""Collects the recipes: every other module of this folder that is not part of the frame must export `RECIPE`."""

import pkgutil
from functools import cache
from importlib import import_module

from control_plane.onboarding import recipes
from control_plane.onboarding.recipes.recipe import Recipe

FRAME = frozenset({"recipe", "catalog", "model_choice", "reachability"})

ORDER = (
    "claude-code",
    "claude-code-vscode",
    "claude-agent-sdk",
    "codex-cli",
    "gemini-cli",
    "opencode",
    "cursor",
    "cline",
    "roo-code",
    "aider",
    "goose",
    "qwen-code",
    "continue",
    "curl",
    "sdk-python",
    "sdk-javascript",
)
"""As people see them; a recipe not named here comes after, by name."""


class InvalidCatalog(Exception):
    """A recipe file exports nothing, the wrong thing, or an id that another file already has."""


@cache
def all_recipes() -> tuple[Recipe, ...]:
    """Every recipe, in the order people see. Raises InvalidCatalog at the first gap or duplicate."""
    return collect(
        tuple(
            (module.name, getattr(import_module(f"{recipes.__name__}.{module.name}"), "RECIPE", None))
            for module in pkgutil.iter_modules(recipes.__path__)
            if module.name not in FRAME
        )
    )


def collect(found: tuple[tuple[str, object], ...]) -> tuple[Recipe, ...]:
    """Check what the files export and put it in order. found: (file, its RECIPE or None)."""
    by_id: dict[str, Recipe] = {}
    for file, exported in found:
        if not isinstance(exported, Recipe):
            raise InvalidCatalog(f"recipes/{file}.py exports no RECIPE")
        if exported.id in by_id:
            raise InvalidCatalog(f"recipes/{file}.py: the id {exported.id!r} is taken by another recipe")
        by_id[exported.id] = exported
    place = {recipe_id: number for number, recipe_id in enumerate(ORDER)}
    return tuple(sorted(by_id.values(), key=lambda recipe: (place.get(recipe.id, len(place)), recipe.name)))


def recipe_by_id(recipe_id: str) -> Recipe | None:
    return next((recipe for recipe in all_recipes() if recipe.id == recipe_id), None)

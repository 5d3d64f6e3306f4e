"""The set-up panel: every tool's recipe rendered for one key, and which one is open first."""

from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.onboarding.recipes.recipe import Recipe, SetupContext, Variant


@dataclass(frozen=True, slots=True)
class Tool:
    recipe: Recipe
    variants: tuple[Variant, ...]
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class SetupPanel:
    """Rendered whole and switched in the browser: the key is in it, and must not travel in another request."""

    tools: tuple[Tool, ...]
    base_url: str
    has_models: bool


def setup_panel(recipes: Sequence[Recipe], context: SetupContext, *, chosen: str) -> SetupPanel:
    """chosen: a recipe's id from the address; anything else opens the first."""
    known = {recipe.id for recipe in recipes}
    first = chosen if chosen in known else recipes[0].id
    return SetupPanel(
        tuple(Tool(recipe, recipe.render(context), recipe.id == first) for recipe in recipes),
        context.base_url,
        bool(context.models),
    )

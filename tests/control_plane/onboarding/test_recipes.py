"""Every recipe: what it says, that its files can be read, that the reader's own address and key are in it."""

import json
import subprocess
import tomllib

import pytest
import yaml

from control_plane.onboarding.recipes.catalog import ORDER, InvalidCatalog, all_recipes, collect, recipe_by_id
from control_plane.onboarding.recipes.recipe import Recipe, SetupContext, Snippet, Variant
from tests.control_plane.onboarding.rendering import BARE, FULL, GOLDEN, as_text

RECIPES = pytest.mark.parametrize("recipe", all_recipes(), ids=lambda recipe: recipe.id)
CONTEXTS = pytest.mark.parametrize("context", [FULL, BARE], ids=["full", "bare"])


@RECIPES
def test_a_recipe_says_what_its_golden_file_says(recipe: Recipe) -> None:
    assert as_text(recipe) == (GOLDEN / f"{recipe.id}.txt").read_text(encoding="utf-8")


def test_no_golden_file_is_left_of_a_recipe_that_is_gone() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {recipe.id for recipe in all_recipes()}


def test_every_tool_of_the_order_has_a_recipe_and_the_other_way_round() -> None:
    assert tuple(recipe.id for recipe in all_recipes()) == ORDER


@RECIPES
@CONTEXTS
def test_every_way_carries_the_readers_address_and_key(recipe: Recipe, context: SetupContext) -> None:
    for variant in recipe.render(context):
        shown = _shown(variant)
        assert context.base_url in shown
        assert context.key in shown


@RECIPES
@CONTEXTS
def test_every_file_can_be_read_in_its_language(recipe: Recipe, context: SetupContext) -> None:
    for variant in recipe.render(context):
        for step in variant.steps:
            for snippet in step.snippets:
                _read(snippet)


@RECIPES
def test_nothing_warns_where_models_of_every_vendor_and_a_public_address_are_there(recipe: Recipe) -> None:
    assert [variant.warning for variant in recipe.render(FULL) if variant.warning] == []


@RECIPES
def test_without_a_model_the_first_way_says_so(recipe: Recipe) -> None:
    assert recipe.render(BARE)[0].warning


def test_a_file_without_a_recipe_is_refused() -> None:
    with pytest.raises(InvalidCatalog, match="exports no RECIPE"):
        collect((("empty", None),))


def test_two_recipes_of_one_id_are_refused() -> None:
    recipe = all_recipes()[0]
    with pytest.raises(InvalidCatalog, match="is taken by another recipe"):
        collect((("one", recipe), ("two", recipe)))


def test_a_recipe_is_found_by_its_id() -> None:
    assert recipe_by_id("codex-cli") in all_recipes()
    assert recipe_by_id("nothing") is None


def _shown(variant: Variant) -> str:
    texts = [snippet.text for step in variant.steps for snippet in step.snippets]
    return "\n".join(texts + [entry.value for step in variant.steps for entry in step.entries])


def _read(snippet: Snippet) -> None:
    match snippet.language:
        case "json":
            json.loads(snippet.text)
        case "toml":
            tomllib.loads(snippet.text)
        case "yaml":
            assert isinstance(yaml.safe_load(snippet.text), dict)
        case "python":
            compile(snippet.text, snippet.where, "exec")
        case "shell":
            checked = subprocess.run(["sh", "-n"], input=snippet.text.encode(), capture_output=True, check=False)
            assert checked.returncode == 0, checked.stderr
        case "javascript":
            assert snippet.text.count("{") == snippet.text.count("}")
        case other:
            raise AssertionError(f"no reader for {other}")

"""The recipes that come with Crosslens can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.recipe_toml import recipe_from_toml, recipe_to_toml

FOLDER = Path(__file__).parents[2] / "examples" / "recipes"
RECIPES = sorted(FOLDER.glob("**/*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_an_example_is_a_whole_recipe_in_the_present_notation(path: Path) -> None:
    recipe = recipe_from_toml(path.read_text(encoding="utf-8"))
    assert recipe_from_toml(recipe_to_toml(recipe)) == recipe
    assert recipe.models
    assert not Path(recipe.source.database).is_absolute()
    assert any(field.role.is_label for field in recipe.fields)


def test_the_telephone_calls_ask_what_is_known_before_them() -> None:
    recipe = recipe_from_toml((FOLDER / "bank-marketing.toml").read_text(encoding="utf-8"))
    assert recipe.moment == "before the call"
    assert recipe.fields.field("duration").role.is_feature

"""What a search rests on: never the test rows, and on going on the same rows as before."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from core.commands import MakeSample, Tune
from core.jobs import perform
from core.jobs.data import prepare_data
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.services import JobControl, Services
from core.splits import Split
from core.tuning import Tuning, load_tuning, tuning_folder, tunings
from crosslens.relational import ColumnRef

MODEL = ModelChoice("lightgbm", {"num_trees": 20})


@pytest.fixture
def make_shop(tmp_path: Path, services: Services) -> Callable[[str], Recipe]:
    """Return what writes a shop and the recipe that reads it; all of them hold the same rows."""

    def make(name: str) -> Recipe:
        made = perform(MakeSample(tmp_path / f"{name}.db", rows=1_500, seed=3), services, JobControl())
        recipe = recipe_from_toml(made.recipe, folder=tmp_path)
        return replace(recipe, models=(MODEL,))

    return make


def search(project: Path, services: Services, recipe: Recipe, *, resume: str = "", trials: int = 3) -> Tuning:
    request = Tune(project, recipe_to_toml(recipe), recipe.models[0].id, trials, resume=resume)
    done = perform(request, services, JobControl())
    return load_tuning(tuning_folder(project, done.tuning))


def forget_clicks(recipe: Recipe, project: Path, services: Services, rows: Callable[[Split], object]) -> None:
    """Take the clicks away from some rows of the database, chosen among the parts of its split."""
    opened = services.projects.open(project, create=True)
    data = prepare_data(recipe, opened, services, JobControl())
    keys = data.table.column(data.snapshot.columns.index(ColumnRef("impressions", "id"))).to_numpy()
    chosen = keys[data.keys[rows(data.split)]]
    opened.close()
    with closing(sqlite3.connect(recipe.source.database)) as connection, connection:
        marks = [(int(key),) for key in chosen]
        gone = connection.executemany("DELETE FROM clicks WHERE impression_id = ?", marks).rowcount
    assert gone > 5


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_search_looks_at_validation_rows_and_never_at_test_rows(
    part: str, make_shop: Callable[[str], Recipe], tmp_path: Path, services: Services
) -> None:
    clean, poisoned = make_shop("clean"), make_shop("poisoned")
    forget_clicks(poisoned, tmp_path / "look", services, lambda split: getattr(split, part))
    before = search(tmp_path / "before", services, clean)
    after = search(tmp_path / "after", services, poisoned)
    same = [trial.value for trial in before.trials] == [trial.value for trial in after.trials]
    assert same is (part == "test")


def test_a_search_whose_rows_have_changed_begins_anew_and_says_so(
    make_shop: Callable[[str], Recipe], tmp_path: Path, services: Services
) -> None:
    recipe, project = make_shop("shop"), tmp_path / "project"
    first = search(project, services, recipe, trials=2)
    forget_clicks(recipe, project, services, lambda split: split.train[::2])
    second = search(project, services, recipe, trials=1, resume=first.id)
    assert second.id != first.id
    assert len(second.trials) == 1
    assert "(2 trials) the rows have changed" in second.note
    assert {each.id: len(each.trials) for each in tunings(project)} == {first.id: 2, second.id: 1}


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        (lambda recipe: recipe, True),
        (lambda recipe: replace(recipe, title="Another title"), True),
        (lambda recipe: recipe.only(ModelChoice(MODEL.id, {**MODEL.parameters, "num_leaves": 40})), True),
        (lambda recipe: recipe.only(ModelChoice(MODEL.id, {"num_trees": 21})), False),
        (lambda recipe: replace(recipe, minimum_count=5), False),
    ],
    ids=["the same", "another title", "another start", "another parameter", "another preparation"],
)
def test_only_a_search_that_asks_the_same_goes_on(
    change: Callable[[Recipe], Recipe],
    goes_on: bool,
    make_shop: Callable[[str], Recipe],
    tmp_path: Path,
    services: Services,
) -> None:
    recipe, project = make_shop("shop"), tmp_path / "project"
    first = search(project, services, recipe, trials=1)
    second = search(project, services, change(recipe), trials=1, resume=first.id)
    assert (second.id == first.id) is goes_on
    assert len(second.trials) == (2 if goes_on else 1)
    assert ("Begun anew" in second.note) is not goes_on

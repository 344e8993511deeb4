"""A schema that changed since the recipe was written: training and predicting say exactly what is gone or different."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from core.commands import Score, Train
from core.jobs import perform
from core.jobs.suggest import suggest_recipe
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_to_toml
from core.services import JobControl, Services
from crosslens.errors import QueryError
from crosslens.relational import ConnectionSpec

SCHEMA = """
CREATE TABLE items(id INTEGER PRIMARY KEY, price REAL, colour TEXT);
CREATE TABLE seen(id INTEGER PRIMARY KEY, item_id INTEGER REFERENCES items(id), place TEXT, clicked INTEGER);
"""


def _database(path: Path) -> Path:
    draw = random.Random(1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        rows = [(number, draw.random() * 100, draw.choice(["red", "blue"])) for number in range(40)]
        connection.executemany("INSERT INTO items VALUES (?, ?, ?)", rows)
        rows = [(number, draw.randrange(40), draw.choice("abc"), draw.randrange(2)) for number in range(400)]
        connection.executemany("INSERT INTO seen VALUES (?, ?, ?, ?)", rows)
    return path


def _alter(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def _recipe(path: Path, services: Services) -> Recipe:
    models = (ModelChoice("logistic"),)
    return suggest_recipe(
        ConnectionSpec("sqlite", str(path)), base="seen", label="", models=models, services=services,
        control=JobControl(),
    ).recipe  # fmt: skip


CHANGES = {
    "a column is gone": ("ALTER TABLE items DROP COLUMN price", "the column “items.price” is gone"),
    "a column has another name": ("ALTER TABLE seen RENAME place TO spot", "the column “seen.place” is gone"),
    "a table is gone": ("DROP TABLE items", "the table “items” is gone"),
    "several things": (
        "ALTER TABLE items DROP COLUMN price; ALTER TABLE seen DROP COLUMN place",
        "“seen.place” is gone; the column “items.price” is gone",
    ),
    "numbers became bytes": (
        "ALTER TABLE items DROP COLUMN price; ALTER TABLE items ADD COLUMN price BLOB",
        "“items.price” is now BLOB, and the recipe reads numbers",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_training_says_what_has_changed(case: str, services: Services, tmp_path: Path) -> None:
    change, words = CHANGES[case]
    path = _database(tmp_path / "shop.db")
    recipe = _recipe(path, services)
    _alter(path, change)
    with pytest.raises(QueryError, match=words):
        perform(Train(tmp_path / "project", recipe_to_toml(recipe)), services, JobControl())


def test_a_column_that_nothing_needs_may_go(services: Services, tmp_path: Path) -> None:
    path = _database(tmp_path / "shop.db")
    recipe = _recipe(path, services)
    kept = tuple(field for field in recipe.fields if field.column.column != "place")
    _alter(path, "ALTER TABLE seen DROP COLUMN place")
    slim = replace(recipe, fields=replace(recipe.fields, fields=kept))
    assert perform(Train(tmp_path / "project", recipe_to_toml(slim)), services, JobControl()).runs


def test_predicting_says_what_has_changed(services: Services, tmp_path: Path) -> None:
    path = _database(tmp_path / "shop.db")
    recipe = _recipe(path, services)
    trained = perform(Train(tmp_path / "project", recipe_to_toml(recipe)), services, JobControl())
    _alter(path, "ALTER TABLE items RENAME colour TO tint")
    with pytest.raises(QueryError, match=r"the column “items\.colour” is gone"):
        perform(Score(tmp_path / "project", trained.runs[0], tmp_path / "scores.csv"), services, JobControl())
    assert not (tmp_path / "scores.csv").exists()

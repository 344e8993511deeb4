"""A table without rows is called empty, wherever one meets it; not a table without a label."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import main
from core.commands import PrepareFields, Train
from core.connections import connection_from_path
from core.empty import no_rows
from core.jobs import perform
from core.jobs.suggest import suggest_recipe
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_to_toml
from core.services import JobControl, Services
from crosslens.errors import DataError
from crosslens.relational import ColumnRef, Comparison, ConnectionSpec, FilterSpec, QuerySpec, TableRef
from crosslens.schema import Field, FieldKind, FieldRole, FieldSchema


@pytest.fixture(scope="module")
def services() -> Services:
    return main.services(threads=1)


def empty_table(folder: Path) -> Path:
    path = folder / "visits.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE visits (id INTEGER PRIMARY KEY, clicked INTEGER, region TEXT)")
    return path


def only_heads(folder: Path) -> Path:
    path = folder / "visits.csv"
    path.write_text("id,clicked,region\n", encoding="utf-8")
    return path


def nothing_at_all(folder: Path) -> Path:
    path = folder / "visits.csv"
    path.touch()
    return path


MAKERS = [empty_table, only_heads, nothing_at_all]


@pytest.mark.parametrize("make", MAKERS)
def test_a_recipe_for_an_empty_source_says_that_it_is_empty(
    make: Callable[[Path], Path], services: Services, tmp_path: Path
) -> None:
    connection = connection_from_path(make(tmp_path))
    with pytest.raises(DataError, match="“visits” has no rows") as caught:
        suggest_recipe(connection, base="", label="", models=(), services=services, control=JobControl())
    assert "nothing to learn from" in caught.value.why
    assert caught.value.do


@pytest.mark.parametrize("make", MAKERS)
def test_the_preparation_of_an_empty_source_says_nothing_else(
    make: Callable[[Path], Path], services: Services, tmp_path: Path
) -> None:
    query = QuerySpec(TableRef("visits"), ())
    prepared = perform(PrepareFields(connection_from_path(make(tmp_path)), query), services, JobControl())
    assert prepared.rows == 0
    assert [(each.severity, each.check) for each in prepared.findings] == [("stop", "no-rows")]
    assert "has no rows" in prepared.findings[0].message


def test_training_on_an_empty_table_says_that_it_is_empty(services: Services, tmp_path: Path) -> None:
    connection: ConnectionSpec = connection_from_path(empty_table(tmp_path))
    refs = [ColumnRef("visits", name) for name in ("clicked", "region")]
    fields = FieldSchema(
        (
            Field(refs[0], "clicked", FieldKind.NUMERICAL, FieldRole.CLICK),
            Field(refs[1], "region", FieldKind.CATEGORICAL, FieldRole.FEATURE),
        )
    )
    recipe = Recipe(connection, QuerySpec(TableRef("visits"), tuple(refs)), fields, models=(ModelChoice("logistic"),))
    with pytest.raises(DataError, match="has no rows"):
        perform(Train(tmp_path / "project", recipe_to_toml(recipe)), services, JobControl())


def test_what_leaves_no_row_is_named() -> None:
    table = QuerySpec(TableRef("visits"), ())
    few = QuerySpec(TableRef("visits"), (), filters=(FilterSpec(ColumnRef("visits", "id"), Comparison.GREATER, 5),))
    own = QuerySpec(TableRef("rows"), (), select="SELECT 1 WHERE 1 = 0")
    assert [no_rows(query).what for query in (table, few, own)] == [
        "“visits” has no rows.",
        "No row of “visits” fits the filters.",
        "The SELECT gives no rows.",
    ]

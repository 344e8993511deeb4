"""Names that break careless programs survive from the database to the report."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from core.commands import ExplainRow, MakeReport, Score, Train
from core.jobs import perform
from core.jobs.suggest import suggest_recipe
from core.recipe import ModelChoice, SplitMethod
from core.recipe_toml import recipe_to_toml
from core.run_folder import RunFolder
from core.services import JobControl, Services
from crosslens.relational import ColumnRef, ConnectionSpec

NAMES = ['a"b', "a'b", "a`b", "select", "Größe", "имя", "x; drop", "%s", ":name", "ends with space ", "MiXed", "a.b[c]"]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("odd") / "50 % größer #1?.db"
    rng = np.random.default_rng(0)
    columns = ", ".join(f"{quoted(name)} TEXT" for name in NAMES)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE {quoted('Größe')} (id INTEGER PRIMARY KEY, {quoted('a.b')} TEXT)")
        connection.executemany(
            f"INSERT INTO {quoted('Größe')} VALUES (?, ?)", [(number, f"«{number % 3}»") for number in range(20)]
        )
        connection.execute(
            f"CREATE TABLE {quoted('select')} (id INTEGER PRIMARY KEY, {columns}, "
            f"{quoted('order')} INTEGER REFERENCES {quoted('Größe')}(id), clicked INTEGER)"
        )
        rows = [
            (number, *rng.choice(["ä", "b'c", 'd"e', None], len(NAMES)), int(rng.integers(20)), int(rng.random() < 0.3))
            for number in range(1500)
        ]
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {quoted('select')} VALUES ({marks})", rows)
    return path


@pytest.mark.parametrize(
    ("column", "texts", "method"),
    [
        ("gezeigt am", ("2026-10-01 08:00:00", "2026-10-02 09:30:00", "2026-10-03 10:00:00"), SplitMethod.TIME),
        ("geboren am", ("1990-10-01", "1985-01-02", "2001-03-03"), SplitMethod.RANDOM),
        ("gezeigt am", ("früh", "mittags", "spät"), SplitMethod.RANDOM),
    ],
)
def test_rows_are_parted_by_times_that_are_told_by_their_values(
    column: str, texts: tuple[str, ...], method: SplitMethod, services: Services, tmp_path: Path
) -> None:
    rows = [(number, texts[number % 3], number % 4 == 0) for number in range(60)]
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute(f"CREATE TABLE views (id INTEGER PRIMARY KEY, {quoted(column)} TEXT, clicked INTEGER)")
        connection.executemany("INSERT INTO views VALUES (?, ?, ?)", rows)
    recipe = suggest_recipe(
        ConnectionSpec("sqlite", str(tmp_path / "shop.db")),
        base="", label="clicked", models=(ModelChoice("logistic"),), services=services, control=JobControl(),
    ).recipe  # fmt: skip
    assert recipe.split.method is method
    assert recipe.query.time == (ColumnRef("views", column) if method is SplitMethod.TIME else None)


def test_strange_names_travel_from_the_database_to_the_report(
    database: Path, services: Services, tmp_path: Path
) -> None:
    connection = ConnectionSpec("sqlite", str(database))
    suggested = suggest_recipe(
        connection, base="select", label="", models=(ModelChoice("logistic"),), services=services, control=JobControl()
    )
    toml = recipe_to_toml(suggested.recipe)
    trained = perform(Train(tmp_path / "projékt", toml), services, JobControl())
    folder = RunFolder(tmp_path / "projékt" / "runs" / trained.runs[0])
    fields = folder.facts().fields
    assert all(any(name in field for field in fields) for name in NAMES)
    assert any("a.b" in field and "Größe" in field for field in fields)

    chosen = next(field for field in fields if "имя" in field)
    explained = perform(ExplainRow(tmp_path / "projékt", trained.runs[0], 0, {chosen: "b'c"}), services, JobControl())
    assert next(field.value for field in explained.fields if field.name == chosen) == "b'c"
    scored = perform(Score(tmp_path / "projékt", trained.runs[0], tmp_path / "ü.csv"), services, JobControl())
    assert scored.rows == 1500
    made = perform(MakeReport(tmp_path / "projékt", trained.runs, tmp_path / "r.html"), services, JobControl())
    assert "a&#34;b" in made.html.read_text(encoding="utf-8")

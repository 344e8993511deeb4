"""Counts, latest rows and lists of values from the database into a model: proposed, prepared, trained, predicted."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.commands import (
    CountRows,
    EstimateQuery,
    MeasureJoins,
    PrepareFields,
    ProposeQuery,
    ReadPage,
    Score,
    Train,
)
from core.jobs import browse, perform
from core.recipe import ModelChoice, Recipe, SplitMethod, SplitSpec
from core.recipe_toml import recipe_to_toml
from core.run_folder import RunFolder
from core.services import JobControl, Services
from crosslens.relational import (
    ColumnRef,
    ConnectionSpec,
    JoinKind,
    JoinSpec,
    QuerySpec,
    SampleMethod,
    SampleSpec,
    TableRef,
)
from crosslens.schema import FieldKind, FieldRole, FieldSchema

ROWS = 900
SCHEMA = """
CREATE TABLE users(id INTEGER PRIMARY KEY, city TEXT);
CREATE TABLE seen(id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), item_id INTEGER, shown_at TIMESTAMP);
CREATE TABLE clicks(id INTEGER PRIMARY KEY, seen_id INTEGER REFERENCES seen(id), clicked_at TIMESTAMP);
CREATE TABLE visits(user_id INTEGER REFERENCES users(id), page TEXT, visited_at TIMESTAMP);
CREATE TABLE tags(item_id INTEGER, tag TEXT);
"""


def _day(number: int) -> str:
    return f"2024-{1 + number // 28 % 12:02d}-{1 + number % 28:02d} 10:00:00"


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> ConnectionSpec:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    draw = random.Random(1)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(SCHEMA)
        insert = database.executemany
        insert("INSERT INTO users VALUES (?, ?)", [(number, draw.choice(["Ulm", "Bonn"])) for number in range(30)])
        seen = [(n, draw.randrange(30), draw.randrange(8), _day(n // 5)) for n in range(ROWS)]
        insert("INSERT INTO seen VALUES (?, ?, ?, ?)", seen)
        clicks = [(n, n, seen[n][3]) for n in range(ROWS) if draw.random() < (0.7 if seen[n][2] < 3 else 0.2)]
        insert("INSERT INTO clicks VALUES (?, ?, ?)", clicks)
        visits = [(draw.randrange(30), draw.choice("xyz"), _day(draw.randrange(180))) for _ in range(600)]
        insert("INSERT INTO visits VALUES (?, ?, ?)", visits)
        insert(
            "INSERT INTO tags VALUES (?, ?)", [(item, f"tag {item % 3 + step}") for item in range(8) for step in (0, 1)]
        )
    return ConnectionSpec("sqlite", str(path))


SHOWN = ColumnRef("seen", "shown_at")
USER = (ColumnRef("seen", "user_id"), "user_id")
JOINS = (
    JoinSpec("users", TableRef("users"), ((ColumnRef("seen", "user_id"), "id"),)),
    JoinSpec("clicks", TableRef("clicks"), ((ColumnRef("seen", "id"), "seen_id"),), JoinKind.EXISTS, "clicked_at"),
    JoinSpec("visits before", TableRef("visits"), (USER,), JoinKind.COUNT, "visited_at", SHOWN),
    JoinSpec("last visit", TableRef("visits"), (USER,), JoinKind.LATEST, "visited_at", SHOWN),
    JoinSpec("tags", TableRef("tags"), ((ColumnRef("seen", "item_id"), "item_id"),), JoinKind.VALUES),
)
QUERY = QuerySpec(
    TableRef("seen"),
    (
        ColumnRef("seen", "id"),
        ColumnRef("users", "city"),
        ColumnRef("clicks", ColumnRef.EXISTS),
        ColumnRef("visits before", ColumnRef.COUNT),
        ColumnRef("last visit", "page"),
        ColumnRef("tags", "tag"),
    ),
    JOINS,
    time=SHOWN,
)


def _ask(services: Services, request: object) -> object:
    return perform(request, services, JobControl())


def test_questions_about_a_query_are_answered(services: Services, connection: ConnectionSpec) -> None:
    measured = _ask(services, MeasureJoins(connection, QUERY)).facts
    assert [facts.name for facts in measured] == [join.name for join in JOINS]
    assert [facts.max_partners > 1 for facts in measured] == [False, False, True, True, True]
    assert _ask(services, CountRows(connection, QUERY)).rows == ROWS
    estimate = _ask(services, EstimateQuery(connection, QUERY))
    assert estimate.rows == ROWS
    last = _ask(services, ReadPage(connection, TableRef("seen"), near=1.0, rows=10))
    assert (last.rows[-1][0], last.anchor) == (ROWS - 1, None)
    before = _ask(services, ReadPage(connection, TableRef("seen"), before=last.start, rows=10))
    assert before.rows[-1][0] == ROWS - 11


def test_proposals_are_measured_and_take_flags_and_lookups_only(services: Services, connection: ConnectionSpec) -> None:
    proposal = _ask(services, ProposeQuery(connection, TableRef("seen")))
    assert [join.name for join in proposal.query.joins] == ["users", "clicks"]
    assert len(proposal.facts) == len(proposal.proposals)
    own = _ask(services, ProposeQuery(connection, TableRef("mine"), "SELECT id AS seen_id, user_id FROM seen"))
    assert own.query.select
    assert own.query.columns == (ColumnRef("mine", "seen_id"), ColumnRef("mine", "user_id"))


def test_what_the_past_and_the_lists_say_reaches_a_model_and_its_predictions(
    services: Services, connection: ConnectionSpec, tmp_path: Path
) -> None:
    prepared = _ask(services, PrepareFields(connection, QUERY))
    kinds = {field.column: field.kind for field in prepared.fields}
    assert kinds[ColumnRef("tags", "tag")] is FieldKind.MULTI_VALUED
    assert kinds[ColumnRef("visits before", ColumnRef.COUNT)] is FieldKind.NUMERICAL
    assert prepared.rows == ROWS
    fields = FieldSchema(tuple(replace(field, reason="") for field in prepared.fields))
    labels = [field.column for field in fields if field.role is FieldRole.CLICK]
    assert labels == [ColumnRef("clicks", ColumnRef.EXISTS)]
    again = _ask(services, PrepareFields(connection, prepared.query, fields, "before the click"))
    assert again.fields == fields
    sample = SampleSpec(SampleMethod.USERS, 700, column=ColumnRef("seen", "user_id"))
    recipe = Recipe(
        connection,
        replace(prepared.query, sample=sample),
        fields,
        SplitSpec(SplitMethod.TIME),
        (ModelChoice("logistic"),),
    )
    trained = _ask(services, Train(tmp_path / "project", recipe_to_toml(recipe)))
    facts = RunFolder(tmp_path / "project" / "runs" / trained.runs[0]).facts()
    tags = next(field.name for field in fields if field.column.source == "tags")
    assert any(name.startswith(tags) for name in facts.fields)
    scored = _ask(services, Score(tmp_path / "project", trained.runs[0], tmp_path / "scores.parquet"))
    assert scored.rows == ROWS
    table = pq.read_table(tmp_path / "scores.parquet")
    probability = table.column(table.num_columns - 1).to_pylist()
    assert 0 < min(probability) < max(probability) < 1


def test_a_preparation_does_not_wait_for_a_slow_count(
    services: Services, connection: ConnectionSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "COUNTING_SECONDS", 0.3)
    slow = "SELECT s.id AS id, s.item_id AS item FROM seen s JOIN seen b ON b.id >= 0 JOIN seen c ON c.id >= 0"
    query = QuerySpec(TableRef("mine"), (), select=slow, limit=1000)
    started = time.monotonic()
    assert _ask(services, PrepareFields(connection, query)).rows == 1000
    assert time.monotonic() - started < 30

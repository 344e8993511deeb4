"""Every kind of join, with and without a moment, on random small tables against a plain evaluation in Python."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosslens.relational import ColumnRef, ConnectionSpec, JoinKind, JoinSpec, QuerySpec, TableRef
from db.sources import SqlSource, SqlSources

from .helpers import ref

KEYS = st.none() | st.integers(0, 3)
TIMES = st.none() | st.integers(0, 4).map(lambda day: f"2024-01-0{day + 1} 00:00:00")
VALUES = st.none() | st.sampled_from(["a", "b", 'c"d'])

SCHEMA = """
CREATE TABLE base(id INTEGER PRIMARY KEY, k INTEGER, t TIMESTAMP);
CREATE TABLE events(id INTEGER PRIMARY KEY, k INTEGER, t TIMESTAMP, v VARCHAR(9));
CREATE TABLE notes(id INTEGER PRIMARY KEY, event_id INTEGER, t TIMESTAMP, v VARCHAR(9));
"""


@dataclass(frozen=True)
class Data:
    """Rows of base (k, t), of events (k, t, v) and of notes (event_id, t, v); ids count from 1."""

    base: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]]
    notes: list[tuple[Any, ...]]


DATA = st.builds(
    Data,
    st.lists(st.tuples(KEYS, TIMES), min_size=1, max_size=6),
    st.lists(st.tuples(KEYS, TIMES, VALUES), max_size=8),
    st.lists(st.tuples(st.none() | st.integers(1, 8), TIMES, VALUES), max_size=6),
)


def _fill(execute: Callable[..., Any], data: Data) -> None:
    for statement in SCHEMA.strip().split(";"):
        if statement.strip():
            execute(statement)
    for name, rows in (("base", data.base), ("events", data.events), ("notes", data.notes)):
        for number, row in enumerate(rows, start=1):
            marks = ", ".join("?" * (len(row) + 1))
            execute(f"INSERT INTO {name} VALUES ({marks})", (number, *row))


@contextmanager
def _sqlite(data: Data) -> Iterator[SqlSource]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _fill(connection.execute, data)
        with SqlSources().open(ConnectionSpec("sqlite", str(path))) as source:
            yield source


@contextmanager
def _duckdb(data: Data) -> Iterator[SqlSource]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.duckdb"
        with duckdb.connect(str(path)) as connection:
            _fill(connection.execute, data)
        with SqlSources().open(ConnectionSpec("duckdb", str(path))) as source:
            yield source


ENGINES = {"sqlite": _sqlite, "duckdb": _duckdb}

UP_TO = ref("base", "t")
EVENTS = JoinSpec("events", TableRef("events"), ((ref("base", "k"), "k"),), time="t")
NOTES = JoinSpec("notes", TableRef("notes"), ((ref("events", "id"), "event_id"),), time="t")


def _partners(data: Data, row: tuple[Any, ...], *, chained: bool, bounded: bool) -> list[tuple[Any, ...]]:
    """Return (time known, id, value) of every partner of a row of the base."""
    k, t = row
    events = [(at, number, v) for number, (key, at, v) in enumerate(data.events, 1) if k is not None and key == k]
    found = events
    if chained:
        found = [
            (None if at is None or then is None else max(at, then), number, v) if bounded else (then, number, v)
            for at, event, _ in events
            for number, (event_id, then, v) in enumerate(data.notes, 1)
            if event_id == event
        ]
    if bounded:
        return [each for each in found if each[0] is not None and t is not None and each[0] < t]
    return found


def expected_values(data: Data, kind: JoinKind, *, chained: bool, bounded: bool) -> list[Any]:
    """Return the value of each row of the base, in the order of their ids."""
    found = [_partners(data, row, chained=chained, bounded=bounded) for row in data.base]
    if kind is JoinKind.EXISTS:
        return [int(bool(each)) for each in found]
    if kind is JoinKind.COUNT:
        return [len(each) for each in found]
    if kind is JoinKind.VALUES:
        return [sorted({v for _, _, v in each if v is not None}) for each in found]
    timed = [[one for one in each if one[0] is not None] for each in found]
    return [max(each, key=lambda one: one[:2])[2] if each else None for each in timed]


def found_values(source: SqlSource, query: QuerySpec) -> list[Any]:
    table = source.sample(query, 1000)
    rows = dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True))
    assert len(rows) == table.num_rows, "rows were multiplied"
    return [rows[number] for number in sorted(rows)]


def plain_values(kind: JoinKind, values: list[Any]) -> list[Any]:
    if kind is not JoinKind.VALUES:
        return values
    return [sorted(json.loads(each) if isinstance(each, str) else each or []) for each in values]


CASES = [
    (engine, kind, chained, bounded)
    for engine in ENGINES
    for kind in (JoinKind.EXISTS, JoinKind.COUNT, JoinKind.LATEST, JoinKind.VALUES)
    for chained in (False, True)
    for bounded in (False, True)
]


@pytest.mark.parametrize(("engine", "kind", "chained", "bounded"), CASES)
def test_a_join_to_many_says_what_a_plain_evaluation_says(
    engine: str, kind: JoinKind, chained: bool, bounded: bool
) -> None:
    column = {JoinKind.EXISTS: ColumnRef.EXISTS, JoinKind.COUNT: ColumnRef.COUNT}.get(kind, "v")
    limit = UP_TO if bounded else None
    events = replace(EVENTS, kind=JoinKind.EXISTS if chained else kind, up_to=limit)
    joins = (events, replace(NOTES, kind=kind, up_to=limit)) if chained else (events,)
    wanted = ref(joins[-1].name, column)
    query = QuerySpec(TableRef("base"), (ref("base", "id"), wanted), joins)

    @settings(max_examples=10 if engine == "sqlite" else 2, deadline=None, suppress_health_check=list(HealthCheck))
    @given(DATA)
    def holds(data: Data) -> None:
        with ENGINES[engine](data) as source:
            found = found_values(source, query)
        assert plain_values(kind, found) == expected_values(data, kind, chained=chained, bounded=bounded)

    holds()

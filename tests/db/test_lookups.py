"""Small tables of servers are looked up here: the same rows as those of the one SELECT, whatever turns up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosslens.relational import (
    Comparison,
    ConnectionSpec,
    FilterSpec,
    JoinKind,
    JoinSpec,
    QuerySpec,
    SampleMethod,
    SampleSpec,
    TableInfo,
    TableRef,
)
from db import lookups
from db.engines.generic import GenericSession
from db.sources import SqlSource

from .helpers import exists, lookup, make_database, query, ref, rows_of

COUNT = 400
SCHEMA = """
CREATE TABLE brands(id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE items(id INTEGER PRIMARY KEY, brand_id INTEGER REFERENCES brands(id), price REAL, label TEXT);
CREATE TABLE users(id INTEGER PRIMARY KEY, city TEXT, age INTEGER);
CREATE TABLE seen(id INTEGER PRIMARY KEY, user_id INTEGER, item_id INTEGER, shown INTEGER);
CREATE TABLE clicks(id INTEGER PRIMARY KEY, user_id INTEGER);
INSERT INTO brands VALUES (1, 'Acme'), (2, NULL);
INSERT INTO items VALUES (1, 1, 9.5, 'a'), (2, 2, 20, 'ü'), (-7, NULL, NULL, NULL), (9000000000000000000, 3, 1, '');
INSERT INTO users VALUES (1, 'Bonn', 30), (2, NULL, NULL), (40, 'Ulm', 50);
INSERT INTO clicks VALUES (1, 1), (2, 1), (3, 2);
"""


class Small(GenericSession):
    """A server of no known kind that says how many rows it has, and remembers what it was asked."""

    declared: int | None = 10

    def with_row_counts(self, tables: Sequence[TableInfo]) -> tuple[TableInfo, ...]:
        return tuple(replace(table, rows=self.declared, rows_are_estimated=True) for table in tables)

    def batches(self, statement: Any, kinds: Any, *, rows: int) -> Any:
        self.asked = [*getattr(self, "asked", ()), str(statement)]
        return super().batches(statement, kinds, rows=rows)


def database(folder: Path, more: str = "") -> Path:
    keys = ["NULL", "1", "2", "3", "40", "-7", "9000000000000000000"]
    rows = ", ".join(f"({n}, {keys[n % 7]}, {keys[n * 3 % 7]}, {n * 7 % 50})" for n in range(COUNT))
    return make_database(folder / "x.db", f"{SCHEMA} INSERT INTO seen VALUES {rows}; {more}")


@contextmanager
def opened(path: Path) -> Iterator[tuple[SqlSource, Small]]:
    session = Small(ConnectionSpec("sqlite", str(path)))
    source = SqlSource(session)
    try:
        yield source, session
    finally:
        source.close()


USERS = lookup("users", "users", (ref("seen", "user_id"), "id"))
ITEMS = lookup("items", "items", (ref("seen", "item_id"), "id"))
BRANDS = lookup("brands", "brands", (ref("items", "brand_id"), "id"))
MADE_BY = (ref("items", "price"), ref("brands", "name"), ref("items", "label"))
WHOLE = QuerySpec(
    TableRef("seen"),
    (ref("users", "city"), ref("seen", "id"), *MADE_BY, ref("users", "age"), ref("seen", "item_id")),
    (USERS, ITEMS, BRANDS),
)


def both_ways(path: Path, wanted: QuerySpec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, Small]:
    """Return the rows looked up here, and those of the one SELECT."""
    with opened(path) as (source, session):
        ours = source.extract(wanted, folder / "ours")
        asked = session
    monkeypatch.setattr(Small, "declared", None)
    with opened(path) as (source, session):
        theirs = source.extract(wanted, folder / "theirs")
        assert len(session.asked) < len(asked.asked) or asked.asked == session.asked
    monkeypatch.undo()
    assert ours.fingerprint == theirs.fingerprint
    return rows_of(ours), rows_of(theirs), asked


PAST = JoinSpec("past", TableRef("seen"), ((ref("seen", "user_id"), "user_id"),), JoinKind.COUNT, "shown",
                ref("seen", "shown"))  # fmt: skip
CASES: dict[str, tuple[QuerySpec, int]] = {
    "two tables, one with a table of its own": (WHOLE, 3),
    "the key is not among the columns": (query("seen", ("users", "city"), joins=(USERS,)), 2),
    "one column twice": (query("seen", ("users", "city"), ("users", "city"), joins=(USERS,)), 2),
    "filtered by a column of the base": (
        replace(WHOLE, filters=(FilterSpec(ref("seen", "shown"), Comparison.LESS, 25),)),
        3,
    ),
    "filtered by a column looked up": (
        replace(WHOLE, filters=(FilterSpec(ref("users", "age"), Comparison.LESS, 45),)),
        2,
    ),
    "filtered by what a looked-up table looks up": (
        replace(WHOLE, filters=(FilterSpec(ref("brands", "name"), Comparison.NOT_NULL),)),
        2,
    ),
    "the latest rows": (replace(WHOLE, time=ref("seen", "shown"), limit=90), 3),
    "in the order of a column looked up": (replace(WHOLE, time=ref("users", "age"), limit=90), 2),
    "a random sample": (replace(WHOLE, sample=SampleSpec(SampleMethod.RANDOM, 90, 3)), 3),
    "a sample of users": (replace(WHOLE, sample=SampleSpec(SampleMethod.USERS, 90, 3, ref("users", "city"))), 2),
    "beside a number of rows": (
        replace(WHOLE, joins=(*WHOLE.joins, PAST), columns=(*WHOLE.columns, ref("past", "*count"))),
        3,
    ),
    "a join to many that starts from it": (
        replace(
            WHOLE,
            joins=(*WHOLE.joins, exists("clicks", "clicks", (ref("users", "id"), "user_id"))),
            columns=(*WHOLE.columns, ref("clicks")),
        ),
        2,
    ),
    "by two columns": (
        query("seen", ("u", "city"), joins=(lookup("u", "users", (ref("seen", "user_id"), "id"),
                                                   (ref("seen", "shown"), "age")),)),
        1,
    ),
    "by a text of what is looked up": (
        query("seen", ("b", "id"), joins=(ITEMS, lookup("b", "brands", (ref("items", "label"), "name")))),
        2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_looked_up_rows_are_those_of_the_one_select(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, statements = CASES[case]
    ours, theirs, session = both_ways(database(tmp_path), wanted, tmp_path, monkeypatch)
    assert ours == theirs
    assert len(session.asked) == statements


def test_no_small_table_is_joined_by_the_server(tmp_path: Path) -> None:
    with opened(database(tmp_path)) as (source, session):
        source.extract(WHOLE, tmp_path / "out")
    assert ["users" in statement for statement in session.asked] == [True, False, False]
    assert "JOIN" not in session.asked[-1]


def test_only_rows_enough_are_worth_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Small, "declared", COUNT // 4 + 1)
    with opened(database(tmp_path)) as (source, session):
        source.extract(WHOLE, tmp_path / "out")
    assert len(session.asked) == 1


@pytest.mark.parametrize(("limit", "value"), [("MOST_ROWS", 2), ("MOST_BYTES", 20)])
def test_a_table_larger_than_its_statistics_is_joined_by_the_server(
    limit: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, limit, value)
    monkeypatch.setattr(Small, "declared", 1)
    ours, theirs, session = both_ways(database(tmp_path), WHOLE, tmp_path, monkeypatch)
    assert ours == theirs
    assert "JOIN users" in session.asked[-1].replace('"', "")


def _claims_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `users` declare a key that nothing enforces."""
    known: Callable[..., Any] = Small.tables

    def tables(session: Small) -> tuple[TableInfo, ...]:
        found = known(session)
        return tuple(replace(table, primary_key=("id",)) if table.ref.name == "loose" else table for table in found)

    monkeypatch.setattr(Small, "tables", tables)


LOOSE = query(
    "seen", ("seen", "id"), ("loose", "city"), joins=(lookup("loose", "loose", (ref("seen", "user_id"), "id")),)
)


@pytest.mark.parametrize("rows", ["(5, 'x'), (5, 'y'), (1, 'Bonn')", "(1, 'Bonn'), ('one', 'x')"])
def test_a_key_that_is_none_leaves_the_join_to_the_server(
    rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path, f"CREATE TABLE loose(id INTEGER, city TEXT); INSERT INTO loose VALUES {rows};")
    _claims_a_key(monkeypatch)
    with opened(path) as (source, session):
        found = rows_of(source.extract(LOOSE, tmp_path / "out"))
    assert "JOIN" in session.asked[-1]
    assert found == [(n, "Bonn" if n % 7 == 1 else None) for n in range(COUNT)]


@pytest.mark.parametrize("wide", ["UPDATE seen SET user_id = 'none' WHERE id = 399", "UPDATE users SET age = 'old'"])
def test_values_that_do_not_fit_their_declared_type_widen_the_column(
    wide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs, _ = both_ways(database(tmp_path, f"{wide};"), WHOLE, tmp_path, monkeypatch)
    assert ours == theirs


def test_a_table_without_rows_gives_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs, _ = both_ways(database(tmp_path, "DELETE FROM users;"), WHOLE, tmp_path, monkeypatch)
    assert ours == theirs
    assert {row[0] for row in ours} == {None}


KEYS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3) | st.integers(2**63 - 4, 2**63 - 1)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEYS.filter(lambda key: key is not None), st.none() | st.text(max_size=3), max_size=8),
       st.lists(KEYS, max_size=20))  # fmt: skip
def test_every_key_finds_its_row_and_no_other(rows: dict[int, str | None], wanted: list[int | None]) -> None:
    keys = sorted(rows)
    kept = lookups._Kept(
        ref("b", "k"),
        lookups._Places(pa.array(keys, pa.int64()).to_numpy()),
        {ref("t", "v"): pa.array([rows[k] for k in keys], pa.string())},
        {},
    )
    found = kept.beside(pa.array(wanted, pa.int64()))[ref("t", "v")]
    assert found.to_pylist() == [None if key is None else rows.get(key) for key in wanted]

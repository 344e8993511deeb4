"""Lookups in small tables are made in memory: which ones, and that they give what SQLite's own join gives."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import db.extract as extract_module
from crosslens.relational import Comparison, ConnectionSpec, FilterSpec, QuerySpec
from db.columns import Kind
from db.compile import select_rows
from db.engines import sqlite_lookups, sqlite_ranges, sqlite_reader
from db.engines.sqlite import SqliteSession
from db.engines.sqlite_lookups import Lean, lean
from db.engines.sqlite_ranges import RangeJob, Reader
from db.engines.sqlite_reader import Lookup
from db.plan import make_plan

from .helpers import exists, lookup, make_database, opened, query, ref, table_of

ROWS = 300
SHOP = f"""
CREATE TABLE regions(id INTEGER PRIMARY KEY, land TEXT);
CREATE TABLE users(id INTEGER PRIMARY KEY, city TEXT, age INTEGER, height REAL, code, region_id INTEGER);
CREATE TABLE brands(id INTEGER PRIMARY KEY, name VARCHAR(20), price REAL);
CREATE TABLE shown(id INTEGER PRIMARY KEY, user_id INTEGER, brand_id BIGINT, friend_id INTEGER, alias TEXT, x INTEGER);
CREATE TABLE clicks(id INTEGER PRIMARY KEY, shown_id INTEGER);
INSERT INTO regions VALUES (1, 'north'), (2, 'south');
INSERT INTO users VALUES (1, 'Bonn', 30, 1.5, 'a', 1), (2, NULL, NULL, NULL, 'b', 2), (4, '', -3, 2.25, 'c', NULL),
  (6, 'Köln', 7, 1.75, 'd', 1);
INSERT INTO brands VALUES (-5, 'low', 0.5), (-4, 'mid', NULL), (3, 'far', 3.0);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
INSERT INTO shown SELECT i, i % 8, CASE i % 4 WHEN 0 THEN -5 WHEN 1 THEN -4 WHEN 2 THEN 3 END,
  6 - i % 3, i % 8, i FROM n;
INSERT INTO clicks SELECT id, id FROM shown WHERE id % 5 = 0;
"""
USERS = lookup("users", "users", (ref("shown", "user_id"), "id"))
FRIENDS = lookup("friends", "users", (ref("shown", "friend_id"), "id"))
BRANDS = lookup("brands", "brands", (ref("shown", "brand_id"), "id"))
REGIONS = lookup("regions", "regions", (ref("users", "region_id"), "id"))
ALIAS = lookup("users", "users", (ref("shown", "alias"), "id"))
BY_AGE = lookup("users", "users", (ref("shown", "user_id"), "age"))
CLICKS = exists("clicks", "clicks", (ref("shown", "id"), "shown_id"))
ALL = query(
    "shown",
    *(("shown", name) for name in ("id", "user_id", "x")),
    *(("users", name) for name in ("city", "age", "height", "id")),
    *(("brands", name) for name in ("price", "name")),
    ("friends", "city"),
    joins=(USERS, BRANDS, FRIENDS),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path / "shop.db", SHOP)


@pytest.fixture
def jobs(monkeypatch) -> list[RangeJob]:
    """Make small tables large, wait for the reader and collect what it is asked for."""
    seen: list[RangeJob] = []
    start, is_ready = Reader.__init__, Reader.is_ready

    def started(reader: Reader, job: RangeJob) -> None:
        seen.append(job)
        start(reader, job)

    def when_ready(reader: Reader, *, wait: bool) -> bool:
        while not is_ready(reader, wait=True):
            pass
        return True

    monkeypatch.setattr(sqlite_ranges, "LARGE_ROWS", 32)
    monkeypatch.setattr(extract_module, "BATCH_ROWS", 32)
    monkeypatch.setattr(Reader, "__init__", started)
    monkeypatch.setattr(Reader, "is_ready", when_ready)
    return seen


def _read(path: Path, wanted: QuerySpec, folder: Path) -> tuple[pa.Table, str]:
    with opened(path) as source:
        snapshot = source.extract(wanted, folder)
        return table_of(snapshot), snapshot.fingerprint


def _by_hand(path: Path, wanted: QuerySpec, folder: Path) -> tuple[pa.Table, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_ranges, "LARGE_ROWS", 10**9)
        return _read(path, wanted, folder)


@pytest.mark.parametrize(
    "change",
    [
        "SELECT 1",
        "UPDATE shown SET user_id = NULL WHERE id % 2",
        "UPDATE shown SET user_id = NULL",
        "DELETE FROM users",
        "DELETE FROM users WHERE id > 1",
        f"UPDATE shown SET user_id = 'none' WHERE id > {ROWS // 2}",
        f"UPDATE shown SET user_id = 2.5, brand_id = 1e30 WHERE id > {ROWS // 2}",
        "UPDATE shown SET user_id = x'01'",
        f"UPDATE shown SET user_id = {2**63 - 1} WHERE id % 2; UPDATE shown SET user_id = {-(2**63)} WHERE id % 3 = 0",
        "INSERT INTO users SELECT id + 10, city, age, height, code, region_id FROM users WHERE id < 4",
        "UPDATE users SET height = 'tall' WHERE id = 1",
        "UPDATE users SET city = CAST(x'ff41' AS TEXT) WHERE id = 1",
        "UPDATE users SET age = 0.5 WHERE id = 6",
        "DELETE FROM shown WHERE id % 7 = 3",
    ],
)
def test_a_lookup_in_memory_gives_what_sqlites_own_join_gives(change, path, jobs, tmp_path: Path) -> None:
    make_database(path, change)
    table, fingerprint = _read(path, ALL, tmp_path / "a")
    assert all(job.lean is not None and len(job.lean.lookups) == 3 for job in jobs) and jobs
    by_hand, same = _by_hand(path, ALL, tmp_path / "b")
    assert table.equals(by_hand)
    assert fingerprint == same


def test_values_of_a_filter_reach_the_lean_statement(path: Path, jobs, tmp_path: Path) -> None:
    few = replace(ALL, filters=(FilterSpec(ref("shown", "x"), Comparison.LESS, 200),))
    table, _ = _read(path, few, tmp_path / "a")
    assert jobs[0].lean is not None and len(jobs[0].lean.lookups) == 3
    assert table.equals(_by_hand(path, few, tmp_path / "b")[0])
    assert table.num_rows == 199


def _lean(path: Path, wanted: QuerySpec) -> Lean | None:
    with closing(SqliteSession(ConnectionSpec("sqlite", str(path)))) as session:
        plan = make_plan(wanted, {table.ref: table for table in session.tables()})
        statement = select_rows(plan, row_id=None)
        kinds = session.kinds([plan.column(column) for column in wanted.columns])
        return lean(session, statement, kinds, statement.get_execution_options()["row_key"])


def _tables(path: Path, wanted: QuerySpec) -> list[str]:
    found = _lean(path, wanted)
    return [] if found is None else [str(each.statement.get_final_froms()[0].name) for each in found.lookups]


CITY = ("users", "city")
X = ("shown", "x")
BELOW = FilterSpec(ref("users", "age"), Comparison.LESS, 50)


@pytest.mark.parametrize(
    ("wanted", "tables"),
    [
        (ALL, ["users", "brands", "friends"]),
        (query("shown", X, CITY, joins=(ALIAS,)), []),
        (query("shown", X, CITY, joins=(BY_AGE,)), []),
        (query("shown", X, ("users", "code"), joins=(USERS,)), ["users"]),
        (replace(query("shown", X, CITY, joins=(USERS,)), filters=(BELOW,)), []),
        (query("shown", X, CITY, ("regions", "land"), joins=(USERS, REGIONS)), []),
        (query("shown", X, CITY, ("clicks",), joins=(USERS, CLICKS)), ["users"]),
        (query("shown", X), []),
    ],
    ids=[
        "whole numbers",
        "a text is looked up",
        "not the number of a row",
        "a column without type",
        "a filter needs the table",
        "another lookup needs the table",
        "beside another join",
        "no join",
    ],
)
def test_which_tables_are_looked_up_in_memory(wanted: QuerySpec, tables, path: Path) -> None:
    assert _tables(path, wanted) == tables


def test_a_text_column_that_may_hold_numbers_is_joined_by_sqlite(path: Path) -> None:
    wanted = query("shown", X, ("users", "code"), joins=(USERS,))
    with closing(SqliteSession(ConnectionSpec("sqlite", str(path)))) as session:
        plan = make_plan(wanted, {table.ref: table for table in session.tables()})
        statement = select_rows(plan, row_id=None)
        key = statement.get_execution_options()["row_key"]
        assert lean(session, statement, (Kind.INTEGER, Kind.TEXT), key) is None


def test_large_tables_are_joined_by_sqlite(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sqlite_lookups, "MOST_ROWS", 3)
    assert _tables(path, ALL) == ["brands"]


@pytest.mark.parametrize("number", [1_000, 2**63 - 1, -(2**63)])
def test_tables_whose_rows_lie_far_apart_are_joined_by_sqlite(number: int, path: Path) -> None:
    make_database(path, f"UPDATE users SET id = {number} WHERE id = 6")
    assert _tables(path, ALL) == ["brands"]


def test_tables_at_the_far_end_are_joined_by_sqlite(path: Path) -> None:
    make_database(path, f"UPDATE brands SET id = {2**63 - 10} + id")
    assert _tables(path, ALL) == ["users", "friends"]


def test_the_lean_statement_and_the_whole_one_give_the_same_rows(path: Path, jobs, tmp_path: Path) -> None:
    _read(path, ALL, tmp_path / "a")
    connection = sqlite_reader.Connection(jobs[0].said(1))
    (whole,) = connection.batches(1, 32)
    (lean_rows,) = connection._lean(connection.lookups(), 1, 32)
    assert lean_rows.num_rows == 32
    assert lean_rows.equals(whole)


def test_the_reader_keeps_no_more_than_some_bytes_of_tables(path: Path, jobs, tmp_path: Path, monkeypatch) -> None:
    _read(path, ALL, tmp_path / "a")
    said = jobs[0].said(1)
    assert sqlite_reader.Connection(said).lookups() is not None
    monkeypatch.setattr(sqlite_reader, "_MOST_LOOKED_UP", 100)
    assert sqlite_reader.Connection(said).lookups() is None


KEYS = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-60, 60), max_size=40)


@settings(deadline=None)
@given(st.sets(st.integers(-20, 20)), st.sampled_from([0, 2**61, -(2**61)]), KEYS)
def test_any_row_number_is_found_or_missing(near: set[int], start: int, keys: list[int | None]) -> None:
    numbers = {start + number for number in near}
    known = sorted(numbers)
    keys = [*keys, *range(start - 22, start + 22)]
    batch = pa.record_batch([pa.array(known, pa.int64()), pa.array(list(map(str, known)))], names=["n", "t"])
    table = Lookup({"key": 0, "types": ["string"]}, [batch] if known else [])
    (found,) = table.found(pa.array(keys, pa.int64()))
    assert found.to_pylist() == [str(key) if key in numbers else None for key in keys]
    assert found.type == pa.string()

"""Columns of the user's own SELECT on SQLite have the types of the values in its first rows."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from crosslens.errors import QueryError, Stopped
from crosslens.relational import ColumnType, ConnectionSpec
from db.engines import sqlite as sqlite_module
from db.engines.sqlite import SqliteSession
from db.seen_types import Value, seen_type

from .helpers import SHOP, lookup, make_database, opened, query, ref, rows_of

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], ColumnType.OTHER),
        ([None, None], ColumnType.OTHER),
        ([1, None, -(2**63)], ColumnType.INTEGER),
        ([1, 2.5], ColumnType.FLOAT),
        ([b"\0", None], ColumnType.BINARY),
        (["x", ""], ColumnType.TEXT),
        (["2024-02-29", None, "1969-12-31"], ColumnType.DATE),
        (["2024-02-30"], ColumnType.TEXT),
        (["2024-02-29", ""], ColumnType.TEXT),
        (["2024-02-29 10:30"], ColumnType.TIMESTAMP),
        (["2024-02-29", "2024-02-29T10:30:00.123456Z"], ColumnType.TIMESTAMP),
        (["2024-02-29 10:30:00+01:00"], ColumnType.TIMESTAMP),
        (["2024-02-29 25:30:00"], ColumnType.TEXT),
        (["2024-02-29 and more"], ColumnType.TEXT),
        (["20240229"], ColumnType.TEXT),
        ([1, "x"], ColumnType.OTHER),
        ([1.5, b"x"], ColumnType.OTHER),
    ],
)
def test_a_type_is_what_all_values_are(values: list[Value], kind: ColumnType) -> None:
    assert seen_type(values) is kind


@pytest.fixture
def session(tmp_path: Path):
    with closing(SqliteSession(ConnectionSpec("sqlite", str(make_database(tmp_path / "shop.db", SHOP))))) as session:
        yield session


def _types(session: SqliteSession, select: str) -> list[tuple[str, ColumnType]]:
    return [(column.name, column.type) for column in session.columns_of(select)]


def test_columns_of_an_own_select_have_the_types_of_their_values(session: SqliteSession) -> None:
    select = 'SELECT id, name AS "a""b", id / 2.0 AS "\'h", \'2024-01-05\' AS day, x\'00\' AS x FROM brands -- all'
    assert _types(session, select) == [
        ("id", ColumnType.INTEGER),
        ('a"b', ColumnType.TEXT),
        ("'h", ColumnType.FLOAT),
        ("day", ColumnType.DATE),
        ("x", ColumnType.BINARY),
    ]


def test_two_columns_of_one_name_have_their_own_types(session: SqliteSession) -> None:
    assert _types(session, "SELECT 1 AS a, 'x' AS a") == [("a", ColumnType.INTEGER), ("a:1", ColumnType.TEXT)]


def test_only_the_first_rows_are_looked_at(session: SqliteSession) -> None:
    select = f"{ENDLESS} SELECT iif(x > 1000, 'text', x) AS a FROM n"
    assert _types(session, select) == [("a", ColumnType.INTEGER)]


def test_a_select_that_is_too_slow_to_look_at_has_no_types(session: SqliteSession, monkeypatch) -> None:
    monkeypatch.setattr(sqlite_module, "_SEEN_SECONDS", 0.2)
    started = time.monotonic()
    assert _types(session, f"{ENDLESS} SELECT count(*) AS a FROM n") == [("a", ColumnType.OTHER)]
    assert time.monotonic() - started < 2


def test_a_select_that_fails_in_its_rows_has_no_types_and_says_why_when_read(session: SqliteSession) -> None:
    failing = "SELECT abs(-9223372036854775807 - id) AS a FROM users"
    assert _types(session, failing) == [("a", ColumnType.OTHER)]
    with pytest.raises(QueryError, match="overflow"):
        session.run(failing)


def test_looking_at_types_leaves_the_watch_as_it_was(session: SqliteSession) -> None:
    stop: list[bool] = []
    with session.watch(should_stop=lambda: bool(stop)):
        session.columns_of("SELECT 1 AS a")
        stop.append(True)
        with pytest.raises(Stopped):
            session.run(f"{ENDLESS} SELECT count(*) FROM n")


def test_later_rows_may_hold_anything(tmp_path: Path) -> None:
    path = make_database(tmp_path / "shop.db", SHOP)
    select = f"{ENDLESS} SELECT iif(x > 1100, 'text', x) AS a FROM n WHERE x <= 1102 LIMIT 1102"
    with opened(path) as source:
        rows = rows_of(source.extract(replace(query("own", ("own", "a")), select=select), tmp_path / "out"))
    assert rows[1098:] == [("1099",), ("1100",), ("text",), ("text",)]


def test_an_own_select_is_joined_by_its_types(tmp_path: Path) -> None:
    path = make_database(tmp_path / "shop.db", SHOP)
    users = lookup("users", "users", (ref("own", "user_id"), "id"))
    wanted = replace(
        query("own", ("own", "shown_at"), ("users", "city"), joins=(users,)), select="SELECT * FROM impressions"
    )
    with opened(path) as source:
        columns = {str(column): info.type for column, info in source.columns(wanted)}
        assert columns["own.shown_at"] is ColumnType.TIMESTAMP
        assert len(rows_of(source.extract(wanted, tmp_path / "out"))) == 4

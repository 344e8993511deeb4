"""Tables, keys and types as SQLite has them, whatever they are called."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from crosslens.relational import ColumnType, ForeignKey, TableRef
from db.engines import sqlite as sqlite_engine
from db.types import sqlite_type

from .helpers import ODD_NAMES, make_database, opened, query, quoted, rows_of


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("INTEGER", ColumnType.INTEGER), ("int", ColumnType.INTEGER), ("UNSIGNED BIG INT", ColumnType.INTEGER),
        ("tinyint(1)", ColumnType.INTEGER), ("VARCHAR(20)", ColumnType.TEXT), ("NATIVE CHARACTER(70)", ColumnType.TEXT),
        ("JSON", ColumnType.TEXT), ("uuid", ColumnType.TEXT), ("REAL", ColumnType.FLOAT),
        ("double precision", ColumnType.FLOAT),
        ("DECIMAL(10,2)", ColumnType.DECIMAL), ("NUMERIC", ColumnType.DECIMAL), ("MONEY", ColumnType.DECIMAL),
        ("BOOLEAN", ColumnType.BOOLEAN), ("bool", ColumnType.BOOLEAN), ("DATE", ColumnType.DATE),
        ("DATETIME", ColumnType.TIMESTAMP), ("timestamp with time zone", ColumnType.TIMESTAMP),
        ("BLOB", ColumnType.BINARY),
        ("VARBINARY(16)", ColumnType.BINARY), ("", ColumnType.OTHER), ("GEOMETRY", ColumnType.OTHER),
    ],
)  # fmt: skip
def test_a_declared_type_becomes_a_logical_type(declared: str, expected: ColumnType) -> None:
    assert sqlite_type(declared) is expected


def test_columns_keep_the_databases_own_word(tmp_path: Path) -> None:
    path = make_database(tmp_path / "x.db", "CREATE TABLE t(a DECIMAL(10,2) NOT NULL, b, c AS (a * 2))")
    with opened(path) as source:
        columns = source.table(TableRef("t")).columns
    assert [(column.name, column.database_type, column.nullable) for column in columns] == [
        ("a", "DECIMAL(10,2)", False),
        ("b", "", True),
        ("c", "", True),
    ]


def test_compound_keys_keep_their_order(tmp_path: Path) -> None:
    script = """
    CREATE TABLE p(x, y, z UNIQUE, PRIMARY KEY (y, x), UNIQUE (x, z)) WITHOUT ROWID;
    CREATE TABLE c(a, b, FOREIGN KEY (b, a) REFERENCES p(x, y));
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        parent, child = source.table(TableRef("p")), source.table(TableRef("c"))
    assert parent.primary_key == ("y", "x")
    assert parent.unique_keys == (("x", "z"), ("z",))
    assert child.foreign_keys == (ForeignKey(("b", "a"), TableRef("p"), ("x", "y")),)


def test_partial_and_expression_indexes_are_no_keys(tmp_path: Path) -> None:
    script = """
    CREATE TABLE t(a, b);
    CREATE UNIQUE INDEX i ON t(a) WHERE b > 0;
    CREATE UNIQUE INDEX j ON t(lower(a));
    CREATE INDEX k ON t(b);
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        assert source.table(TableRef("t")).unique_keys == ()


def test_foreign_keys_are_spelt_like_their_targets_and_completed(tmp_path: Path) -> None:
    script = """
    CREATE TABLE Users(Id INTEGER PRIMARY KEY, boss REFERENCES USERS);
    CREATE TABLE v(u REFERENCES users(ID), w REFERENCES gone(id), g REFERENCES gone);
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        assert source.table(TableRef("Users")).foreign_keys == (ForeignKey(("boss",), TableRef("Users"), ("Id",)),)
        assert source.table(TableRef("v")).foreign_keys == (
            ForeignKey(("u",), TableRef("Users"), ("Id",)),
            ForeignKey(("w",), TableRef("gone"), ("id",)),
            ForeignKey(("g",), TableRef("gone"), ("g",)),
        )


def test_views_are_listed_without_keys_and_inner_tables_are_not(tmp_path: Path) -> None:
    script = """
    CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE VIEW v AS SELECT id, 1.5 AS half FROM t;
    CREATE VIRTUAL TABLE words USING fts5(body);
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        tables = {table.ref.name: table for table in source.tables()}
    assert set(tables) == {"t", "v", "words"}
    assert tables["v"].is_view
    assert [column.name for column in tables["v"].columns] == ["id", "half"]


def test_odd_names_survive_from_reflection_to_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    columns = ", ".join(f"{quoted(name)} TEXT" for name in ODD_NAMES)
    with closing(sqlite3.connect(path)) as connection:
        for name in ODD_NAMES:
            connection.execute(f"CREATE TABLE {quoted(name)} ({columns})")
            connection.execute(f"INSERT INTO {quoted(name)} VALUES ({', '.join('?' * len(ODD_NAMES))})", ODD_NAMES)
        connection.commit()
    with opened(path) as source:
        assert {table.ref.name for table in source.tables()} == set(ODD_NAMES)
        for name in ODD_NAMES:
            assert source.page(TableRef(name)).rows == (ODD_NAMES,)
            wanted = query(name, *((name, column) for column in ODD_NAMES))
            assert rows_of(source.extract(wanted, tmp_path / "out")) == [ODD_NAMES]
            assert [profile.examples for profile in source.profile(wanted)] == [((name, 1),) for name in ODD_NAMES]


def test_small_tables_are_counted_and_large_ones_estimated(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sqlite_engine, "EXACT_ROWS", 50)
    script = """
    CREATE TABLE small(x); CREATE TABLE large(x); CREATE TABLE empty(x); CREATE TABLE sparse(x INTEGER PRIMARY KEY);
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 80) INSERT INTO large SELECT x FROM n;
    INSERT INTO small SELECT x FROM large LIMIT 7;
    INSERT INTO sparse VALUES (1), (9000000000000000000);
    CREATE VIEW v AS SELECT 1 AS x;
    """
    path = make_database(tmp_path / "x.db", script)
    with opened(path) as source:
        rows = {table.ref.name: (table.rows, table.rows_are_estimated) for table in source.tables()}
    assert (rows["small"], rows["empty"], rows["large"], rows["v"]) == (
        (7, False),
        (0, False),
        (80, True),
        (None, False),
    )
    assert rows["sparse"] == (path.stat().st_size // 4, True)


def test_what_analyze_counted_is_the_estimate(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sqlite_engine, "EXACT_ROWS", 5)
    script = """
    CREATE TABLE t(x INTEGER PRIMARY KEY); CREATE INDEX i ON t(x); CREATE TABLE w(x PRIMARY KEY) WITHOUT ROWID;
    INSERT INTO t VALUES (1), (2), (30); INSERT INTO w VALUES (1), (2); ANALYZE;
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        rows = {table.ref.name: (table.rows, table.rows_are_estimated) for table in source.tables()}
    assert rows == {"t": (3, True), "w": (2, True)}

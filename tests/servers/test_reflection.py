"""Tables, views, keys and estimates of a server as its catalogue has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from crosslens.errors import QueryError
from crosslens.relational import ColumnType, ConnectionSpec, ForeignKey, TableInfo, TableRef
from db.engines import Session
from db.engines.generic import GenericSession

from .conftest import Server

Opened = Callable[[ConnectionSpec], Session]
KEYS = (
    "CREATE TABLE regions (country varchar(9), code int, parent int UNIQUE, PRIMARY KEY (country, code), "
    "UNIQUE (code, country))",
    "CREATE TABLE people (id int PRIMARY KEY, country varchar(9), region int, boss int REFERENCES people (id), "
    "FOREIGN KEY (boss) REFERENCES people (id), FOREIGN KEY (country, region) REFERENCES regions (country, code))",
    "CREATE VIEW bosses AS SELECT boss FROM people",
)


@pytest.fixture(scope="module")
def keyed(server: Server) -> Server:
    server.run(*(statement.replace("boss int REFERENCES people (id)", "boss int") for statement in KEYS))
    return server


def by_name(session: Session) -> dict[str, TableInfo]:
    return {table.ref.name: table for table in session.tables()}


@pytest.mark.parametrize("kind", ["own", "generic"])
def test_compound_self_and_unique_keys(kind: str, keyed: Server, opened: Opened) -> None:
    if kind == "own":
        session = opened(keyed.reader)
    else:
        dialect = "postgresql+psycopg" if keyed.is_postgresql else "mysql+pymysql"
        session = GenericSession(replace(keyed.owner, dialect=dialect))
    tables = by_name(session)
    assert tables["regions"].primary_key == ("country", "code")
    assert set(tables["regions"].unique_keys) == {("code", "country"), ("parent",)}
    assert set(tables["people"].foreign_keys) == {
        ForeignKey(("boss",), TableRef("people"), ("id",)),
        ForeignKey(("country", "region"), TableRef("regions"), ("country", "code")),
    }
    assert tables["bosses"].is_view
    assert tables["bosses"].column("boss").type is ColumnType.INTEGER
    assert session.read_only == "" if kind == "generic" else "READ ONLY" in session.read_only
    session.close()


def test_schemas_are_named_but_for_the_default_one(postgresql: Server, opened: Opened) -> None:
    postgresql.run(
        "CREATE TABLE here (id int PRIMARY KEY)",
        'CREATE SCHEMA "Ändere"',
        'CREATE TABLE "Ändere".there (id int PRIMARY KEY, here int REFERENCES public.here (id))',
        'CREATE MATERIALIZED VIEW "Ändere".seen AS SELECT * FROM here',
        "CREATE TABLE parted (id int, day date) PARTITION BY RANGE (day)",
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
    )
    tables = by_name(opened(postgresql.reader))
    assert tables["here"].ref == TableRef("here")
    assert tables["there"].ref == TableRef("there", "Ändere")
    assert tables["there"].foreign_keys == (ForeignKey(("here",), TableRef("here"), ("id",)),)
    assert tables["seen"].is_view
    assert "parted" in tables
    assert "parted_1" not in tables


def test_keys_across_mariadb_databases(mariadb: Server, opened: Opened) -> None:
    other = f"{mariadb.owner.database}_2"
    mariadb.run(f"CREATE DATABASE {other}", f"CREATE TABLE {other}.far (id int PRIMARY KEY)")
    try:
        mariadb.run(f"CREATE TABLE near (id int PRIMARY KEY, far int, FOREIGN KEY (far) REFERENCES {other}.far (id))")
        tables = by_name(opened(mariadb.owner))
        assert tables["far"].ref == TableRef("far", other)
        assert tables["near"].foreign_keys == (ForeignKey(("far",), TableRef("far", other), ("id",)),)
    finally:
        mariadb.run("DROP TABLE IF EXISTS near", f"DROP DATABASE {other}")


def test_rows_are_estimated_from_statistics(server: Server, opened: Opened) -> None:
    server.run("CREATE TABLE counted (id int PRIMARY KEY)")
    numbers = "SELECT n FROM generate_series(1, 5000) n" if server.is_postgresql else "SELECT seq FROM seq_1_to_5000"
    server.run(f"INSERT INTO counted {numbers}", f"ANALYZE {'' if server.is_postgresql else 'TABLE '}counted")
    session = opened(server.reader)
    counted = next(table for table in session.with_row_counts(session.tables()) if table.ref.name == "counted")
    assert counted.rows_are_estimated
    assert counted.rows == pytest.approx(5000, rel=0.1)


def test_a_table_as_wide_as_the_server_allows(server: Server, opened: Opened) -> None:
    width = 1500 if server.is_postgresql else 1000
    server.run(f"CREATE TABLE wide ({', '.join(f'c{number} smallint' for number in range(width))})")
    assert len(by_name(opened(server.reader))["wide"].columns) == width


def test_columns_of_an_own_select_have_types(server: Server, opened: Opened) -> None:
    select = "SELECT 1 AS a, 'x' AS b, 1.5 AS c, CURRENT_TIMESTAMP AS d, CURRENT_DATE AS e -- done\n;"
    columns = opened(server.reader).columns_of(select)
    assert [column.name for column in columns] == ["a", "b", "c", "d", "e"]
    assert [column.type for column in columns] == [
        ColumnType.INTEGER, ColumnType.TEXT, ColumnType.DECIMAL, ColumnType.TIMESTAMP, ColumnType.DATE,
    ]  # fmt: skip


def test_an_own_select_with_two_columns_of_one_name_is_refused(mariadb: Server, opened: Opened) -> None:
    with pytest.raises(QueryError, match="same name"):
        opened(mariadb.reader).columns_of("SELECT 1 AS a, 2 AS a")


def test_two_thousand_tables_are_listed_within_seconds(server: Server, opened: Opened) -> None:
    create = "CREATE TABLE many_{} (id int PRIMARY KEY, x int)" + ("" if server.is_postgresql else " ENGINE=MEMORY")
    statements = [create.format(number) for number in range(2000)]
    hundreds = ["; ".join(statements[start : start + 100]) for start in range(0, len(statements), 100)]
    server.run(*(hundreds if server.is_postgresql else statements))  # one text is one transaction, and locks are few
    session = opened(server.reader)
    started = time.monotonic()
    tables = session.tables()
    assert time.monotonic() - started < 20.0
    assert sum(table.ref.name.startswith("many_") for table in tables) == 2000

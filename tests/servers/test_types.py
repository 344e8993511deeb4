"""Every type of a server, from its catalogue to an Arrow column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from crosslens.relational import ColumnType, ConnectionSpec, TableInfo, TableRef
from db.columns import Kind, WiderKinds
from db.compile import named_table
from db.engines import Session

from .conftest import Server

Opened = Callable[[ConnectionSpec], Session]


def table_of(session: Session, name: str) -> TableInfo:
    return next(table for table in session.tables() if table.ref == TableRef(name))


def select_all(table: TableInfo) -> sa.Select[Any]:
    source = named_table(table, "t")
    columns = [source.c[column.name].label(f"c{number}") for number, column in enumerate(table.columns)]
    return sa.select(*columns).order_by(next(iter(source.c)))


def read(session: Session, table: TableInfo, kinds: tuple[Kind, ...] | None = None) -> dict[str, list[Any]]:
    """Read as the extraction does: wider when a value does not fit."""
    kinds = kinds or session.kinds(table.columns)
    try:
        batches = list(session.batches(select_all(table), kinds, rows=2))
    except WiderKinds as wider:
        return read(session, table, wider.kinds)
    for batch in batches:
        assert [array.type for array in batch] == [kind.arrow for kind in kinds]
    columns = [pa.chunked_array([batch[place] for batch in batches]) for place in range(len(kinds))]
    return {info.name: column.to_pylist() for info, column in zip(table.columns, columns, strict=True)}


POSTGRESQL_COLUMNS = [
    ("integer", "int4", ("1", "-5"), ColumnType.INTEGER, [1, -5]),
    ("bigint", "int8", ("9223372036854775807", "0"), ColumnType.INTEGER, [2**63 - 1, 0]),
    ("numeric", "numeric(12,2)", ("0.10", "-7"), ColumnType.DECIMAL, [0.1, -7.0]),
    ("whole", "numeric(10,0)", ("12", "13"), ColumnType.DECIMAL, [12, 13]),
    ("huge", "numeric", ("12345678901234567890123", "1.5"), ColumnType.DECIMAL, ["12345678901234567890123", "1.5"]),
    ("double", "float8", ("0.1", "1e300"), ColumnType.FLOAT, [0.1, 1e300]),
    ("infinite", "float8", ("'Infinity'", "-1"), ColumnType.FLOAT, [float("inf"), -1.0]),
    ("single", "float4", ("0.1", "2"), ColumnType.FLOAT, [0.1, 2.0]),
    ("boolean", "bool", ("true", "false"), ColumnType.BOOLEAN, [True, False]),
    ("text", "text", ("''", "'NULL'"), ColumnType.TEXT, ["", "NULL"]),
    ("lines", "text", ("E'a\\nb,\"c\"\\r'", "'\ufeffmark'"), ColumnType.TEXT, ['a\nb,"c"\r', "\ufeffmark"]),
    ("zeros", "varchar(9)", ("'007'", "'\\.'"), ColumnType.TEXT, ["007", "\\."]),
    ("date", "date", ("'2024-02-29'", "'0001-01-01'"), ColumnType.DATE, [date(2024, 2, 29), date(1, 1, 1)]),
    ("forever", "date", ("'infinity'", "'2024-01-01'"), ColumnType.DATE, ["infinity", "2024-01-01"]),
    ("moment", "timestamp", ("'2024-01-02 03:04:05.678901'", "'1999-12-31'"), ColumnType.TIMESTAMP,
     [datetime(2024, 1, 2, 3, 4, 5, 678901), datetime(1999, 12, 31)]),
    ("zoned", "timestamptz", ("'2024-01-02 03:04:05+02'", "'2024-07-01 00:00:00-05:30'"), ColumnType.TIMESTAMP,
     [datetime(2024, 1, 2, 1, 4, 5), datetime(2024, 7, 1, 5, 30)]),
    ("clock", "time", ("'03:04:05'", "'00:00'"), ColumnType.TEXT, ["03:04:05", "00:00:00"]),
    ("bytes", "bytea", ("'\\x00ff'", "'\\x61'"), ColumnType.BINARY, ["00ff", "61"]),
    ("json", "jsonb", ("""'{"a": [1, "x"]}'""", "'null'"), ColumnType.JSON, ['{"a": [1, "x"]}', "null"]),
    ("array", "int[]", ("'{1,null,3}'", "'{}'"), ColumnType.ARRAY, [["1", None, "3"], []]),
    ("tags", "text[]", ("""'{"a,b","","c\\"d"}'""", "'{x}'"), ColumnType.ARRAY, [["a,b", "", 'c"d'], ["x"]]),
    ("mood", "mood", ("'so so'", "'good'"), ColumnType.TEXT, ["so so", "good"]),
    ("uuid", "uuid", ("'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-00000000000a'"),
     ColumnType.TEXT, ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-00000000000a"]),
    ("place", "point", ("'(1,2)'", "'(3,4)'"), ColumnType.OTHER, ["(1,2)", "(3,4)"]),
    ("money", "money", ("12.5", "-1"), ColumnType.DECIMAL, [12.5, -1.0]),
    ("span", "interval", ("'1 day 02:03:04'", "'-1 year'"), ColumnType.TEXT, ["1 day 02:03:04", "-1 years"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def postgresql_types(postgresql: Server) -> Server:
    columns = ", ".join(f'"{name}" {kind}' for name, kind, *_ in POSTGRESQL_COLUMNS)
    rows = ["(1, " + ", ".join(values[0] for _, _, values, *_ in POSTGRESQL_COLUMNS) + ")"]
    rows.append("(2, " + ", ".join(values[1] for _, _, values, *_ in POSTGRESQL_COLUMNS) + ")")
    rows.append("(3" + ", NULL" * len(POSTGRESQL_COLUMNS) + ")")
    postgresql.run(
        "CREATE TYPE mood AS ENUM ('so so', 'good')",
        f"CREATE TABLE types (id int PRIMARY KEY, {columns})",
        f"INSERT INTO types VALUES {', '.join(rows)}",
    )
    return postgresql


@pytest.mark.parametrize("name", [name for name, *_ in POSTGRESQL_COLUMNS])
def test_a_postgresql_column_comes_as_declared_and_null_stays_null(
    name: str, postgresql_types: Server, opened: Opened
) -> None:
    _, _, _, declared, expected = next(row for row in POSTGRESQL_COLUMNS if row[0] == name)
    session = opened(postgresql_types.reader)
    table = table_of(session, "types")
    column = table.column(name)
    assert column.type is declared
    one = TableInfo(table.ref, (table.column("id"), column))
    assert read(session, one)[name] == [*expected, None]


def test_choices_of_an_enum_are_known(postgresql_types: Server, opened: Opened) -> None:
    assert table_of(opened(postgresql_types.reader), "types").column("mood").choices == ("so so", "good")


def test_single_values_of_any_postgresql_type_can_be_shown(postgresql_types: Server, opened: Opened) -> None:
    session = opened(postgresql_types.reader)
    rows = session.fetch(select_all(table_of(session, "types")))
    assert len(rows) == 3
    assert "infinity" in rows[0]


MARIADB_COLUMNS = [
    ("integer", "int", ("1", "-5"), ColumnType.INTEGER, [1, -5]),
    ("tiny", "tinyint(4)", ("1", "-5"), ColumnType.INTEGER, [1, -5]),
    ("flag", "tinyint(1)", ("1", "0"), ColumnType.BOOLEAN, [True, False]),
    ("flag2", "boolean", ("1", "2"), ColumnType.BOOLEAN, [1, 2]),
    ("bit", "bit(1)", ("b'1'", "b'0'"), ColumnType.BOOLEAN, [True, False]),
    ("bits", "bit(9)", ("b'100000001'", "b'0'"), ColumnType.INTEGER, [257, 0]),
    ("unsigned", "bigint unsigned", ("18446744073709551615", "3"), ColumnType.INTEGER, ["18446744073709551615", "3"]),
    ("decimal", "decimal(12,2)", ("0.10", "-7"), ColumnType.DECIMAL, [0.1, -7.0]),
    ("whole", "decimal(10,0)", ("12", "13"), ColumnType.DECIMAL, [12, 13]),
    ("huge", "decimal(30,0)", ("123456789012345678901", "1"), ColumnType.DECIMAL, ["123456789012345678901", "1"]),
    ("double", "double", ("0.1", "1e300"), ColumnType.FLOAT, [0.1, 1e300]),
    ("single", "float", ("16777217", "0.5"), ColumnType.FLOAT, [16777216.0, 0.5]),
    ("text", "text", ("''", "'NULL'"), ColumnType.TEXT, ["", "NULL"]),
    ("lines", "varchar(50)", ("'a\\nb,\"c\"\\r'", "'x\\\\y'"), ColumnType.TEXT, ['a\nb,"c"\r', "x\\y"]),
    ("latin", "varchar(9) character set latin1", ("'Größe'", "'007'"), ColumnType.TEXT, ["Größe", "007"]),
    ("other", "varchar(9) collate utf8mb4_bin", ("'имя'", "'😀'"), ColumnType.TEXT, ["имя", "😀"]),
    ("date", "date", ("'2024-02-29'", "'0000-00-00'"), ColumnType.DATE, [date(2024, 2, 29), None]),
    ("moment", "datetime(6)", ("'2024-01-02 03:04:05.678901'", "'0000-00-00'"), ColumnType.TIMESTAMP,
     [datetime(2024, 1, 2, 3, 4, 5, 678901), None]),
    ("stamp", "timestamp null", ("'2024-01-02 03:04:05'", "'2024-01-02'"), ColumnType.TIMESTAMP,
     [datetime(2024, 1, 2, 3, 4, 5), datetime(2024, 1, 2)]),
    ("clock", "time", ("'-838:59:59'", "'00:00:01'"), ColumnType.TEXT, ["-838:59:59", "00:00:01"]),
    ("year", "year", ("2024", "1999"), ColumnType.INTEGER, [2024, 1999]),
    ("bytes", "varbinary(9)", ("x'00FF'", "'a'"), ColumnType.BINARY, ["00ff", "61"]),
    ("blob", "blob", ("x'22'", "''"), ColumnType.BINARY, ["22", ""]),
    ("json", "json", ("""'{"a": [1, "x"]}'""", "'null'"), ColumnType.JSON, ['{"a": [1, "x"]}', "null"]),
    ("mood", "enum('so so','it''s good')", ("'so so'", "'it''s good'"), ColumnType.TEXT, ["so so", "it's good"]),
    ("several", "set('a','b')", ("'a,b'", "''"), ColumnType.TEXT, ["a,b", ""]),
    ("place", "point", ("point(1,2)", "point(3,4)"), ColumnType.OTHER, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def mariadb_types(mariadb: Server) -> Server:
    columns = ", ".join(f"`{name}` {kind}" for name, kind, *_ in MARIADB_COLUMNS)
    rows = ["(1, " + ", ".join(values[0] for _, _, values, *_ in MARIADB_COLUMNS) + ")"]
    rows.append("(2, " + ", ".join(values[1] for _, _, values, *_ in MARIADB_COLUMNS) + ")")
    rows.append("(3" + ", NULL" * len(MARIADB_COLUMNS) + ")")
    mariadb.run(
        "SET SESSION sql_mode = '', time_zone = '+00:00'",
        f"CREATE TABLE types (id int PRIMARY KEY, {columns})",
        f"INSERT INTO types VALUES {', '.join(rows)}",
    )
    return mariadb


@pytest.mark.parametrize("name", [name for name, *_ in MARIADB_COLUMNS])
def test_a_mariadb_column_comes_as_declared_and_null_stays_null(
    name: str, mariadb_types: Server, opened: Opened
) -> None:
    _, _, _, declared, expected = next(row for row in MARIADB_COLUMNS if row[0] == name)
    session = opened(mariadb_types.reader)
    table = table_of(session, "types")
    column = table.column(name)
    assert column.type is declared
    found = read(session, TableInfo(table.ref, (table.column("id"), column)))[name]
    assert found[2] is None
    assert expected is None or found == [*expected, None]


def test_choices_of_a_mariadb_enum_are_known(mariadb_types: Server, opened: Opened) -> None:
    assert table_of(opened(mariadb_types.reader), "types").column("mood").choices == ("so so", "it's good")


def test_all_mariadb_columns_can_be_read_together(mariadb_types: Server, opened: Opened) -> None:
    session = opened(mariadb_types.reader)
    table = table_of(session, "types")
    assert read(session, table)["latin"] == ["Größe", "007", None]
    assert len(session.fetch(select_all(table))) == 3

"""A new database: keys, indexes and rows as asked, or no file at all."""

import datetime as dt
import signal
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from crosslens.errors import DataError, StorageError
from crosslens.relational import ColumnInfo, ColumnType, ForeignKey, TableInfo, TableRef
from db.sources import SqlSources

from .helpers import ODD_NAMES, opened

BRANDS = TableInfo(
    TableRef("brands"),
    (ColumnInfo("id", ColumnType.INTEGER, nullable=False), ColumnInfo("name", ColumnType.TEXT)),
    primary_key=("id",),
    unique_keys=(("name",),),
)
ITEMS = TableInfo(
    TableRef("items"),
    (
        ColumnInfo("id", ColumnType.INTEGER),
        ColumnInfo("brand_id", ColumnType.INTEGER),
        ColumnInfo("parent", ColumnType.INTEGER),
    ),
    primary_key=("id",),
    foreign_keys=(
        ForeignKey(("brand_id",), TableRef("brands"), ("id",)),
        ForeignKey(("parent",), TableRef("items"), ("id",)),
    ),
)
ROWS = {
    "brands": pa.table({"name": ["Acme", None], "id": [1, 2]}),
    "items": pa.table({"id": [1, 2], "brand_id": [1, None], "parent": [None, 1]}),
}


def _one(name: str, kind: ColumnType) -> TableInfo:
    return TableInfo(TableRef("t"), (ColumnInfo(name, kind),))


def _written(path: Path, table: TableInfo, rows: pa.Table) -> list[tuple]:
    SqlSources().write_new(path, (table,), {table.ref.name: rows})
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM t").fetchall()


def test_what_is_written_is_reflected_again(tmp_path: Path) -> None:
    SqlSources().write_new(tmp_path / "deep" / "x.db", (ITEMS, BRANDS), ROWS)
    with opened(tmp_path / "deep" / "x.db") as source:
        brands, items = source.tables()
        assert source.page(TableRef("brands")).rows == ((1, "Acme"), (2, None))
        assert source.page(TableRef("items")).rows == ((1, 1, None), (2, None, 1))
    assert (brands.primary_key, brands.unique_keys, brands.rows) == (("id",), (("name",),), 2)
    assert [column.nullable for column in brands.columns] == [False, True]
    assert items.foreign_keys == ITEMS.foreign_keys


def test_foreign_keys_are_indexed_and_hold(tmp_path: Path) -> None:
    SqlSources().write_new(tmp_path / "x.db", (BRANDS, ITEMS), ROWS)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        indexes = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'ix%' ORDER BY 1").fetchall()
        assert indexes == [("ix_items_brand_id",), ("ix_items_parent",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_an_integer_key_is_the_row_number(tmp_path: Path) -> None:
    SqlSources().write_new(tmp_path / "x.db", (BRANDS, ITEMS), ROWS)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM items WHERE id = 2").fetchall()
    assert "INTEGER PRIMARY KEY" in plan[0][3]


@pytest.mark.parametrize(
    ("kind", "values", "stored"),
    [
        (ColumnType.TIMESTAMP, pa.array([dt.datetime(2024, 5, 1, 12, 30), None]), ["2024-05-01 12:30:00", None]),
        (ColumnType.TIMESTAMP, pa.array([dt.datetime(2024, 5, 1, 0, 0, 0, 500_000)]), ["2024-05-01 00:00:00.500000"]),
        (ColumnType.DATE, pa.array([dt.date(2024, 5, 1)]), ["2024-05-01"]),
        (ColumnType.BOOLEAN, pa.array([True, False, None]), [1, 0, None]),
        (ColumnType.DECIMAL, pa.array([Decimal("1.50")]), [1.5]),
        (ColumnType.TEXT, pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (ColumnType.BINARY, pa.array([b"\x00\xff"]), [b"\x00\xff"]),
        (ColumnType.FLOAT, pa.array([1.5, None], pa.float32()), [1.5, None]),
        (ColumnType.INTEGER, pa.array([2**62], pa.int64()), [2**62]),
    ],
)
def test_values_are_stored_as_sqlite_would_have_them(kind, values, stored, tmp_path: Path) -> None:
    assert _written(tmp_path / "x.db", _one("v", kind), pa.table({"v": values})) == [(value,) for value in stored]


def test_odd_names_can_be_written(tmp_path: Path) -> None:
    tables = [
        TableInfo(
            TableRef(name),
            tuple(ColumnInfo(column, ColumnType.TEXT) for column in ODD_NAMES),
            foreign_keys=(ForeignKey((name,), TableRef(ODD_NAMES[0]), ("a.b",)),),
        )
        for name in ODD_NAMES
    ]
    row = pa.table({name: [name] for name in ODD_NAMES})
    SqlSources().write_new(tmp_path / "x.db", tables, dict.fromkeys(ODD_NAMES, row))
    with opened(tmp_path / "x.db") as source:
        for table in tables:
            assert source.table(table.ref).foreign_keys == table.foreign_keys
            assert source.page(table.ref).rows == (ODD_NAMES,)


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("mine")
    with pytest.raises(StorageError, match="already exists"):
        SqlSources().write_new(tmp_path / "x.db", (BRANDS,), ROWS)
    assert (tmp_path / "x.db").read_text() == "mine"


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # not on Windows
    rows = pa.table({"v": ["x" * 1000] * 5000})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(StorageError, match="The disk is full"):
            SqlSources().write_new(tmp_path / "x.db", (_one("v", ColumnType.TEXT),), {"t": rows})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []


def test_rows_that_break_a_key_leave_no_file(tmp_path: Path) -> None:
    rows = {"brands": pa.table({"id": [1, 1], "name": ["a", "b"]})}
    with pytest.raises(DataError, match="UNIQUE constraint failed"):
        SqlSources().write_new(tmp_path / "x.db", (BRANDS,), rows)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        SqlSources().write_new(tmp_path / "file" / "x.db", (BRANDS,), ROWS)

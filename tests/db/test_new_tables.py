"""A new table in a database file: whole or not there, and nothing else is touched."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from crosslens.errors import DataError, ParameterError, SourceError, Stopped, StorageError
from crosslens.relational import ConnectionSpec, TableRef
from db.new_tables import refuse_table, write_table

from .helpers import ODD_NAMES

T = TableRef("predictions")
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3]),
        "p": pa.array([0.25, 1e-300, None]),
        "name": pa.array(["Größe", "", None]),
        "paid": pa.array([Decimal("1.50"), Decimal("-0.01"), None]),
        "day": pa.array([dt.date(2024, 5, 1), dt.date(1, 1, 1), None]),
        "at": pa.array([dt.datetime(2024, 5, 1, 12, 30), dt.datetime(2024, 5, 1, 0, 0, 0, 500_000), None]),
        "yes": pa.array([True, False, None]),
        "raw": pa.array([b"\x00\xff", b"", None]),
    }
)


@pytest.fixture(params=["sqlite", "duckdb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> ConnectionSpec:
    """A database with one table, "kept", of one row."""
    path = tmp_path / f"mine.{request.param}"
    opened: Any = sqlite3.connect(path) if request.param == "sqlite" else duckdb.connect(str(path))
    with closing(opened) as raw:
        raw.execute("CREATE TABLE kept (x INTEGER)")
        raw.execute("INSERT INTO kept VALUES (7)")
        raw.commit()
    return ConnectionSpec(request.param, str(path))


def ask(place: ConnectionSpec, statement: str) -> list[tuple[Any, ...]]:
    raw: Any = sqlite3.connect(place.database) if place.dialect == "sqlite" else duckdb.connect(place.database)
    with closing(raw):
        return list(raw.execute(statement).fetchall())


def tables(place: ConnectionSpec) -> set[str]:
    listing = (
        "SELECT name FROM sqlite_master" if place.dialect == "sqlite" else "SELECT table_name FROM duckdb_tables()"
    )
    return {name for (name,) in ask(place, listing)}


def written(place: ConnectionSpec, rows: pa.Table, table: TableRef = T, **choices: Any) -> int:
    return write_table(place, table, rows.schema, iter(rows.to_batches()), **choices)


def test_values_come_back_as_they_were(place: ConnectionSpec) -> None:
    assert written(place, ROWS) == 3
    found = ask(place, "SELECT * FROM predictions ORDER BY id")
    if place.dialect == "duckdb":
        assert found == [tuple(row.values()) for row in ROWS.to_pylist()]
    else:
        assert found[0] == (1, 0.25, "Größe", 1.5, "2024-05-01", "2024-05-01 12:30:00.000000", 1, b"\x00\xff")
        assert found[1][:3] == (2, 1e-300, "")
        assert found[2] == (3, *[None] * 7)


def test_many_blocks_become_one_table(place: ConnectionSpec) -> None:
    blocks = [pa.record_batch({"id": pa.array(range(start, start + 1000))}) for start in range(0, 5000, 1000)]
    assert write_table(place, T, blocks[0].schema, iter(blocks)) == 5000
    assert ask(place, "SELECT count(DISTINCT id) FROM predictions") == [(5000,)]


def test_no_rows_make_an_empty_table(place: ConnectionSpec) -> None:
    assert write_table(place, T, ROWS.schema, iter(())) == 0
    assert ask(place, "SELECT count(*) FROM predictions") == [(0,)]


def test_digits_of_decimals_are_kept(place: ConnectionSpec) -> None:
    exact = Decimal("12345678901234567890.123456789")
    written(place, pa.table({"d": pa.array([exact], pa.decimal128(38, 9))}))
    ((found,),) = ask(place, "SELECT d FROM predictions")
    assert Decimal(found) == exact


@pytest.mark.parametrize("name", ["predictions", "PREDICTIONS", "kept", "Kept"])
def test_a_table_that_is_there_is_never_replaced(place: ConnectionSpec, name: str) -> None:
    written(place, pa.table({"x": [1]}))
    with pytest.raises(StorageError, match="already has a table"):
        refuse_table(place, TableRef(name))
    with pytest.raises(StorageError, match="already has a table"):
        written(place, pa.table({"x": [2]}), TableRef(name))
    assert ask(place, "SELECT x FROM kept") == [(7,)]
    assert ask(place, "SELECT x FROM predictions") == [(1,)]


def test_a_table_that_is_not_there_is_not_refused(place: ConnectionSpec) -> None:
    refuse_table(place, T)
    assert tables(place) == {"kept"}


def test_an_export_that_breaks_off_leaves_nothing(place: ConnectionSpec) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield ROWS.to_batches()[0]
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError, match="the power is gone"):
        write_table(place, T, ROWS.schema, broken())
    assert tables(place) == {"kept"}
    assert ask(place, "SELECT x FROM kept") == [(7,)]


def test_stop_leaves_nothing(place: ConnectionSpec) -> None:
    asked = iter([False, False, True])
    blocks = [pa.record_batch({"x": [number]}) for number in range(1000)]
    with pytest.raises(Stopped):
        write_table(place, T, blocks[0].schema, iter(blocks), should_stop=lambda: next(asked, True))
    assert tables(place) == {"kept"}


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
def test_a_database_that_is_not_there_is_made_and_taken_back_on_failure(dialect: str, tmp_path: Path) -> None:
    place = ConnectionSpec(dialect, str(tmp_path / f"new.{dialect}"))
    refuse_table(place, T)
    with pytest.raises(Stopped):
        written(place, ROWS, should_stop=lambda: True)
    assert list(tmp_path.iterdir()) == []
    assert written(place, ROWS) == 3
    assert tables(place) == {"predictions"}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_survive(place: ConnectionSpec, name: str) -> None:
    written(place, pa.table({name: [1], "q": [2]}), TableRef(name))
    assert name in tables(place)
    mark = name.replace('"', '""')
    assert ask(place, f'SELECT "{mark}" FROM "{mark}"') == [(1,)]


def test_a_name_that_is_too_long_is_said(place: ConnectionSpec) -> None:
    with pytest.raises(ParameterError, match="60 bytes"):
        refuse_table(place, TableRef("ü" * 31))


def test_two_columns_of_one_name_are_said(place: ConnectionSpec) -> None:
    rows = pa.table([[1], [2]], names=["a", "A"])
    with pytest.raises(DataError, match="was not made"):
        written(place, rows)
    assert tables(place) == {"kept"}


def test_files_are_no_database_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a folder of files"):
        refuse_table(ConnectionSpec("files", str(tmp_path)), T)
    with pytest.raises(SourceError, match="oracle"):
        refuse_table(ConnectionSpec("oracle", "x", host="h"), T)


def test_a_file_that_is_no_database_stays_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("mine, and long enough to be looked at as a header of a database file" * 9)
    before = path.read_text()
    for dialect in ("sqlite", "duckdb"):
        with pytest.raises(SourceError):
            written(ConnectionSpec(dialect, str(path)), ROWS)
    assert path.read_text() == before


def test_a_locked_database_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.new_tables.sqlite.LOCK_SECONDS", 0.05)
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE kept (x)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SourceError, match="locked"):
            written(ConnectionSpec("sqlite", str(path)), ROWS)


def test_a_full_disk_leaves_nothing_in_sqlite(tmp_path: Path) -> None:
    import signal

    resource = pytest.importorskip("resource")  # not on Windows
    place = ConnectionSpec("sqlite", str(tmp_path / "x.db"))
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(StorageError, match="The disk is full"):
            written(place, pa.table({"v": ["x" * 1000] * 9000}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert not Path(place.database).exists()

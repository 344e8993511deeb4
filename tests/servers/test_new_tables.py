"""A new table on a real server: whole or not there, made over a connection that may write, by a user who may."""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from crosslens.errors import DataError, SourceError, Stopped, StorageError
from crosslens.relational import TableRef
from db.new_tables import refuse_table, write_table

from .conftest import Server

T = TableRef("predictions")
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3]),
        "p": pa.array([0.25, 1e-300, None]),
        "name": pa.array(["Größe 😀 \\ \" ' , \n end", "", None]),
        "paid": pa.array([Decimal("12345678901234567890.123456789"), Decimal("-0.000000001"), None]),
        "day": pa.array([dt.date(2024, 5, 1), dt.date(1000, 1, 1), None]),
        "at": pa.array([dt.datetime(2024, 5, 1, 12, 30, 0, 5), dt.datetime(2024, 5, 1), None]),
        "yes": pa.array([True, False, None]),
        "raw": pa.array([b"\x00\xff", b"", None]),
    }
)
ODD = ('a"b', "a'b", "a`b", "select", "Größe", "имя", "x; drop", "%s", ":name", "A b")


@pytest.fixture
def place(server: Server) -> Iterator[Server]:
    mark = server.quoted("kept")
    server.run(f"CREATE TABLE {mark} (x INTEGER)", f"INSERT INTO {mark} VALUES (7)")
    yield server
    for name in tables(server):
        server.run(f"DROP TABLE {server.quoted(name)}")


def tables(server: Server) -> set[str]:
    schema = "'public'" if server.is_postgresql else "DATABASE()"
    return {
        name
        for (name,) in server.ask(f"SELECT table_name FROM information_schema.tables WHERE table_schema = {schema}")
    }


def written(server: Server, rows: pa.Table, table: TableRef = T, **choices: Any) -> int:
    return write_table(server.owner, table, rows.schema, iter(rows.to_batches()), **choices)


def test_values_come_back_as_they_were(place: Server) -> None:
    assert written(place, ROWS) == 3
    found = place.ask("SELECT * FROM predictions ORDER BY id")
    expected = [tuple(row.values()) for row in ROWS.to_pylist()]
    assert [tuple(bytes(cell) if isinstance(cell, memoryview) else cell for cell in row) for row in found] == expected


def test_zones_become_the_same_moment(place: Server) -> None:
    moment = dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    written(place, pa.table({"at": pa.array([moment])}))
    ((found,),) = place.ask("SELECT at FROM predictions")
    assert found == (moment if place.is_postgresql else dt.datetime(2024, 5, 1, 10))


def test_a_table_that_is_there_is_never_replaced(place: Server) -> None:
    with pytest.raises(StorageError, match="already has a table"):
        refuse_table(place.owner, TableRef("kept"))
    with pytest.raises(StorageError, match="already has a table"):
        written(place, ROWS, TableRef("kept"))
    assert place.ask("SELECT x FROM kept") == [(7,)]


@pytest.mark.parametrize("kind", [RuntimeError, Stopped])
def test_an_export_that_breaks_off_leaves_nothing(place: Server, kind: type[Exception]) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield ROWS.to_batches()[0]
        raise kind("away")

    with pytest.raises(kind):
        write_table(place.owner, T, ROWS.schema, broken())
    assert tables(place) == {"kept"}


def test_stop_is_heard_between_blocks(place: Server) -> None:
    blocks = (pa.record_batch({"x": [number]}) for number in range(1_000_000))
    stopping = time.monotonic() + 0.3
    with pytest.raises(Stopped):
        write_table(
            place.owner, T, pa.schema([("x", pa.int64())]), blocks, should_stop=lambda: time.monotonic() > stopping
        )
    assert time.monotonic() - stopping < 1.0
    assert tables(place) == {"kept"}


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_process_that_is_killed_leaves_nothing(place: Server) -> None:
    code = (
        "import os, sys, pyarrow as pa\n"
        "from core.connections import connection_from_text\n"
        "from crosslens.relational import TableRef\n"
        "from dataclasses import replace\n"
        "from db.new_tables import write_table\n"
        "place = connection_from_text(os.environ['PLACE'])\n"
        "def rows():\n"
        "    while True:\n"
        "        yield pa.record_batch({'x': list(range(5000))})\n"
        "        print('written', flush=True)\n"
        "write_table(place, TableRef('predictions'), pa.schema([('x', pa.int64())]), rows())\n"
    )
    owner = place.owner
    url = f"{owner.dialect}://{owner.username}:{owner.secret}@{owner.host}:{owner.port}/{owner.database}"
    environment = {**os.environ, "PLACE": url}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        for _ in range(3):
            assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    assert tables(place) == {"kept"}
    assert written(place, ROWS) == 3


@pytest.mark.parametrize("name", ODD)
def test_odd_names_survive(place: Server, name: str) -> None:
    written(place, pa.table({name: [1], "q": [2]}), TableRef(name))
    assert place.ask(f"SELECT {place.quoted(name)} FROM {place.quoted(name)}") == [(1,)]


def test_a_user_who_may_only_read_is_told(place: Server) -> None:
    with pytest.raises(StorageError, match="may not make a table"):
        write_table(place.reader, T, ROWS.schema, iter(ROWS.to_batches()))
    assert tables(place) == {"kept"}


def test_values_a_server_cannot_hold_are_said(place: Server) -> None:
    rows = pa.table({"name": ["a\0b"]}) if place.is_postgresql else pa.table({"x": pa.array([2**64 - 1], pa.uint64())})
    with pytest.raises(DataError, match="was not made"):
        written(place, rows)
    assert tables(place) == {"kept"}


def test_a_wrong_password_is_said_without_it(place: Server) -> None:
    with pytest.raises(SourceError) as caught:
        refuse_table(replace(place.owner, secret="guessed-wrong"), T)
    assert "guessed-wrong" not in str(caught.value)


def test_a_read_only_session_stays_read_only(place: Server, opened: Any) -> None:
    session = opened(place.owner)
    assert "Read-only" in session.read_only
    with pytest.raises(Exception, match=r"(?i)read"):
        session._connection.exec_driver_sql("CREATE TABLE other (x INTEGER)")
    assert "other" not in tables(place)

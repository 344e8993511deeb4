"""A new table in a DuckDB file: one transaction, filled from Arrow rows in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import quoted_name

from crosslens.errors import SourceError, Stopped, StorageError, UserError
from crosslens.relational import ConnectionSpec, TableRef

from ..engines.duckdb_dialect import DuckDbDialect
from ..engines.duckdb_errors import in_short, is_interruption, opening_error
from ..engines.duckdb_session import settings
from .columns import as_declared, new_table
from .words import already_there, unfit

_ROWS = "crosslens_rows"
"""What the rows to be written are called while they are; a view of this connection alone."""
_NO_ROOM = ("No space left", "Could not write", "disk full", "Out of Memory Error")
_SECONDS_PER_CHECK = 0.1


def write(
    connection: ConnectionSpec,
    table: TableRef,
    schema: pa.Schema,
    rows: Iterable[pa.RecordBatch],
    should_stop: Callable[[], bool],
) -> int:
    """Make the table; see `write_table`."""
    path = Path(connection.database)
    is_new, is_done = not path.exists(), False
    raw = _open(path)
    try:
        with _interrupting(raw, should_stop):
            written = _write(raw, table, schema, rows, should_stop)
        is_done = True
        return written
    except duckdb.Error as error:
        raise _said(error, path, table) from error
    finally:
        raw.close()
        if is_new and not is_done:
            for left in (path, path.with_name(f"{path.name}.wal")):
                left.unlink(missing_ok=True)


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    if not path.parent.is_dir():
        raise SourceError(f"There is no folder {path.parent}.", do="Choose another place, or make the folder.")
    try:
        return duckdb.connect(str(path), config={**settings(), "enable_external_access": "false"})
    except duckdb.Error as error:
        raise opening_error(error, path) from error


def _write(
    raw: duckdb.DuckDBPyConnection,
    table: TableRef,
    schema: pa.Schema,
    rows: Iterable[pa.RecordBatch],
    should_stop: Callable[[], bool],
) -> int:
    target, written = new_table(table, schema), 0
    insert = _insert(target)
    raw.begin()
    try:
        raw.execute(str(CreateTable(target).compile(dialect=DuckDbDialect())))
        for batch in rows:
            if should_stop():
                raise Stopped("Stopped; the table was not made.")
            raw.register(_ROWS, pa.table([as_declared(column) for column in batch.columns], names=_names(schema)))
            raw.execute(insert)
            raw.unregister(_ROWS)
            written += batch.num_rows
        raw.commit()
    except duckdb.Error:  # it rolls back by itself when the connection closes; a second complaint helps nobody
        raise
    except BaseException:
        raw.rollback()
        raise
    return written


def _names(schema: pa.Schema) -> list[str]:
    return [f"c{place}" for place in range(len(schema))]


def _insert(target: sa.Table) -> str:
    names = [f"c{place}" for place in range(len(target.columns))]
    given = sa.table(_ROWS, *map(sa.column, names))
    statement = sa.insert(target).from_select(
        [quoted_name(column.name, True) for column in target.columns], sa.select(*given.c)
    )
    return str(statement.compile(dialect=DuckDbDialect()))


@contextmanager
def _interrupting(raw: duckdb.DuckDBPyConnection, should_stop: Callable[[], bool]) -> Iterator[None]:
    """Interrupt what runs inside when told to stop: a commit of many rows takes a while."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_SECONDS_PER_CHECK):
            if should_stop():
                raw.interrupt()

    watch = threading.Thread(target=look, name="duckdb-write-watch", daemon=True)
    watch.start()
    try:
        yield
    except duckdb.Error as error:
        if is_interruption(error):
            raise Stopped("Stopped; the table was not made.") from error
        raise
    finally:
        ended.set()
        watch.join()


def _said(error: duckdb.Error, path: Path, table: TableRef) -> UserError:
    text = str(error)
    if "Table with name" in text and "already exists" in text:
        return already_there(table, path.name)
    if any(words in text for words in _NO_ROOM):
        return StorageError(
            f"The disk is full: the table “{table.name}” was not made.",
            why=f"DuckDB says: {in_short(error)}",
            do="Free some space, or choose a database on another disk.",
            path=str(path),
        )
    return unfit(table, in_short(error).rstrip("."))

"""A new table in an SQLite file: one transaction, begun when all rows are known."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import quoted_name

from crosslens.errors import SourceError, Stopped, StorageError, UserError
from crosslens.relational import ConnectionSpec, TableRef

from ..errors import source_error
from ..writing import BATCH_ROWS, SQLITE, Declared, sqlite_storage_error, storable
from .columns import is_text
from .words import already_there, unfit

LOCK_SECONDS = 10.0
"""How long to wait for another program that writes."""
_EXACT_DIGITS = 15


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
    try:
        with closing(_open(path)) as raw:
            written = _write(raw, table, schema, rows, should_stop)
        is_done = True
        return written
    except sqlite3.Error as error:
        raise _said(error, path, table) from error
    finally:
        if is_new and not is_done:
            path.unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    if not path.parent.is_dir():
        raise SourceError(f"There is no folder {path.parent}.", do="Choose another place, or make the folder.")
    return sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)


def _write(
    raw: sqlite3.Connection,
    table: TableRef,
    schema: pa.Schema,
    rows: Iterable[pa.RecordBatch],
    should_stop: Callable[[], bool],
) -> int:
    raw.execute("BEGIN IMMEDIATE")
    try:
        raw.execute(str(CreateTable(_table(table, schema)).compile(dialect=SQLITE)))
        written = raw.executemany(_insert(table, schema), _tuples(rows, should_stop)).rowcount
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:  # SQLite ends it by itself after some errors
            raw.execute("ROLLBACK")
        raise
    return max(written, 0)


def _table(table: TableRef, schema: pa.Schema) -> sa.Table:
    columns = [sa.Column(quoted_name(field.name, True), Declared(_word(field.type))) for field in schema]
    return sa.Table(quoted_name(table.name, True), sa.MetaData(), *columns)


def _word(kind: pa.DataType) -> str:
    """Return the declared type. A decimal that SQLite would make a float of, and lose digits, is declared as text."""
    if pa.types.is_decimal(kind):
        return "NUMERIC" if kind.precision <= _EXACT_DIGITS else "TEXT"
    if is_text(kind):
        return "TEXT"
    words = (
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_integer, "INTEGER"),
        (pa.types.is_floating, "REAL"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_timestamp, "TIMESTAMP"),
    )
    return next((word for fits, word in words if fits(kind)), "BLOB")


def _insert(table: TableRef, schema: pa.Schema) -> str:
    # Positional marks: parameters named after columns would have to survive every odd name.
    target = sa.table(quoted_name(table.name, True), *(sa.column(quoted_name(name, True)) for name in schema.names))
    marks: dict[str, Any] = {name: sa.literal_column("?") for name in schema.names}
    return str(sa.insert(target).values(marks).compile(dialect=SQLITE))


def _tuples(rows: Iterable[pa.RecordBatch], should_stop: Callable[[], bool]) -> Iterator[tuple[Any, ...]]:
    for batch in rows:
        for part in pa.Table.from_batches([batch]).to_batches(max_chunksize=BATCH_ROWS):
            if should_stop():
                raise Stopped("Stopped; the table was not made.")
            yield from zip(*(storable(column).to_pylist() for column in part.columns), strict=True)


def _said(error: sqlite3.Error, path: Path, table: TableRef) -> UserError:
    code = getattr(error, "sqlite_errorname", None) or ""
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE")):
        return sqlite_storage_error(error, path)
    if code.startswith("SQLITE_READONLY"):
        return StorageError(
            f"{path.name} may not be written.",
            why=f"SQLite says: {error}.",
            do="Choose another database, or export to a file.",
            path=str(path),
        )
    if code == "SQLITE_ERROR" and "already exists" in str(error):
        return already_there(table, path.name)
    return unfit(table, str(error)) if code in ("SQLITE_ERROR", "") else source_error(error, path)

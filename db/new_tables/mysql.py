"""A new table in MySQL or MariaDB: rows go to a temporary table, and one statement makes the lasting one of it.

CREATE TABLE ends a transaction there, so a transaction cannot hold a table back. A temporary table is seen by no other
connection and goes with its own, however that ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import quoted_name
from sqlalchemy.sql.ddl import CreateTableAs

from crosslens.errors import StorageError, UserError
from crosslens.relational import ConnectionSpec, TableRef

from ..engines.mysql import MySqlSession
from ..engines.server import LOCK_SECONDS, static_engine
from .columns import as_declared, new_table
from .words import already_there, forbidden, unfit

_SESSION = (
    "SET SESSION time_zone = '+00:00', SESSION sql_mode = 'STRICT_ALL_TABLES', "
    f"SESSION lock_wait_timeout = {LOCK_SECONDS}, SESSION autocommit = 1"
)
_TEMPORARY = TableRef("crosslens_rows")
_EXISTS = 1050
_FORBIDDEN = {1044, 1142, 1227, 1290, 1792, 1836}
_FULL = {1021, 1114, 3}
_UNFIT = {1059, 1060, 1103, 1166, 1264, 1292, 1366, 1406, 1118, 1117, 1064, 1411}
_PART_ROWS = 2048


def write(
    connection: ConnectionSpec,
    table: TableRef,
    schema: pa.Schema,
    rows: Iterable[pa.RecordBatch],
    should_stop: Callable[[], bool],
) -> int:
    """Make the table; see `write_table`."""
    with closing(_Writing(connection)) as session, session.watch(should_stop=should_stop):
        return session.make(table, schema, rows)


class _Writing(MySqlSession):
    """A connection that may write, for one table."""

    _table = TableRef("")

    def make(self, table: TableRef, schema: pa.Schema, rows: Iterable[pa.RecordBatch]) -> int:
        """Fill a temporary table, then make the lasting one of it."""
        self._table = table
        plain = pa.schema([pa.field(f"c{place}", field.type) for place, field in enumerate(schema)])
        waiting = new_table(_TEMPORARY, plain, prefixes=("TEMPORARY",))
        dialect, written = mysql.dialect(paramstyle="format"), 0
        insert = str(sa.insert(waiting).compile(dialect=dialect))
        with self._translated(), self._raw.cursor() as cursor:
            cursor.execute(str(CreateTable(waiting).compile(dialect=dialect)))
            for part in _parts(rows):
                self._check()
                cursor.executemany(insert, list(_tuples(part)))
                written += part.num_rows
            self._check()
            cursor.execute(_lasting(table, schema, waiting))
        return written

    def _make_engine(self) -> sa.Engine:
        def connected() -> Any:
            raw = self._connected(guarded=False)
            with raw.cursor() as cursor:
                cursor.execute(_SESSION)
            return raw

        return static_engine("mysql+pymysql://", connected)

    def _explained(self, error: BaseException) -> UserError:
        code = error.args[0] if error.args else None
        message = self._masked(" ".join(str(error.args[-1] if error.args else error).split())).rstrip(".")
        if code == _EXISTS:
            return already_there(self._table, self.name)
        if code in _FORBIDDEN:
            return forbidden(self.name, message, "CREATE, INSERT and CREATE TEMPORARY TABLES")
        if code in _FULL:
            return StorageError(
                f"The disk of {self.name} is full.",
                why=f"The server says: {message}.",
                do="Tell the administrator, or export to a file.",
            )
        return unfit(self._table, message) if code in _UNFIT else super()._explained(error)


def _lasting(table: TableRef, schema: pa.Schema, waiting: sa.Table) -> str:
    named = [column.label(quoted_name(field.name, True)) for column, field in zip(waiting.columns, schema, strict=True)]
    statement = CreateTableAs(sa.select(*named), quoted_name(table.name, True), schema=table.schema)
    return str(statement.compile(dialect=mysql.dialect(paramstyle="named")))


def _parts(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        yield from pa.Table.from_batches([batch]).to_batches(max_chunksize=_PART_ROWS)


def _tuples(part: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    return zip(*(_values(as_declared(column)) for column in part.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    """Return values as PyMySQL writes them: moments in UTC, and NULL for what is no finite number."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"), safe=False)
    values = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [value if value is not None and math.isfinite(value) else None for value in values]
    return list(values)

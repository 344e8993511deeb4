"""A new table in PostgreSQL: one transaction, rows as CSV by COPY."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from contextlib import closing

import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql
from sqlalchemy.schema import CreateTable

from crosslens.errors import StorageError, UserError
from crosslens.relational import ConnectionSpec, TableRef

from ..engines.postgresql import PostgreSqlSession
from .columns import as_declared, new_table
from .words import already_there, forbidden, unfit

_EXISTS, _FORBIDDEN, _DISK_FULL, _READ_ONLY = "42P07", "42501", "53100", "25006"
_UNFIT = ("22", "42")
"""Classes of errors that are about values and names."""
_PART_ROWS = 8192


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


class _Writing(PostgreSqlSession):
    """A connection that may write, for one table."""

    reads_only = False
    _table = TableRef("")

    def make(self, table: TableRef, schema: pa.Schema, rows: Iterable[pa.RecordBatch]) -> int:
        """Create and fill the table in one transaction."""
        self._table = table
        written = 0
        place = sql.Identifier(table.name) if table.schema is None else sql.Identifier(table.schema, table.name)
        statement = sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(place)
        with self._translated(), self._raw.transaction(), self._raw.cursor() as cursor:
            self._check()
            create = str(CreateTable(new_table(table, schema)).compile(dialect=self.dialect))
            cursor.execute(create.encode())
            with cursor.copy(statement) as copy:
                for batch in rows:
                    for part in pa.Table.from_batches([batch]).to_batches(max_chunksize=_PART_ROWS):
                        self._check()
                        copy.write(_as_csv(part))
                    written += batch.num_rows
            self._check()
        return written

    def _explained(self, error: BaseException) -> UserError:
        state = getattr(error, "sqlstate", None) or ""
        primary = getattr(getattr(error, "diag", None), "message_primary", None)
        message = self._masked(" ".join((primary or str(error)).split())).rstrip(".")
        if state == _EXISTS:
            return already_there(self._table, self.name)
        if state in (_FORBIDDEN, _READ_ONLY):
            return forbidden(self.name, message, "the right to CREATE in a schema")
        if state == _DISK_FULL:
            return StorageError(
                f"The disk of {self.name} is full.",
                why=f"The server says: {message}.",
                do="Tell the administrator, or export to a file.",
            )
        return unfit(self._table, message) if state.startswith(_UNFIT) else super()._explained(error)


def _as_csv(part: pa.RecordBatch) -> bytes:
    """Return rows as COPY reads them: NULL is nothing, an empty text is a pair of quotes."""
    columns = [_hexadecimal(as_declared(column)) for column in part.columns]
    names = [f"c{place}" for place in range(len(columns))]
    buffer = io.BytesIO()
    pa_csv.write_csv(pa.table(columns, names=names), buffer, pa_csv.WriteOptions(include_header=False))
    return buffer.getvalue()


def _hexadecimal(column: pa.Array) -> pa.Array:
    kind = column.type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)):
        return column
    return pa.array([None if value is None else f"\\x{value.hex()}" for value in column.to_pylist()], pa.string())

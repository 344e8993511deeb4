"""Reading through DuckDB, whatever it reads from: guarded statements, Arrow batches, a watch that interrupts."""

from __future__ import annotations

import atexit
import os
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import asc_op

from crosslens._scratch import make_scratch
from crosslens.errors import CrosslensError, QueryError, Stopped, UserError
from crosslens.relational import ColumnInfo

from ..columns import Kind, WiderKinds
from .base import never
from .duckdb_dialect import DuckDbDialect
from .duckdb_errors import is_interruption, reading_error
from .duckdb_guard import refuse_unless_reading
from .duckdb_types import choices, fit, for_reading, kind_of, logical_type, shaped, wide_enough

_SECONDS_PER_CHECK = 0.1
_MEMORY_LIMIT = "512MB"
"""What DuckDB may use before it sorts and joins on disk."""
_THREADS = 4
"""More would not be quicker by much, and each takes buffers of its own."""
_FETCH_ROWS = 1_024


@cache
def spill_folder() -> str:
    """Return the folder of this process for what does not fit into memory; removed at its end, or by a later one."""
    folder = make_scratch()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(folder)


def settings() -> dict[str, str | bool | int | float | list[str]]:
    """Return how DuckDB is opened: no extensions, no variables of this program as tables, bounded memory.

    The same for every connection of a process, because DuckDB insists on it for two connections to one file.
    """
    return {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "memory_limit": _MEMORY_LIMIT,
        "threads": min(_THREADS, os.cpu_count() or 1),
        "enable_external_file_cache": "false",
        "temp_directory": str(Path(spill_folder()) / "duckdb"),
    }


class _Watch:
    """Asks every tenth of a second whether to go on, in a thread of its own, and interrupts until nobody runs."""

    def __init__(self, should_stop: Callable[[], bool], seconds: float | None, interrupt: Callable[[], None]) -> None:
        self._should_stop = should_stop
        self._seconds = seconds
        self._interrupt = interrupt
        self._started = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="duckdb-watch", daemon=True)
        self.reason: BaseException | None = None
        self._thread.start()

    def end(self) -> None:
        """Watch no longer."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_SECONDS_PER_CHECK):
            if self.reason is None:
                self.reason = self._verdict_or_error()
            if self.reason is not None:
                self._interrupt()

    def _verdict_or_error(self) -> BaseException | None:
        # An error of the caller's own function must reach the caller, not end in this thread.
        try:
            return self._verdict()
        except BaseException as error:  # noqa: BLE001
            return error

    def _verdict(self) -> CrosslensError | None:
        if self._should_stop():
            return Stopped("Stopped while reading the database.")
        if self._seconds is not None and time.monotonic() - self._started > self._seconds:
            return QueryError(
                f"The database did not answer within {self._seconds:g} seconds.",
                why="The table or view is too slow to look at.",
                do="Choose fewer joins or a smaller table.",
                seconds=self._seconds,
            )
        return None


class DuckSession:
    """What a DuckDB file and a folder of files have in common; each statement runs on a cursor of its own."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection, dialect: DuckDbDialect) -> None:
        self._path = path
        self._connection = connection
        self._dialect = dialect
        self._watched: _Watch | None = None
        self._running_now: list[duckdb.DuckDBPyConnection] = []

    @property
    def name(self) -> str:
        """Return the name of the file or folder."""
        return self._path.name

    @property
    def dialect(self) -> sa.Dialect:
        """Return DuckDB's dialect."""
        return self._dialect

    def close(self) -> None:
        """Let everything go; closing twice is harmless."""
        self._connection.close()

    # ------------------------------------------------------------------------------------------------ reading

    def fetch(self, statement: sa.Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return all rows as numbers, text, bytes, dates and times; other values as DuckDB writes them."""
        with self._running() as cursor:
            statement = self._in_order_anyway(statement)
            declared = self._declared(cursor, *self._render(statement))
            columns = [
                for_reading(column, type_).label(f"f{number}")
                for number, (column, type_) in enumerate(zip(statement.selected_columns, declared, strict=True))
            ]
            sql, parameters = self._render(statement.with_only_columns(*columns, maintain_column_froms=True))
            return cursor.execute(sql, parameters).fetchall()

    def kinds(self, columns: Sequence[ColumnInfo]) -> tuple[Kind, ...]:
        """Return what the declared types promise, and DuckDB keeps."""
        return tuple(kind_of(column.type) for column in columns)

    def batches(
        self, statement: sa.Select[*tuple[Any, ...]], kinds: Sequence[Kind], *, rows: int
    ) -> Generator[list[pa.Array], None, None]:
        """Stream Arrow batches out of DuckDB; WiderKinds when a type has changed or a value does not fit."""
        with self._running() as cursor:
            statement = self._in_order_anyway(statement)
            declared = self._declared(cursor, *self._render(statement))
            wider = tuple(wide_enough(type_, kind) for type_, kind in zip(declared, kinds, strict=True))
            if wider != tuple(kinds):
                raise WiderKinds(wider)
            columns = shaped(tuple(statement.selected_columns), declared, kinds)
            whole = statement.with_only_columns(*columns, maintain_column_froms=True)
            for part in self._parts(whole):
                sql, parameters = self._render(part)
                refuse_unless_reading(cursor, sql, self.name)
                reader = cursor.sql(sql, params=parameters).to_arrow_reader(rows)
                for batch in reader:
                    self._raise_if_told_to_stop()
                    for start in range(0, batch.num_rows, rows):
                        yield fitted(batch.slice(start, rows).columns, kinds)

    def columns_of(self, select: str) -> tuple[ColumnInfo, ...]:
        """Return the columns of the user's own SELECT; QueryError unless it is exactly one that only reads."""
        with self._running() as cursor:
            refuse_unless_reading(cursor, select, self.name)
            columns = _columns(cursor.sql(select))
        names = [column.name.casefold() for column in columns]
        for name in (column.name for column in columns):
            if names.count(name.casefold()) > 1:
                raise QueryError(
                    f"Two columns of the SELECT are called “{name}”.",
                    why="Columns could not be told apart.",
                    do="Give one of them another name with AS.",
                    name=name,
                )
        return columns

    @contextmanager
    def watch(self, *, should_stop: Callable[[], bool] = never, seconds: float | None = None) -> Iterator[None]:
        """Interrupt from another thread, within some tenths of a second."""
        before = self._watched
        self._watched = _Watch(should_stop, seconds, self._interrupt)
        try:
            yield
        finally:
            self._watched.end()
            self._watched = before

    # ------------------------------------------------------------------------------------------------ plumbing

    def _new_cursor(self) -> duckdb.DuckDBPyConnection:
        return self._connection.cursor()

    def _parts(self, statement: sa.Select[*tuple[Any, ...]]) -> Iterator[sa.Select[*tuple[Any, ...]]]:
        """Yield statements whose rows one after the other are those of the whole, in the same order."""
        yield statement

    def _number_of(self, table: sa.TableClause) -> str | None:
        """Return the column that numbers the rows of a table as DuckDB gives them anyway, if there is one."""
        return None

    def _in_order_anyway(self, statement: sa.Select[*tuple[Any, ...]]) -> sa.Select[*tuple[Any, ...]]:
        """Return the statement without an ORDER BY that asks for the order in which one table's rows come anyway.

        With it, DuckDB would read a whole file for its first page, and hold a whole table for an extraction.
        """
        sources = statement.get_final_froms()
        order = statement._order_by_clause.clauses
        if len(sources) != 1 or len(order) != 1 or not isinstance(source := sources[0], sa.Alias):
            return statement
        column = order[0]
        if isinstance(column, UnaryExpression) and column.modifier is asc_op:
            column = column.element
        table = source.element
        if not isinstance(table, sa.TableClause) or not isinstance(column, sa.ColumnClause):
            return statement
        as_ever = column.table is source and column.name == self._number_of(table)
        return statement.order_by(None) if as_ever else statement

    def _explained(self, error: Exception) -> UserError:
        return reading_error(error, self._path)

    @contextmanager
    def _running(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self._raise_if_told_to_stop()
        cursor: duckdb.DuckDBPyConnection | None = None
        try:
            cursor = self._new_cursor()
            self._running_now.append(cursor)
            yield cursor
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            if is_interruption(error):
                self._raise_if_told_to_stop()
            raise self._explained(error) from error
        finally:
            if cursor is not None:
                self._running_now.remove(cursor)
                cursor.close()

    def _interrupt(self) -> None:
        for cursor in tuple(self._running_now):
            with suppress(duckdb.Error):  # closed since
                cursor.interrupt()

    def _raise_if_told_to_stop(self) -> None:
        if self._watched is not None and self._watched.reason is not None:
            raise self._watched.reason

    def _render(self, statement: sa.Select[*tuple[Any, ...]]) -> tuple[str, dict[str, Any]]:
        compiled = statement.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
        escaped = compiled.escaped_bind_names
        return str(compiled), {escaped.get(name, name): value for name, value in compiled.params.items()}

    def _columns_of(self, statement: sa.Select[*tuple[Any, ...]]) -> tuple[ColumnInfo, ...]:
        with self._running() as cursor:
            return _columns(cursor.sql(self._render(statement)[0]))

    def _declared(self, cursor: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any]) -> list[str]:
        """Return the types of a statement's columns; nothing is read, and nothing but reading is let through."""
        refuse_unless_reading(cursor, sql, self.name)
        return [str(type_) for type_ in cursor.sql(sql, params=parameters).types]


def column_info(name: str, declared: str, *, nullable: bool = True) -> ColumnInfo:
    """Return a column of a DuckDB type."""
    return ColumnInfo(name, logical_type(declared), declared, nullable, choices(declared))


def _columns(relation: duckdb.DuckDBPyRelation) -> tuple[ColumnInfo, ...]:
    types = (str(type_) for type_ in relation.types)
    return tuple(column_info(name, declared) for name, declared in zip(relation.columns, types, strict=True))


def fitted(arrays: Sequence[pa.Array], kinds: Sequence[Kind]) -> list[pa.Array]:
    """Return arrays of exactly the types of `kinds`; WiderKinds where a value does not fit."""
    found = [fit(array, kind) for array, kind in zip(arrays, kinds, strict=True)]
    if any(array is None for array in found):
        raise WiderKinds(tuple(Kind.TEXT if array is None else kind for array, kind in zip(found, kinds, strict=True)))
    return found

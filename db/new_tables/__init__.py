"""The only thing that is ever written to a database: a table it did not have, whole or not at all.

Reading never shares a connection with this. Each engine keeps a half-written table from being seen in its own way:

    SQLite, DuckDB, PostgreSQL   CREATE TABLE and all rows are one transaction
    MySQL, MariaDB               rows go to a temporary table, which dies with the connection; at the end one CREATE
                                 TABLE ... SELECT makes the lasting one, because CREATE TABLE ends a transaction there
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from crosslens.errors import ParameterError, SourceError
from crosslens.relational import ConnectionSpec, TableRef

from ..engines import open_session
from .words import already_there

Rows = Iterable[pa.RecordBatch]
Stop = Callable[[], bool]

_ENGINES = {
    "sqlite": "sqlite",
    "duckdb": "duckdb",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
_FILES = {"sqlite", "duckdb"}
_LONGEST = 60
"""Bytes of a name that every database keeps whole."""


class _Engine(Protocol):
    def write(
        self, connection: ConnectionSpec, table: TableRef, schema: pa.Schema, rows: Rows, should_stop: Stop
    ) -> int:
        """Make the table; return how many rows it has."""


def refuse_table(connection: ConnectionSpec, table: TableRef) -> None:
    """Raise unless `table` could be a new table: what can be known before, over a connection that only reads.

    ParameterError for a name that is too long, StorageError if the table exists, SourceError for a kind of database
    that nothing is written to, or one that cannot be opened.
    """
    _engine(connection)
    if len(table.name.encode()) > _LONGEST or "\0" in table.name:
        raise ParameterError(
            f"A table cannot be called “{table.name[:40]}…”."
            if len(table.name) > 40
            else "That is no name of a table.",
            why=f"Names have at most {_LONGEST} bytes.",
            do="Choose a shorter one.",
        )
    if connection.dialect in _FILES and not Path(connection.database).exists():
        return
    session = open_session(connection)
    try:
        if any(_same(known.ref, table) for known in session.tables()):
            raise already_there(table, session.name)
    finally:
        session.close()


def write_table(
    connection: ConnectionSpec,
    table: TableRef,
    schema: pa.Schema,
    rows: Rows,
    *,
    should_stop: Stop = lambda: False,
) -> int:
    """Make `table` with the columns of `schema` and fill it; return how many rows it has.

    Columns are of plain types: no lists. A database file that does not exist is made, and removed again if the table
    is not finished. StorageError if the table exists, the disk is full or nothing may be written; DataError for values
    the database cannot hold; Stopped when `should_stop` says so. After any of them there is no table.
    """
    return _engine(connection).write(connection, table, schema, rows, should_stop)


def _engine(connection: ConnectionSpec) -> _Engine:
    name = _ENGINES.get(connection.dialect)
    if name is None:
        kind = "a folder of files" if connection.dialect == "files" else connection.dialect
        raise SourceError(
            f"Nothing is written to {kind}.",
            why="New tables are made in SQLite, DuckDB, PostgreSQL, MySQL and MariaDB.",
            do="Export to a file instead.",
        )
    module: _Engine = import_module(f".{name}", __package__)
    return module


def _same(known: TableRef, table: TableRef) -> bool:
    return known.schema == table.schema and known.name.casefold() == table.name.casefold()

"""What the rest of the room needs of an engine. Statements are SQLAlchemy's; rows are plain tuples."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Protocol

import pyarrow as pa
from sqlalchemy import Dialect, Select

from crosslens.relational import ColumnInfo, ConnectionSpec, TableInfo

from ..columns import Kind


def never() -> bool:
    """Return False: the `should_stop` of work nobody can stop."""
    return False


class RowReader(Protocol):
    """What reads the rows of a query."""

    @property
    def name(self) -> str:
        """Return what to call the database in a sentence."""

    def kinds(self, columns: Sequence[ColumnInfo]) -> tuple[Kind, ...]:
        """Return how to hold columns: what their declared types promise here."""

    def batches(
        self, statement: Select[*tuple[Any, ...]], kinds: Sequence[Kind], *, rows: int
    ) -> Generator[list[pa.Array], None, None]:
        """Yield at most `rows` rows at a time, by the fastest path the driver has: arrays of exactly the given kinds.

        WiderKinds when a value does not fit: the caller starts again with what it names.
        """


class Session(RowReader, Protocol):
    """An open database that can only be read. Everything it raises is one of our errors."""

    @property
    def read_only(self) -> str:
        """Return what enforces read-only access, or an empty string."""

    @property
    def dialect(self) -> Dialect:
        """Return the SQLAlchemy dialect statements are rendered with."""

    def tables(self) -> tuple[TableInfo, ...]:
        """Reflect every table and view, without counting."""

    def with_row_counts(self, tables: Sequence[TableInfo]) -> tuple[TableInfo, ...]:
        """Return the tables with their number of rows, exact where that is quick, estimated where it is not."""

    def row_id(self, table: TableInfo) -> str | None:
        """Return the hidden column that numbers the rows of `table`, if the engine has one."""

    def fetch(self, statement: Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return all rows of a small result; text that is not valid UTF-8 comes with replacement marks."""

    def columns_of(self, select: str) -> tuple[ColumnInfo, ...]:
        """Return the columns of the user's own SELECT without reading its rows.

        QueryError if it is not exactly one statement that only reads, or the database refuses it.
        """

    def watch(
        self, *, should_stop: Callable[[], bool] = never, seconds: float | None = None
    ) -> AbstractContextManager[None]:
        """Interrupt what runs inside: Stopped when `should_stop` says so, QueryError after `seconds`."""

    def snapshot(self) -> AbstractContextManager[None]:
        """See one unchanging state of the database inside."""

    def identity(self) -> Mapping[str, str | int]:
        """Return facts that change when the data may have changed; SourceError if the database is gone."""

    def close(self) -> None:
        """Let the database go."""


_ENGINES = {
    "sqlite": ("sqlite", "SqliteSession"),
    "duckdb": ("duckdb", "DuckDbSession"),
    "files": ("files", "FilesSession"),
    "postgresql": ("postgresql", "PostgreSqlSession"),
    "mysql": ("mysql", "MySqlSession"),
    "mariadb": ("mysql", "MySqlSession"),
}
_OTHER = ("generic", "GenericSession")


def open_session(connection: ConnectionSpec) -> Session:
    """Connect read-only; SourceError says what is wrong."""
    module, name = _ENGINES.get(connection.dialect, _OTHER)
    session: Session = getattr(import_module(f".{module}", __package__), name)(connection)
    return session

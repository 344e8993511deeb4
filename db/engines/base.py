"""What the rest of the room needs of an engine. Statements are SQLAlchemy's; rows are plain tuples."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Dialect, Select

from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec, TableInfo


def never() -> bool:
    """Return False: the `should_stop` of work nobody can stop."""
    return False


class Session(Protocol):
    """An open database that can only be read. Everything it raises is one of our errors."""

    @property
    def name(self) -> str:
        """Return what to call the database in a sentence."""

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

    def stream(
        self, statement: Select[*tuple[Any, ...]], *, batch: int
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        """Yield the rows in lists of at most `batch`."""

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


def open_session(connection: ConnectionSpec) -> Session:
    """Connect read-only; SourceError says what is wrong."""
    if connection.dialect == "sqlite":
        from .sqlite import SqliteSession

        return SqliteSession(connection.database)
    raise SourceError(
        f"Databases of the kind “{connection.dialect}” cannot be opened yet.",
        why="This version of Crosslens reads SQLite files.",
        do="Choose an SQLite file.",
        dialect=connection.dialect,
    )

"""What all database servers have in common: one SQLAlchemy connection, short transactions, sentences for errors."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from crosslens.errors import CrosslensError, SourceError, UserError
from crosslens.relational import ColumnInfo, ColumnType, ConnectionSpec, ForeignKey, TableInfo, TableRef

from ..columns import Kind, first_kind, tuple_batches
from ..credentials import password_for
from ..own_select import STANDARD, own_select, single_select
from .base import never
from .masking import mask_of
from .reflection import reflect_schema
from .watch import Watch

T = TypeVar("T")

CONNECT_SECONDS = 10
"""How long to wait for a server to answer the first time."""
LOCK_SECONDS = 5
"""How long to wait for another session's lock."""
SERVER_GRACE = 1.0
"""How much later than our own watch the server's time limit strikes."""
DESCRIBE_SECONDS = 30.0
"""How long the database may think about the columns of the user's own SELECT."""
_KINDS = {
    ColumnType.DATE: Kind.DATE,
    ColumnType.TIMESTAMP: Kind.TIMESTAMP,
    ColumnType.JSON: Kind.MIXED,
    ColumnType.ARRAY: Kind.LIST,
}
_PASSWORD_OPTIONS = {"password", "passwd", "pwd", "sslpassword", "ssl_key_password"}


class ServerSession:
    """An open connection to a server. Every reading is a transaction of its own that has ended when it returns."""

    lexicon = STANDARD
    driver_errors: tuple[type[Exception], ...] = (sa.exc.DBAPIError,)
    """What reading raises: SQLAlchemy's errors, and the driver's own where SQLAlchemy is not in between."""

    def __init__(self, connection: ConnectionSpec) -> None:
        _refuse_passwords_in_options(connection)
        self._spec = connection
        self._watch: Watch | None = None
        self._snapshot_facts: Mapping[str, str | int] | None = None
        self._session_id = uuid.uuid4().hex
        self._secret = password_for(connection)
        self._masked = mask_of(self._secret)
        with self._translated():
            self._engine = self._make_engine()
            self._connection = self._engine.connect()
        self._dialect = _with_named_parameters(self._engine.dialect)

    # ------------------------------------------------------------------------------------------ for each engine

    def _make_engine(self) -> sa.Engine:
        raise NotImplementedError

    def _explained(self, error: BaseException) -> UserError:
        """Return what an error of the driver means; its own words only as `_masked` leaves them."""
        raise NotImplementedError

    def _cancel(self) -> None:
        """End what the connection runs; called from the watch's thread, repeatedly."""
        raise NotImplementedError

    def _schemas(self, inspector: sa.Inspector) -> list[str | None]:
        """Return the schemas to list, the default one as None."""
        raise NotImplementedError

    # ---------------------------------------------------------------------------------------------------- facts

    @property
    def name(self) -> str:
        """Return database and host."""
        place = self._spec.host or "this machine"
        return f"{self._spec.database} on {place}" if self._spec.database else place

    @property
    def read_only(self) -> str:
        """Return what enforces read-only access, or an empty string."""
        return ""

    @property
    def dialect(self) -> sa.Dialect:
        """Return the server's dialect with named parameters: positional styles would double % inside names."""
        return self._dialect

    def close(self) -> None:
        """Let the server go; closing twice is harmless."""
        self._connection.close()
        self._engine.dispose()

    # -------------------------------------------------------------------------------------------------- reading

    def fetch(self, statement: sa.Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return all rows of a small result."""
        with self._reading():
            rows = self._call(lambda: self._connection.execute(statement).fetchall())
        return [tuple(row) for row in rows]

    def stream(
        self, statement: sa.Select[*tuple[Any, ...]], *, batch: int
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        """Yield the rows in lists of at most `batch`, by a cursor on the server's side."""
        options = {"stream_results": True, "max_row_buffer": batch}
        with self._reading():
            result = self._call(lambda: self._connection.execute(statement, execution_options=options))
            with closing(result):
                while rows := self._call(lambda: result.fetchmany(batch)):
                    self._check()
                    yield [tuple(row) for row in rows]

    def kinds(self, columns: Sequence[ColumnInfo]) -> tuple[Kind, ...]:
        """Return how to hold columns: what their declared types promise."""
        return tuple(_KINDS.get(column.type) or first_kind(column.type) for column in columns)

    def batches(
        self, statement: sa.Select[*tuple[Any, ...]], kinds: Sequence[Kind], *, rows: int
    ) -> Generator[list[pa.Array], None, None]:
        """Yield at most `rows` rows at a time as arrays of `kinds`; WiderKinds when a value does not fit."""
        with closing(self.stream(statement, batch=rows)) as stream:
            yield from tuple_batches(stream, kinds)

    def columns_of(self, select: str) -> tuple[ColumnInfo, ...]:
        """Return the columns of the user's own SELECT; QueryError if it is not one statement that only reads."""
        wrapped = own_select(single_select(select, self.lexicon)).columns().subquery("own")
        statement = sa.select(sa.text("*")).select_from(wrapped).limit(0)
        with self._described_in_time(), self._reading():
            return self._call(lambda: self._columns_of(statement))

    def _columns_of(self, statement: sa.Select[*tuple[Any, ...]]) -> tuple[ColumnInfo, ...]:
        with closing(self._connection.execute(statement)) as result:
            described = result.cursor.description if result.cursor is not None else ()
            return tuple(self._described(column) for column in described or ())

    def _described(self, column: Sequence[Any]) -> ColumnInfo:
        """Return what is known of a column of a result: at least its name."""
        return ColumnInfo(str(column[0]), ColumnType.OTHER)

    # -------------------------------------------------------------------------------------------------- guarding

    @contextmanager
    def watch(self, *, should_stop: Callable[[], bool] = never, seconds: float | None = None) -> Iterator[None]:
        """Cancel on the server when `should_stop` says so, or after `seconds`; tell the server its limit as well."""
        if seconds is not None:
            self._set_limit(seconds + SERVER_GRACE)
        with Watch(self._cancel, should_stop=should_stop, seconds=seconds) as watch:
            self._watch = watch
            try:
                yield
            finally:
                self._watch = None
        if seconds is not None:  # after an error the next limit, or the end of the session, takes this one away
            self._set_limit(None)

    def _set_limit(self, seconds: float | None) -> None:
        """Let the server itself end statements that take longer, should this program be gone."""

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See one unchanging state of the database inside."""
        with self._translated():
            facts = self.identity()
            self._call(self._begin_snapshot)
        self._snapshot_facts = facts
        try:
            yield
        finally:
            self._snapshot_facts = None
            with self._translated():
                self._call(self._end_snapshot)

    def _begin_snapshot(self) -> None:
        self._connection.begin()

    def _end_snapshot(self) -> None:
        self._connection.rollback()

    def identity(self) -> Mapping[str, str | int]:
        """Return facts that change when the data may have changed; inside a snapshot those it began with."""
        if self._snapshot_facts is not None:
            return self._snapshot_facts
        with self._reading():
            return {**self._place(), **self._call(self._state)}

    def identity_of(self, tables: Sequence[TableInfo]) -> Mapping[str, str | int] | None:
        """Return facts that change when these tables may have changed; None where only the whole server's are known.

        To be asked inside a snapshot, so that what is read belongs to them.
        """
        with self._reading():
            state = self._call(lambda: self._state_of(tables))
        return None if state is None else {**self._place(), **state}

    def _state_of(self, tables: Sequence[TableInfo]) -> Mapping[str, str | int] | None:
        return None

    def _place(self) -> dict[str, str | int]:
        return {
            "dialect": self._spec.dialect,
            "host": self._spec.host,
            "port": self._spec.port,
            "database": self._spec.database,
            "username": self._spec.username,
        }

    def _state(self) -> Mapping[str, str | int]:
        """Return what is known of the state of the data; here nothing is, so no two sessions share a snapshot."""
        self._connection.execute(sa.select(sa.literal(1))).fetchall()
        return {"session": self._session_id}

    # ------------------------------------------------------------------------------------------------ reflecting

    def tables(self) -> tuple[TableInfo, ...]:
        """Reflect every table and view of every schema that is not the system's."""
        with self._reading():
            return self._call(self._reflect)

    def _reflect(self) -> tuple[TableInfo, ...]:
        inspector = sa.inspect(self._connection)
        found: list[TableInfo] = []
        for schema in self._schemas(inspector):
            found += reflect_schema(inspector, schema)
        return tuple(found)

    def with_row_counts(self, tables: Sequence[TableInfo]) -> tuple[TableInfo, ...]:
        """Return the tables as they are: a server we know nothing of has no statistics we could read."""
        return tuple(tables)

    def row_id(self, table: TableInfo) -> str | None:
        """Return None: servers have no lasting row numbers."""
        return None

    # -------------------------------------------------------------------------------------------------- plumbing

    def _call(self, work: Callable[[], T]) -> T:
        return work()

    def _check(self) -> None:
        if self._watch is not None:
            self._watch.check()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Translate errors, and end the transaction unless a snapshot holds it."""
        with self._translated():
            self._check()
            try:
                yield
            finally:
                if self._snapshot_facts is None:
                    self._call(self._end_transaction)

    def _end_transaction(self) -> None:
        if not self._connection.invalidated and not self._connection.closed:
            self._connection.rollback()

    @contextmanager
    def _described_in_time(self) -> Iterator[None]:
        if self._watch is not None:
            yield
            return
        with self.watch(seconds=DESCRIBE_SECONDS):
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        watch = self._watch
        try:
            yield
        except (CrosslensError, GeneratorExit):
            raise
        except self.driver_errors as error:
            if watch is not None and watch.reason is not None:
                raise watch.reason from error
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
            raise self._explained(cause) from error


def static_engine(url: str, connect: Callable[[], Any], **options: Any) -> sa.Engine:
    """Return an engine around one connection that `connect` makes."""
    return sa.create_engine(url, creator=connect, poolclass=StaticPool, **options)


def with_default_schema(table: TableInfo, default: str | None) -> TableInfo:
    """Return the table with the default schema written as None, in its name and in its foreign keys."""
    keys = tuple(
        ForeignKey(key.columns, _with_default(key.target, default), key.target_columns) for key in table.foreign_keys
    )
    return replace(table, foreign_keys=keys, ref=_with_default(table.ref, default))


def _with_default(ref: TableRef, default: str | None) -> TableRef:
    return TableRef(ref.name, None if ref.schema == default else ref.schema)


def _with_named_parameters(dialect: sa.Dialect) -> sa.Dialect:
    named = copy.copy(dialect)
    named.paramstyle = "named"
    named.positional = False
    named.identifier_preparer = dialect.preparer(named)
    return named


def _refuse_passwords_in_options(connection: ConnectionSpec) -> None:
    for name in connection.options:
        if name.lower() in _PASSWORD_OPTIONS:
            raise SourceError(
                f"The option “{name}” of the connection holds a password.",
                why="Options are written into projects and recipes; passwords never are.",
                do="Remove it; give the password when asked, or name a keyring entry or an environment variable.",
                option=name,
            )

"""Any other database SQLAlchemy has a dialect for. Nothing enforces read-only here, and the badge says so.

Drivers differ in what they can interrupt. So every call runs in one thread of its own, and waiting for it can end at
any time: the driver is asked to cancel where it can; where it cannot, the connection is left behind and a new one made.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from crosslens.errors import QueryError, SourceError, UserError
from crosslens.relational import ColumnInfo, ColumnType, ConnectionSpec

from ..columns import Kind
from .base import never
from .server import ServerSession
from .watch import SECONDS_PER_CHECK, Watch

T = TypeVar("T")

_CANCEL_SECONDS = 0.5
"""How long a driver may take to obey its own cancel before its connection is left behind."""
_SYSTEM_SCHEMAS = {
    "information_schema",
    "pg_catalog",
    "pg_toast",
    "sys",
    "mysql",
    "performance_schema",
    "INFORMATION_SCHEMA",
}
_LOOSE = {ColumnType.OTHER: Kind.INTEGER}


class GenericSession(ServerSession):
    """An open database of any installed dialect."""

    def __init__(self, connection: ConnectionSpec) -> None:
        self._thread = _Caller()
        self._left_behind = False
        try:
            super().__init__(connection)
        except BaseException:
            self._thread.close()
            raise
        self._default_schema = self._engine.dialect.default_schema_name

    def close(self) -> None:
        """Let the database go; a call that never ended keeps its connection to itself."""
        if not self._left_behind:
            super().close()
        self._thread.close()

    def _make_engine(self) -> sa.Engine:
        spec = self._spec
        url = sa.URL.create(
            spec.dialect,
            username=spec.username or None,
            password=self._secret,
            host=spec.host or None,
            port=spec.port or None,
            database=spec.database or None,
            query=dict(spec.options),
        )
        try:
            return sa.create_engine(url, poolclass=sa.pool.StaticPool)
        except sa.exc.NoSuchModuleError as error:
            raise SourceError(
                f"The kind of database “{spec.dialect}” is not known here.",
                why="No installed package brings a SQLAlchemy dialect of that name.",
                do="Check the spelling, or install the package that brings it (pip install ...), then try again.",
                dialect=spec.dialect,
            ) from error
        except ModuleNotFoundError as error:
            raise SourceError(
                f"The driver for {spec.dialect} is missing.",
                why=f"The Python package “{error.name}” is not installed.",
                do=f"Install it where Crosslens is installed: pip install {error.name}",
                package=error.name,
            ) from error
        except sa.exc.ArgumentError as error:
            raise SourceError(
                "The connection cannot be understood.",
                why=f"SQLAlchemy says: {self._masked(str(error))}.",
                do="Check each part of it.",
            ) from error

    def _explained(self, error: BaseException) -> UserError:
        message = self._masked(" ".join(str(error).split())).rstrip(".")
        if not hasattr(self, "_dialect"):
            return SourceError(
                f"{self.name} could not be opened.",
                why=f"The driver says: {message}.",
                do="Check host, port, database, user and password.",
                needs_password=self._secret is None,
            )
        return QueryError(
            f"{self.name} refused the query.",
            why=f"The driver says: {message}.",
            do="If the tables have changed since you opened the database, open it again.",
        )

    def _schemas(self, inspector: sa.Inspector) -> list[str | None]:
        try:
            names = inspector.get_schema_names()
        except NotImplementedError:
            return [None]
        default = self._default_schema
        others = [name for name in names if name != default and name.lower() not in _SYSTEM_SCHEMAS]
        return [None, *others]

    def kinds(self, columns: Sequence[ColumnInfo]) -> tuple[Kind, ...]:
        """Return how to hold columns; those of unknown type start narrow and widen."""
        return tuple(
            _LOOSE.get(column.type, kind) for column, kind in zip(columns, super().kinds(columns), strict=True)
        )

    # ---------------------------------------------------------------------------------------------- interrupting

    @contextmanager
    def watch(self, *, should_stop: Callable[[], bool] = never, seconds: float | None = None) -> Iterator[None]:
        """Look at the clock while a call runs; no thread is needed, for the calls have theirs."""
        with Watch(lambda: None, should_stop=should_stop, seconds=seconds) as watch:
            self._watch = watch
            try:
                yield
            finally:
                self._watch = None

    def _call(self, work: Callable[[], T]) -> T:
        watch = self._watch
        if watch is None:
            return self._thread.run(work).result()
        call = self._thread.run(work)
        while True:
            try:
                return call.result(timeout=SECONDS_PER_CHECK)
            except TimeoutError:
                if call.done():
                    return call.result()
                if watch.reason is not None:
                    self._give_up(call)
                    watch.check()

    def _give_up(self, call: Future[Any]) -> None:
        """Ask the driver to cancel; if the call still does not end, leave thread and connection behind."""
        driver = self._connection.connection.driver_connection
        interrupt = getattr(driver, "cancel", None) or getattr(driver, "interrupt", None)
        if interrupt is not None:
            interrupt()
        try:
            call.exception(timeout=_CANCEL_SECONDS)
        except TimeoutError:
            self._thread.close()
            self._thread = _Caller()
            self._connection, self._left_behind = self._replaced(), False

    def _replaced(self) -> sa.Connection:
        engine = self._make_engine()
        self._engine = engine
        return self._thread.run(engine.connect).result()


class _Caller:
    """One thread that makes calls, one after the other."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="database", daemon=True).start()

    def run(self, work: Callable[[], T]) -> Future[T]:
        """Make a call when those before it are done."""
        future: Future[T] = Future()
        self._calls.put((work, future))
        return future

    def close(self) -> None:
        """End the thread once its calls are done."""
        self._calls.put(None)

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            work, future = item
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  it is raised where the result is asked for
                future.set_exception(error)

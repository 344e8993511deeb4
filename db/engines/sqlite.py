"""SQLite: a connection that cannot write, reflection through PRAGMA, one interruptible cursor.

Read-only in three layers, because each alone has a hole: `mode=ro` lets ATTACH create another file, `query_only` can be
switched off by SQL, and neither stops VACUUM INTO. The authorizer is asked about every statement before it may run.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.sql import quoted_name

from crosslens.errors import CrosslensError, QueryError, SourceError, Stopped
from crosslens.relational import ColumnInfo, ColumnType, ConnectionSpec, ForeignKey, TableInfo, TableRef

from ..columns import Kind, first_kind, tuple_batches
from ..errors import check_database_file, missing_source, replaced_source, source_error
from ..own_select import own_select, single_select
from ..seen_types import seen_type
from ..types import sqlite_type
from .base import never
from .sqlite_split import ranges_of, without_first

LOCK_SECONDS = 5.0
"""How long to wait for another program's lock."""
EXACT_ROWS = 100_000
"""Tables whose row numbers end below this are counted; larger ones are estimated."""
_CACHE_KIB = 8_192
_STEPS_PER_CHECK = 20_000  # of SQLite's virtual machine: some milliseconds
_SECONDS_PER_CHECK = 0.1
_WAL_FORMAT = 2
_SEEN_ROWS = 1_000
_SEEN_SECONDS = 1.0
_LONGEST_MOMENT = 40
_ROW_IDS = ("rowid", "_rowid_", "oid")

_ALLOWED_ACTIONS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
}
_FORBIDDEN_FUNCTIONS = {"load_extension", "fts3_tokenizer"}
_ALLOWED_PRAGMAS = {
    "data_version",
    "foreign_key_list",
    "index_info",
    "index_list",
    "page_count",
    "page_size",
    "schema_version",
    "table_list",
    "table_xinfo",
}
_PRAGMAS_WITH_ARGUMENT = {"foreign_key_list", "index_info", "index_list", "table_xinfo"}


def _authorise(action: int, first: str | None, second: str | None, database: str | None, inner: str | None) -> int:
    if action in _ALLOWED_ACTIONS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _ALLOWED_PRAGMAS:
        reads = second is None or (first or "").lower() in _PRAGMAS_WITH_ARGUMENT
        return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_DENY


def database_uri(path: Path, *, immutable: bool = False) -> str:
    """Return the read-only URI of a file whose name may hold any character."""
    extra = "&immutable=1" if immutable else ""
    return f"file:{quote(path.absolute().as_posix())}?mode=ro{extra}"


def guarded_connection(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """Return a connection to an existing file that can read and nothing else."""
    # A worker may open in one thread and read in another; SQLite serialises calls itself.
    connection = sqlite3.connect(
        database_uri(path, immutable=immutable),
        uri=True,
        timeout=LOCK_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA query_only=1")
        # trusted_schema stays on: without it SQLite 3.40 refuses even json_extract inside views.
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.set_authorizer(_authorise)
        connection.execute("PRAGMA schema_version").fetchone()  # the first read: is this a database at all?
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class _Watch:
    """Answers SQLite's progress handler, and remembers why it interrupted."""

    def __init__(self, should_stop: Callable[[], bool], seconds: float | None) -> None:
        self._should_stop = should_stop
        self._seconds = seconds
        self._started = self._checked = time.monotonic()
        self.reason: BaseException | None = None

    def __call__(self) -> int:
        now = time.monotonic()
        if now - self._checked < _SECONDS_PER_CHECK:
            return 0
        self._checked = now
        # SQLite swallows what a handler raises, so an error of the caller's own function is kept and raised later.
        try:
            self.reason = self._verdict(now)
        except BaseException as error:  # noqa: BLE001
            self.reason = error
        return 0 if self.reason is None else 1

    def _verdict(self, now: float) -> CrosslensError | None:
        if self._should_stop():
            return Stopped("Stopped while reading the database.")
        if self._seconds is not None and now - self._started > self._seconds:
            return QueryError(
                f"The database did not answer within {self._seconds:g} seconds.",
                why="The table or view is too slow to look at.",
                do="Choose fewer joins or a smaller table, or add an index to the database.",
                seconds=self._seconds,
            )
        return None


class _UndecodableText(Exception):
    """A text in the file is not valid UTF-8; never leaves this module."""


class SqliteSession:
    """An open SQLite file."""

    def __init__(self, connection: ConnectionSpec) -> None:
        self._path = Path(connection.database)
        self._watch: _Watch | None = None
        self._dialect = sqlite_dialect.dialect(paramstyle="named")  # positional styles rewrite "%(x)s" inside names
        check_database_file(
            self._path, kind="An SQLite", do="Choose the file inside it, often named .db, .sqlite or .sqlite3."
        )
        self._beside: tuple[sqlite3.Connection, int] | None = None
        self._immutable = False
        # Opened before SQLite does and closed after it: POSIX drops all locks of a process on a file that it closes.
        self._descriptor = _opened(self._path)
        try:
            self._connection = self._connect()
            self._file = self._same_file()
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def name(self) -> str:
        """Return the file name."""
        return self._path.name

    @property
    def read_only(self) -> str:
        """Return the badge's sentence."""
        return "Read-only, enforced by SQLite: file opened read-only, query_only, and an authorizer."

    @property
    def dialect(self) -> sa.Dialect:
        """Return SQLite's dialect with named parameters."""
        return self._dialect

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._connection.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def uri(self) -> str:
        """Return how the file was opened."""
        return database_uri(self._path, immutable=self._immutable)

    # ------------------------------------------------------------------------------------------------ reading

    def fetch(self, statement: sa.Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return all rows; bytes that are not UTF-8 inside text become replacement marks."""
        return self.run(*self.rendered(statement))

    def kinds(self, columns: Sequence[ColumnInfo]) -> tuple[Kind, ...]:
        """Return the narrowest kinds; a column may hold anything here, whatever its type says."""
        return tuple(first_kind(column.type) for column in columns)

    def batches(
        self, statement: sa.Select[*tuple[Any, ...]], kinds: Sequence[Kind], *, rows: int
    ) -> Generator[list[pa.Array], None, None]:
        """Yield arrays of at most `rows` rows; inside a snapshot large tables are read by a process beside this one."""
        reading = ranges_of(self, statement, kinds, rows=rows) if self._connection.in_transaction else None
        if reading is not None:
            yield from reading.batches()
        else:
            yield from tuple_batches(self.tuples(statement, rows), kinds)

    def tuples(
        self, statement: sa.Select[*tuple[Any, ...]], batch: int, values: Mapping[str, Any] | None = None
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        """Yield rows in lists of `batch`; `values` replace those of named parameters."""
        sql, parameters = self.rendered(statement)
        parameters = {**parameters, **(values or {})}
        done = 0
        try:
            for rows in self._lists(sql, parameters, batch, text_factory=str):
                yield rows
                done += len(rows)
        except _UndecodableText:
            # Decoding every text in Python takes twice as long, so only a file that needs it pays: read on from there.
            tolerant = self._lists(sql, parameters, batch, text_factory=_decode)
            yield from without_first(tolerant, done)

    def _lists(
        self, sql: str, parameters: Mapping[str, Any], batch: int, *, text_factory: Callable[[bytes], str] | type[str]
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        with self._translated(), closing(self._connection.cursor()) as cursor:
            self._connection.text_factory = text_factory
            cursor.execute(sql, parameters)
            while rows := cursor.fetchmany(batch):
                yield rows

    def columns_of(self, select: str) -> tuple[ColumnInfo, ...]:
        """Return the columns of the user's own SELECT, with the types that the first rows have: SQLite has no others.

        OTHER where a value is of another type than the rest, and everywhere if no rows come within a second.
        """
        text = single_select(select)
        wrapped = own_select(text).columns().subquery("own")
        sql, parameters = self.rendered(sa.select(sa.text("*")).select_from(wrapped).limit(0))
        with self._translated(), closing(self._connection.cursor()) as cursor:
            names = [name for name, *_ in cursor.execute(sql, parameters).description]
        types = self._seen_types(text, names)
        return tuple(ColumnInfo(name, kind) for name, kind in zip(names, types, strict=True))

    def _seen_types(self, select: str, names: Sequence[str]) -> list[ColumnType]:
        columns: list[sa.ColumnClause[Any]] = [sa.column(quoted_name(name, True)) for name in names]
        own = own_select(select).columns(*columns).subquery("own")
        statement = sa.select(*(_beginning(column) for column in own.c)).limit(_SEEN_ROWS)
        try:
            with self.watch(seconds=_SEEN_SECONDS):
                rows = self.fetch(statement)
        except QueryError:  # too slow, or it fails in the middle, which is told when its rows are asked for
            rows = []
        return [seen_type([row[place] for row in rows]) for place in range(len(names))]

    def check(self) -> None:
        """Raise what `watch` has to say, if anything; for work that SQLite does not do itself."""
        if self._watch is not None and self._watch():
            assert self._watch.reason is not None
            raise self._watch.reason

    @contextmanager
    def watch(self, *, should_stop: Callable[[], bool] = never, seconds: float | None = None) -> Iterator[None]:
        """Let SQLite ask every tenth of a second whether to go on."""
        outer = self._watch
        self._watch = _Watch(should_stop, seconds)
        self._connection.set_progress_handler(self._watch, _STEPS_PER_CHECK)
        try:
            yield
        finally:
            self._connection.set_progress_handler(outer, _STEPS_PER_CHECK)
            self._watch = outer

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read inside one transaction."""
        with closing(self._connect()) as beside:
            self._beside = beside, _data_version(beside)
            self.run("BEGIN")
            try:
                yield
            finally:
                self._beside = None
                if self._connection.in_transaction:  # an I/O error ends the transaction by itself
                    self.run("ROLLBACK")

    def sees_the_same(self) -> bool:
        """Whether nobody has written since just before this snapshot began; asked of a connection beside it."""
        if self._beside is None:
            return False
        connection, version = self._beside
        try:
            return _data_version(connection) == version
        except sqlite3.OperationalError:  # locked: somebody waits to write
            return False

    def identity(self) -> Mapping[str, str | int]:
        """Return path, sizes, times and versions of the file and its write-ahead log."""
        if self._same_file() != self._file:
            raise replaced_source(self._path)
        state = self._path.stat()
        facts: dict[str, str | int] = {
            "path": str(self._path.resolve()),
            "size": state.st_size,
            "mtime": state.st_mtime_ns,
            "schema": self.run("PRAGMA schema_version")[0][0],
            "change_counter": self._change_counter(),
        }
        with suppress(FileNotFoundError):  # most databases have no write-ahead log
            log = self._path.with_name(self._path.name + "-wal").stat()
            if log.st_size:
                facts |= {"wal_size": log.st_size, "wal_mtime": log.st_mtime_ns}
        return facts

    # ------------------------------------------------------------------------------------------------ reflecting

    def tables(self) -> tuple[TableInfo, ...]:
        """Reflect through PRAGMA: SQLAlchemy's inspector reads keys out of CREATE statements with patterns."""
        master = sa.table("sqlite_master", sa.column("name"), sa.column("type"))
        listed = sa.select(master.c.name, master.c.type).where(
            master.c.type.in_(("table", "view")), ~master.c.name.like(r"sqlite\_%", escape="\\")
        )
        rows = self.run(*self.rendered(listed.order_by(master.c.name)))
        hidden = self._shadow_tables()
        bare = [self._reflect(name, kind == "view") for name, kind in rows if name not in hidden]
        return tuple(_with_targets(table, bare) for table in bare)

    def with_row_counts(self, tables: Sequence[TableInfo]) -> tuple[TableInfo, ...]:
        """Count small tables; estimate large ones by what ANALYZE found, or by their highest row number."""
        statistics = self._statistics()
        return tuple(self._with_rows(table, statistics) for table in tables)

    def row_id(self, table: TableInfo) -> str | None:
        """Return rowid or one of its other names, whichever no column hides; None for views and WITHOUT ROWID."""
        if table.is_view:
            return None
        taken = {column.name.lower() for column in table.columns}
        for name in _ROW_IDS:
            if name in taken:
                continue
            source = sa.table(quoted_name(table.ref.name, True), sa.column(name)).alias("t")
            try:
                self.fetch(sa.select(source.c[name]).limit(0))
            except QueryError:
                return None
            return name
        return None

    def _reflect(self, name: str, is_view: bool) -> TableInfo:
        try:
            columns = self.pragma("table_xinfo", name)
        except QueryError:  # a view over something that is gone; listed, and reading it says why
            return TableInfo(TableRef(name), (), is_view=is_view)
        visible = [row for row in columns if row[6] != 1]  # 1: hidden columns of virtual tables
        infos = tuple(ColumnInfo(row[1], sqlite_type(row[2] or ""), row[2] or "", not row[3]) for row in visible)
        if is_view:
            return TableInfo(TableRef(name), infos, is_view=True)
        key = tuple(row[1] for row in sorted((row for row in visible if row[5]), key=lambda row: int(row[5])))
        return TableInfo(
            TableRef(name),
            infos,
            primary_key=key,
            foreign_keys=self._foreign_keys(name),
            unique_keys=self._unique_keys(name),
        )

    def _foreign_keys(self, table: str) -> tuple[ForeignKey, ...]:
        keys: dict[int, list[tuple[Any, ...]]] = {}
        for row in self.pragma("foreign_key_list", table):
            keys.setdefault(row[0], []).append(row)
        parts = [sorted(keys[number], key=lambda row: int(row[1])) for number in sorted(keys, reverse=True)]
        return tuple(
            ForeignKey(
                tuple(row[3] for row in rows),
                TableRef(rows[0][2]),
                tuple(row[4] for row in rows if row[4] is not None),
            )
            for rows in parts
        )

    def _unique_keys(self, table: str) -> tuple[tuple[str, ...], ...]:
        found: list[tuple[str, ...]] = []
        for _, index, unique, origin, partial in self.pragma("index_list", table):
            if not unique or partial or origin == "pk":
                continue
            columns = [row[2] for row in self.pragma("index_info", index)]
            if None not in columns:  # None: an expression
                found.append(tuple(str(column) for column in columns))
        return tuple(sorted(found))

    def _shadow_tables(self) -> set[str]:
        if sqlite3.sqlite_version_info < (3, 37):
            return set()
        return {row[1] for row in self.run("PRAGMA table_list") if row[2] == "shadow"}

    def _statistics(self) -> dict[str, int]:
        """Return what ANALYZE once counted: the first number of any index of a table."""
        statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("stat"))
        try:
            rows = self.fetch(sa.select(statistics.c.tbl, statistics.c.stat))
        except QueryError:  # never analysed
            return {}
        return {name: int(stat.split()[0]) for name, stat in rows if stat and stat.split()[0].isdigit()}

    def _with_rows(self, table: TableInfo, statistics: Mapping[str, int]) -> TableInfo:
        """Count small tables; for large ones take the span of row numbers, which deleted rows make too large."""
        row_id = self.row_id(table)
        if row_id is None:
            known = statistics.get(table.ref.name)
            return replace(table, rows=known, rows_are_estimated=known is not None)
        source = sa.table(quoted_name(table.ref.name, True), sa.column(row_id)).alias("t")
        try:
            low, high = self.fetch(sa.select(_subselect(sa.func.min, source), _subselect(sa.func.max, source)))[0]
            if low is None or high - low < EXACT_ROWS:
                rows = self.fetch(sa.select(sa.func.count()).select_from(source))[0][0]
                return replace(table, rows=rows)
        except QueryError:  # a virtual table whose module is not at hand
            return table
        smallest_row = 4  # bytes; bounds the guess for tables with few rows and far-apart numbers
        guess = statistics.get(table.ref.name, min(high - low + 1, self._path.stat().st_size // smallest_row))
        return replace(table, rows=guess, rows_are_estimated=True)

    def pragma(self, name: str, argument: str) -> list[tuple[Any, ...]]:
        """Return what a PRAGMA says of a table or index."""
        return self.run(f"PRAGMA main.{name}({self._dialect.identifier_preparer.quote_identifier(argument)})")

    # ------------------------------------------------------------------------------------------------ plumbing

    def _connect(self) -> sqlite3.Connection:
        try:
            return guarded_connection(self._path)
        except sqlite3.Error as error:
            if _is_quiet_write_ahead(self._path) and getattr(error, "sqlite_errorname", "").startswith(
                ("SQLITE_CANTOPEN", "SQLITE_READONLY")
            ):
                return self._connect_immutable()
            raise source_error(error, self._path) from error

    def _connect_immutable(self) -> sqlite3.Connection:
        # Reading in write-ahead mode needs a shared index file beside the database. Where the folder cannot be
        # written and no log is there, nobody else is writing either, and the file can be read as it is.
        self._immutable = True
        try:
            return guarded_connection(self._path, immutable=True)
        except sqlite3.Error as error:
            raise source_error(error, self._path) from error

    def rendered(self, statement: sa.Select[*tuple[Any, ...]]) -> tuple[str, dict[str, Any]]:
        """Return the text of a statement with the values it has."""
        compiled = statement.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
        return str(compiled), dict(compiled.params)

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a text that Crosslens wrote; bytes that are not UTF-8 become replacement marks."""
        with self._translated():
            self._connection.text_factory = _decode
            return self._connection.execute(sql, parameters or {}).fetchall()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if str(error).startswith("Could not decode to UTF-8"):
                raise _UndecodableText from error
            if self._watch is not None and self._watch.reason is not None:
                raise self._watch.reason from error
            raise source_error(error, self._path) from error

    def _change_counter(self) -> str:
        os.lseek(self._descriptor, 24, os.SEEK_SET)
        return os.read(self._descriptor, 4).hex()

    def _same_file(self) -> tuple[int, int]:
        try:
            state = self._path.stat()
        except OSError as error:
            raise missing_source(self._path) from error
        return state.st_dev, state.st_ino


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _beginning(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return enough of a value to see its type."""
    kind = sa.func.typeof(column)
    short = sa.func.substr(column, 1, _LONGEST_MOMENT)
    return sa.case((kind == "text", short), (kind == "blob", sa.func.zeroblob(0)), else_=column)


def _subselect(function: Callable[[Any], Any], source: sa.FromClause) -> sa.ScalarSelect[Any]:
    # min and max in one select would read the whole table; alone, each is one step into the tree.
    return sa.select(function(next(iter(source.c)))).scalar_subquery()


def _with_targets(table: TableInfo, tables: Iterable[TableInfo]) -> TableInfo:
    """Spell foreign keys as their targets do (SQLite ignores case) and fill in primary keys left unsaid."""
    known = {other.ref.name.lower(): other for other in tables}
    return replace(table, foreign_keys=tuple(_with_target(key, known) for key in table.foreign_keys))


def _with_target(key: ForeignKey, known: Mapping[str, TableInfo]) -> ForeignKey:
    target = known.get(key.target.name.lower())
    if target is None:
        return key if key.target_columns else replace(key, target_columns=key.columns)
    names = {column.name.lower(): column.name for column in target.columns}
    columns = key.target_columns or target.primary_key
    return replace(key, target=target.ref, target_columns=tuple(names.get(name.lower(), name) for name in columns))


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise missing_source(path) from error
    except OSError as error:
        raise SourceError(
            f"{path.name} could not be opened.",
            why=f"The system says: {error.strerror or error}.",
            do="Check that the file is still there and that you may read it and its folder.",
            path=str(path),
        ) from error


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _is_quiet_write_ahead(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(20)
    return header[18:19] == bytes([_WAL_FORMAT]) and not path.with_name(path.name + "-wal").exists()

"""MySQL and MariaDB through PyMySQL: read-only transactions, KILL QUERY from a second connection, rows packed as CSV.

The two servers limit time differently: MySQL by `max_execution_time` in milliseconds (for SELECT only), MariaDB by
`max_statement_time` in seconds. PyMySQL parses every value in Python; packed by the server into one text a row, rows
are parsed by pyarrow in C++ instead. Zero dates (0000-00-00) are MySQL's word for "no date" and come as NULL.

Read-only does not forbid what works without tables: user locks, SLEEP, files a FILE privilege allows. We refuse INTO; a
user that may only SELECT does the rest; see docs/databases.md.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pymysql
import pymysql.cursors
import sqlalchemy as sa
from pymysql.constants import FIELD_TYPE
from sqlalchemy.dialects import mysql

from crosslens.errors import QueryError, SourceError, UserError
from crosslens.relational import ColumnInfo, ColumnType, ConnectionSpec, TableInfo

from ..columns import Kind
from ..own_select import MYSQL
from .csv_rows import CsvRows
from .mysql_errors import mysql_error
from .mysql_reflection import SYSTEM_SCHEMAS, reflect_tables
from .server import CONNECT_SECONDS, LOCK_SECONDS, ServerSession, static_engine, with_default_schema

_SESSION = (
    "SET SESSION TRANSACTION READ ONLY",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION time_zone = '+00:00', SESSION sql_mode = '', SESSION group_concat_max_len = 4294967295, "
    f"SESSION lock_wait_timeout = {LOCK_SECONDS}, SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}",
)
_BINARY_CHARSET = 63
_ZERO_DATES = ("0000-00-00", *(f"0000-00-00 00:00:00{'.' + '0' * digits if digits else ''}" for digits in range(7)))
_INTEGERS = {FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG, FIELD_TYPE.INT24, FIELD_TYPE.YEAR}
_DECIMALS = {FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL}
_FLOATS = {FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE}
_TIMES = {FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP}
_PLAIN = _INTEGERS | _DECIMALS | _FLOATS | _TIMES | {FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE}
_STRINGS = {
    FIELD_TYPE.VARCHAR, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.TINY_BLOB, FIELD_TYPE.BLOB,
    FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.GEOMETRY,
}  # fmt: skip
_INTEGER_DIGITS = 18
"""Types whose text holds no quote, comma or line break."""
_LSN = ("Innodb_lsn_current", "Innodb_redo_log_current_lsn", "Innodb_os_log_written", "Uptime")


class MySqlSession(ServerSession):
    """An open MySQL (from 5.7) or MariaDB (from 10.3) database."""

    lexicon = MYSQL
    driver_errors = (sa.exc.DBAPIError, pymysql.MySQLError)

    def __init__(self, connection: ConnectionSpec) -> None:
        super().__init__(connection)
        self._thread = int(self._raw.thread_id())
        self._is_mariadb = bool(getattr(self._engine.dialect, "is_mariadb", False))

    @property
    def read_only(self) -> str:
        """Return the badge's sentence."""
        server = "MariaDB" if self._is_mariadb else "MySQL"
        return f"Read-only, enforced by {server}: every transaction is started READ ONLY."

    @property
    def _raw(self) -> pymysql.Connection[Any]:
        raw: pymysql.Connection[Any] = self._connection.connection.driver_connection
        return raw

    def _make_engine(self) -> sa.Engine:
        return static_engine("mysql+pymysql://", lambda: self._connected(guarded=True))

    def _connected(self, *, guarded: bool) -> pymysql.Connection[Any]:
        spec = self._spec
        options: dict[str, Any] = dict(spec.options)
        mode = options.pop("ssl_mode", "").lower()
        if mode in ("required", "verify_ca", "verify_identity"):
            options.setdefault("ssl", {"check_hostname": False})
        elif mode == "disabled":
            options["ssl_disabled"] = True
        for name in ("ssl_verify_cert", "ssl_verify_identity"):
            if name in options:
                options[name] = str(options[name]).lower() in ("1", "true", "yes", "on")
        if "connect_timeout" in options:
            options["connect_timeout"] = int(options["connect_timeout"])
        try:
            raw = pymysql.connect(
                host=spec.host or None,
                port=spec.port or 3306,
                user=spec.username or None,
                password=(self._secret or "").encode(),  # PyMySQL would encode a text as Latin-1
                database=spec.database or None,
                charset="utf8mb4",
                read_timeout=options.get("connect_timeout", CONNECT_SECONDS),
                **{"connect_timeout": CONNECT_SECONDS, **options},
            )
        except TypeError as error:  # PyMySQL's own check of the names of its options
            raise SourceError(
                "An option of the connection is wrong.",
                why=f"The driver says: {self._masked(str(error))}.",
                do="Correct or remove the option; docs/databases.md lists the usual ones.",
            ) from error
        # The limit was for the greeting; a query may take as long as its watch allows, which no option of PyMySQL says.
        raw._read_timeout = None
        if guarded:
            with raw.cursor() as cursor:
                for statement in _SESSION:
                    cursor.execute(statement)
        return raw

    def _explained(self, error: BaseException) -> UserError:
        spec = self._spec
        return mysql_error(
            error,
            {
                "host": spec.host or "This machine",
                "port": spec.port or 3306,
                "user": spec.username or "you",
                "database": spec.database or "the database",
            },
            self._masked,
        )

    # -------------------------------------------------------------------------------------------------- guarding

    def _cancel(self) -> None:
        with closing(self._connected(guarded=False)) as second, second.cursor() as cursor:
            cursor.execute("KILL QUERY %s", (self._thread,))

    def _set_limit(self, seconds: float | None) -> None:
        with self._translated(), self._raw.cursor() as cursor:
            if self._is_mariadb:
                cursor.execute("SET SESSION max_statement_time = %s", (seconds or 0,))
            else:
                cursor.execute("SET SESSION max_execution_time = %s", (int((seconds or 0) * 1000),))

    def _begin_snapshot(self) -> None:
        self._end_transaction()
        with self._raw.cursor() as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def _state(self) -> Mapping[str, str | int]:
        """Return InnoDB's log position, which every change moves, and when other tables were last changed."""
        with self._raw.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS WHERE Variable_name IN %s", (_LSN,))
            status = {str(name): int(value) for name, value in cursor.fetchall()}
            cursor.execute("SELECT @@hostname, @@port, VERSION()")
            host, port, version = cursor.fetchall()[0]
        found = next((name for name in _LSN if name in status), None)
        state: dict[str, str | int] = {"server": f"{host}:{port}", "version": str(version)}
        if found in _LSN[:2]:
            state["log"] = status[str(found)]
        else:  # an old server: nothing lasting is known of its changes
            state["session"] = self._session_id
        return {**state, **self._other_tables()}

    def _other_tables(self) -> Mapping[str, str | int]:
        names = ("table_schema", "engine", "update_time")
        tables = sa.table("tables", *map(sa.column, names), schema="information_schema")
        newest = sa.select(sa.cast(sa.func.max(tables.c.update_time), sa.CHAR)).where(
            tables.c.engine != "InnoDB", tables.c.table_schema.not_in(SYSTEM_SCHEMAS)
        )
        found = self._connection.execute(newest).scalar()
        return {"other_tables": str(found)}

    # ------------------------------------------------------------------------------------------------ reflecting

    @property
    def _default_schema(self) -> str | None:
        return self._spec.database or None

    def _schemas(self, inspector: sa.Inspector) -> list[str | None]:
        return [name for name in inspector.get_schema_names() if name.lower() not in SYSTEM_SCHEMAS]

    def _reflect(self) -> tuple[TableInfo, ...]:
        # The inspector would ask SHOW CREATE TABLE for each table and read it with patterns.
        tables = reflect_tables(self._connection)
        return tuple(with_default_schema(table, self._default_schema) for table in tables)

    def with_row_counts(self, tables: Sequence[TableInfo]) -> tuple[TableInfo, ...]:
        """Return the tables with the rows the server's statistics estimate."""
        listed = sa.table(
            "tables", *map(sa.column, ("table_schema", "table_name", "table_rows")), schema="information_schema"
        )
        statement = sa.select(listed.c.table_schema, listed.c.table_name, listed.c.table_rows)
        found = self.fetch(statement.where(listed.c.table_schema.not_in(SYSTEM_SCHEMAS)))
        known = {(str(schema), str(name)): rows for schema, name, rows in found}
        return tuple(
            _with_rows(table, known.get((table.ref.schema or self._default_schema or "", table.ref.name)))
            for table in tables
        )

    def _described(self, column: Sequence[Any]) -> ColumnInfo:
        name, code = str(column[0]), int(column[1])
        if code in _INTEGERS or code == FIELD_TYPE.BIT:
            return ColumnInfo(name, ColumnType.INTEGER, "integer")
        known = {
            **dict.fromkeys(_DECIMALS, ColumnType.DECIMAL),
            **dict.fromkeys(_FLOATS, ColumnType.FLOAT),
            **dict.fromkeys(_TIMES, ColumnType.TIMESTAMP),
            FIELD_TYPE.DATE: ColumnType.DATE,
            FIELD_TYPE.NEWDATE: ColumnType.DATE,
            FIELD_TYPE.JSON: ColumnType.JSON,
            FIELD_TYPE.GEOMETRY: ColumnType.OTHER,
        }
        return ColumnInfo(name, known.get(code, ColumnType.TEXT))

    # -------------------------------------------------------------------------------------------------- bulk rows

    def kinds(self, columns: Sequence[ColumnInfo]) -> tuple[Kind, ...]:
        """Return how to hold columns; decimals without fraction are integers as long as int64 holds them."""
        return tuple(_kind(column, kind) for column, kind in zip(columns, super().kinds(columns), strict=True))

    def batches(
        self, statement: sa.Select[*tuple[Any, ...]], kinds: Sequence[Kind], *, rows: int
    ) -> Generator[list[pa.Array], None, None]:
        """Yield the rows, each packed by the server into one line of CSV; WiderKinds when a value does not fit."""
        with self._reading():
            fields = self._fields_of(statement)
            decimals = [field.type_code in _DECIMALS for field in fields]
            parser = CsvRows(kinds, decimals, nulls=_ZERO_DATES)
            entries = [_entry(column, field) for column, field in zip(statement.selected_columns, fields, strict=True)]
            line = sa.func.concat_ws(",", *entries).label("line")
            packed = statement.with_only_columns(line, maintain_column_froms=True)
            sql, parameters = self._rendered(packed)
            cursor = self._raw.cursor(_Lines)
            cursor.execute(sql, parameters)
            try:
                while lines := cursor.lines(rows):
                    self._check()
                    yield parser.arrays(lines)
            except self.driver_errors:  # the result has ended with the error
                raise
            except BaseException:  # nobody wants the rest, whatever the reason: do not read it to its end
                self._cancel()
                cursor.abandon()
                raise
            cursor.close()

    def _rendered(self, statement: sa.Select[*tuple[Any, ...]]) -> tuple[str, Any]:
        compiled = statement.compile(dialect=self._engine.dialect, compile_kwargs={"render_postcompile": True})
        return str(compiled), dict(compiled.params)

    def _fields_of(self, statement: sa.Select[*tuple[Any, ...]]) -> list[Any]:
        sql, parameters = self._rendered(statement.limit(0))
        with self._raw.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor._result.fields) if cursor._result is not None else []


class _Lines(pymysql.cursors.SSCursor):  # type: ignore[misc]
    """A cursor over a result of one text column, read from the connection without making an object of each packet."""

    def lines(self, rows: int) -> list[bytes]:
        """Return the next lines, each with a line break, at most `rows` of them; none at the end."""
        result: Any = self._result
        if result is None or not result.unbuffered_active:
            return []
        connection = result.connection
        read = connection._rfile.read
        found: list[bytes] = []
        while len(found) < rows:
            try:
                data = _packet(read, connection)
            except pymysql.MySQLError:
                self._end(result)
                raise
            mark = data[0]
            if mark < _NULL:
                found.append(data[1:] + b"\n")
            elif mark == _TWO_BYTES:
                found.append(data[3:] + b"\n")
            elif mark == _END and len(data) < _END_LENGTH:
                self._end(result)
                break
            elif mark == _ERROR:
                self._end(result)
                pymysql.err.raise_mysql_exception(data)
            elif mark == _NULL:
                raise _too_long()
            else:
                found.append(data[4 if mark == _THREE_BYTES else 9 :] + b"\n")
        return found

    def _end(self, result: Any) -> None:
        """Tell PyMySQL that nothing of the result is left to read."""
        result.unbuffered_active = False
        result.connection = None

    def abandon(self) -> None:
        """Read what the server had on the way when the query was killed, so that the connection can be used again."""
        try:
            while self.lines(_DRAINED_AT_ONCE):
                pass
        except pymysql.err.MySQLError as error:
            if error.args[0] not in _KILLED:
                raise


_NULL, _TWO_BYTES, _THREE_BYTES, _END, _ERROR = 0xFB, 0xFC, 0xFD, 0xFE, 0xFF
_END_LENGTH = 9
_LONGEST_PACKET = 0xFFFFFF
_DRAINED_AT_ONCE = 10_000
_KILLED = (1317, 1969, 3024)


def _packet(read: Any, connection: Any) -> bytes:
    """Return the next packet's content; long ones come in parts."""
    parts: list[bytes] = []
    while True:
        try:
            header = read(4)
            length = int.from_bytes(header[:3], "little")
            data = read(length)
        except OSError as error:
            raise pymysql.err.OperationalError(2013, f"Lost connection to the server: {error}") from error
        if len(header) < 4 or len(data) < length:
            raise pymysql.err.OperationalError(2013, "Lost connection to the server in the middle of a result")
        connection._next_seq_id = (header[3] + 1) % 256  # PyMySQL compares it with the next packet it reads itself
        if length < _LONGEST_PACKET and not parts:
            return bytes(data)
        parts.append(data)
        if length < _LONGEST_PACKET:
            return b"".join(parts)


def _too_long() -> QueryError:
    return QueryError(
        "A row is longer than the server sends in one piece.",
        why="Its values together exceed the server's max_allowed_packet.",
        do="Leave out columns with very long texts, or ask the administrator for a larger max_allowed_packet.",
    )


def _entry(column: sa.ColumnElement[Any], field: Any) -> sa.ColumnElement[str]:
    """Return what CSV holds for a value: plain, quoted, or as hexadecimal digits; nothing for NULL."""
    value: sa.ColumnElement[Any] = column.element if isinstance(column, sa.Label) else column
    code = field.type_code
    if code == FIELD_TYPE.BIT:
        return sa.func.ifnull(value.op("+")(sa.literal_column("0")), "")
    if code == FIELD_TYPE.FLOAT:  # as text a FLOAT would have six digits
        return sa.func.ifnull(value.op("+")(sa.literal_column("0e0")), "")
    if code in _PLAIN:
        return sa.func.ifnull(value, "")
    if field.charsetnr == _BINARY_CHARSET and code in _STRINGS:
        text: sa.ColumnElement[Any] = sa.func.lower(sa.func.hex(value))
    else:
        text = sa.func.replace(sa.cast(value, mysql.CHAR(charset="utf8mb4")), '"', '""')
    return sa.case((value.is_(None), ""), else_=sa.func.concat('"', text, '"'))


def _with_rows(table: TableInfo, rows: Any) -> TableInfo:
    return table if rows is None or table.is_view else replace(table, rows=int(rows), rows_are_estimated=True)


_WHOLE = re.compile(r"decimal\((\d+),0\).*", re.IGNORECASE)


def _kind(column: ColumnInfo, kind: Kind) -> Kind:
    if column.type is ColumnType.DECIMAL and (found := _WHOLE.fullmatch(column.database_type)):
        return Kind.INTEGER if int(found[1]) <= _INTEGER_DIGITS else kind
    return Kind.MIXED if column.type is ColumnType.OTHER else kind

"""PostgreSQL through psycopg 3: read-only transactions, cancel by the driver, rows as CSV by COPY.

Read-only in two layers: every session starts with `default_transaction_read_only`, and every transaction is begun READ
ONLY, so that a SELECT which switches the default off (set_config) changes nothing. Read-only does not forbid functions
that act outside of tables (pg_terminate_backend, lo_export, dblink): a role that may only SELECT does; see
docs/databases.md.

COPY (SELECT ...) TO STDOUT keeps one connection, one transaction and our cancel, and pyarrow parses its CSV in C++.
What COPY writes is shaped in the SELECT: times with a zone are UTC, arrays are JSON, bytes are hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import psycopg
import pyarrow as pa
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects import postgresql as pg

from crosslens.errors import UserError
from crosslens.relational import ColumnInfo, ColumnType, ConnectionSpec, TableInfo

from ..columns import Kind
from ..own_select import POSTGRESQL
from .csv_rows import CsvRows, parsed_ahead
from .postgresql_copy import copied_lines
from .postgresql_errors import postgresql_error
from .postgresql_identity import tables_state
from .postgresql_values import register_loaders
from .reflection import reflect_schema
from .server import CONNECT_SECONDS, LOCK_SECONDS, ServerSession, static_engine, with_default_schema

_OPTIONS = {
    "lock_timeout": f"{LOCK_SECONDS}s",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
}
_CANCEL_SECONDS = 2.0
_INTEGER_DIGITS = 18
_BYTEA, _MONEY, _NUMERIC, _TIMESTAMPTZ = 17, 790, 1700, 1184
_OF_CATEGORY = {
    "A": ColumnType.ARRAY,
    "B": ColumnType.BOOLEAN,
    "E": ColumnType.TEXT,
    "S": ColumnType.TEXT,
    "T": ColumnType.TEXT,
    "I": ColumnType.TEXT,
}
_OF_NAME = {
    "int2": ColumnType.INTEGER,
    "int4": ColumnType.INTEGER,
    "int8": ColumnType.INTEGER,
    "oid": ColumnType.INTEGER,
    "float4": ColumnType.FLOAT,
    "float8": ColumnType.FLOAT,
    "numeric": ColumnType.DECIMAL,
    "money": ColumnType.DECIMAL,
    "date": ColumnType.DATE,
    "timestamp": ColumnType.TIMESTAMP,
    "timestamptz": ColumnType.TIMESTAMP,
    "time": ColumnType.TEXT,
    "timetz": ColumnType.TEXT,
    "bytea": ColumnType.BINARY,
    "json": ColumnType.JSON,
    "jsonb": ColumnType.JSON,
    "uuid": ColumnType.TEXT,
}


class PostgreSqlSession(ServerSession):
    """An open PostgreSQL database, from version 12 on."""

    lexicon = POSTGRESQL
    driver_errors = (sa.exc.DBAPIError, psycopg.Error)
    reads_only = True

    def __init__(self, connection: ConnectionSpec) -> None:
        super().__init__(connection)
        self._categories: dict[int, tuple[str, str, str]] = {}
        self._default_schema = self.fetch(sa.select(sa.func.current_schema()))[0][0]

    @property
    def read_only(self) -> str:
        """Return the badge's sentence."""
        return "Read-only, enforced by PostgreSQL: every transaction is begun READ ONLY."

    @property
    def _raw(self) -> psycopg.Connection[Any]:
        raw: psycopg.Connection[Any] = self._connection.connection.driver_connection  # type: ignore[assignment]
        return raw

    def _make_engine(self) -> sa.Engine:
        return static_engine("postgresql+psycopg://", self._connected)

    def _connected(self) -> psycopg.Connection[Any]:
        spec = self._spec
        options = {"connect_timeout": str(CONNECT_SECONDS), "application_name": "Crosslens", **spec.options}
        guard = {"default_transaction_read_only": "on" if self.reads_only else "off"}
        settings = " ".join(f"-c {name}={value}" for name, value in {**_OPTIONS, **guard}.items())
        own: dict[str, Any] = {
            **options,
            "client_encoding": "utf8",
            "options": f"{spec.options.get('options', '')} {settings}".strip(),
        }
        raw = psycopg.connect(
            host=spec.host or None,
            port=spec.port or None,
            dbname=spec.database or None,
            user=spec.username or None,
            password=self._secret,
            prepare_threshold=None,
            **own,
        )
        raw.read_only = self.reads_only
        register_loaders(raw)
        return raw

    def _explained(self, error: BaseException) -> UserError:
        spec = self._spec
        return postgresql_error(
            error,
            {
                "host": spec.host or "This machine",
                "port": spec.port or 5432,
                "user": spec.username or "you",
                "database": spec.database or "the database",
            },
            self._masked,
        )

    # -------------------------------------------------------------------------------------------------- guarding

    def _cancel(self) -> None:
        self._raw.cancel_safe(timeout=_CANCEL_SECONDS)

    def _set_limit(self, seconds: float | None) -> None:
        if self._snapshot_facts is None:
            with self._translated():
                limit = "0" if seconds is None else str(int(seconds * 1000))
                self._connection.execute(sa.select(sa.func.set_config("statement_timeout", limit, False))).fetchall()
                self._connection.commit()  # a rollback would take the setting back

    def _begin_snapshot(self) -> None:
        self._raw.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        # PostgreSQL takes the snapshot with the first statement, not with BEGIN.
        self._connection.execute(sa.select(sa.literal(1))).fetchall()

    def _end_snapshot(self) -> None:
        self._connection.rollback()
        if not self._raw.closed:
            self._raw.isolation_level = None

    def _state(self) -> Mapping[str, str | int]:
        """Return the database's oid and the visible transactions: while both stay the same, no row has changed."""
        database = sa.table("pg_database", sa.column("oid"), sa.column("datname"), schema="pg_catalog")
        statement = sa.select(database.c.oid, sa.cast(sa.func.pg_current_snapshot(), sa.Text), sa.func.version()).where(
            database.c.datname == sa.func.current_database()
        )
        oid, visible, version = self._connection.execute(statement).one()
        return {"oid": int(oid), "transactions": str(visible), "version": str(version)}

    def _state_of(self, tables: Sequence[TableInfo]) -> Mapping[str, str | int] | None:
        known = self._row_counts()
        counted = [
            replace(table, rows=known.get((table.ref.schema or self._default_schema, table.ref.name)))
            for table in tables
        ]
        return tables_state(self._connection, counted, self._default_schema)

    # ------------------------------------------------------------------------------------------------ reflecting

    def _schemas(self, inspector: sa.Inspector) -> list[str | None]:
        spaces = sa.table("pg_namespace", sa.column("nspname"), schema="pg_catalog")
        name = spaces.c.nspname
        listed = sa.select(name).where(
            ~name.like(r"pg\_%", escape="\\"),
            name != "information_schema",
            sa.func.has_schema_privilege(name, "USAGE"),
        )
        return [str(row[0]) for row in self._connection.execute(listed.order_by(name))]

    def _reflect(self) -> tuple[TableInfo, ...]:
        # With an empty search path PostgreSQL writes every name with its schema, so that keys say where they lead.
        before = self._connection.execute(sa.select(sa.func.current_setting("search_path"))).scalar_one()
        self._set_search_path("")
        inspector = sa.inspect(self._connection)
        hidden = self._partitions()
        tables: list[TableInfo] = []
        for schema in self._schemas(inspector):
            found = reflect_schema(inspector, schema)
            tables += [table for table in found if (schema, table.ref.name) not in hidden]
        self._set_search_path(before)
        return tuple(with_default_schema(table, self._default_schema) for table in tables)

    def _set_search_path(self, path: str) -> None:
        """Set it until the transaction ends."""
        self._connection.execute(sa.select(sa.func.set_config("search_path", path, True))).fetchall()

    def _partitions(self) -> set[tuple[str | None, str]]:
        """Return the parts of partitioned tables: they are read through their whole."""
        classes, spaces = _catalogue()
        parts = sa.select(spaces.c.nspname, classes.c.relname).where(
            classes.c.relispartition, classes.c.relnamespace == spaces.c.oid
        )
        return {(str(space), str(name)) for space, name in self._connection.execute(parts)}

    def with_row_counts(self, tables: Sequence[TableInfo]) -> tuple[TableInfo, ...]:
        """Return the tables with the rows ANALYZE found, or else those the statistics have seen come and go."""
        with self._reading():
            known = self._call(self._row_counts)
        return tuple(
            _with_rows(table, known.get((table.ref.schema or self._default_schema, table.ref.name))) for table in tables
        )

    def _row_counts(self) -> dict[tuple[str, str], int]:
        classes, spaces = _catalogue()
        parts = sa.func.pg_partition_tree(classes.c.oid).table_valued("relid", "isleaf").alias("parts")
        leaves = classes.alias("leaves")
        of_parts = (
            sa.select(sa.func.sum(sa.func.greatest(leaves.c.reltuples, sa.func.pg_stat_get_live_tuples(leaves.c.oid))))
            .select_from(parts.join(leaves, leaves.c.oid == parts.c.relid))
            .where(parts.c.isleaf)
            .scalar_subquery()
        )
        alone = sa.case(
            (classes.c.reltuples >= 0, classes.c.reltuples),
            else_=sa.cast(sa.func.pg_stat_get_live_tuples(classes.c.oid), sa.Float),
        )
        rows = sa.case((classes.c.relkind == "p", of_parts), else_=alone)
        statement = sa.select(spaces.c.nspname, classes.c.relname, rows).where(
            classes.c.relnamespace == spaces.c.oid,
            classes.c.relkind.in_(("r", "p", "m", "f")),
            ~spaces.c.nspname.in_(("pg_catalog", "information_schema", "pg_toast")),
        )
        found = self._connection.execute(statement)
        return {(str(space), str(name)): int(count) for space, name, count in found if count is not None}

    def _described(self, column: Sequence[Any]) -> ColumnInfo:
        name, oid = str(column[0]), int(column[1])
        type_name, category, written = self._type(oid)
        kind = _OF_NAME.get(type_name) or _OF_CATEGORY.get(category, ColumnType.OTHER)
        return ColumnInfo(name, kind, written)

    def _type(self, oid: int) -> tuple[str, str, str]:
        """Return name and category of a type, and how the server writes it."""
        if oid not in self._categories:
            types = sa.table("pg_type", *map(sa.column, ("oid", "typname", "typcategory")), schema="pg_catalog")
            named = sa.select(
                types.c.typname, sa.cast(types.c.typcategory, sa.Text), sa.func.format_type(types.c.oid, None)
            ).where(types.c.oid == oid)
            found = self._connection.execute(named).first()
            self._categories[oid] = ("", "", "") if found is None else (str(found[0]), str(found[1]), str(found[2]))
        return self._categories[oid]

    # -------------------------------------------------------------------------------------------------- bulk rows

    def kinds(self, columns: Sequence[ColumnInfo]) -> tuple[Kind, ...]:
        """Return how to hold columns; decimals without fraction are integers as long as int64 holds them."""
        kinds = super().kinds(columns)
        return tuple(_kind(column, kind) for column, kind in zip(columns, kinds, strict=True))

    def batches(
        self, statement: sa.Select[*tuple[Any, ...]], kinds: Sequence[Kind], *, rows: int
    ) -> Generator[list[pa.Array], None, None]:
        """Yield the rows by COPY; WiderKinds when a value does not fit."""
        with self._reading():
            types = self._types_of(statement)
            parser = CsvRows(kinds, [oid in (_NUMERIC, _MONEY) for oid in types])
            shaped = statement.with_only_columns(
                *(
                    self._shaped(column, oid, kind)
                    for column, oid, kind in zip(statement.selected_columns, types, kinds, strict=True)
                ),
                maintain_column_froms=True,
            )
            with closing(self._chunks(shaped, rows)) as chunks:
                yield from parsed_ahead(parser, chunks)

    def _chunks(self, statement: sa.Select[*tuple[Any, ...]], rows: int) -> Generator[list[bytes], None, None]:
        lines: list[bytes] = []
        with self._raw.cursor() as cursor, cursor.copy(self._copy(statement)) as copy:
            for line in copied_lines(copy):
                lines.append(line)
                if len(lines) == rows:
                    self._check()
                    yield lines
                    lines = []
        if lines:
            yield lines

    def _types_of(self, statement: sa.Select[*tuple[Any, ...]]) -> list[int]:
        result = self._connection.execute(statement.limit(0))
        try:
            description = result.cursor.description if result.cursor is not None else None
            return [int(cast(int, column[1])) for column in description or ()]
        finally:
            result.close()

    def _shaped(self, column: sa.ColumnElement[Any], oid: int, kind: Kind) -> sa.ColumnElement[Any]:
        """Return the column as COPY should write it, under its own name."""
        value = column.element if isinstance(column, sa.Label) else column
        if oid == _TIMESTAMPTZ:
            value = sa.func.timezone("UTC", value)
        elif oid == _BYTEA:
            value = sa.func.encode(value, "hex")
        elif oid == _MONEY:
            value = sa.cast(value, sa.Numeric)
        elif self._type(oid)[1] == "A":
            value = sa.func.to_json(sa.cast(value, pg.ARRAY(sa.Text)) if kind is Kind.LIST else value)
        elif kind is Kind.LIST:
            value = sa.func.to_json(pg.array([sa.cast(value, sa.Text)]))
        return value.label(column.key)

    def _copy(self, statement: sa.Select[*tuple[Any, ...]]) -> sql.Composed:
        """Return COPY around a SELECT whose values psycopg writes as literals: COPY takes no parameters."""
        compiled = statement.compile(dialect=self._engine.dialect, compile_kwargs={"render_postcompile": True})
        select = psycopg.ClientCursor(self._raw).mogrify(str(compiled), compiled.params)
        return sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(sql.SQL(select))


def _catalogue() -> tuple[sa.TableClause, sa.TableClause]:
    names = ("oid", "relname", "relnamespace", "relkind", "reltuples", "relispartition")
    classes = sa.table("pg_class", *map(sa.column, names), schema="pg_catalog")
    return classes, sa.table("pg_namespace", sa.column("oid"), sa.column("nspname"), schema="pg_catalog")


def _with_rows(table: TableInfo, rows: int | None) -> TableInfo:
    return table if rows is None or table.is_view else replace(table, rows=rows, rows_are_estimated=True)


_WHOLE = re.compile(r"(?:numeric|decimal)\((\d+)(?:, *0)?\)", re.IGNORECASE)


def _kind(column: ColumnInfo, kind: Kind) -> Kind:
    if column.type is ColumnType.DECIMAL and (found := _WHOLE.fullmatch(column.database_type)):
        return Kind.INTEGER if int(found[1]) <= _INTEGER_DIGITS else kind
    return Kind.MIXED if column.type is ColumnType.OTHER else kind

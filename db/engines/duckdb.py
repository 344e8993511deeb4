"""DuckDB files: opened read-only with everything outside locked away, reflected through DuckDB's own catalogue.

No program can write to a DuckDB file while another reads it, so what is read is one state by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from crosslens.errors import QueryError, SourceError
from crosslens.relational import ColumnInfo, ConnectionSpec, ForeignKey, TableInfo, TableRef

from ..errors import check_database_file, missing_source, replaced_source
from .duckdb_dialect import DuckDbDialect
from .duckdb_errors import opening_error
from .duckdb_session import DuckSession, column_info, settings

EXACT_ROWS = 100_000
"""Tables that DuckDB estimates to be smaller are counted."""
_COUNTS_AT_ONCE = 100
_ROW_ID = "rowid"
_PART_ROWS = 262_144
"""So many rows are sorted at a time."""
_MOST_GAPS = 16
"""Keys farther apart than that on average would make too many parts of nothing."""
_MAIN = "main"

_Constraint = tuple[str, TableRef | None, tuple[str, ...], tuple[str, ...]]
"""Its kind, the table it refers to, and the columns on both sides."""


class DuckDbSession(DuckSession):
    """An open DuckDB file."""

    def __init__(self, connection: ConnectionSpec) -> None:
        path = Path(connection.database)
        check_database_file(
            path,
            kind="A DuckDB",
            do="Choose the file inside it, often named .duckdb or .db; or open the folder as files.",
        )
        opened = _open(path)
        try:
            catalog = opened.execute("SELECT current_database()").fetchall()[0][0]
        except duckdb.Error as error:
            opened.close()
            raise opening_error(error, path) from error
        super().__init__(path, opened, DuckDbDialect(catalog))
        self._catalog = catalog
        self._file = _same_file(path)

    @property
    def read_only(self) -> str:
        """Return the badge's sentence."""
        return "Read-only, enforced by DuckDB: file opened read-only, nothing outside it reachable, settings locked."

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Nothing to do: while the file is open for reading, DuckDB keeps every writer out."""
        yield

    def identity(self) -> Mapping[str, str | int]:
        """Return path, sizes and times of the file and its write-ahead log."""
        if _same_file(self._path) != self._file:
            raise replaced_source(self._path)
        state = self._path.stat()
        facts: dict[str, str | int] = {
            "path": str(self._path.resolve()),
            "size": state.st_size,
            "mtime": state.st_mtime_ns,
        }
        with suppress(FileNotFoundError):  # most databases have no write-ahead log
            log = self._path.with_name(self._path.name + ".wal").stat()
            facts |= {"wal_size": log.st_size, "wal_mtime": log.st_mtime_ns}
        return facts

    # ------------------------------------------------------------------------------------------------ reflecting

    def tables(self) -> tuple[TableInfo, ...]:
        """Reflect every table and view of every schema; a view over something gone has no columns."""
        columns = self._columns()
        keys = self._constraints()
        tables = [
            TableInfo(ref, columns.get(ref, ()), is_view=False, **_keys(keys.get(ref, ())))
            for ref in self._refs("duckdb_tables", "table_name")
        ]
        views = [
            TableInfo(ref, self._view_columns(ref), is_view=True) for ref in self._refs("duckdb_views", "view_name")
        ]
        return tuple(sorted([*tables, *views], key=lambda table: (table.ref.schema or "", table.ref.name)))

    def with_row_counts(self, tables: Sequence[TableInfo]) -> tuple[TableInfo, ...]:
        """Count small tables; for large ones take DuckDB's own estimate."""
        source = _catalogue("duckdb_tables", "database_name", "schema_name", "table_name", "estimated_size")
        rows = self.fetch(
            sa.select(source.c.schema_name, source.c.table_name, source.c.estimated_size).where(self._ours(source))
        )
        estimates = {_ref(schema, name): int(size or 0) for schema, name, size in rows}
        small = [table.ref for table in tables if estimates.get(table.ref, EXACT_ROWS + 1) <= EXACT_ROWS]
        exact: dict[TableRef, int] = {}
        for start in range(0, len(small), _COUNTS_AT_ONCE):
            refs = small[start : start + _COUNTS_AT_ONCE]
            counts = (sa.select(sa.func.count()).select_from(_named(ref)).scalar_subquery() for ref in refs)
            exact |= zip(refs, self.fetch(sa.select(*counts))[0], strict=True)
        return tuple(_with_rows(table, exact.get(table.ref), estimates.get(table.ref)) for table in tables)

    def row_id(self, table: TableInfo) -> str | None:
        """Return rowid for tables without a column of that name."""
        hidden = table.is_view or any(column.name.lower() == _ROW_ID for column in table.columns)
        return None if hidden else _ROW_ID

    def _parts(self, statement: sa.Select[*tuple[Any, ...]]) -> Iterator[sa.Select[*tuple[Any, ...]]]:
        """Yield ranges of a whole-numbered key: DuckDB holds all rows it is to sort, so it gets some at a time."""
        key = statement.get_execution_options().get("row_key")
        limits = None
        if isinstance(key, sa.ColumnClause) and statement._order_by_clauses:
            limits = self._key_limits(key)
        if key is None or limits is None:
            yield statement
            return
        low, high, rows = limits
        step = -(-(high - low + 1) * _PART_ROWS // rows)
        for first in range(low, high + 1, step):
            yield statement.where(key.between(sa.literal(first), sa.literal(min(first + step - 1, high))))

    def _key_limits(self, key: sa.ColumnClause[Any]) -> tuple[int, int, int] | None:
        """Return lowest and highest key and their number; None where there are few, or they are not whole numbers."""
        low, high, rows, there = self.fetch(
            sa.select(sa.func.min(key), sa.func.max(key), sa.func.count(), sa.func.count(key))
        )[0]
        whole = type(low) is int and type(high) is int and rows == there
        return (low, high, rows) if whole and rows > _PART_ROWS and high - low < rows * _MOST_GAPS else None

    def _number_of(self, table: sa.TableClause) -> str | None:
        return _ROW_ID  # never asked for where a column hides it

    def _refs(self, function: str, name: str) -> list[TableRef]:
        source = _catalogue(function, "database_name", "schema_name", name, "internal")
        ours = sa.and_(self._ours(source), sa.not_(source.c.internal))
        return [_ref(*row) for row in self.fetch(sa.select(source.c.schema_name, source.c[name]).where(ours))]

    def _columns(self) -> dict[TableRef, tuple[ColumnInfo, ...]]:
        source = _catalogue(
            "duckdb_columns",
            *("database_name", "schema_name", "table_name", "column_name", "column_index"),
            *("is_nullable", "data_type"),
        )
        c = source.c
        rows = self.fetch(
            sa.select(c.schema_name, c.table_name, c.column_name, c.data_type, c.is_nullable)
            .where(self._ours(source))
            .order_by(c.schema_name, c.table_name, c.column_index)
        )
        found: dict[TableRef, list[ColumnInfo]] = {}
        for schema, table, name, declared, nullable in rows:
            column = column_info(name, declared, nullable=bool(nullable))
            found.setdefault(_ref(schema, table), []).append(column)
        return {ref: tuple(columns) for ref, columns in found.items()}

    def _constraints(self) -> dict[TableRef, list[_Constraint]]:
        source = _catalogue(
            "duckdb_constraints",
            *("database_name", "schema_name", "table_name", "constraint_index", "constraint_type"),
            *("constraint_column_names", "referenced_table", "referenced_column_names"),
        )
        c = source.c
        statement = (
            sa.select(
                *(c.schema_name, c.table_name, c.constraint_type, c.referenced_table),
                # DuckDB's own lists come as text; JSON can be read back whatever the names hold.
                sa.func.to_json(c.constraint_column_names),
                sa.func.to_json(c.referenced_column_names),
            )
            .where(self._ours(source))
            .order_by(c.schema_name, c.table_name, c.constraint_index)
        )
        found: dict[TableRef, list[_Constraint]] = {}
        for schema, table, kind, target, columns, others in self.fetch(statement):
            # DuckDB has no foreign keys between schemas, so it says the table's name alone.
            referenced = None if target is None else _ref(schema, target)
            found.setdefault(_ref(schema, table), []).append((kind, referenced, _names(columns), _names(others)))
        return found

    def _view_columns(self, view: TableRef) -> tuple[ColumnInfo, ...]:
        """Return what the view gives today; the catalogue knows only what it gave when it was made."""
        try:
            return self._columns_of(sa.select(sa.literal_column("*")).select_from(_named(view)))
        except (QueryError, SourceError):  # over something that is gone; listed, and reading it says why
            return ()

    def _ours(self, source: Any) -> sa.ColumnElement[bool]:
        return sa.and_(source.c.database_name == self._catalog)


def _with_rows(table: TableInfo, exact: int | None, estimate: int | None) -> TableInfo:
    rows = estimate if exact is None else exact
    return replace(table, rows=rows, rows_are_estimated=exact is None and estimate is not None)


def _keys(constraints: Sequence[_Constraint]) -> dict[str, Any]:
    primary = [names for kind, _, names, _ in constraints if kind == "PRIMARY KEY"]
    return {
        "primary_key": primary[0] if primary else (),
        "unique_keys": tuple(sorted(names for kind, _, names, _ in constraints if kind == "UNIQUE")),
        "foreign_keys": tuple(
            ForeignKey(names, target, others)
            for kind, target, names, others in constraints
            if kind == "FOREIGN KEY" and target is not None
        ),
    }


def _catalogue(function: str, *columns: str) -> Any:
    return getattr(sa.func, function)().table_valued(*columns)


def _named(ref: TableRef) -> sa.TableClause:
    schema = None if ref.schema is None else quoted_name(ref.schema, True)
    return sa.table(quoted_name(ref.name, True), schema=schema)


def _ref(schema: str, name: str) -> TableRef:
    return TableRef(name, None if schema == _MAIN else schema)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    guards = {"enable_external_access": "false", "lock_configuration": "true"}
    try:
        return duckdb.connect(str(path), read_only=True, config={**settings(), **guards})
    except duckdb.Error as error:
        raise opening_error(error, path) from error


def _same_file(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise missing_source(path) from error
    return state.st_dev, state.st_ino

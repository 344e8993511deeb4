"""What the columns of a SELECT are in an SQLite file: numbers of rows, texts that are surely texts, whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import ColumnClause, FromClause, Label, TableClause
from sqlalchemy.sql.selectable import Alias

from crosslens.errors import UserError

from ..columns import Kind

Statement = sa.Select[*tuple[Any, ...]]
_ROW_IDS = {"rowid", "_rowid_", "oid"}
_TEXT_TYPES = ("CHAR", "CLOB", "TEXT")
_ALWAYS_TEXT = {"group_concat", "json_group_array"}


class Asked(Protocol):
    """What is asked of the guarded connection."""

    def rendered(self, statement: Statement) -> tuple[str, dict[str, Any]]:
        """Return the text of a statement with the values it has."""

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a text that Crosslens wrote."""

    def pragma(self, name: str, argument: str) -> list[tuple[Any, ...]]:
        """Return what a PRAGMA says of a table or index."""


def table_of(column: ColumnClause[Any]) -> TableClause | None:
    """Return the table a column is of, whatever it is called in the statement; None for a subquery's."""
    source: FromClause | None = column.table
    while isinstance(source, Alias):
        source = source.element
    return source if isinstance(source, TableClause) else None


def inner(column: Any) -> sa.ColumnElement[Any]:
    """Return a column without its label."""
    element: sa.ColumnElement[Any] = column.element if isinstance(column, Label) else column
    return element


def numbers_rows(session: Asked, key: ColumnClause[Any]) -> bool:
    """Whether a column is SQLite's own number of a table's rows: INTEGER PRIMARY KEY, or one of its hidden names."""
    table = table_of(key)
    if table is None:
        return False
    try:
        columns = session.pragma("table_xinfo", table.name)
        indexes = session.pragma("index_list", table.name)
    except UserError:
        return False
    names = {row[1].lower() for row in columns}
    if key.name.lower() in _ROW_IDS - names:
        return True
    keys = [(row[1], (row[2] or "").upper()) for row in columns if row[5]]
    # The key of a table WITHOUT ROWID, or a descending one, has an index of its own.
    return keys == [(key.name, "INTEGER")] and not any(row[3] == "pk" for row in indexes)


def declared_type(session: Asked, column: ColumnClause[Any]) -> str:
    """Return the declared type of a table's column in capitals; nothing for a view's, and for what has none."""
    table = table_of(column)
    if table is None:
        return ""
    kinds = {row[1]: row[2] for row in session.run("PRAGMA table_list") if row[0] == "main"}
    if kinds.get(table.name) != "table":
        return ""
    return {row[1]: (row[2] or "").upper() for row in session.pragma("table_xinfo", table.name)}.get(column.name, "")


def checked(session: Asked, statement: Statement, kinds: Sequence[Kind]) -> tuple[Statement, bool]:
    """Return the statement with one column more, 0 where all texts are texts, and whether it needed one."""
    columns = [inner(column) for column in statement.selected_columns]
    texts = [column for column, kind in zip(columns, kinds, strict=True) if kind is Kind.TEXT]
    checks = [_wrong_type(column) for column in texts if not is_text(session, column)]
    return (statement.add_columns(sum(checks[1:], checks[0]).label("wrong")), True) if checks else (statement, False)


def _wrong_type(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    kind = sa.func.typeof(column)
    return sa.case((kind == "text", 0), (kind == "null", 0), else_=1)


def is_text(session: Asked, column: sa.ColumnElement[Any]) -> bool:
    """Whether SQLite itself sees to it that a column holds no numbers."""
    if isinstance(column, sa.ScalarSelect):
        column = inner(next(iter(column.element.selected_columns)))
    if isinstance(column, sa.Function):
        return column.name in _ALWAYS_TEXT
    word = declared_type(session, column) if isinstance(column, ColumnClause) else ""
    return "INT" not in word and any(part in word for part in _TEXT_TYPES)


def holds_integers(session: Asked, column: ColumnClause[Any]) -> bool:
    """Whether SQLite makes whole numbers of whatever reads like one; other values may be among them."""
    return "INT" in declared_type(session, column)

"""Rows of a table for the browser: the next ones after an anchor, never a count, never an offset where a key is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from crosslens.errors import QueryError
from crosslens.relational import Page, TableInfo

from .compile import named_table
from .engines import Session

TEXT_CHARACTERS = 500
"""Longer text is cut for display."""

Anchor = tuple[Any, ...]


def read_page(session: Session, table: TableInfo, *, after: Anchor | None, rows: int) -> Page:
    """Return up to `rows` rows by row number, else by primary key, else (views) by offset."""
    row_id = session.row_id(table)
    source = named_table(table, "t", row_id)
    columns = [source.c[column.name].label(f"c{number}") for number, column in enumerate(table.columns)]
    key = [source.c[name] for name in ((row_id,) if row_id is not None else table.primary_key)]
    statement = sa.select(*columns, *(column.label(f"k{number}") for number, column in enumerate(key)))
    if key:
        statement = statement.order_by(*key)
        statement = statement if after is None else statement.where(_behind(key, _checked(after, len(key))))
    else:
        statement = statement.offset(0 if after is None else _checked(after, 1)[0])
    found = session.fetch(statement.limit(rows + 1))
    shown = tuple(tuple(display_value(value) for value in row[: len(columns)]) for row in found[:rows])
    return Page(table.columns, shown, _anchor(found, rows, len(columns), after, bool(key)))


def display_value(value: Any) -> str | int | float | None:
    """Return what the browser shows: bytes as their size, long text cut, numbers as they are."""
    if isinstance(value, bytes):
        return f"‹{len(value)} bytes›"
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS:
        return value[:TEXT_CHARACTERS] + "…"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "-∞"  # JSON has no word for it
    return value  # type: ignore[no-any-return]


def _behind(key: Sequence[sa.ColumnElement[Any]], after: Anchor) -> sa.ColumnElement[bool]:
    if len(key) == 1:
        return key[0] > sa.bindparam(None, after[0])
    return sa.tuple_(*key) > sa.tuple_(*(sa.bindparam(None, value) for value in after))


def _anchor(found: list[Anchor], rows: int, width: int, after: Anchor | None, has_key: bool) -> Anchor | None:
    if len(found) <= rows:
        return None
    return found[rows - 1][width:] if has_key else ((after or (0,))[0] + rows,)


def _checked(after: Anchor, length: int) -> Anchor:
    if len(after) != length:
        raise QueryError(
            "This page cannot be found again.",
            why="The table's key has changed since the page before it was read.",
            do="Start again at the first page.",
        )
    return after

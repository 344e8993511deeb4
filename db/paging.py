"""Rows for the browser: behind an anchor, in front of one, or near a share of the table; never counted where a key is.

A key (the row number, else the primary key) makes every page one step into an index. A place in the middle is guessed
from the smallest and the largest key, as one guesses where a name stands in a telephone book. Views and the user's own
SELECT have no key and are read by offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol, runtime_checkable

import sqlalchemy as sa
from sqlalchemy.sql import FromClause

from crosslens.errors import QueryError
from crosslens.relational import Page, TableInfo

from .anchors import Anchor, between, from_anchor, to_anchor
from .engines import Session
from .naming import named_table, own_rows

TEXT_CHARACTERS = 500
"""Longer text is cut for display."""

Column = sa.ColumnElement[Any]
Found = list[tuple[Any, ...]]


@runtime_checkable
class GoesToRows(Protocol):
    """A session that can go to a row by its number (files do): what `row_id` counts, from 1 on without gaps."""

    def rows_at(self, table: TableInfo, first: int, rows: int) -> Found | None:
        """Return at most `rows` rows from the row number `first` on; None where nothing leads to them."""

    def count_rows(self, table: TableInfo) -> int | None:
        """Return how many rows there are; None where only reading them all would tell."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which page: behind `after`, in front of `before`, or near a share 0..1; the first one if none is given."""

    after: Anchor | None = None
    before: Anchor | None = None
    near: float | None = None


def read_page(session: Session, table: TableInfo, place: Place, *, rows: int, select: str = "") -> Page:
    """Return up to `rows` rows of a table, or of the user's own SELECT, whose columns `table` describes."""
    if sum(given is not None for given in (place.after, place.before, place.near)) > 1:
        raise ValueError("a page is behind an anchor, in front of one, or near a share")
    row_id = None if select else session.row_id(table)
    if row_id is not None and isinstance(session, GoesToRows):
        page = _gone_to(session, table, place, rows)
        if page is not None:
            return page
    source = own_rows(select, table, "t") if select else named_table(table, "t", row_id)
    names = (row_id,) if row_id is not None else table.primary_key
    key = [source.c[name] for name in names]
    reader = _Reader(session, table, source, key, rows)
    if not key:
        return reader.by_offset(place)
    # Only SQLite lets a primary key hold NULL, and only in tables that also have row numbers.
    loose = row_id is None and session.dialect.name == "sqlite"
    reader.nullable = loose and any(table.column(name).nullable for name in names)
    return reader.by_key(place)


def display_value(value: Any) -> Any:
    """Return what the browser shows: bytes as their size, long text cut, lists as text, numbers as they are."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"‹{len(value)} bytes›"
    if isinstance(value, (list, tuple, dict, set)):
        value = _collection(value)
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS:
        return value[:TEXT_CHARACTERS] + "…"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "-∞"  # JSON has no word for it
    return value


def _collection(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {display_value(entry)}" for key, entry in value.items()) + "}"
    return "[" + ", ".join("NULL" if entry is None else str(display_value(entry)) for entry in value) + "]"


def _gone_to(session: GoesToRows, table: TableInfo, place: Place, rows: int) -> Page | None:
    """Return the page by the numbers of its rows; None where these do not lead to them."""
    first, wanted = 1, rows
    if place.after is not None:
        first = _number(place.after) + 1
    elif place.before is not None:
        end = _number(place.before)
        first = max(1, end - rows)
        wanted = end - first
    elif place.near is not None and place.near > 0:
        count = session.count_rows(table)
        if count is None:
            return None
        first = 1 + max(0, min(int(count * place.near), count - rows))
    found = session.rows_at(table, first, wanted + 1)
    if found is None:
        return None
    shown = tuple(tuple(display_value(value) for value in row) for row in found[:wanted])
    anchor = (first + wanted - 1,) if len(found) > wanted else None
    return Page(table.columns, shown, anchor, (first,) if first > 1 else None)


def _number(anchor: Anchor) -> int:
    values = from_anchor(anchor)
    if len(values) != 1 or not isinstance(values[0], int) or values[0] < 0:
        raise _lost()
    return values[0]


class _Reader:
    """Reads pages of one table."""

    def __init__(
        self, session: Session, table: TableInfo, source: FromClause, key: Sequence[Column], rows: int
    ) -> None:
        self._session = session
        self._table = table
        self._key = key
        self._rows = rows
        columns = [source.c[column.name].label(f"c{number}") for number, column in enumerate(table.columns)]
        keys = [column.label(f"k{number}") for number, column in enumerate(key)]
        self._source = source
        self._select = sa.select(*columns, *keys)
        self.nullable = False

    def by_key(self, place: Place) -> Page:
        if place.after is not None:
            return self._behind(self._values(place.after))
        if place.before is not None:
            return self._in_front(self._values(place.before))
        if place.near is None or place.near <= 0:
            return self._page(self._forward(), first=True)
        return self._near(place.near)

    def by_offset(self, place: Place) -> Page:
        """Anchors are offsets: where the next page begins, and where this one did."""
        if place.before is not None:
            end = _number(place.before)
            return self._at(max(0, end - self._rows), min(self._rows, end))
        if place.near is not None and place.near > 0:
            count = int(self._session.fetch(sa.select(sa.func.count()).select_from(self._source))[0][0])
            return self._at(min(int(count * place.near), max(0, count - self._rows)), self._rows)
        return self._at(0 if place.after is None else _number(place.after), self._rows)

    def _at(self, offset: int, rows: int) -> Page:
        found = self._session.fetch(self._select.offset(offset).limit(rows + 1))
        anchor = (offset + rows,) if len(found) > rows else None
        return self._shown(found[:rows], anchor, (offset,) if offset else None)

    def _behind(self, values: Sequence[Any]) -> Page:
        return self._page(self._forward(self._compared(values, forward=True)), first=False)

    def _in_front(self, values: Sequence[Any]) -> Page:
        found = self._backward(self._compared(values, forward=False))
        more, kept = len(found) > self._rows, found[: self._rows][::-1]
        start = self._anchor(kept[0]) if more else None
        return self._shown(kept, self._anchor(kept[-1]) if kept else None, start)

    def _near(self, share: float) -> Page:
        """Guess a key at that share of the way from the first to the last one; at the end, the last page."""
        column = self._key[0]
        low, high = (self._end(column, function) for function in (sa.func.min, sa.func.max))
        value = between(low, high, share) if share < 1 else None
        if share < 1 and value is None:
            return self._skip(share)
        found = [] if value is None else self._forward(column >= sa.bindparam(None, value))
        if len(found) < self._rows:
            return self._last()
        first = self._session.fetch(self._ordered(self._select).limit(1))
        return self._page(found, first=bool(first) and self._keys(first[0]) == self._keys(found[0]))

    def _last(self) -> Page:
        found = self._backward()
        more, kept = len(found) > self._rows, found[: self._rows][::-1]
        return self._shown(kept, None, self._anchor(kept[0]) if more else None)

    def _skip(self, share: float) -> Page:
        """Count off rows in the order of the key: where keys cannot be guessed."""
        known = self._session.with_row_counts((self._table,))[0].rows
        count = known or int(self._session.fetch(sa.select(sa.func.count()).select_from(self._source))[0][0])
        offset = max(0, min(int(count * share), count - self._rows))
        found = self._session.fetch(self._ordered(self._select).offset(offset).limit(self._rows + 1))
        return self._page(found, first=offset == 0) if found else self._last()

    def _end(self, column: Column, function: Any) -> Any:
        return self._session.fetch(sa.select(function(column)))[0][0]

    def _forward(self, *conditions: sa.ColumnElement[bool]) -> Found:
        return self._session.fetch(self._ordered(self._select.where(*conditions)).limit(self._rows + 1))

    def _backward(self, *conditions: sa.ColumnElement[bool]) -> Found:
        down = self._select.where(*conditions).order_by(*(column.desc() for column in self._key))
        return self._session.fetch(down.limit(self._rows + 1))

    def _ordered(self, select: Any) -> Any:
        return select.order_by(*self._key)

    def _page(self, found: Found, *, first: bool) -> Page:
        kept = found[: self._rows]
        anchor = self._anchor(kept[-1]) if len(found) > self._rows else None
        return self._shown(kept, anchor, None if first or not kept else self._anchor(kept[0]))

    def _shown(self, found: Found, anchor: Anchor | None, start: Anchor | None) -> Page:
        width = len(self._table.columns)
        shown = tuple(tuple(display_value(value) for value in row[:width]) for row in found)
        return Page(self._table.columns, shown, anchor, start)

    def _keys(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        return row[len(self._table.columns) :]

    def _anchor(self, row: tuple[Any, ...]) -> Anchor:
        return to_anchor(self._keys(row))

    def _values(self, anchor: Anchor) -> Sequence[Any]:
        values = from_anchor(anchor)
        if len(values) != len(self._key):
            raise _lost()
        return values

    def _compared(self, values: Sequence[Any], *, forward: bool) -> sa.ColumnElement[bool]:
        """Return whether a row stands behind (in front of) a key, written so that an index can be used."""
        pairs = list(zip(self._key, values, strict=True))
        if self.nullable:
            return _or([_step(pairs[:n], *pairs[n], forward=forward, nullable=True) for n in range(len(pairs))])
        if len(pairs) == 1:
            return _beyond(*pairs[0], forward=forward, nullable=False)
        column, value = pairs[0]
        bound = column >= sa.bindparam(None, value) if forward else column <= sa.bindparam(None, value)
        steps = [_step(pairs[:n], *pairs[n], forward=forward, nullable=False) for n in range(len(pairs))]
        return sa.and_(bound, _or(steps))


def _step(
    same: Sequence[tuple[Column, Any]], column: Column, value: Any, *, forward: bool, nullable: bool
) -> sa.ColumnElement[bool]:
    equal = [key.is_(None) if known is None else key == sa.bindparam(None, known) for key, known in same]
    return sa.and_(*equal, _beyond(column, value, forward=forward, nullable=nullable))


def _beyond(column: Column, value: Any, *, forward: bool, nullable: bool) -> sa.ColumnElement[bool]:
    """NULL comes before everything."""
    if value is None:
        return column.is_not(None) if forward else sa.false()
    if forward:
        return column > sa.bindparam(None, value)
    less = column < sa.bindparam(None, value)
    return sa.or_(less, column.is_(None)) if nullable else less


def _or(conditions: Sequence[sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    return reduce(sa.or_, conditions)


def _lost() -> QueryError:
    return QueryError(
        "This page cannot be found again.",
        why="The table's key has changed since the page before it was read.",
        do="Start again at the first page.",
    )

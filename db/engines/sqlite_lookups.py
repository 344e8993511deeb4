"""Lookups a reader process makes in memory: to walk down a table's tree for every row takes longer than all the rest.

    SELECT b.x, u.city FROM b LEFT JOIN u ON u.id = b.user_id
    becomes  SELECT b.x, b.user_id FROM b  and once  SELECT u.id, u.city FROM u

That holds where the table is small, `u.id` is SQLite's own number of its rows (so there is one row at most) with few
gaps, the column looked up is one of the base and holds whole numbers (anything else the reader reads with the whole
statement), and nothing but columns of the result is taken from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnClause, FromClause
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression

from ..columns import Kind
from .sqlite_columns import Asked, Statement, declared_type, holds_integers, inner, is_text, numbers_rows

MOST_ROWS = 1 << 17
"""Larger tables are joined by SQLite: their rows would take memory, and reading them all may be in vain."""
_GAPS = 4
"""Rows are found by an array with an entry for each number from the lowest on: at most so many a row."""
_HIGHEST = 2**62
"""Beyond, to count from the lowest number on could leave 64 bits."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """`statement` gives row numbers in order, then columns of `kinds`; column `key` of the lean rows is looked up."""

    statement: Statement
    key: int
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Lean:
    """A statement without some of its joins, the lookups that take their place, and where each column comes from.

    `places`: (0, i) is column i of the statement, (n, i) column i of lookup n - 1.
    """

    statement: Statement
    kinds: tuple[Kind, ...]
    lookups: tuple[Lookup, ...]
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Join:
    """One LEFT JOIN of a chain."""

    table: FromClause
    condition: sa.ColumnElement[bool]

    @property
    def keys(self) -> tuple[ColumnClause[Any], ColumnClause[Any]] | None:
        """Return the two columns that are equal, the table's own last; None for other conditions."""
        on = self.condition
        if not isinstance(on, BinaryExpression) or on.operator is not operators.eq:
            return None
        sides = on.left, on.right
        outer, own = sides if _is_of(on.right, self.table) else sides[::-1]
        if not isinstance(outer, ColumnClause) or not isinstance(own, ColumnClause) or not _is_of(own, self.table):
            return None
        return outer, own


def lean(session: Asked, statement: Statement, kinds: Sequence[Kind], key: ColumnClause[Any]) -> Lean | None:
    """Return a statement in the order of the base's `key` without its lookups; None where it has none."""
    tables, joins = _chain(statement)
    chosen = [join for join in joins if _can_be_looked_up(session, statement, kinds, join, joins, key)]
    if not chosen:
        return None
    for join in joins:
        if join not in chosen:
            tables = tables.outerjoin(join.table, join.condition)
    return _Parting(statement, kinds, chosen).lean(tables, key)


class _Parting:
    """Shares the columns of a result out."""

    def __init__(self, statement: Statement, kinds: Sequence[Kind], joins: Sequence[_Join]) -> None:
        self._whole = statement
        self._joins = joins
        self._columns: list[tuple[sa.ColumnElement[Any], Kind]] = []
        self._found: list[list[tuple[sa.ColumnElement[Any], Kind]]] = [[] for _ in joins]
        self._places: list[tuple[int, int]] = []
        for column, kind in zip(map(inner, statement.selected_columns), kinds, strict=True):
            source = next((number for number, join in enumerate(joins) if _is_of(column, join.table)), -1)
            into = self._columns if source < 0 else self._found[source]
            self._places.append((source + 1, len(into)))
            into.append((column, kind))

    def lean(self, tables: FromClause, key: ColumnClause[Any]) -> Lean:
        lookups = tuple(self._lookup(join, found) for join, found in zip(self._joins, self._found, strict=True))
        statement = sa.select(*_labelled(column for column, _ in self._columns)).select_from(tables)
        if self._whole.whereclause is not None:
            statement = statement.where(self._whole.whereclause)
        kinds = tuple(kind for _, kind in self._columns)
        return Lean(statement.order_by(key), kinds, lookups, tuple(self._places))

    def _lookup(self, join: _Join, found: Sequence[tuple[sa.ColumnElement[Any], Kind]]) -> Lookup:
        assert join.keys is not None, "chosen for its keys"
        outer, own = join.keys
        columns = _labelled([own, *(column for column, _ in found)])
        statement = sa.select(*columns).select_from(join.table).order_by(own)
        return Lookup(statement, self._place_of(outer), tuple(kind for _, kind in found))

    def _place_of(self, outer: ColumnClause[Any]) -> int:
        for place, (column, kind) in enumerate(self._columns):
            if column is outer and kind is Kind.INTEGER:
                return place
        self._columns.append((outer, Kind.INTEGER))
        return len(self._columns) - 1


def _labelled(columns: Any) -> list[sa.Label[Any]]:
    return [column.label(f"c{number}") for number, column in enumerate(columns)]


def _chain(statement: Statement) -> tuple[FromClause, list[_Join]]:
    """Return the base and the LEFT JOINs that follow it, in their order."""
    (tables,) = statement.get_final_froms()
    joins: list[_Join] = []
    while isinstance(tables, sa.Join) and tables.isouter and not tables.full and tables.onclause is not None:
        joins.insert(0, _Join(tables.right, tables.onclause))
        tables = tables.left
    return tables, joins


def _can_be_looked_up(
    session: Asked,
    statement: Statement,
    kinds: Sequence[Kind],
    join: _Join,
    joins: Sequence[_Join],
    key: ColumnClause[Any],
) -> bool:
    if join.keys is None:
        return False
    outer, own = join.keys
    columns = [inner(column) for column in statement.selected_columns]
    taken = [(column, kind) for column, kind in zip(columns, kinds, strict=True) if _is_of(column, join.table)]
    elsewhere = [column for column in columns if not _is_of(column, join.table)]
    elsewhere += [other.condition for other in joins if other is not join]
    elsewhere += [] if statement.whereclause is None else [statement.whereclause]
    checks: tuple[Callable[[], bool], ...] = (
        lambda: outer.table is key.table,
        lambda: not any(_speaks_of(element, join.table) for element in elsewhere),
        lambda: numbers_rows(session, own) and declared_type(session, own) == "INTEGER",
        lambda: holds_integers(session, outer) or numbers_rows(session, outer),
        lambda: all(kind is not Kind.TEXT or is_text(session, column) for column, kind in taken),
        lambda: _is_small(session, own),
    )
    return all(check() for check in checks)


def _is_of(column: object, table: FromClause) -> bool:
    return isinstance(column, ColumnClause) and column.table is table


def _speaks_of(element: sa.ColumnElement[Any], table: FromClause) -> bool:
    return any(_is_of(part, table) for part in visitors.iterate(element))


def _is_small(session: Asked, key: ColumnClause[Any]) -> bool:
    table = key.table
    assert table is not None
    some = sa.select(key.label("n")).select_from(table).limit(MOST_ROWS + 1).subquery("some")
    ends = (sa.select(end(key)).select_from(table).scalar_subquery() for end in (sa.func.min, sa.func.max))
    rows = sa.select(sa.func.count()).select_from(some).scalar_subquery()
    low, high, count = session.run(*session.rendered(sa.select(*ends, rows)))[0]
    if not count:
        return True
    return bool(count <= MOST_ROWS and high - low < _GAPS * count and max(-low, high) < _HIGHEST)

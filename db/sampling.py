"""Some rows of a large table, from all over it, without reading all of it.

Where the rows have numbers (a row number, or a whole number as key), blocks of consecutive rows at random places, each
one step into the table; in PostgreSQL, random pages; anywhere else, the first rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import FromClause, quoted_name

from crosslens.relational import ColumnType, TableInfo

from .compile import Draw
from .engines import Session
from .naming import named_table

SAMPLE_ROWS = 100_000
"""At most so many rows are looked at to profile columns or to measure joins."""
_BLOCKS = 100
_ENOUGH = 0.1
_PAGES_MORE = 1.2

Condition = Callable[[Any], sa.ColumnElement[bool]]


def sample_rows(session: Session, table: TableInfo, row_id: str | None, rows: int) -> Draw | None:
    """Return what draws at most `rows` rows from all over a table, the same ones each time.

    None when all rows are few enough, or there is no way but to read from the start.
    """
    number = _number(table, row_id)
    if number is not None:
        low, high = _ends(session, table, number)
        if low is not None and high - low < rows:
            return None
        condition = None if low is None else _blocks(low, high, rows)
        if condition is not None and _count(session, table, number, condition) >= _ENOUGH * rows:
            return lambda base: _some(base, base, rows, condition(base.c[number]))
    if session.dialect.name == "postgresql" and not table.is_view:
        known = session.with_row_counts((table,))[0].rows
        if known is not None and known > rows:
            return lambda base: _some(base, _pages(base, 100 * _PAGES_MORE * rows / known), rows)
    return None


def first_rows(rows: int) -> Draw:
    """Return what draws the first `rows` rows, whichever these are: of a view, or the user's own SELECT."""
    return lambda base: _some(base, base, rows)


def _number(table: TableInfo, row_id: str | None) -> str | None:
    if row_id is not None or len(table.primary_key) != 1:
        return row_id
    (name,) = table.primary_key
    return name if table.column(name).type is ColumnType.INTEGER else None


def _ends(session: Session, table: TableInfo, number: str) -> tuple[int | None, int]:
    """Return lowest and highest number; two questions, because one for both would read the whole table."""
    column = _source(table, number).c[number]
    ends = [sa.select(function(column)).scalar_subquery() for function in (sa.func.min, sa.func.max)]
    low, high = session.fetch(sa.select(*ends))[0]
    # A column declared as a number may hold text in a database that does not mind.
    return (low, high) if isinstance(low, int) and isinstance(high, int) else (None, 0)


def _count(session: Session, table: TableInfo, number: str, condition: Condition) -> int:
    source = _source(table, number)
    return int(session.fetch(sa.select(sa.func.count()).select_from(source).where(condition(source.c[number])))[0][0])


def _source(table: TableInfo, number: str) -> FromClause:
    known = {column.name for column in table.columns}
    return named_table(table, "t", None if number in known else number)


def _blocks(low: int, high: int, rows: int) -> Condition:
    size = max(1, rows // _BLOCKS)
    blocks = (high - low) // size + 1
    places = random.Random(0).sample(range(blocks), min(_BLOCKS, blocks))
    starts = sorted(low + place * size for place in places)
    return lambda number: sa.or_(*(number.between(start, start + size - 1) for start in starts))


def _pages(base: FromClause, percent: float) -> FromClause:
    table = base.element  # type: ignore[attr-defined]
    share = sa.literal(min(100.0, percent), sa.Float())
    return sa.tablesample(table, sa.func.system(share), name=quoted_name("t", True), seed=sa.literal(0))


def _some(base: FromClause, rows: FromClause, limit: int, *conditions: sa.ColumnElement[bool]) -> FromClause:
    few = sa.select(*rows.c).where(*conditions).limit(limit)
    return few.subquery(quoted_name(str(base.name), True))  # type: ignore[attr-defined]

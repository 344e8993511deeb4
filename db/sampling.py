"""Some rows of a large table, from all over it, without reading all of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from crosslens.relational import TableInfo

from .compile import named_table
from .engines import Session

SAMPLE_ROWS = 100_000
"""At most so many rows are looked at to profile columns or to measure joins."""
_BLOCKS = 100
_ENOUGH = 0.1

Condition = Callable[[Any], sa.ColumnElement[bool]]


def sample_condition(session: Session, table: TableInfo, row_id: str | None, rows: int) -> Condition | None:
    """Return a condition on the row number that holds for at most `rows` rows; None when all rows are few enough.

    Takes blocks of consecutive rows at random places (the same ones each time): each is one step into the table.
    """
    if row_id is None:
        return None
    source = named_table(table, "t", row_id)
    number = source.c[row_id]
    low, high = session.fetch(
        sa.select(sa.select(sa.func.min(number)).scalar_subquery(), sa.select(sa.func.max(number)).scalar_subquery())
    )[0]
    if low is None or high - low < rows:
        return None
    condition = _blocks(low, high, rows)
    found = session.fetch(sa.select(sa.func.count()).select_from(source).where(condition(number)))[0][0]
    return condition if found >= _ENOUGH * rows else None  # row numbers far apart: read from the start instead


def _blocks(low: int, high: int, rows: int) -> Condition:
    size = rows // _BLOCKS
    places = random.Random(0).sample(range((high - low) // size + 1), _BLOCKS)
    starts = sorted(low + place * size for place in places)
    return lambda number: sa.or_(*(number.between(start, start + size - 1) for start in starts))

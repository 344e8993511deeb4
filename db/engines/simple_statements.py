"""Statements so simple that no database is needed to answer them: columns of one table, or how many rows it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Asked:
    """All rows of a table, in the order they stand in: some columns of them, or only their number (no columns)."""

    schema: str | None
    table: str
    columns: tuple[str, ...]


def simply_asked(statement: sa.Select[*tuple[Any, ...]]) -> Asked | None:
    """Return what a statement asks for; None if it does anything besides."""
    sources = statement.get_final_froms()
    if len(sources) != 1 or not isinstance(source := sources[0], sa.Alias):
        return None
    table = source.element
    columns = [column.element if isinstance(column, sa.Label) else column for column in statement.selected_columns]
    plain = sa.select(*statement.selected_columns).select_from(source)
    if not isinstance(table, sa.TableClause) or not statement.compare(plain):
        return None
    if len(columns) == 1 and columns[0].compare(sa.func.count()):
        return Asked(table.schema, table.name, ())
    if all(isinstance(column, sa.ColumnClause) and column.table is source for column in columns):
        return Asked(table.schema, table.name, tuple(column.name for column in columns))
    return None

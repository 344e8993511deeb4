"""Tables and columns under safe names: every identifier quoted, none too long, none twice in one statement."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import FromClause, quoted_name

from crosslens.relational import TableInfo

from .own_select import own_select
from .plan import Plan

_LONGEST = 60
"""Bytes of a name that every database keeps whole; PostgreSQL silently cuts at 63."""


def named_table(table: TableInfo, name: str, row_id: str | None = None) -> FromClause:
    """Return a table under a name, every identifier quoted; `row_id` adds the hidden row number."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(quoted_name(column.name, True)) for column in table.columns]
    if row_id is not None:
        columns.append(sa.column(quoted_name(row_id, False)))
    schema = None if table.ref.schema is None else quoted_name(table.ref.schema, True)
    return sa.table(quoted_name(table.ref.name, True), *columns, schema=schema).alias(quoted_name(name, True))


def own_rows(select: str, table: TableInfo, name: str) -> FromClause:
    """Return the user's own SELECT as a subquery under a name; it has been checked."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(quoted_name(column.name, True)) for column in table.columns]
    # Lines of its own, because a comment at its end would swallow the bracket.
    return own_select(f"\n{select}\n").columns(*columns).subquery(quoted_name(name, True))


def source_name(plan: Plan, source: str) -> str:
    """Return what a source is called in the statement: its own name, or a short one where that is too long."""
    if len(source.encode()) <= _LONGEST:
        return source
    return free_name(plan, f"t{list(plan.tables).index(source)}")


def free_name(plan: Plan, wanted: str) -> str:
    """Return `wanted`, or something like it that no source of the query is called."""
    taken = {name.casefold() for name in plan.tables}
    while wanted in taken:
        wanted += "_"
    return wanted

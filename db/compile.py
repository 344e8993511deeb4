"""From a checked query to one SELECT that has exactly the rows of the base table.

    LOOKUP   LEFT JOIN table ON keys
    EXISTS   LEFT JOIN (SELECT DISTINCT keys FROM table [JOIN parents]) ON keys, flag = keys matched

Result columns are named by position (c0, c1, ...), so no name of the database can collide with another.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import FromClause, quoted_name

from crosslens.errors import QueryError
from crosslens.relational import ColumnRef, Comparison, FilterSpec, JoinKind, JoinSpec, TableInfo

from .plan import Plan, referenced

_OPERATORS: dict[Comparison, Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    Comparison.EQUAL: operator.eq,
    Comparison.NOT_EQUAL: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.LESS_EQUAL: operator.le,
    Comparison.GREATER: operator.gt,
    Comparison.GREATER_EQUAL: operator.ge,
}


class Statement:
    """The FROM part of a query, growing join by join, and the columns it offers."""

    def __init__(self, plan: Plan, joins: Iterable[JoinSpec], *, row_id: str | None = None) -> None:
        self.plan = plan
        self.base = named_table(plan.base, plan.query.base.name, row_id)
        self._sources: dict[str, FromClause] = {plan.query.base.name: self.base}
        self.tables: FromClause = self.base
        for join in joins:
            self._add(join)

    def column(self, ref: ColumnRef) -> sa.ColumnElement[Any]:
        """Return a column, or the 0/1 flag of an EXISTS join."""
        source = self._sources[ref.source]
        if self.plan.is_flag(ref.source):
            return sa.case((next(iter(source.c)).is_(None), 0), else_=1)
        return source.c[ref.column]

    def join(self, name: str, partner: FromClause, matches: Iterable[tuple[ColumnRef, Any]]) -> None:
        """Join `partner` under `name` where each column of what is there equals a column of it."""
        equal = [self.column(ref) == key for ref, key in matches]
        self.tables = self.tables.outerjoin(partner, sa.and_(*equal))
        self._sources[name] = partner

    def conditions(self, filters: Iterable[FilterSpec]) -> list[sa.ColumnElement[bool]]:
        """Return filters as conditions, values bound."""
        return [_condition(self.column(item.column), item) for item in filters]

    def _add(self, join: JoinSpec) -> None:
        if join.kind is JoinKind.LOOKUP:
            table = named_table(self.plan.tables[join.name], join.name)
            self.join(join.name, table, [(ref, table.c[column]) for ref, column in join.on])
        else:
            keys = partner_keys(self.plan, join).distinct().subquery(quoted_name(join.name, True))
            self.join(join.name, keys, zip(self.plan.outer_keys(join), keys.c, strict=True))


def select_rows(
    plan: Plan, *, row_id: str | None = None, sample: Callable[[Any], Any] | None = None
) -> sa.Select[*tuple[Any, ...]]:
    """Return the SELECT of a query in the order of the key; when limited, the latest rows by time, oldest first.

    The execution option `row_key` is the column of the base that alone orders the rows, for engines that read ranges.
    `row_id` orders a table without primary key. `sample` makes a condition of the row number and lifts order and limit.
    """
    if not plan.query.columns:
        raise QueryError("The query takes no columns.", do="Choose at least one column.")
    statement = Statement(plan, plan.needed(referenced(plan.query)), row_id=row_id)
    columns = [statement.column(ref).label(f"c{number}") for number, ref in enumerate(plan.query.columns)]
    rows = sa.select(*columns).select_from(statement.tables).where(*statement.conditions(plan.query.filters))
    if sample is not None:
        return rows.where(sample(statement.base.c[row_id])) if row_id is not None else rows
    time = None if plan.query.time is None else statement.column(plan.query.time)
    key = _base_key(statement, row_id)
    if plan.query.limit is None:  # by key alone: to sort a whole table by time is not gentle to the source
        in_order = rows.order_by(*key)
        return in_order.execution_options(row_key=key[0]) if len(key) == 1 else in_order
    if time is None:
        return rows.order_by(*key).limit(plan.query.limit)
    return _latest(rows, time, key, plan.query.limit, len(columns))


def count_rows(plan: Plan) -> sa.Select[*tuple[Any, ...]]:
    """Return the SELECT that counts a query's rows, with the joins its filters need and no others."""
    filtered = [condition.column for condition in plan.query.filters]
    statement = Statement(plan, plan.needed(filtered))
    return sa.select(sa.func.count()).select_from(statement.tables).where(*statement.conditions(plan.query.filters))


def partner_keys(plan: Plan, join: JoinSpec) -> sa.Select[*tuple[Any, ...]]:
    """Return the keys (k0, k1, ...) of the rows that could be partners of a row of the join's first parent."""
    chain = plan.chain(join)
    aliases = {link.name: named_table(plan.tables[link.name], link.name) for link in chain}
    tables: FromClause = aliases[join.name]
    for link, parent in pairwise(chain):
        matches = [aliases[parent.name].c[ref.column] == aliases[link.name].c[column] for ref, column in link.on]
        tables = tables.join(aliases[parent.name], sa.and_(*matches))
    last = aliases[chain[-1].name]
    keys = [last.c[column].label(f"k{number}") for number, (_, column) in enumerate(chain[-1].on)]
    return sa.select(*keys).select_from(tables)


def named_table(table: TableInfo, name: str, row_id: str | None = None) -> FromClause:
    """Return a table under a name, every identifier quoted; `row_id` adds the hidden row number."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(quoted_name(column.name, True)) for column in table.columns]
    if row_id is not None:
        columns.append(sa.column(quoted_name(row_id, False)))
    schema = None if table.ref.schema is None else quoted_name(table.ref.schema, True)
    return sa.table(quoted_name(table.ref.name, True), *columns, schema=schema).alias(quoted_name(name, True))


def primary_key(table: TableInfo, source: FromClause, row_id: str | None) -> list[sa.ColumnElement[Any]]:
    """Return what orders the rows of a table: its primary key, or else its row number, or nothing."""
    names = table.primary_key or ((row_id,) if row_id is not None else ())
    return [source.c[name] for name in names]


def _base_key(statement: Statement, row_id: str | None) -> list[sa.ColumnElement[Any]]:
    return primary_key(statement.plan.base, statement.base, row_id)


def _ascending(time: sa.ColumnElement[Any] | None, key: list[sa.ColumnElement[Any]]) -> list[sa.ColumnElement[Any]]:
    return key if time is None else [time.asc().nulls_first(), *key]


def _latest(
    rows: sa.Select[*tuple[Any, ...]],
    time: sa.ColumnElement[Any],
    key: list[sa.ColumnElement[Any]],
    limit: int,
    width: int,
) -> sa.Select[*tuple[Any, ...]]:
    order = {"t": time, **{f"k{number}": column for number, column in enumerate(key)}}
    last = (
        rows.add_columns(*(column.label(name) for name, column in order.items()))
        .order_by(time.desc().nulls_last(), *(column.desc() for column in key))
        .limit(limit)
        .subquery("latest")
    )
    columns = [last.c[f"c{number}"] for number in range(width)]
    return sa.select(*columns).order_by(*_ascending(last.c["t"], [last.c[name] for name in order if name != "t"]))


def _condition(column: sa.ColumnElement[Any], item: FilterSpec) -> sa.ColumnElement[bool]:
    if item.operator is Comparison.IS_NULL:
        return column.is_(None)
    if item.operator is Comparison.NOT_NULL:
        return column.is_not(None)
    return _OPERATORS[item.operator](column, sa.bindparam(None, item.value))


def keys_are_unique(table: TableInfo, columns: Iterable[str]) -> bool:
    """Whether the table's own keys promise at most one row for given values of `columns`."""
    given = set(columns)
    keys = (table.primary_key, *table.unique_keys)
    return any(key and given.issuperset(key) for key in keys)

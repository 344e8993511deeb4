"""From a checked query to one SELECT that has exactly the rows of the base table.

    LOOKUP   LEFT JOIN table ON keys
    EXISTS   LEFT JOIN (each key once) ON keys, flag = keys matched; with a moment, the first time known is before it
    COUNT    LEFT JOIN (rows of each key) ON keys, 0 where none
    LATEST   LEFT JOIN (latest row of each key) ON keys
    VALUES   LEFT JOIN (distinct values of each key) ON keys, once for each column

With a moment, COUNT, LATEST and VALUES are joined on keys and moment; see `partners`. A sample or a limit is taken of
the base before anything is joined to it. Result columns are named by position (c0, c1, ...), so no name of the database
can collide with another.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import FromClause, quoted_name

from crosslens.errors import QueryError
from crosslens.relational import (
    ColumnRef,
    ColumnType,
    Comparison,
    FilterSpec,
    JoinKind,
    JoinSpec,
    QuerySpec,
    SampleMethod,
    TableInfo,
)

from .naming import free_name, named_table, own_rows, source_name
from .partners import (
    Partners,
    counts,
    counts_before,
    first,
    latest,
    latest_before,
    listed,
    listed_before,
    partners,
    present,
)
from .plan import Plan, referenced
from .rendering import RowHash

Column = sa.ColumnElement[Any]
Rows = sa.Select[*tuple[Any, ...]]
Draw = Callable[[FromClause], FromClause]
"""From the base table to some of its rows, under the same name and with the same columns."""

_OPERATORS: dict[Comparison, Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    Comparison.EQUAL: operator.eq,
    Comparison.NOT_EQUAL: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.LESS_EQUAL: operator.le,
    Comparison.GREATER: operator.gt,
    Comparison.GREATER_EQUAL: operator.ge,
}


def base_rows(plan: Plan, row_id: str | None = None) -> FromClause:
    """Return the base table, or the user's own SELECT, under the name of the base."""
    name = source_name(plan, plan.query.base.name)
    if plan.query.select:
        return own_rows(plan.query.select, plan.base, name)
    return named_table(plan.base, name, row_id)


class Statement:
    """The FROM part of a query, growing join by join, and the columns it offers.

    `refs` are the columns that will be asked for; the joins they rest on are made and no others. `draw` replaces the
    base by some of its rows.
    """

    def __init__(
        self, plan: Plan, refs: Iterable[ColumnRef], *, row_id: str | None = None, draw: Draw | None = None
    ) -> None:
        self.plan = plan
        self._row_id = row_id
        self._draw = draw
        self._used = set(refs)
        joins = plan.needed(self._used)
        for join in joins:
            self._used.update(plan.outer_columns(join))
        base = base_rows(plan, row_id)
        self.base = base if draw is None else draw(base)
        self.tables: FromClause = self.base
        self._columns: dict[ColumnRef, Column] = {}
        for join in joins:
            self._add(join)

    @property
    def key(self) -> list[Column]:
        """Return what orders the rows of the base: its primary key, or else its row number, or nothing."""
        return primary_key(self.plan.base, self.base, self._row_id)

    def column(self, ref: ColumnRef) -> Column:
        """Return a column that was announced among the `refs`."""
        return self.base.c[ref.column] if ref.source == self.plan.query.base.name else self._columns[ref]

    def conditions(self, filters: Iterable[FilterSpec]) -> list[sa.ColumnElement[bool]]:
        """Return filters as conditions, values bound."""
        return [_condition(self.column(item.column), item) for item in filters]

    def match(self, found: Rows, keys: Iterable[ColumnRef], name: str, *, at: ColumnRef | None = None) -> Any:
        """Join what was found for keys k0, k1, ... (and a moment) under a name, and return its columns."""
        partner = found.subquery(quoted_name(name, True))
        equal = [self.column(ref) == partner.c[f"k{number}"] for number, ref in enumerate(keys)]
        if at is not None:
            equal.append(self.column(at) == partner.c.at)
        self.tables = self.tables.outerjoin(partner, sa.and_(*equal))
        return partner.c

    def _add(self, join: JoinSpec) -> None:
        if join.kind is JoinKind.LOOKUP:
            self._look_up(join)
        elif join.kind is JoinKind.EXISTS:
            self._offer(join, ColumnRef.EXISTS, self._flag(join))
        elif join.kind is JoinKind.COUNT:
            rows, moments = self._rows(join)
            found = self._match(join, counts(rows) if moments is None else counts_before(rows, moments))
            self._offer(join, ColumnRef.COUNT, sa.func.coalesce(found.n, 0))
        elif join.kind is JoinKind.LATEST:
            rows, moments = self._rows(join)
            names = self._names(join)
            found = self._match(join, latest(rows, names) if moments is None else latest_before(rows, moments, names))
            for number, name in enumerate(names):
                self._offer(join, name, found[f"v{number}"])
        else:
            self._list(join)

    def _look_up(self, join: JoinSpec) -> None:
        table = named_table(self.plan.tables[join.name], source_name(self.plan, join.name))
        equal = [self.column(ref) == table.c[column] for ref, column in join.on]
        self.tables = self.tables.outerjoin(table, sa.and_(*equal))
        for column in self.plan.tables[join.name].columns:
            self._offer(join, column.name, table.c[column.name])

    def _flag(self, join: JoinSpec) -> Column:
        rows = partners(self.plan, join)
        moment = self.plan.up_to(join)
        name, keys = source_name(self.plan, join.name), self.plan.outer_keys(join)
        if moment is None:
            found = self.match(present(rows), keys, name)
            return sa.case((found.k0.is_(None), 0), else_=1)
        found = self.match(first(rows), keys, name)
        return sa.case((found.first < self.column(moment), 1), else_=0)

    def _list(self, join: JoinSpec) -> None:
        rows, moments = self._rows(join)
        for number, name in enumerate(self._names(join)):
            values = listed(rows, name) if moments is None else listed_before(rows, moments, name)
            suffix = f" {number}" if number else ""
            found = self._match(join, values, suffix)
            self._offer(join, name, found.v)

    def _rows(self, join: JoinSpec) -> tuple[Partners, sa.Subquery | None]:
        """Return the rows of a join to many, and the moments of the base they are wanted for, if there are any."""
        rows = partners(self.plan, join)
        up_to = self.plan.up_to(join)
        if up_to is None:
            return rows, None
        keys = self.plan.outer_keys(join)
        outer = Statement(self.plan, (*keys, up_to), row_id=self._row_id, draw=self._draw)
        known = present(rows).subquery(free_name(self.plan, "known"))
        # The keys of the rows stand for those of the base, so that both compare alike further on.
        same = [outer.column(ref) == key for ref, key in zip(keys, known.c, strict=True)]
        at = outer.column(up_to)
        wanted = sa.select(*known.c, at.label("at")).select_from(outer.tables.join(known, sa.and_(*same)))
        return rows, wanted.where(at.is_not(None)).distinct().subquery("moments")

    def _match(self, join: JoinSpec, found: Rows, suffix: str = "") -> Any:
        name = source_name(self.plan, join.name)
        name = free_name(self.plan, f"{name}{suffix}") if suffix else name
        return self.match(found, self.plan.outer_keys(join), name, at=self.plan.up_to(join))

    def _names(self, join: JoinSpec) -> list[str]:
        """Return the columns of a join that are asked for."""
        return [
            column.name for column in self.plan.offered(join.name) if ColumnRef(join.name, column.name) in self._used
        ]

    def _offer(self, join: JoinSpec, name: str, column: Column) -> None:
        self._columns[ColumnRef(join.name, name)] = column


def select_rows(
    plan: Plan,
    *,
    row_id: str | None = None,
    sample: Draw | None = None,
) -> Rows:
    """Return the SELECT of a query in the order of the key; the latest rows, where only they are taken, oldest first.

    The execution option `row_key` is the column of the base that alone orders the rows, for engines that read ranges.
    `row_id` orders a table without primary key. `sample` draws rows of the base and lifts order, limit and the query's
    own sample.
    """
    if not plan.query.columns:
        raise QueryError("The query takes no columns.", do="Choose at least one column.")
    query = plan.query
    draw, filters = (sample, query.filters) if sample is not None else _drawn(plan, row_id)
    wanted = (*query.columns, *(item.column for item in filters), *((query.time,) if query.time else ()))
    statement = Statement(plan, wanted, row_id=row_id, draw=draw)
    columns = [statement.column(ref).label(f"c{number}") for number, ref in enumerate(query.columns)]
    rows = sa.select(*columns).select_from(statement.tables).where(*statement.conditions(filters))
    if sample is not None:
        return rows
    if query.time is not None and is_latest(query):
        return rows.order_by(*_oldest_first(statement.column(query.time)), *statement.key)
    in_order = rows.order_by(*statement.key)
    # Work on moments would be done anew for every range.
    moments = any(plan.up_to(join) is not None for join in plan.needed(wanted))
    whole = draw is None and len(statement.key) == 1 and not moments
    return in_order.execution_options(row_key=statement.key[0]) if whole else in_order


def count_rows(plan: Plan) -> Rows:
    """Return the SELECT that counts a query's rows before any limit, with the joins it needs and no others."""
    users = plan.query.sample is not None and plan.query.sample.method is SampleMethod.USERS
    draw, filters = _drawn(plan, None, users_only=True) if users else (None, plan.query.filters)
    statement = Statement(plan, [item.column for item in filters], draw=draw)
    return sa.select(sa.func.count()).select_from(statement.tables).where(*statement.conditions(filters))


def most_rows(query: QuerySpec) -> int | None:
    """Return how many rows a query gives at most, whatever it counts."""
    bounds = [] if query.limit is None else [query.limit]
    if query.sample is not None and query.sample.method is not SampleMethod.USERS:
        bounds.append(query.sample.rows)
    return min(bounds, default=None)


def is_latest(query: QuerySpec) -> bool:
    """Whether the query takes the latest rows only."""
    if query.sample is not None and query.sample.method is SampleMethod.LATEST:
        return True
    return query.limit is not None and query.time is not None


def primary_key(table: TableInfo, source: FromClause, row_id: str | None) -> list[Column]:
    """Return what orders the rows of a table: its primary key, or else its row number, or nothing."""
    names = table.primary_key or ((row_id,) if row_id is not None else ())
    return [source.c[name] for name in names]


def keys_are_unique(table: TableInfo, columns: Iterable[str]) -> bool:
    """Whether the table's own keys promise at most one row for given values of `columns`."""
    given = set(columns)
    keys = (table.primary_key, *table.unique_keys)
    return any(key and given.issuperset(key) for key in keys)


# ------------------------------------------------------------------------------------------------ fewer rows


def _drawn(plan: Plan, row_id: str | None, *, users_only: bool = False) -> tuple[Draw | None, tuple[FilterSpec, ...]]:
    """Return what draws the query's sample and limit from the base, and the filters that are left to apply."""
    steps = [step for step in _steps(plan) if not users_only or step is _users]
    draw: Draw | None = None
    filters = plan.query.filters
    for step in steps:
        draw, filters = _step(plan, row_id, step, draw, filters), ()
    return draw, filters


Step = Callable[[Statement, Rows, "tuple[FilterSpec, ...]"], Rows]


def _steps(plan: Plan) -> Iterator[Step]:
    sample = plan.query.sample
    if sample is not None:
        yield {SampleMethod.RANDOM: _random, SampleMethod.USERS: _users, SampleMethod.LATEST: _latest}[sample.method]
    if plan.query.limit is not None:
        yield _first if plan.query.time is None else _last


def _step(plan: Plan, row_id: str | None, step: Step, draw: Draw | None, filters: tuple[FilterSpec, ...]) -> Draw:
    query = plan.query
    users = () if query.sample is None or query.sample.column is None else (query.sample.column,)
    wanted = (*(item.column for item in filters), *users, *((query.time,) if query.time else ()))

    def fewer(base: FromClause) -> FromClause:
        statement = Statement(plan, wanted, row_id=row_id, draw=draw)
        columns = [statement.base.c[name] for name in _base_columns(plan, row_id)]
        rows = sa.select(*columns).select_from(statement.tables).where(*statement.conditions(filters))
        return step(statement, rows, filters).subquery(quoted_name(str(base.name), True))  # type: ignore[attr-defined]

    return fewer


def _base_columns(plan: Plan, row_id: str | None) -> list[str]:
    """Return the columns of the base that the query needs for anything."""
    refs = [*referenced(plan.query)]
    for join in plan.joins.values():
        refs += plan.outer_columns(join)
    used = {ref.column for ref in refs if ref.source == plan.query.base.name} | set(plan.base.primary_key)
    names = [column.name for column in plan.base.columns if column.name in used]
    if row_id is not None:
        names.append(row_id)
    return names or [plan.base.columns[0].name]


def _random(statement: Statement, rows: Rows, _: tuple[FilterSpec, ...]) -> Rows:
    sample = statement.plan.query.sample
    assert sample is not None
    key = _identity(statement)
    return rows.order_by(RowHash(sample.seed, key), *(column for column, _ in key)).limit(sample.rows)


def _users(statement: Statement, rows: Rows, filters: tuple[FilterSpec, ...]) -> Rows:
    """Take users in the order of their hash until they have rows enough."""
    plan, sample = statement.plan, statement.plan.query.sample
    assert sample is not None and sample.column is not None
    counted = Statement(plan, (*(item.column for item in filters), sample.column), row_id=None)
    user = counted.column(sample.column)
    present_ones = [*counted.conditions(filters), user.is_not(None)]
    each = (
        sa.select(user.label("u"), sa.func.count().label("n"))
        .select_from(counted.tables)
        .where(*present_ones)
        .group_by(user)
        .subquery("each")
    )
    whole = plan.column(sample.column).type is ColumnType.INTEGER
    order = [RowHash(sample.seed, [(each.c.u, whole)]), each.c.u]
    before = sa.func.sum(each.c.n).over(order_by=order, rows=(None, -1))
    ranked = sa.select(each.c.u, before.label("before")).subquery("ranked")
    chosen = sa.select(ranked.c.u).where(sa.func.coalesce(ranked.c.before, 0) < sample.rows)
    return rows.where(statement.column(sample.column).in_(chosen))


def _latest(statement: Statement, rows: Rows, _: tuple[FilterSpec, ...]) -> Rows:
    sample = statement.plan.query.sample
    assert sample is not None
    return _newest(statement, rows, sample.rows)


def _last(statement: Statement, rows: Rows, _: tuple[FilterSpec, ...]) -> Rows:
    assert statement.plan.query.limit is not None
    return _newest(statement, rows, statement.plan.query.limit)


def _first(statement: Statement, rows: Rows, _: tuple[FilterSpec, ...]) -> Rows:
    return rows.order_by(*statement.key).limit(statement.plan.query.limit)


def _newest(statement: Statement, rows: Rows, limit: int) -> Rows:
    assert statement.plan.query.time is not None
    time = statement.column(statement.plan.query.time)
    # Unknown times come last; not every database can say NULLS LAST.
    order = [sa.case((time.is_(None), 1), else_=0), time.desc(), *(column.desc() for column in statement.key)]
    return rows.order_by(*order).limit(limit)


def _oldest_first(time: Column) -> list[Column]:
    return [sa.case((time.is_(None), 0), else_=1), time]


def _identity(statement: Statement) -> list[tuple[Column, bool]]:
    """Return what tells one row of the base from another, each with whether it is a whole number."""
    table = statement.plan.base
    if table.primary_key:
        return [(statement.base.c[name], table.column(name).type is ColumnType.INTEGER) for name in table.primary_key]
    if statement.key:
        return [(column, True) for column in statement.key]
    columns = [column for column in table.columns if column.type is not ColumnType.BINARY]
    return [(statement.base.c[column.name], column.type is ColumnType.INTEGER) for column in columns]


def _condition(column: Column, item: FilterSpec) -> sa.ColumnElement[bool]:
    if item.operator is Comparison.IS_NULL:
        return column.is_(None)
    if item.operator is Comparison.NOT_NULL:
        return column.is_not(None)
    return _OPERATORS[item.operator](column, sa.bindparam(None, item.value))

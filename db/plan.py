"""A query checked against the tables it names: every source, column and join is known to exist and makes sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from crosslens.errors import QueryError
from crosslens.relational import (
    ColumnInfo,
    ColumnRef,
    ColumnType,
    Comparison,
    FilterSpec,
    JoinKind,
    JoinSpec,
    QuerySpec,
    SampleMethod,
    SampleSpec,
    TableInfo,
    TableRef,
)

from .errors import unknown_name

_NULL_CHECKS = {Comparison.IS_NULL, Comparison.NOT_NULL}
_ROWS = frozenset({JoinKind.LOOKUP, JoinKind.LATEST})
"""Kinds of joins that offer a row, so that other joins may start from its columns."""
_TIMES = (
    frozenset({ColumnType.DATE, ColumnType.TIMESTAMP}),
    frozenset({ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.DECIMAL}),
    frozenset({ColumnType.TEXT}),
    frozenset({ColumnType.OTHER}),
)
"""How times are kept; only those of one family can be compared."""
_LISTABLE = frozenset(ColumnType) - {ColumnType.BINARY}

FLAG = ColumnInfo(ColumnRef.EXISTS, ColumnType.INTEGER, "0/1", nullable=False)
"""What the flag of an EXISTS join is like."""
NUMBER = ColumnInfo(ColumnRef.COUNT, ColumnType.INTEGER, "number of rows", nullable=False)
"""What the number of a COUNT join is like."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A query with its tables by source name; `joins` by name, in order."""

    query: QuerySpec
    tables: Mapping[str, TableInfo]
    joins: Mapping[str, JoinSpec]

    @property
    def base(self) -> TableInfo:
        """Return the base table, or what is known of the user's own SELECT."""
        return self.tables[self.query.base.name]

    def is_closed(self, source: str) -> bool:
        """Whether `source` may have many rows for one of the base, of which it offers only a summary."""
        return source in self.joins and self.joins[source].kind not in _ROWS

    def offered(self, source: str) -> tuple[ColumnInfo, ...]:
        """Return the columns a source offers to the query."""
        table = self.tables[source]
        kind = self.joins[source].kind if source in self.joins else JoinKind.LOOKUP
        if kind is JoinKind.EXISTS:
            return (FLAG,)
        if kind is JoinKind.COUNT:
            return (NUMBER,)
        if kind is JoinKind.VALUES:
            return tuple(_listed(column) for column in table.columns if column.type in _LISTABLE)
        return table.columns

    def column(self, ref: ColumnRef) -> ColumnInfo:
        """Return what is known of a column; QueryError with near matches if the source does not offer it."""
        if ref.source not in self.tables:
            raise unknown_name("table or join", ref.source, self.tables, where="this query")
        for column in self.offered(ref.source):
            if column.name == ref.column:
                return column
        if ref.source in self.joins and self.joins[ref.source].kind in (JoinKind.EXISTS, JoinKind.COUNT):
            word = "whether a row exists" if self.joins[ref.source].kind is JoinKind.EXISTS else "how many rows exist"
            raise QueryError(
                f"“{ref.source}” offers no columns.",
                why=f"It is joined to say {word}, because there may be many for one row of the base.",
                do="Take that, or remove the column, or join it as “latest” or “values”.",
                column=ref,
            )
        names = (column.name for column in self.offered(ref.source))
        raise unknown_name("column", ref.column, names, where=f"“{self.tables[ref.source].ref.name}”")

    def needed(self, refs: Iterable[ColumnRef]) -> tuple[JoinSpec, ...]:
        """Return the joins these columns rest on, directly or through other joins, in order."""
        open_names = [ref.source for ref in refs]
        found: set[str] = set()
        while open_names:
            name = open_names.pop()
            if name in self.joins and name not in found:
                found.add(name)
                open_names += [ref.source for ref in self.outer_columns(self.joins[name])]
        return tuple(join for name, join in self.joins.items() if name in found)

    def chain(self, join: JoinSpec) -> tuple[JoinSpec, ...]:
        """Return a join and the joins to many rows it hangs from, outermost last."""
        parent = join.on[0][0].source
        return (join, *self.chain(self.joins[parent])) if self.is_closed(parent) else (join,)

    def outer_keys(self, join: JoinSpec) -> tuple[ColumnRef, ...]:
        """Return the columns outside a join (or outside its chain) that it is matched with."""
        return tuple(ref for ref, _ in self.chain(join)[-1].on)

    def up_to(self, join: JoinSpec) -> ColumnRef | None:
        """Return the moment before which the rows of a join and its chain must have been known, if any."""
        return next((link.up_to for link in self.chain(join) if link.up_to is not None), None)

    def outer_columns(self, join: JoinSpec) -> tuple[ColumnRef, ...]:
        """Return every column outside a join that it rests on: its keys and its moment."""
        moment = self.up_to(join)
        return self.outer_keys(join) if moment is None else (*self.outer_keys(join), moment)


def make_plan(
    query: QuerySpec, tables: Mapping[TableRef, TableInfo], *, own: tuple[ColumnInfo, ...] | None = None
) -> Plan:
    """Check `query` against the tables of a database; QueryError says what it names and the database lacks.

    `own` are the columns of the user's own SELECT, where it takes the place of the base table.
    """
    base = known_table(query.base, tables) if own is None else own_table(query.base, own)
    plan = Plan(query, {query.base.name: base}, {})
    for join in query.joins:
        plan = _with_join(plan, join, tables)
    for ref in referenced(query):
        plan.column(ref)
    for condition in query.filters:
        _check_filter(plan, condition)
    if query.limit is not None and query.limit < 1:
        raise QueryError("The row limit must be at least 1.", do="Give a larger limit, or none.", limit=query.limit)
    if query.sample is not None:
        _check_sample(query.sample, query)
    return plan


def own_table(ref: TableRef, columns: tuple[ColumnInfo, ...]) -> TableInfo:
    """Return the user's own SELECT as a table without keys; QueryError if two columns share a name."""
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            raise QueryError(
                f"Two columns of your SELECT are called “{column.name}”.",
                why="They could not be told apart.",
                do=f"Give each a name of its own, as in {column.name} AS other.",
                column=column.name,
            )
        seen.add(column.name)
    return TableInfo(replace(ref, schema=None), columns, is_view=True)


def referenced(query: QuerySpec) -> tuple[ColumnRef, ...]:
    """Return every column the query selects, filters by, orders by or samples by."""
    time = () if query.time is None else (query.time,)
    users = () if query.sample is None or query.sample.column is None else (query.sample.column,)
    return (*query.columns, *(condition.column for condition in query.filters), *time, *users)


def known_table(ref: TableRef, tables: Mapping[TableRef, TableInfo]) -> TableInfo:
    """Return a table that can be read; QueryError if it is gone or a view over something gone."""
    if ref not in tables:
        raise unknown_name("table", ref.name, (table.name for table in tables), where="the database")
    if not tables[ref].columns:
        raise QueryError(
            f"“{ref.name}” cannot be read.",
            why=tables[ref].problem
            or "It is a view over something the database no longer has, or you may not read it.",
            do="Repair it in the database, or choose another table.",
            table=ref.name,
        )
    return tables[ref]


def table_column(table: TableInfo, name: str) -> ColumnInfo:
    """Return a column of a table; QueryError with near matches if there is none."""
    try:
        return table.column(name)
    except KeyError:
        columns = (column.name for column in table.columns)
        raise unknown_name("column", name, columns, where=f"“{table.ref.name}”") from None


def alike_times(first: ColumnInfo, second: ColumnInfo) -> bool:
    """Whether two columns keep times in the same way, so that one can be before the other."""
    return any(first.type in family and second.type in family for family in _TIMES)


def _listed(column: ColumnInfo) -> ColumnInfo:
    return ColumnInfo(column.name, ColumnType.ARRAY, f"values of {column.database_type or column.type}")


# ------------------------------------------------------------------------------------------------ checks of a join


def _with_join(plan: Plan, join: JoinSpec, tables: Mapping[TableRef, TableInfo]) -> Plan:
    table = known_table(join.table, tables)
    if join.name.casefold() in {name.casefold() for name in plan.tables}:
        raise QueryError(
            f"Two tables of this query are called “{join.name}”.",
            why="Columns could not be told apart.",
            do="Give the join another name.",
            name=join.name,
        )
    if not join.on:
        raise QueryError(f"The join “{join.name}” has no key.", do="Say which columns belong together.", name=join.name)
    for ref, column in join.on:
        _check_parent(plan, join, ref)
        table_column(table, column)
    _check_time(plan, join, table)
    return Plan(plan.query, {**plan.tables, join.name: table}, {**plan.joins, join.name: join})


def _check_parent(plan: Plan, join: JoinSpec, ref: ColumnRef) -> None:
    if not plan.is_closed(ref.source):
        plan.column(ref)
        return
    table_column(plan.tables[ref.source], ref.column)
    parents = {other.source for other, _ in join.on}
    if not join.kind.is_to_many or len(parents) > 1:
        raise QueryError(
            f"“{join.name}” cannot be joined to “{ref.source}”.",
            why=f"One row of the base may have many rows of “{ref.source}”, and so many of “{join.name}”.",
            do="Join it as “exists”, “count”, “latest” or “values”, to that table alone.",
            name=join.name,
        )


def _check_time(plan: Plan, join: JoinSpec, table: TableInfo) -> None:
    if join.kind is JoinKind.LOOKUP and join.up_to is not None:
        raise QueryError(
            f"The join “{join.name}” looks up one row and cannot be limited in time.",
            do="Remove up_to, or join it as “latest”.",
            name=join.name,
        )
    if join.time is None and (join.kind is JoinKind.LATEST or join.up_to is not None):
        raise QueryError(
            f"The join “{join.name}” does not say which column holds the time of its rows.",
            why="Without it nobody knows which row is the latest, or known before a moment.",
            do="Name its time column, or join it in another way.",
            name=join.name,
        )
    if join.time is None:
        return
    time = table_column(table, join.time)
    if not alike_times(time, time):
        raise QueryError(
            f"“{join.time}” of “{join.name}” holds no times.",
            why=f"Its type is {time.database_type or time.type}.",
            do="Choose a column with dates, times, or numbers that grow with time.",
            name=join.name,
        )
    if join.up_to is not None:
        _check_moment(plan, join, join.up_to, time)


def _check_moment(plan: Plan, join: JoinSpec, up_to: ColumnRef, time: ColumnInfo) -> None:
    moment = plan.column(up_to)
    if plan.is_closed(up_to.source):
        raise QueryError(
            f"{up_to} is no single moment.",
            why=f"One row of the base may have many rows of “{up_to.source}”.",
            do="Choose a time of the base, or of a table it looks up.",
            name=join.name,
        )
    if not alike_times(moment, time):
        raise QueryError(
            f"{up_to} and “{time.name}” of “{join.name}” cannot be compared.",
            why=f"One is {moment.database_type or moment.type}, the other {time.database_type or time.type}.",
            do="Choose times that are kept in the same way.",
            name=join.name,
        )
    others = {link.up_to for link in plan.chain(join) if link.up_to is not None} - {up_to}
    if others:
        raise QueryError(
            f"“{join.name}” and the join it hangs from are limited by different times.",
            why=f"One counts up to {up_to}, the other up to {', '.join(str(other) for other in others)}.",
            do="Give both the same moment.",
            name=join.name,
        )


# ------------------------------------------------------------------------------------------------ filters and samples


def _check_filter(plan: Plan, condition: FilterSpec) -> None:
    if condition.operator in _NULL_CHECKS:
        return
    if condition.value is None:
        raise QueryError(
            f"The filter on {condition.column} compares with nothing.",
            why="A comparison with NULL is never true.",
            do="Use “is null” or “is not null”.",
            column=condition.column,
        )
    if plan.column(condition.column).type is ColumnType.ARRAY:
        raise QueryError(
            f"The filter on {condition.column} compares several values with one.",
            do="Use “is null” or “is not null”, or filter by another column.",
            column=condition.column,
        )


def _check_sample(sample: SampleSpec, query: QuerySpec) -> None:
    if sample.rows < 1:
        raise QueryError("A sample needs at least one row.", do="Give a larger number.", rows=sample.rows)
    if sample.method is SampleMethod.USERS and sample.column is None:
        raise QueryError(
            "A sample of users needs the column that says who the user is.",
            do="Name it, or sample rows at random.",
        )
    if sample.method is SampleMethod.LATEST and query.time is None:
        raise QueryError(
            "The latest rows cannot be told without a time.",
            do="Say which column holds the time of a row, or sample rows at random.",
        )

"""A query checked against the tables it names: every source, column and join is known to exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    TableInfo,
    TableRef,
)

from .errors import unknown_name

_NULL_CHECKS = {Comparison.IS_NULL, Comparison.NOT_NULL}


@dataclass(frozen=True, slots=True)
class Plan:
    """A query with its tables by source name; `joins` by name, in order."""

    query: QuerySpec
    tables: Mapping[str, TableInfo]
    joins: Mapping[str, JoinSpec]

    @property
    def base(self) -> TableInfo:
        """Return the base table."""
        return self.tables[self.query.base.name]

    def is_flag(self, source: str) -> bool:
        """Whether `source` is a join of kind EXISTS, which has a flag and no columns."""
        return source in self.joins and self.joins[source].kind is JoinKind.EXISTS

    def column(self, ref: ColumnRef) -> ColumnInfo:
        """Return what is known of a column; QueryError with near matches if the source does not offer it."""
        if ref.source not in self.tables:
            raise unknown_name("table or join", ref.source, self.tables, where="this query")
        if self.is_flag(ref.source):
            if ref.column == ColumnRef.EXISTS:
                return FLAG
            raise QueryError(
                f"“{ref.source}” offers no columns.",
                why="It is joined to say whether a row exists, because there may be many for one row of the base.",
                do="Take its flag, or remove the column.",
                column=ref,
            )
        return table_column(self.tables[ref.source], ref.column)

    def needed(self, refs: Iterable[ColumnRef]) -> tuple[JoinSpec, ...]:
        """Return the joins these columns rest on, directly or through other joins, in order."""
        open_names = [ref.source for ref in refs]
        found: set[str] = set()
        while open_names:
            name = open_names.pop()
            if name in self.joins and name not in found:
                found.add(name)
                open_names += [ref.source for ref in self.outer_keys(self.joins[name])]
        return tuple(join for name, join in self.joins.items() if name in found)

    def chain(self, join: JoinSpec) -> tuple[JoinSpec, ...]:
        """Return an EXISTS join and the EXISTS joins it hangs from, outermost last."""
        parent = join.on[0][0].source
        return (join, *self.chain(self.joins[parent])) if self.is_flag(parent) else (join,)

    def outer_keys(self, join: JoinSpec) -> tuple[ColumnRef, ...]:
        """Return the columns outside a join (or outside its chain of EXISTS joins) that it is matched with."""
        return tuple(ref for ref, _ in self.chain(join)[-1].on)


FLAG = ColumnInfo(ColumnRef.EXISTS, ColumnType.INTEGER, "0/1", nullable=False)
"""What the flag of an EXISTS join is like."""


def make_plan(query: QuerySpec, tables: Mapping[TableRef, TableInfo]) -> Plan:
    """Check `query` against the tables of a database; QueryError says what it names and the database lacks."""
    known = {query.base.name: known_table(query.base, tables)}
    plan = Plan(query, known, {})
    for join in query.joins:
        plan = _with_join(plan, join, tables)
    for ref in referenced(query):
        plan.column(ref)
    for condition in query.filters:
        _check_filter(condition)
    if query.limit is not None and query.limit < 1:
        raise QueryError("The row limit must be at least 1.", do="Give a larger limit, or none.", limit=query.limit)
    return plan


def referenced(query: QuerySpec) -> tuple[ColumnRef, ...]:
    """Return every column the query selects, filters by or orders by."""
    time = () if query.time is None else (query.time,)
    return (*query.columns, *(condition.column for condition in query.filters), *time)


def known_table(ref: TableRef, tables: Mapping[TableRef, TableInfo]) -> TableInfo:
    """Return a table that can be read; QueryError if it is gone or a view over something gone."""
    if ref not in tables:
        raise unknown_name("table", ref.name, (table.name for table in tables), where="the database")
    if not tables[ref].columns:
        raise QueryError(
            f"“{ref.name}” cannot be read.",
            why="It is a view over something the database no longer has.",
            do="Repair the view in the database, or choose another table.",
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
    return Plan(plan.query, {**plan.tables, join.name: table}, {**plan.joins, join.name: join})


def _check_parent(plan: Plan, join: JoinSpec, ref: ColumnRef) -> None:
    if not plan.is_flag(ref.source):
        plan.column(ref)
        return
    table_column(plan.tables[ref.source], ref.column)
    parents = {other.source for other, _ in join.on}
    if join.kind is not JoinKind.EXISTS or len(parents) > 1:
        raise QueryError(
            f"“{join.name}” cannot be joined to “{ref.source}”.",
            why=f"“{ref.source}” only says whether a row exists; one row of the base may have many.",
            do="Join it as “exists”, to that table alone.",
            name=join.name,
        )


def _check_filter(condition: FilterSpec) -> None:
    if condition.value is None and condition.operator not in _NULL_CHECKS:
        raise QueryError(
            f"The filter on {condition.column} compares with nothing.",
            why="A comparison with NULL is never true.",
            do="Use “is null” or “is not null”.",
            column=condition.column,
        )

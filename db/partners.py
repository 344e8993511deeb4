"""Many rows beside one: what a table with several rows for one row of the base has to say about it, as one row.

Every function returns a SELECT of the keys k0, k1, ... and what it found, at most one row for one key, or with
moments, at most one row for a key and a moment `at`, of which only rows known before it count:

    first     the first time a row was known          counts    how many rows `n`
    latest    the columns v0, v1, ... of one row       listed    the distinct values `v` of one column

Moments cost a sort, not a comparison of every row with every other: rows and moments are laid in one line by time, and
a window counts the rows it has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import FromClause

from crosslens.relational import ColumnType, JoinKind, JoinSpec, TableInfo

from .naming import named_table, source_name
from .plan import Plan
from .rendering import ValueList

Column = sa.ColumnElement[Any]
Rows = sa.Select[*tuple[Any, ...]]

_EVERY_ROW = "LIMIT 18446744073709551615"
_UNSORTED = frozenset({ColumnType.JSON, ColumnType.ARRAY, ColumnType.OTHER})
"""Types that some databases cannot order by, but as text."""


@dataclass(frozen=True, slots=True)
class Partners:
    """The rows of a join to many rows: their tables, the keys they are found by, and when each came to be known."""

    tables: FromClause
    own: FromClause
    keys: tuple[Column, ...]
    at: Column | None
    ties: tuple[Column, ...]

    def select(self, *columns: Column) -> Rows:
        """Return keys and columns of the rows; those without a time are left out where time matters."""
        rows = sa.select(*self.labelled, *columns).select_from(self.tables)
        return rows if self.at is None else rows.where(self.at.is_not(None))

    @property
    def labelled(self) -> list[sa.Label[Any]]:
        """Return the keys under the names k0, k1, ..."""
        return [key.label(f"k{number}") for number, key in enumerate(self.keys)]


def partners(plan: Plan, join: JoinSpec) -> Partners:
    """Return the rows of a join, reached through the joins to many rows it hangs from."""
    chain = plan.chain(join)
    aliases = {link.name: named_table(plan.tables[link.name], source_name(plan, link.name)) for link in chain}
    tables: FromClause = aliases[join.name]
    for link, parent in pairwise(chain):
        matches = [aliases[parent.name].c[ref.column] == aliases[link.name].c[column] for ref, column in link.on]
        tables = tables.join(aliases[parent.name], sa.and_(*matches))
    outermost = chain[-1]
    keys = tuple(aliases[outermost.name].c[column] for _, column in outermost.on)
    own = aliases[join.name]
    return Partners(tables, own, keys, _known_at(plan, join, aliases), _ties(plan.tables[join.name], own))


def present(rows: Partners) -> Rows:
    """Return each key once."""
    return rows.select().distinct()


def first(rows: Partners) -> Rows:
    """Return when the first row of each key was known, as `first`."""
    return rows.select(sa.func.min(rows.at).label("first")).group_by(*rows.keys)


def counts(rows: Partners) -> Rows:
    """Return the number `n` of rows of each key."""
    return rows.select(sa.func.count().label("n")).group_by(*rows.keys)


def latest(rows: Partners, columns: Sequence[str]) -> Rows:
    """Return the given columns as v0, v1, ... of the latest row of each key."""
    order = [_known(rows).desc(), *(tie.desc() for tie in rows.ties)]
    place = sa.func.row_number().over(partition_by=list(rows.keys), order_by=order)
    ranked = rows.select(*_values(rows, columns), place.label("n")).subquery("ranked")
    found = sa.select(*(column for column in ranked.c if column.name != "n")).where(ranked.c.n == 1)
    # MySQL would make this part of what it is joined to, and look through all rows of a key for the one numbered 1.
    return found.suffix_with(_EVERY_ROW, dialect="mysql").suffix_with(_EVERY_ROW, dialect="mariadb")


def listed(rows: Partners, column: str) -> Rows:
    """Return the distinct values of one column for each key, as `v`."""
    value = sa.cast(rows.own.c[column], sa.Text())
    seen = rows.select(value.label("v")).where(rows.own.c[column].is_not(None)).distinct().subquery("seen")
    keys = _keys(seen, len(rows.keys))
    return sa.select(*keys, ValueList(seen.c.v).label("v")).group_by(*keys)


def counts_before(rows: Partners, moments: sa.Subquery) -> Rows:
    """Return the number `n` of rows known before each moment."""
    width = len(rows.keys)
    moment = sa.select(*_keys(moments, width), moments.c.at, sa.literal(0).label("is_row"))
    row = rows.select(_known(rows).label("at"), sa.literal(1).label("is_row"))
    line = sa.union_all(moment, row).subquery("line")
    passed = _passed(line, width, [line.c.at, line.c.is_row])
    walked = sa.select(*_keys(line, width), line.c.at, line.c.is_row, passed.label("n")).subquery("walked")
    return sa.select(*_keys(walked, width), walked.c.at, walked.c.n).where(walked.c.is_row == 0)


def latest_before(rows: Partners, moments: sa.Subquery, columns: Sequence[str]) -> Rows:
    """Return the given columns as v0, v1, ... of the latest row known before each moment.

    A row and the moments up to the next one have passed equally many rows, so the row is the first of their group.
    To join rows and moments by that number instead invites a comparison of all with all of one key.
    """
    width, ties = len(rows.keys), [f"o{number}" for number in range(len(rows.ties))]
    values = [f"v{number}" for number in range(len(columns))]
    nothing = [sa.null().label(name) for name in (*ties, *values)]
    moment = sa.select(*_keys(moments, width), moments.c.at, sa.literal(0).label("is_row"), *nothing)
    tied = [tie.label(name) for tie, name in zip(rows.ties, ties, strict=True)]
    row = rows.select(_known(rows).label("at"), sa.literal(1).label("is_row"), *tied, *_values(rows, columns))
    line = sa.union_all(moment, row).subquery("line")
    order = [line.c.at, line.c.is_row, *(line.c[name] for name in ties)]
    passed = _passed(line, width, order).label("n")
    walked = sa.select(*(line.c[name] for name in _names(width, values)), passed).subquery("walked")
    group = [*_keys(walked, width), walked.c.n]
    found = [
        sa.func.first_value(walked.c[name]).over(partition_by=group, order_by=walked.c.is_row.desc()).label(name)
        for name in values
    ]
    grouped = sa.select(*_keys(walked, width), walked.c.at, walked.c.is_row, *found).subquery("grouped")
    wanted = [grouped.c[name] for name in values]
    return sa.select(*_keys(grouped, width), grouped.c.at, *wanted).where(grouped.c.is_row == 0)


def listed_before(rows: Partners, moments: sa.Subquery, column: str) -> Rows:
    """Return the distinct values of one column among the rows known before each moment, as `v`."""
    width = len(rows.keys)
    value = sa.cast(rows.own.c[column], sa.Text())
    since = rows.select(value.label("v"), sa.func.min(_known(rows)).label("first"))
    seen = since.where(rows.own.c[column].is_not(None)).group_by(*rows.keys, value).subquery("seen")
    same = [ours == theirs for ours, theirs in zip(_keys(moments, width), _keys(seen, width), strict=True)]
    group = [*_keys(moments, width), moments.c.at]
    joined = moments.join(seen, sa.and_(*same, seen.c.first < moments.c.at))
    return sa.select(*group, ValueList(seen.c.v).label("v")).select_from(joined).group_by(*group)


def value_counts(rows: Partners, columns: Sequence[str]) -> Rows:
    """Return how many distinct values each column has for each key, as n0, n1, ...; null is none."""
    counted = [sa.func.count(sa.distinct(sa.cast(rows.own.c[name], sa.Text()))) for name in columns]
    return rows.select(*(count.label(f"n{number}") for number, count in enumerate(counted))).group_by(*rows.keys)


def _passed(line: FromClause, width: int, order: Sequence[Column]) -> Column:
    """Return how many rows of the same key have been passed.

    A moment comes before the rows of the same time: what happens at that very time is not known yet.
    """
    return sa.func.count(sa.case((line.c.is_row == 1, 1))).over(
        partition_by=_keys(line, width), order_by=list(order), rows=(None, 0)
    )


def _names(width: int, values: Sequence[str]) -> list[str]:
    return [*(f"k{number}" for number in range(width)), "at", "is_row", *values]


def _keys(source: FromClause, width: int) -> list[Column]:
    return [source.c[f"k{number}"] for number in range(width)]


def _values(rows: Partners, columns: Sequence[str]) -> list[sa.Label[Any]]:
    return [rows.own.c[name].label(f"v{number}") for number, name in enumerate(columns)]


def _known(rows: Partners) -> Column:
    if rows.at is None:
        raise AssertionError("the plan refuses joins whose time is needed and not named")
    return rows.at


def _known_at(plan: Plan, join: JoinSpec, aliases: dict[str, sa.FromClause]) -> Column | None:
    """Return when a row came to be known: when the last of the rows it is reached through was."""
    limited = plan.up_to(join) is not None
    times: list[Column] = [
        aliases[link.name].c[link.time]
        for link in plan.chain(join)
        if link.time is not None and limited and (link is join or link.up_to is not None)
    ]
    if join.kind is JoinKind.LATEST and not limited and join.time is not None:
        times = [aliases[join.name].c[join.time]]
    return reduce(_later, times) if times else None


def _later(one: Column, other: Column) -> Column:
    # Where one is missing, the whole must be: the row is not known to have been there.
    return sa.case((one >= other, one), (one < other, other))


def _ties(table: TableInfo, source: FromClause) -> tuple[Column, ...]:
    """Return what puts rows of the same time in an order that is always the same."""
    names = table.primary_key or tuple(column.name for column in table.columns if column.type is not ColumnType.BINARY)
    return tuple(
        sa.cast(source.c[name], sa.Text()) if table.column(name).type in _UNSORTED else source.c[name] for name in names
    )

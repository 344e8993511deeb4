"""Joins that keys suggest, and what each of them would do to the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import sqlalchemy as sa

from crosslens.errors import QueryError
from crosslens.relational import (
    ColumnRef,
    ForeignKey,
    JoinFacts,
    JoinKind,
    JoinProposal,
    JoinSpec,
    TableInfo,
    TableRef,
)

from .compile import Draw, Rows, Statement, keys_are_unique
from .engines import Session
from .naming import free_name, source_name
from .partners import counts, partners
from .plan import Plan

MAX_DEPTH = 3
"""How many foreign keys away from the base a proposed table may be."""

Tables = Mapping[TableRef, TableInfo]


def propose_joins(base: TableInfo, tables: Tables) -> tuple[JoinProposal, ...]:
    """Return joins along foreign keys, breadth first, parents before children, each under a name of its own.

    LOOKUP follows the keys a table holds, a self-reference once; EXISTS the keys of tables that refer to the base,
    and of tables that refer to those; a table counts once, where it is nearest.
    """
    names = _Names(base.ref.name)
    lookups = tuple(_levels(base, lambda name, table, path: _lookups(name, table, path, tables, names)))
    exists = tuple(_exists(base, tables, names))
    return lookups + exists


class _Names:
    """Names given so far; SQLite and others compare names without case."""

    def __init__(self, base: str) -> None:
        self._taken = {base.casefold()}

    def give(self, table: str, key: ForeignKey, parent: str, *, plain: bool) -> str:
        """Return the table's own name where it is free and says enough; else with the key's columns or the parent."""
        short = table if plain else f"{table} ({', '.join(key.columns)})"
        longer = f"{short} of {parent}"
        candidates = (short, longer, *(f"{longer} {number}" for number in range(2, 100)))
        name = next(name for name in candidates if name.casefold() not in self._taken)
        self._taken.add(name.casefold())
        return name


def _levels(
    base: TableInfo,
    follow: Callable[[str, TableInfo, tuple[TableRef, ...]], Iterator[tuple[JoinProposal, TableInfo]]],
) -> Iterator[JoinProposal]:
    """Walk breadth first; `path` holds the tables from the base to here."""
    level: list[tuple[str, TableInfo, tuple[TableRef, ...]]] = [(base.ref.name, base, (base.ref,))]
    for _ in range(MAX_DEPTH):
        following = []
        for name, table, path in level:
            for proposal, target in follow(name, table, path):
                yield proposal
                following.append((proposal.join.name, target, (*path, target.ref)))
        level = following


def _lookups(
    source: str, table: TableInfo, path: tuple[TableRef, ...], tables: Tables, names: _Names
) -> Iterator[tuple[JoinProposal, TableInfo]]:
    for key in table.foreign_keys:
        target = tables.get(key.target)
        repeats = path.count(key.target)
        is_first_self_reference = key.target == table.ref and repeats == 1
        if target is None or not _usable(key, target) or (repeats and not is_first_self_reference):
            continue
        rivals = [other for other in table.foreign_keys if other.target == key.target and _usable(other, target)]
        alone = len(rivals) == 1 and key.target != table.ref
        name = names.give(target.ref.name, key, source, plain=alone)
        on = tuple(
            (ColumnRef(source, ours), theirs) for ours, theirs in zip(key.columns, key.target_columns, strict=True)
        )
        yield JoinProposal(JoinSpec(name, target.ref, on), _reason(table, key)), target


def _exists(base: TableInfo, tables: Tables, names: _Names) -> Iterator[JoinProposal]:
    seen = {base.ref}

    def follow(source: str, table: TableInfo, path: tuple[TableRef, ...]) -> Iterator[tuple[JoinProposal, TableInfo]]:
        referring = [other for other in tables.values() if other.ref not in seen]
        for other in referring:
            keys = [key for key in other.foreign_keys if key.target == table.ref and _usable(key, table)]
            for key in keys:
                seen.add(other.ref)
                yield _exists_proposal(source, other, key, names, plain=len(keys) == 1), other

    yield from _levels(base, follow)


def _exists_proposal(source: str, other: TableInfo, key: ForeignKey, names: _Names, *, plain: bool) -> JoinProposal:
    name = names.give(other.ref.name, key, source, plain=plain)
    on = tuple((ColumnRef(source, theirs), ours) for ours, theirs in zip(key.columns, key.target_columns, strict=True))
    return JoinProposal(JoinSpec(name, other.ref, on, JoinKind.EXISTS), _reason(other, key))


def _usable(key: ForeignKey, target: TableInfo) -> bool:
    known = {column.name for column in target.columns}
    return len(key.columns) == len(key.target_columns) and known >= set(key.target_columns)


def _reason(table: TableInfo, key: ForeignKey) -> str:
    return f"foreign key {', '.join(f'{table.ref.name}.{column}' for column in key.columns)}"


# ------------------------------------------------------------------------------------------------ measuring


def measure_join(
    session: Session, plan: Plan, join: JoinSpec, *, draw: Draw | None = None, row_id: str | None = None
) -> JoinFacts:
    """Count the partners of each base row by keys alone, on the rows that `draw` takes (all when None).

    `plan` is that of the query with `join`, whose kind and time play no part: the facts are the same for all kinds.
    """
    # Filters on other joins are left out: those joins play no part here.
    own = [item for item in plan.query.filters if item.column.source == plan.query.base.name]
    keys = plan.outer_keys(join)
    statement = Statement(plan, (*keys, *(item.column for item in own)), row_id=row_id, draw=draw)
    found = _partners(plan, join, draw, row_id)
    columns = statement.match(found, keys, source_name(plan, join.name))
    rows = sa.select(sa.func.coalesce(columns.n, 0).label("partners")).select_from(statement.tables)
    rows = rows.where(*statement.conditions(own))
    before, matched, most, after = session.fetch(_summary(rows))[0]
    return JoinFacts(
        join.name, int(matched or 0) / before if before else 0.0, int(most or 0), int(before), int(after or 0)
    )


def _partners(plan: Plan, join: JoinSpec, draw: Draw | None, row_id: str | None) -> Rows:
    """Return each key (k0, k1, ...) with the number `n` of its rows; only keys of the drawn rows, so that a large
    table is not counted for the sake of a few.
    """
    timeless = replace(join, kind=JoinKind.COUNT, time=None, up_to=None)
    rows = partners(replace(plan, joins={**plan.joins, join.name: timeless}), timeless)
    if plan.chain(join) == (join,) and keys_are_unique(plan.tables[join.name], [column for _, column in join.on]):
        return rows.select(sa.literal(1).label("n"))
    if draw is None:
        return counts(rows)
    keys = plan.outer_keys(join)
    drawn = Statement(plan, keys, row_id=row_id, draw=draw)
    named = [drawn.column(ref).label(f"w{number}") for number, ref in enumerate(keys)]
    wanted = sa.select(*named).select_from(drawn.tables).distinct().subquery(free_name(plan, "wanted"))
    same = [ours == theirs for ours, theirs in zip(wanted.c, rows.keys, strict=True)]
    return counts(replace(rows, tables=rows.tables.join(wanted, sa.and_(*same))))


def _summary(rows: Rows) -> Rows:
    each = rows.subquery("each_row")
    partners_of = each.c.partners
    return sa.select(
        sa.func.count(),
        sa.func.sum(sa.case((partners_of > 0, 1), else_=0)),
        sa.func.max(partners_of),
        sa.func.sum(sa.case((partners_of > 1, partners_of), else_=1)),
    ).select_from(each)


def refuse_multiplying(session: Session, plan: Plan, joins: Iterable[JoinSpec]) -> None:
    """Raise QueryError if a LOOKUP would give a base row more than one partner; keys answer without measuring."""
    for join in joins:
        columns = [column for _, column in join.on]
        if join.kind.is_to_many or keys_are_unique(plan.tables[join.name], columns):
            continue
        facts = measure_join(session, replace(plan, query=replace(plan.query, filters=())), join)
        if facts.max_partners > 1:
            raise multiplying(facts)


def multiplying(facts: JoinFacts) -> QueryError:
    """Return the error for a join that would turn the rows of the base into more."""
    return QueryError(
        f"The join “{facts.name}” would turn {in_words(facts.rows_before)} rows into {in_words(facts.rows_after)}.",
        why=f"Up to {facts.max_partners:,} of its rows belong to one row of the base, and each would repeat that row.",
        do="Join it as “exists”, “count”, “latest” or “values”, or remove it.",
        join=facts.name,
        rows_before=facts.rows_before,
        rows_after=facts.rows_after,
    )


def in_words(count: int) -> str:
    """Return a count for a sentence: 41 M, 5.2 M, 12,345."""
    if count >= 10_000_000:
        return f"{count / 1e6:,.0f} M"
    return f"{count / 1e6:.1f} M" if count >= 1_000_000 else f"{count:,}"

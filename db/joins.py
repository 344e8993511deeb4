"""What a join would do to the rows: how many find a partner, and how many partners one row may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sqlalchemy as sa

from crosslens.errors import QueryError
from crosslens.relational import JoinFacts, JoinKind, JoinSpec

from .compile import Draw, Rows, Statement, keys_are_unique, most_rows
from .engines import Session
from .naming import free_name, source_name
from .partners import counts, partners, value_counts
from .plan import Plan

MOST_LISTED = 100_000_000
"""So many values may the lists of one column hold, all rows together: 400 MB once they are numbered."""


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
    """Return each key (k0, k1, ...) of the drawn rows with the number `n` of its partners.

    Only of the drawn rows, so that a large table is not counted for the sake of a few.
    """
    rows = partners(*_without_time(plan, join))
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


def _without_time(plan: Plan, join: JoinSpec) -> tuple[Plan, JoinSpec]:
    timeless = replace(join, kind=JoinKind.COUNT, time=None, up_to=None)
    return replace(plan, joins={**plan.joins, join.name: timeless}), timeless


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


def refuse_endless_lists(session: Session, plan: Plan) -> None:
    """Raise QueryError if the lists of a VALUES join would be longer, all together, than anything can hold.

    Rows that share a key each list what all rows of that key hold, which grows with the square of their number. It is
    counted by keys, without regard to moments: first the rows, and where these are too many, the distinct values.
    """
    for join in plan.needed(plan.query.columns):
        if join.kind is not JoinKind.VALUES:
            continue
        names = [ref.column for ref in plan.query.columns if ref.source == join.name]
        if _listed_rows(session, plan, join) > MOST_LISTED:
            for name, total in zip(names, _listed_values(session, plan, join, names), strict=True):
                if total > MOST_LISTED:
                    raise _endless(join, name, total)


def _listed_rows(session: Session, plan: Plan, join: JoinSpec) -> int:
    return _summed(session, plan, join, _timeless(plan, join), ["n"])[0]


def _listed_values(session: Session, plan: Plan, join: JoinSpec, names: Sequence[str]) -> list[int]:
    found = value_counts(partners(*_without_time(plan, join)), names)
    return _summed(session, plan, join, found, [f"n{number}" for number in range(len(names))])


def _timeless(plan: Plan, join: JoinSpec) -> Rows:
    return counts(partners(*_without_time(plan, join)))


def _summed(session: Session, plan: Plan, join: JoinSpec, found: Rows, names: Sequence[str]) -> list[int]:
    """Return sums of what was found for each row of the base, of as many rows as the query takes."""
    keys = plan.outer_keys(join)
    statement = Statement(plan, keys)
    columns = statement.match(found, keys, source_name(plan, join.name))
    sums = [sa.func.sum(columns[name]) for name in names]
    rows, *totals = session.fetch(sa.select(sa.func.count(), *sums).select_from(statement.tables))[0]
    most = most_rows(plan.query)
    share = 1.0 if most is None or not rows else min(1.0, most / rows)
    return [int(int(total or 0) * share) for total in totals]


def _endless(join: JoinSpec, column: str, total: int) -> QueryError:
    return QueryError(
        f"The lists of “{join.name}.{column}” would hold up to {in_words(total)} values.",
        why=f"Many rows share a key, and each of them would list the values of all its rows in “{join.table.name}”.",
        do="Leave that column out, join the table as “count” or “latest”, or take a sample of the rows.",
        join=join.name,
        column=column,
        values=total,
    )


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

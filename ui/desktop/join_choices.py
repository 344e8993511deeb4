"""What a join can be set to: the columns it can begin from, those that say when a row was known, and its moments."""

from __future__ import annotations

from dataclasses import replace

from core.commands import SourceOverview
from crosslens.relational import (
    ColumnInfo,
    ColumnRef,
    ColumnType,
    JoinKind,
    JoinProposal,
    JoinSpec,
    TableInfo,
    TableRef,
)

from .draft import Draft

_TIMES = (ColumnType.TIMESTAMP, ColumnType.DATE)
_TIME_WORDS = ("time", "date", "_at", "when", "moment", "stamp")


def table_info(overview: SourceOverview | None, ref: TableRef) -> TableInfo | None:
    """Return what is known about a table, or None."""
    tables = () if overview is None else overview.tables
    return next((table for table in tables if table.ref == ref), None)


def times(overview: SourceOverview | None, join: JoinSpec) -> tuple[str, ...]:
    """Return the columns of the joined table that may say when a row came to be known, the one in use first."""
    table = table_info(overview, join.table)
    found = [] if table is None else [column.name for column in table.columns if _may_be_time(column)]
    first = [join.time] if join.time else []
    return tuple(dict.fromkeys([*first, *found]))


def moments(draft: Draft, proposal: JoinProposal) -> tuple[ColumnRef, ...]:
    """Return the columns of earlier sources a join can be limited by: one in use or suggested, then all times."""
    join = proposal.join
    first = [column for column in (join.up_to, proposal.up_to) if column is not None]
    at_most_one = {draft.query.base.name} | {own.name for own in draft.query.joins if own.kind is JoinKind.LOOKUP}
    others = [column for column in draft.time_columns if column.source in at_most_one - {join.name}]
    return tuple(dict.fromkeys([*first, *others]))


def of_kind(proposal: JoinProposal, kind: JoinKind, known: tuple[str, ...]) -> JoinSpec:
    """Return the join as another kind.

    `known` are the columns that say when a row was known. What is counted or gathered is limited to the moment the
    proposal suggests, so that nothing leaks from the future; a label (EXISTS) has to look beyond it.
    """
    join = proposal.join
    if not kind.is_to_many:
        return replace(join, kind=kind, up_to=None)
    time = join.time or (known[0] if known else None)
    up_to = None if kind is JoinKind.EXISTS or time is None else join.up_to or proposal.up_to
    return replace(join, kind=kind, time=time, up_to=up_to)


def left_columns(draft: Draft, overview: SourceOverview | None) -> tuple[ColumnRef, ...]:
    """Return the columns a new join can begin from: those of the base and of every table looked up."""
    tables = [(draft.query.base.name, draft.query.base)] if not draft.query.select else []
    tables += [(join.name, join.table) for join in draft.query.joins if join.kind is JoinKind.LOOKUP]
    found = [column for column in draft.query.columns if column.source == draft.query.base.name]
    for name, ref in tables:
        table = table_info(overview, ref)
        found += [ColumnRef(name, column.name) for column in table.columns] if table is not None else []
    return tuple(dict.fromkeys(found))


def _may_be_time(column: ColumnInfo) -> bool:
    named = any(word in column.name.lower() for word in _TIME_WORDS)
    return column.type in _TIMES or (named and column.type in (ColumnType.TEXT, ColumnType.INTEGER))

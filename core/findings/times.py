"""What a row could not know yet: times after its own, and joins that count what came later."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosslens.relational import ColumnRef, JoinKind, JoinSpec
from crosslens.schema import Field

from ..commands import Finding
from ..moments import is_after, moments
from ..recipe import Repair, RepairKind
from .fields import ignore
from .rows import BoolArray, Rows, holds_times

_HALF = 0.5


def later_times(rows: Rows) -> Iterator[Finding]:
    """Yield warnings about features that hold a time after the row's own."""
    if rows.time is None:
        return
    own = moments(rows.column(rows.time))
    for field in rows.features:
        column = rows.column(field.column)
        if field.column != rows.time and holds_times(column, field):
            late = is_after(moments(column), own)
            if late.any():
                yield _too_late(rows, field, late)


def _too_late(rows: Rows, field: Field, late: BoolArray) -> Finding:
    count = int(late.sum())
    assert rows.time is not None
    own = rows.name(rows.time)
    known = len(rows) - rows.column(field.column).null_count
    message = f"{field.name} lies after {own} in {rows.share(count)}: it was not known yet."
    if count > _HALF * known:
        message = f"{message} It seems to say what happened afterwards."
    repairs = (*ignore(field), Repair(RepairKind.DROP_LATER_THAN_EVENT, (field.name,)))
    examples = rows.examples(np.flatnonzero(late), (field.column, rows.time))
    return Finding("warn", message, (field.name,), "time-after-event", count, examples, repairs)


def unlimited_joins(rows: Rows) -> Iterator[Finding]:
    """Yield findings about features from joins to many rows that also see those after the row's own time.

    A note where the joined rows have no time: they may be no events at all.
    """
    for join in rows.query.joins if rows.query else ():
        fields = tuple(field for field in rows.features if field.column.source == join.name)
        if join.kind.is_to_many and join.up_to is None and fields:
            yield _sees_the_future(rows, join, fields)


_WHAT = {
    JoinKind.COUNT: "counts all rows",
    JoinKind.EXISTS: "looks at all rows",
    JoinKind.LATEST: "takes the latest of all rows",
    JoinKind.VALUES: "gathers the values of all rows",
}


def _sees_the_future(rows: Rows, join: JoinSpec, fields: tuple[Field, ...]) -> Finding:
    names = tuple(field.name for field in fields)
    said = f"{', '.join(names)}: the join {join.name} {_WHAT[join.kind]} of {join.table.name}"
    repairs = (Repair(RepairKind.IGNORE_FIELD, names),)
    if join.time is None:
        message = f"{said}, whenever they came about. If that may be after the row's own time, leave it out."
        return Finding("note", message, names, "future-rows", repairs=repairs)
    late = _later_partners(rows, join)
    count = int(late.sum()) if late is not None else 0
    measured = f" {rows.share(count)} have a later one." if count else ""
    message = f"{said}, also those after the row's own time.{measured} Limit it to what was known by then."
    examples = _late_examples(rows, join, late) if late is not None and count else ()
    return Finding("warn", message, names, "future-rows", count or None, examples, repairs)


def _later_partners(rows: Rows, join: JoinSpec) -> BoolArray | None:
    """Return which rows have a latest partner after their own time; None where that was not read."""
    if rows.time is None or join.time is None or not rows.has(ColumnRef(join.name, join.time)):
        return None
    column = rows.column(ColumnRef(join.name, join.time))
    return is_after(moments(column), moments(rows.column(rows.time)))


def _late_examples(rows: Rows, join: JoinSpec, late: BoolArray) -> tuple[str, ...]:
    assert join.time is not None and rows.time is not None
    return rows.examples(np.flatnonzero(late), (ColumnRef(join.name, join.time), rows.time))

"""Rows that are there twice, and keys that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from crosslens.data import Int64Array
from crosslens.relational import ColumnRef, JoinKind, JoinSpec
from crosslens.schema import Field, FieldKind, FieldRole

from .. import words
from ..columns import Column
from ..commands import Finding
from ..hashing import hash_rows
from ..moments import moments, only_days
from ..recipe import Repair, RepairKind
from ..repairs import missing, orphans
from .fields import ENOUGH_ROWS
from .rows import BoolArray, Rows, distinct

_MOSTLY_DISTINCT = 0.9
"""From this share of different rows on, rows alike in everything are no coincidence."""
_BY_CHANCE = 2
_RARELY_TWICE = 0.05
_NEVER_MIND = 0.01
"""Below this share, keys without a partner are a note."""


def duplicates(rows: Rows) -> Iterator[Finding]:
    """Yield findings about rows of the same user, item and time, or else rows alike in all columns."""
    again = _same_event(rows)
    found = again if again is not None else _alike(rows)
    if found is not None:
        yield found
    yield from _events_twice(rows)


def _same_event(rows: Rows) -> Finding | None:
    who = [field for role in (FieldRole.USER, FieldRole.ITEM) for field in rows.schema.with_role(role)]
    refs = [field.column for field in who if rows.has(field.column)]
    if len(refs) < 2 or rows.time is None:
        return None
    refs.append(rows.time)
    whole = np.ones(len(rows), np.bool_)
    for ref in refs:
        whole &= ~missing(rows.column(ref))
    repeated = _repeated([rows.column(ref) for ref in refs]) & whole
    if not repeated.any():
        return None
    count = int(repeated.sum())
    names = [rows.name(ref) for ref in refs]
    message = f"{rows.share(count)} repeat the {names[0]}, {names[1]} and {names[2]} of another row."
    by_day = only_days(moments(rows.column(rows.time)))
    advice = "The times are days, so this may well be so." if by_day else "They were probably recorded twice."
    return _twice(rows, f"{message} {advice}", refs, repeated, "note" if by_day else "warn", "duplicate-events")


def _alike(rows: Rows) -> Finding | None:
    """Rows alike in everything but a key of their own; only where nearly all other rows differ, and not by chance."""
    refs = [ref for ref in rows.columns if not _is_row_key(rows, ref)]
    if len(refs) < 2 or len(rows) < ENOUGH_ROWS:
        return None
    repeated = _repeated([rows.column(ref) for ref in refs])
    count = int(repeated.sum())
    if not count or len(rows) - count < _MOSTLY_DISTINCT * len(rows) or _may_be_chance(rows, refs, count):
        return None
    message = f"{rows.share(count)} are alike in all columns to another row. They were probably recorded twice."
    return _twice(rows, message, refs, repeated, "warn", "duplicate-rows")


def _may_be_chance(rows: Rows, refs: Sequence[ColumnRef], count: int) -> bool:
    """Whether many more rows are alike but for the column that differs most; those recorded twice agree in that too."""
    most = max(refs, key=lambda ref: distinct(rows.column(ref)))
    others = [rows.column(ref) for ref in refs if ref != most]
    return int(_repeated(others).sum()) > _BY_CHANCE * count


def _events_twice(rows: Rows) -> Iterator[Finding]:
    """Yield notes on identifiers that are different in every row but a few; a sample could not tell."""
    if rows.total > len(rows) or len(rows) < ENOUGH_ROWS:
        return
    for field in rows.schema:
        if _names_one_event(field) and rows.has(field.column):
            column = rows.column(field.column)
            present = len(column) - column.null_count
            extra = present - distinct(column)
            if 0 < extra <= _RARELY_TWICE * present:
                message = f"{field.name} is different in every row but for {extra:,} of {present:,} that come again."
                advice = "If a row stands for one event, these were counted twice."
                repeated = _repeated([column]) & ~missing(column)
                yield _twice(rows, f"{message} {advice}", [field.column], repeated, "note", "counted-twice")


def _names_one_event(field: Field) -> bool:
    name = field.column.column
    return (
        field.kind is FieldKind.CATEGORICAL
        and field.role in (FieldRole.IGNORE, FieldRole.FEATURE)
        and words.is_id(name)
        and not words.names_one_of(name, words.USER | words.ITEM | words.SESSION)
    )


def _twice(
    rows: Rows, message: str, refs: Sequence[ColumnRef], repeated: BoolArray, severity: str, check: str
) -> Finding:
    names = [name for ref in refs if (name := rows.field_name(ref)) is not None]
    repairs = (Repair(RepairKind.DROP_DUPLICATES, tuple(names)),) if len(names) == len(refs) else ()
    places = np.flatnonzero(repeated)
    examples = rows.examples(places, refs[:4])
    columns = tuple(names) if len(names) <= 3 else ()
    return Finding(severity, message, columns, check, int(repeated.sum()), examples, repairs)


def _repeated(columns: Sequence[Column]) -> BoolArray:
    """Return the rows that repeat an earlier one, bool (N,)."""
    hashes = hash_rows(columns)
    repeated = np.ones(len(hashes), np.bool_)
    repeated[np.unique(hashes, return_index=True)[1]] = False
    return repeated


def _is_row_key(rows: Rows, ref: ColumnRef) -> bool:
    """Whether a column of the base numbers the rows one by one."""
    of_base = rows.query is None or ref.source == rows.query.base.name
    if not of_base or ref == rows.time:
        return False
    column = rows.column(ref)
    return words.is_id(ref.column) and not column.null_count and distinct(column) == len(column)


# --- keys without a partner -------------------------------------------------------------------------------------------


def keys_without_partner(rows: Rows) -> Iterator[Finding]:
    """Yield findings about lookups whose keys find no row; the joined key must have been read, or two other columns."""
    for join in rows.query.joins if rows.query else ():
        keys = [left for left, _ in join.on]
        partners = _partners(rows, join)
        if join.kind is JoinKind.LOOKUP and partners and all(rows.has(key) for key in keys):
            alone = orphans([rows.column(key) for key in keys], [rows.column(ref) for ref in partners])
            with_key = int((~_any_missing(rows, keys)).sum())
            if alone.any():
                yield _orphaned(rows, join, np.flatnonzero(alone), with_key)


def _partners(rows: Rows, join: JoinSpec) -> list[ColumnRef]:
    exact = [ColumnRef(join.name, right) for _, right in join.on]
    if all(rows.has(ref) for ref in exact):
        return exact
    others = [ref for ref in rows.columns if ref.source == join.name]
    return others if len(others) > 1 else []


def _any_missing(rows: Rows, refs: Sequence[ColumnRef]) -> BoolArray:
    gaps = np.zeros(len(rows), np.bool_)
    for ref in refs:
        gaps |= missing(rows.column(ref))
    return gaps


def _orphaned(rows: Rows, join: JoinSpec, places: Int64Array, with_key: int) -> Finding:
    keys = [left for left, _ in join.on]
    named = " and ".join(rows.name(key) for key in keys)
    count = len(places)
    if count == with_key:
        message = f"No {named} is found in {join.table.name}: the join adds nothing. Does it join the right columns?"
    else:
        message = (
            f"{rows.share(count)} have a {named} that {join.table.name} does not hold; what is joined is missing there."
        )
    names = [name for key in keys if (name := rows.field_name(key)) is not None]
    repairs = (Repair(RepairKind.DROP_ORPHANS, tuple(names)),) if len(names) == len(keys) and count < with_key else ()
    severity = "warn" if count >= _NEVER_MIND * len(rows) else "note"
    return Finding(severity, message, tuple(names), "orphans", count, rows.examples(places, keys), repairs)

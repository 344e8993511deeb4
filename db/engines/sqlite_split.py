"""Whether the rows of a SELECT can be read by ranges of row numbers, and with which statement.

They can where the statement says by `row_key` that one column of the base orders its rows, that column is SQLite's own
number of rows, and every column is of a kind a reader process can tell for sure.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import ColumnClause

from ..columns import Kind, tuple_batches
from .sqlite_columns import Asked, Statement, checked, numbers_rows
from .sqlite_lookups import Lean, lean
from .sqlite_ranges import TYPES, LeanJob, LookupJob, RangeJob, RangeReading, Rows

_MOST_TUPLES = 4_096
"""Rows as Python objects take several times the memory of arrays."""
_UNMEASURED = 15
"""After a range without gaps so many are taken for granted, lest all row numbers be walked through twice."""
_FEW_GAPS = 1.2
_RANGE = "(rowid>? AND rowid<?)"
_DEAR = ("MATERIALIZE", "CO-ROUTINE", "AUTOMATIC", "TEMP B-TREE")
"""What SQLite's plan calls work that is done once a statement, however few rows it gives."""


class SplitSession(Asked, Protocol):
    """What is needed of the guarded connection's session."""

    @property
    def uri(self) -> str:
        """Return how the file was opened."""

    def tuples(
        self, statement: Statement, batch: int, values: Mapping[str, Any] | None = None
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        """Yield rows in lists of `batch`."""

    def sees_the_same(self) -> bool:
        """Whether nobody has written since the snapshot began."""

    def check(self) -> None:
        """Raise when the work is to stop."""


def ranges_of(session: SplitSession, statement: Statement, kinds: Sequence[Kind], *, rows: int) -> RangeReading | None:
    """Return the reading of a statement by ranges, or None where it has to be read as it is."""
    key = statement.get_execution_options().get("row_key")
    if not isinstance(key, ColumnClause) or not set(kinds) <= TYPES.keys() or not numbers_rows(session, key):
        return None
    limits = sa.bindparam("first", 0, sa.BigInteger), sa.bindparam("last", 0, sa.BigInteger)
    ranged = statement.where(key.between(*limits))
    sql, parameters, is_checked = _prepared(session, ranged, kinds)
    if not all(value is None or isinstance(value, (str, int, float)) for value in parameters.values()):
        return None
    in_memory = lean(session, ranged, kinds, key)
    job = RangeJob(
        uri=session.uri,
        sql=sql,
        parameters=parameters,
        kinds=tuple(kinds),
        rows=rows,
        checked=is_checked,
        in_pieces=_costs_no_more_than_its_rows(session, sql, parameters),
        lean=None if in_memory is None else _lean_job(session, in_memory),
    )
    return RangeReading(job, _Ranges(session, key, ranged, kinds, rows))


def _prepared(session: SplitSession, statement: Statement, kinds: Sequence[Kind]) -> tuple[str, dict[str, Any], bool]:
    """Return the text of a statement with the values it has but those of a range, and whether its texts are checked."""
    given, is_checked = checked(session, statement, kinds)
    sql, parameters = session.rendered(given)
    known = {name: value for name, value in parameters.items() if name not in ("first", "last")}
    return sql, known, is_checked


def _lean_job(session: SplitSession, wanted: Lean) -> LeanJob:
    sql, parameters, is_checked = _prepared(session, wanted.statement, wanted.kinds)
    # Explained and not run, so that the guard has seen what the reader is given.
    session.run(f"EXPLAIN {sql}", {**parameters, "first": 0, "last": 0})
    lookups = []
    for each in wanted.lookups:
        text, _ = session.rendered(each.statement)
        session.run(f"EXPLAIN {text}")
        lookups.append(LookupJob(text, each.key, each.kinds))
    return LeanJob(sql, parameters, wanted.kinds, is_checked, tuple(lookups), wanted.places)


class _Ranges:
    """The guarded connection's part."""

    def __init__(
        self, session: SplitSession, key: ColumnClause[Any], ranged: Statement, kinds: Sequence[Kind], batch: int
    ) -> None:
        self._session = session
        self._ranged = ranged
        self._kinds = kinds
        self._batch = min(batch, _MOST_TUPLES)
        self.check = session.check
        self.sees_the_same = session.sees_the_same
        table = key.table
        assert table is not None
        first, rows = sa.bindparam("first", 0, sa.BigInteger), sa.bindparam("rows", 0, sa.Integer)
        numbers = sa.select(key.label("n")).select_from(table).where(key >= first).order_by(key)
        following = numbers.limit(rows).subquery("following")
        self._following = session.rendered(sa.select(sa.func.min(following.c.n), sa.func.max(following.c.n)))
        self._far = session.rendered(numbers.limit(1).offset(rows))
        self._last = session.rendered(sa.select(sa.func.max(key)).select_from(table))
        self._highest: int | None = None
        self._unmeasured = 0

    def next_range(self, first: int, rows: int) -> Rows | None:
        """Return a range of at most `rows` row numbers from `first` on; None when there are none.

        Where a measured range had hardly any gaps, the next ones are taken to be as long as `rows` without looking.
        """
        if self._highest is None:
            self._highest = self._session.run(*self._last)[0][0]
        if self._unmeasured and self._highest is not None and first + rows <= self._highest:
            self._unmeasured -= 1
            return first, first + rows - 1
        sql, parameters = self._following
        low, high = self._session.run(sql, {**parameters, "first": first, "rows": rows})[0]
        if low is None:
            return None
        self._unmeasured = _UNMEASURED if high - low < rows * _FEW_GAPS else 0
        return low, high

    def has_more(self, first: int, rows: int) -> bool:
        """Whether there are more than `rows` row numbers from `first` on."""
        sql, parameters = self._far
        return bool(self._session.run(sql, {**parameters, "first": first, "rows": rows}))

    def read(self, rows: Rows, *, skip: int = 0) -> Generator[list[pa.Array], None, None]:
        """Yield the rows of a range but the first `skip`; WiderKinds as `Session.batches`."""
        lists = self._session.tuples(self._ranged, self._batch, {"first": rows[0], "last": rows[1]})
        yield from tuple_batches(without_first(lists, skip), self._kinds)


def without_first(
    lists: Generator[list[tuple[Any, ...]], None, None], skip: int
) -> Generator[list[tuple[Any, ...]], None, None]:
    """Yield all rows but the first `skip`."""
    for rows in lists:
        rest = rows[skip:]
        skip -= len(rows) - len(rest)
        if rest:
            yield rest


def _costs_no_more_than_its_rows(session: SplitSession, sql: str, parameters: Mapping[str, Any]) -> bool:
    values = {**parameters, "first": 0, "last": 0}
    steps = [str(row[3]) for row in session.run(f"EXPLAIN QUERY PLAN {sql}", values)]
    return _RANGE in steps[0] and not any(word in step for step in steps for word in _DEAR)

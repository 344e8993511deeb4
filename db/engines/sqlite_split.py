"""Whether the rows of a SELECT can be read by ranges of row numbers, and with which statement.

They can where the statement says by `row_key` that one column of the base orders its rows, that column is SQLite's own
number of rows, and every column is of a kind a reader process can tell for sure.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import ColumnClause, FromClause, Label, TableClause
from sqlalchemy.sql.selectable import Alias

from crosslens.errors import UserError

from ..columns import Kind, tuple_batches
from .sqlite_ranges import TYPES, RangeJob, RangeReading, Rows

Statement = sa.Select[*tuple[Any, ...]]
_ROW_IDS = {"rowid", "_rowid_", "oid"}
_TEXT_TYPES = ("CHAR", "CLOB", "TEXT")
_ALWAYS_TEXT = {"group_concat", "json_group_array"}
_MOST_TUPLES = 4_096
"""Rows as Python objects take several times the memory of arrays."""
_UNMEASURED = 15
"""After a range without gaps so many are taken for granted, lest all row numbers be walked through twice."""
_FEW_GAPS = 1.2
_RANGE = "(rowid>? AND rowid<?)"
_DEAR = ("MATERIALIZE", "CO-ROUTINE", "AUTOMATIC", "TEMP B-TREE")
"""What SQLite's plan calls work that is done once a statement, however few rows it gives."""


class SplitSession(Protocol):
    """What is needed of the guarded connection's session."""

    @property
    def uri(self) -> str:
        """Return how the file was opened."""

    def rendered(self, statement: Statement) -> tuple[str, dict[str, Any]]:
        """Return the text of a statement with the values it has."""

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a text that Crosslens wrote."""

    def pragma(self, name: str, argument: str) -> list[tuple[Any, ...]]:
        """Return what a PRAGMA says of a table or index."""

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
    if not isinstance(key, ColumnClause) or not set(kinds) <= TYPES.keys() or not _numbers_rows(session, key):
        return None
    limits = sa.bindparam("first", 0, sa.BigInteger), sa.bindparam("last", 0, sa.BigInteger)
    ranged = statement.where(key.between(*limits))
    checks = [_wrong_type(column) for column, kind in _texts(statement, kinds) if not _is_text(session, column, kind)]
    given = ranged.add_columns(sum(checks[1:], checks[0]).label("wrong")) if checks else ranged
    sql, parameters = session.rendered(given)
    known = {name: value for name, value in parameters.items() if name not in ("first", "last")}
    if not all(value is None or isinstance(value, (str, int, float)) for value in known.values()):
        return None
    job = RangeJob(
        uri=session.uri,
        sql=sql,
        parameters=known,
        kinds=tuple(kinds),
        rows=rows,
        checked=bool(checks),
        in_pieces=_costs_no_more_than_its_rows(session, sql, known),
    )
    return RangeReading(job, _Ranges(session, key, ranged, kinds, rows))


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


def _numbers_rows(session: SplitSession, key: ColumnClause[Any]) -> bool:
    """Whether a column is SQLite's own number of a table's rows: INTEGER PRIMARY KEY, or one of its hidden names."""
    table = _table(key)
    if table is None:
        return False
    try:
        columns = session.pragma("table_xinfo", table.name)
        indexes = session.pragma("index_list", table.name)
    except UserError:
        return False
    names = {row[1].lower() for row in columns}
    if key.name.lower() in _ROW_IDS - names:
        return True
    keys = [(row[1], (row[2] or "").upper()) for row in columns if row[5]]
    # The key of a table WITHOUT ROWID, or a descending one, has an index of its own.
    return keys == [(key.name, "INTEGER")] and not any(row[3] == "pk" for row in indexes)


def _table(column: ColumnClause[Any]) -> TableClause | None:
    source: FromClause | None = column.table
    while isinstance(source, Alias):
        source = source.element
    return source if isinstance(source, TableClause) else None


def _texts(statement: Statement, kinds: Sequence[Kind]) -> list[tuple[sa.ColumnElement[Any], Kind]]:
    columns = [_inner(column) for column in statement.selected_columns]
    return [(column, kind) for column, kind in zip(columns, kinds, strict=True) if kind is Kind.TEXT]


def _inner(column: Any) -> sa.ColumnElement[Any]:
    element: sa.ColumnElement[Any] = column.element if isinstance(column, Label) else column
    return element


def _wrong_type(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    kind = sa.func.typeof(column)
    return sa.case((kind == "text", 0), (kind == "null", 0), else_=1)


def _is_text(session: SplitSession, column: sa.ColumnElement[Any], kind: Kind) -> bool:
    """Whether SQLite itself sees to it that a column holds no numbers."""
    if isinstance(column, sa.ScalarSelect):
        column = _inner(next(iter(column.element.selected_columns)))
    if isinstance(column, sa.Function):
        return column.name in _ALWAYS_TEXT
    table = _table(column) if isinstance(column, ColumnClause) else None
    if table is None or not isinstance(column, ColumnClause):
        return False
    kinds = {row[1]: row[2] for row in session.run("PRAGMA table_list") if row[0] == "main"}
    declared = {row[1]: (row[2] or "").upper() for row in session.pragma("table_xinfo", table.name)}
    word = declared.get(column.name, "")
    return kinds.get(table.name) == "table" and "INT" not in word and any(part in word for part in _TEXT_TYPES)


def _costs_no_more_than_its_rows(session: SplitSession, sql: str, parameters: Mapping[str, Any]) -> bool:
    values = {**parameters, "first": 0, "last": 0}
    steps = [str(row[3]) for row in session.run(f"EXPLAIN QUERY PLAN {sql}", values)]
    return _RANGE in steps[0] and not any(word in step for step in steps for word in _DEAR)

"""Small tables beside a large one, read once and looked up here.

A server that joins fifty thousand users to a hundred million impressions finds, writes and sends each user again for
every row. Where the partner's key is a whole number that the database declares unique, and its table is small, its
rows are read once, in the same snapshot, and put beside the rows of the base as these arrive:

    impressions LEFT JOIN users ON users.id = impressions.user_id
    ->  SELECT id, country FROM users          kept, sorted by id
        SELECT ..., user_id FROM impressions   each batch: place of user_id among the ids, country taken from there

What such a table looks up itself is joined to it by the database. The result is that of the one SELECT, and whenever
something here turns out otherwise than declared (a table larger than its statistics, a key twice), that one is sent.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from numpy.typing import NDArray

from crosslens.relational import ColumnInfo, ColumnRef, ColumnType, JoinKind, JoinSpec, QuerySpec, TableRef

from .columns import Kind, WiderKinds
from .compile import keys_are_unique, select_rows
from .engines import RowReader, Session
from .engines.server import ServerSession
from .extract import BATCH_ROWS
from .plan import Plan, referenced

MOST_ROWS = 250_000
"""A table with more rows is left to the database."""
MOST_BYTES = 32_000_000
"""So much of a looked-up table is kept here."""
_SMALLER = 4
"""So many times as many rows must the base have, or reading all of the small table would not pay."""
_WIDEST = 8
"""So many times as wide as their number may keys be spread and still be found by a table."""
_NOWHERE = -1

Rows = sa.Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A small table with what it looks up itself: the first column of `plan` is its key, which `key` refers to."""

    key: ColumnRef
    plan: Plan


@dataclass(frozen=True, slots=True)
class Split:
    """A query in parts: `plan` is what the database still joins, the keys of the lookups among its columns."""

    plan: Plan
    lookups: tuple[Lookup, ...]


def row_reader(session: Session, plan: Plan, rows: int, *, row_id: str | None = None) -> RowReader:
    """Return what reads the `rows` rows of a query best: a server's small tables are looked up here.

    Engines that read files have ways of their own. To be used inside a snapshot only.
    """
    split = split_lookups(session, plan, rows) if isinstance(session, ServerSession) else None
    return session if split is None else LookedUp(session, plan.query.columns, split, row_id)


def split_lookups(session: Session, plan: Plan, rows: int) -> Split | None:
    """Return the query with its small tables taken out; None if it has none. `rows` are those of the result."""
    heads = [join for join in plan.needed(plan.query.columns) if _is_simple(plan, join)]
    families = [(join, *_hanging_from(plan, join)) for join in heads]
    fixed = _rested_on(plan, {join.name for family in families for join in family})
    small = [family for family in families if _is_apart(family, fixed) and _is_small(session, plan, family[0], rows)]
    if not small:
        return None
    lookups = tuple(_lookup(plan, family) for family in small)
    gone = {join.name for family in small for join in family}
    columns = [ref for ref in plan.query.columns if ref.source not in gone] + [lookup.key for lookup in lookups]
    joins = {name: join for name, join in plan.joins.items() if name not in gone}
    tables = {name: table for name, table in plan.tables.items() if name not in gone}
    query = replace(plan.query, columns=tuple(dict.fromkeys(columns)), joins=tuple(joins.values()))
    return Split(Plan(query, tables, joins), lookups)


class LookedUp:
    """Reads the rows of a query with its small tables looked up here; WiderKinds as the database itself would."""

    def __init__(self, session: Session, columns: tuple[ColumnRef, ...], split: Split, row_id: str | None) -> None:
        self._session = session
        self._columns = columns
        self._split = split
        self._row_id = row_id
        self._tables: tuple[_Kept, ...] | None = None
        self._is_given_up = False

    @property
    def name(self) -> str:
        """Return what to call the database in a sentence."""
        return self._session.name

    def kinds(self, columns: Sequence[ColumnInfo]) -> tuple[Kind, ...]:
        """Return how to hold columns."""
        return self._session.kinds(columns)

    def batches(self, statement: Rows, kinds: Sequence[Kind], *, rows: int) -> Generator[list[pa.Array], None, None]:
        """Yield the rows of `statement`, which is the whole query; it is sent only where looking up fails."""
        tables = self._looked_up()
        if tables is None:
            yield from self._session.batches(statement, kinds, rows=rows)
            return
        found = {ref: kind for table in tables for ref, kind in table.kinds.items()}
        wanted = tuple(found.get(ref, kind) for ref, kind in zip(self._columns, kinds, strict=True))
        if wanted != tuple(kinds):
            raise WiderKinds(wanted)
        yield from self._beside(tables, wanted, rows)

    def _beside(
        self, tables: Sequence[_Kept], kinds: tuple[Kind, ...], rows: int
    ) -> Generator[list[pa.Array], None, None]:
        plan = self._split.plan
        given = dict(zip(self._columns, kinds, strict=True))
        refs = plan.query.columns
        declared = self._session.kinds([plan.column(ref) for ref in refs])
        own = [given.get(ref, kind) for ref, kind in zip(refs, declared, strict=True)]
        try:
            with closing(self._session.batches(select_rows(plan, row_id=self._row_id), own, rows=rows)) as batches:
                for arrays in batches:
                    columns = dict(zip(refs, arrays, strict=True))
                    for table in tables:
                        columns |= table.beside(columns[table.key])
                    yield [columns[ref] for ref in self._columns]
        except WiderKinds as wider:
            now = dict(zip(refs, wider.kinds, strict=True))
            self._is_given_up = any(now[table.key] is not Kind.INTEGER for table in tables)
            raise WiderKinds(tuple(now.get(ref, kind) for ref, kind in given.items())) from wider

    def _looked_up(self) -> tuple[_Kept, ...] | None:
        """Return the small tables, read on first use; None when one of them is not what it was declared to be."""
        if self._tables is None and not self._is_given_up:
            kept = [_read(self._session, lookup) for lookup in self._split.lookups]
            self._tables = tuple(table for table in kept if table is not None)
            self._is_given_up = len(self._tables) < len(kept)
        return None if self._is_given_up else self._tables


@dataclass(frozen=True, slots=True)
class _Kept:
    """A small table here: `columns` of n rows, found by their key."""

    key: ColumnRef
    places: _Places
    columns: dict[ColumnRef, pa.Array]
    kinds: dict[ColumnRef, Kind]

    def beside(self, wanted: pa.Array) -> dict[ColumnRef, pa.Array]:
        """Return the columns for keys of the base, missing where a key is missing or not there."""
        indices = self.places.of(wanted)
        return {ref: array.take(indices) for ref, array in self.columns.items()}


class _Places:
    """Where each of different keys stands: a table from smallest to largest key, or a search where that is too wide."""

    def __init__(self, keys: NDArray[np.int64]) -> None:
        self._keys = keys
        self._by_key: NDArray[np.int32] | None = None
        if len(keys) and int(keys[-1]) - int(keys[0]) < _WIDEST * len(keys):
            self._by_key = np.full(int(keys[-1]) - int(keys[0]) + 1, _NOWHERE, np.int32)
            self._by_key[keys - keys[0]] = np.arange(len(keys), dtype=np.int32)

    def of(self, wanted: pa.Array) -> pa.Array:
        """Return the place of each key, null where it is null or not there."""
        if not len(self._keys):
            return pa.nulls(len(wanted), pa.int32())
        numbers = (pc.fill_null(wanted, 0) if wanted.null_count else wanted).to_numpy()
        if self._by_key is not None:
            outside = (numbers < self._keys[0]) | (numbers > self._keys[-1])
            places = self._by_key[np.where(outside, 0, numbers - self._keys[0])]
            missing = outside | (places == _NOWHERE)
        else:
            places = np.searchsorted(self._keys, numbers)
            places[places == len(self._keys)] = 0
            missing = self._keys[places] != numbers
        if wanted.null_count:
            missing |= wanted.is_null().to_numpy(zero_copy_only=False)
        return pa.array(places, mask=missing)


def _read(session: Session, lookup: Lookup) -> _Kept | None:
    """Return a small table; None if it is not small, or its key is no key."""
    refs = lookup.plan.query.columns
    kinds = session.kinds([lookup.plan.column(ref) for ref in refs])
    while kinds[0] is Kind.INTEGER:
        try:
            arrays = _small(session.batches(select_rows(lookup.plan), kinds, rows=BATCH_ROWS), kinds)
        except WiderKinds as wider:
            kinds = wider.kinds
            continue
        return None if arrays is None else _sorted(lookup, arrays, kinds)
    return None


def _small(batches: Generator[list[pa.Array], None, None], kinds: Sequence[Kind]) -> list[pa.Array] | None:
    """Return all rows, one array per column; None when they are too many."""
    parts: list[list[pa.Array]] = []
    rows = size = 0
    with closing(batches):
        for arrays in batches:
            parts.append(arrays)
            rows += len(arrays[0])
            size += sum(array.nbytes for array in arrays)
            if rows > MOST_ROWS or size > MOST_BYTES:
                return None
    return [
        pa.concat_arrays([part[number] for part in parts]) if parts else pa.array([], kind.arrow)
        for number, kind in enumerate(kinds)
    ]


def _sorted(lookup: Lookup, arrays: list[pa.Array], kinds: Sequence[Kind]) -> _Kept | None:
    known = arrays[0].is_valid()
    arrays = [array.filter(known) for array in arrays]
    order = pc.sort_indices(arrays[0])
    arrays = [array.take(order) for array in arrays]
    keys = arrays[0].to_numpy()
    if (keys[1:] == keys[:-1]).any():
        return None
    refs = lookup.plan.query.columns[1:]
    return _Kept(
        lookup.key, _Places(keys), dict(zip(refs, arrays[1:], strict=True)), dict(zip(refs, kinds[1:], strict=True))
    )


# ------------------------------------------------------------------------------------------- what can be apart


def _is_simple(plan: Plan, join: JoinSpec) -> bool:
    """Whether a join looks up a declared key by one whole number of a source that stays."""
    if join.kind is not JoinKind.LOOKUP or len(join.on) != 1:
        return False
    (ref, column), table = join.on[0], plan.tables[join.name]
    whole = plan.column(ref).type is table.column(column).type is ColumnType.INTEGER
    return whole and ref.source == plan.query.base.name and keys_are_unique(table, (column,))


def _hanging_from(plan: Plan, join: JoinSpec) -> tuple[JoinSpec, ...]:
    """Return the joins that start from a join and from nothing else, in order."""
    names, found = {join.name}, []
    for other in plan.joins.values():
        if other.name not in names and {ref.source for ref in plan.outer_columns(other)} <= names:
            names.add(other.name)
            found.append(other)
    return tuple(found)


def _rested_on(plan: Plan, inside: set[str]) -> set[str]:
    """Return the sources that filters, order, sample, and joins that are not `inside` a family rest on."""
    refs = [*referenced(replace(plan.query, columns=()))]
    for join in plan.joins.values():
        if join.name not in inside:
            refs += plan.outer_columns(join)
    return {ref.source for ref in refs}


def _is_apart(family: Sequence[JoinSpec], fixed: set[str]) -> bool:
    return not any(join.kind.is_to_many or join.name in fixed for join in family)


def _is_small(session: Session, plan: Plan, join: JoinSpec, rows: int) -> bool:
    (table,) = session.with_row_counts((plan.tables[join.name],))
    return table.rows is not None and table.rows <= min(MOST_ROWS, rows // _SMALLER)


def _lookup(plan: Plan, family: Sequence[JoinSpec]) -> Lookup:
    head, *others = family
    ((outer, column),) = head.on
    names = {join.name for join in family}
    key = ColumnRef(head.name, column)
    columns = (key, *(ref for ref in plan.query.columns if ref.source in names))
    query = QuerySpec(TableRef(head.name), columns, tuple(others))
    tables = {name: table for name, table in plan.tables.items() if name in names}
    return Lookup(outer, Plan(query, tables, {other.name: other for other in others}))

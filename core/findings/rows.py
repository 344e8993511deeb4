"""The rows a check looks at: a sample of a query's result, with the meaning of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crosslens.data import Int64Array
from crosslens.relational import ColumnRef, QuerySpec
from crosslens.schema import Field, FieldKind, FieldRole, FieldSchema

from ..columns import Column, column_at, numbers, plain
from ..hashing import hash64
from ..moments import MomentArray, moments

BoolArray = NDArray[np.bool_]

MOST_ROWS = 200_000
"""More rows than this are looked at as a sample."""
EXAMPLES = 5
_BINS = 200
_EXAMPLE_CHARACTERS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Column i of `table` is `columns[i]`; `total` rows exist, of which `table` may be a sample."""

    table: pa.Table
    columns: tuple[ColumnRef, ...]
    schema: FieldSchema
    query: QuerySpec | None
    total: int
    _places: Mapping[ColumnRef, int] = field(init=False, repr=False)
    """Looking through 1,500 columns for each of them would take longer than what is looked for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", {ref: place for place, ref in enumerate(self.columns)})

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def has(self, ref: ColumnRef | None) -> bool:
        """Whether the column was read."""
        return ref in self._places

    def column(self, ref: ColumnRef) -> Column:
        """Return a column; DataError if it was not read."""
        place = self._places.get(ref)
        if place is None or self.table.num_columns != len(self.columns):
            return column_at(self.table, self.columns, ref)  # says what is wrong
        return plain(self.table.column(place))

    @property
    def features(self) -> tuple[Field, ...]:
        """Return the fields models look at that were read."""
        return tuple(each for each in self.schema.features if each.column in self._places)

    @property
    def time(self) -> ColumnRef | None:
        """Return the column that says when a row happened, if it was read."""
        time = self.query.time if self.query else None
        return time if self.has(time) else None

    def name(self, ref: ColumnRef) -> str:
        """Return the name people know a column by: its field's, where it has one."""
        return next((field.name for field in self.schema if field.column == ref), str(ref))

    def field_name(self, ref: ColumnRef) -> str | None:
        """Return the name of the column's field, None where it has none."""
        return next((field.name for field in self.schema if field.column == ref), None)

    def telling(self, *fields: Field) -> tuple[ColumnRef, ...]:
        """Return the columns an example shows: who, what and when, and some fields."""
        marked = [field for role in (FieldRole.USER, FieldRole.ITEM) for field in self.schema.with_role(role)]
        refs = [*(field.column for field in (*marked, *fields)), *([self.time] if self.time else [])]
        return tuple(ref for ref in dict.fromkeys(refs) if ref in self._places)

    def where(self, mask: BoolArray) -> Rows:
        """Return some of the rows."""
        return self if mask.all() else replace(self, table=self.table.filter(pa.array(mask)))

    def share(self, count: int) -> str:
        """Return "12 of 40,000 rows", and of how many they are a sample."""
        of = f"{count:,} of {len(self):,} rows"
        return f"{of} looked at" if self.total > len(self) else of

    def examples(self, places: NDArray[np.int64], refs: Sequence[ColumnRef]) -> tuple[str, ...]:
        """Return some rows as text: "item_id = 7, shown_at = 2026-01-02"."""
        some = self.table.take(pa.array(places[:EXAMPLES]))
        columns = [(self.name(ref), column_at(some, self.columns, ref).to_pylist()) for ref in refs]
        texts = [", ".join(f"{name} = {_shown(values[row])}" for name, values in columns) for row in range(len(some))]
        return tuple(texts)


def _shown(value: object) -> str:
    text = "(missing)" if value is None else str(value)
    return text if len(text) <= _EXAMPLE_CHARACTERS else f"{text[: _EXAMPLE_CHARACTERS - 1]}…"


def sampled(rows: Rows) -> Rows:
    """Return at most 200,000 of the rows, the same ones each time."""
    if len(rows) <= MOST_ROWS:
        return rows
    places = np.sort(np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False))
    return replace(rows, table=rows.table.take(pa.array(places)))


def holds_times(column: Column, field: Field) -> bool:
    """Whether the values of a field are moments."""
    kind = column.type
    return field.kind is FieldKind.TIMESTAMP or pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def groups(column: Column, field: Field) -> Int64Array:
    """Return a group number per row: its value, or its bin; 0 for missing. Numbers are not dense."""
    if field.kind is FieldKind.NUMERICAL:
        return _binned(numbers(column))
    if field.kind is FieldKind.TIMESTAMP:
        return _binned(_as_numbers(moments(column)))
    return codes(column) + 1


def _as_numbers(times: MomentArray) -> NDArray[np.float64]:
    values = times.astype(np.int64).astype(np.float64)
    values[np.isnat(times)] = np.nan
    return values


def _binned(values: NDArray[np.float64]) -> Int64Array:
    missing = np.isnan(values)
    edges = np.unique(np.quantile(values[~missing], np.linspace(0, 1, _BINS))) if not missing.all() else values[:0]
    return np.where(missing, 0, np.searchsorted(edges, values, side="right") + 1).astype(np.int64)


def codes(column: Column) -> Int64Array:
    """Return the position of every value among the distinct ones, -1 for NULL."""
    if pa.types.is_null(column.type):
        return np.full(len(column), -1, np.int64)
    if pa.types.is_nested(column.type):
        found = np.unique(hash64(column), return_inverse=True)[1].astype(np.int64)
        return np.where(np.asarray(column.is_null().to_numpy()), -1, found)
    encoded = column.dictionary_encode().unify_dictionaries()
    parts = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)


def distinct(column: Column) -> int:
    """Return how many different values there are, without NULL."""
    if column.null_count == len(column):
        return 0
    if pa.types.is_nested(column.type):
        return len(np.unique(hash64(column.drop_null())))
    return int(pc.count_distinct(column).as_py())

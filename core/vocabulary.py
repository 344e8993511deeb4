"""The values of a categorical field and their ids, in both directions.

Local ids: 0 missing, 1 unknown (unseen in training, or too rare there), values from 2, most frequent first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens import MISSING_ID, RESERVED_IDS, UNKNOWN_ID, DataError
from crosslens.data import Int32Array

from .columns import Column, as_text, distinct, is_text, plain
from .counting import ValueCounter
from .hashing import hash64

MISSING_TEXT = "<missing>"
UNKNOWN_TEXT = "<unknown>"
EMPTY_TEXT = "<empty>"
"""How the empty text is shown, which is a value and not the same as missing."""

Value: TypeAlias = str | int | float | bool


class ValueType(StrEnum):
    """What the values of a vocabulary are, so that 7, "7" and true stay apart in storage."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"

    @property
    def arrow(self) -> pa.DataType:
        """Return the Arrow type values are kept in."""
        return _ARROW[self]


_ARROW = {
    ValueType.TEXT: pa.large_string(),
    ValueType.INTEGER: pa.int64(),
    ValueType.NUMBER: pa.float64(),
    ValueType.BOOLEAN: pa.bool_(),
}
TRUE_WORDS = frozenset({"true", "yes", "y", "t", "1"})
FALSE_WORDS = frozenset({"false", "no", "n", "f", "0"})


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """`values` (V,) of one type without NULL; value i has local id i + 2."""

    type: ValueType
    values: pa.Array

    @property
    def cardinality(self) -> int:
        """Return how many local ids there are, the two reserved ones included."""
        return len(self.values) + RESERVED_IDS

    def local_ids(self, column: Column) -> Int32Array:
        """Return the local id of every value, int32 (N,). A column of another type is compared by its text."""
        return self.reader()(column)

    def reader(self) -> Callable[[Column], Int32Array]:
        """Return `local_ids` as a function that reads block after block: what can be is worked out once."""
        return VocabularyReader(self)

    def text(self, local_id: int) -> str:
        """Return how the value of a local id is shown; IndexError if there is no such id."""
        if local_id in (MISSING_ID, UNKNOWN_ID):
            return MISSING_TEXT if local_id == MISSING_ID else UNKNOWN_TEXT
        if not 0 <= local_id < self.cardinality:
            raise IndexError(f"local id {local_id} is not below {self.cardinality}")
        return value_text(self.values[local_id - RESERVED_IDS].as_py())

    def local_id(self, text: str | None) -> int:
        """Return the local id of a value given as text; what no value reads like is unknown, "" and None missing."""
        if text is None or text == "":
            return MISSING_ID
        found = self._position(_parse(text, self.type))
        if found is None and text == EMPTY_TEXT and self.type is ValueType.TEXT:
            found = self._position("")
        if found is not None:
            return found + RESERVED_IDS
        return MISSING_ID if text == MISSING_TEXT else UNKNOWN_ID

    def _position(self, value: Value | None) -> int | None:
        if value is None:
            return None
        found = int(pc.index(self.values, pa.scalar(value, self.values.type)).as_py())
        return found if found >= 0 else None

    def to_plain(self) -> dict[str, Any]:
        """Return what JSON knows."""
        return {"type": self.type.value, "values": self.values.to_pylist()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Vocabulary:
        """Return the vocabulary that `to_plain` described."""
        kind = ValueType(plain["type"])
        return cls(type=kind, values=pa.array(plain["values"], kind.arrow))


def value_counter() -> ValueCounter:
    """Return a counter of values as vocabularies keep them."""
    return ValueCounter(canonical)


def counted_vocabulary(
    counter: ValueCounter, kind: pa.DataType, *, minimum_count: int = 2, most: int | None = None
) -> Vocabulary:
    """Return the values of a counted column of Arrow type `kind` that occur at least `minimum_count` times.

    Most frequent first, ties by value, cut to the `most` frequent.
    """
    values = value_type(kind)
    table = counter.table()
    if not table.num_rows:
        return Vocabulary(type=values, values=pa.array([], values.arrow))
    table = table.filter(pc.greater_equal(table["count"], minimum_count))
    table = table.sort_by([("count", "descending"), ("value", "ascending")]).slice(0, most)
    found = table["value"].combine_chunks()
    return Vocabulary(type=values, values=found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks))


class VocabularyReader:
    """Reads local ids of columns, block after block.

    Whole numbers that lie close together are looked up in an array, texts by Arrow. Other values, and texts among very
    many, are looked up once per block and value: among very many by their sorted hashes, which are made once.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._values = vocabulary.values
        self._type = vocabulary.type
        self._table, self._lowest = _dense_ids(vocabulary)
        self._many: _ManyValues | None = None

    def __call__(self, column: Column) -> Int32Array:
        """Return the local id of every value, int32 (N,)."""
        column = plain(column)
        if self._table is not None and pa.types.is_integer(column.type) and column.type != pa.uint64():
            return self._near(column, self._table)
        is_plain = is_text(column.type) and self._type is ValueType.TEXT and len(self._values) <= _MANY_VALUES
        if is_plain or len(column) < _FEW_ROWS:
            return self._found(column)
        places, values = distinct(column)
        return np.append(self._found(values), np.int32(MISSING_ID))[places]

    def _near(self, column: Column, table: Int32Array) -> Int32Array:
        missing = column.is_null() if column.null_count else None
        places = np.asarray(column.cast(pa.int64()).fill_null(0).to_numpy())
        inside = (places >= self._lowest) & (places < self._lowest + len(table))
        ids: Int32Array = np.full(len(places), UNKNOWN_ID, np.int32)
        ids[inside] = table[places[inside] - self._lowest]
        if missing is not None:
            ids[np.asarray(missing.to_numpy())] = MISSING_ID
        return ids

    def _found(self, column: Column) -> Int32Array:
        column = canonical(column)
        candidates = self._values
        if column.type != candidates.type:
            column, candidates = _comparable(column, candidates)
        elif len(candidates) > _MANY_VALUES:
            self._many = self._many or _ManyValues(candidates)
            return self._many.local_ids(column)
        found = pc.index_in(column, value_set=candidates).fill_null(UNKNOWN_ID - RESERVED_IDS)
        ids = np.array(found.to_numpy(), dtype=np.int32) + np.int32(RESERVED_IDS)
        if column.null_count:
            ids[np.asarray(column.is_null().to_numpy())] = MISSING_ID
        return ids


_FEW_ROWS = 64
_MANY_VALUES = 1 << 20
_DENSE_RANGE = 1 << 20


def _dense_ids(vocabulary: Vocabulary) -> tuple[Int32Array | None, int]:
    """Return local ids by value counted from the lowest one, or None where the values are no near whole numbers."""
    if vocabulary.type is not ValueType.INTEGER or not len(vocabulary.values):
        return None, 0
    values = np.asarray(vocabulary.values.to_numpy())
    lowest, highest = int(values.min()), int(values.max())
    if highest - lowest >= _DENSE_RANGE:
        return None, 0
    table = np.full(highest - lowest + 1, UNKNOWN_ID, np.int32)
    table[values - lowest] = np.arange(len(values), dtype=np.int32) + np.int32(RESERVED_IDS)
    return table, lowest


class _ManyValues:
    """Finds values by sorted 64-bit hashes; what is found is compared, so a collision cannot mistake a value."""

    def __init__(self, values: pa.Array) -> None:
        hashes = hash64(values)
        self._values = values
        self._order = np.argsort(hashes).astype(np.int32)
        self._hashes = hashes[self._order]

    def local_ids(self, column: Column) -> Int32Array:
        """Return the local id of every value, int32 (N,)."""
        hashes = hash64(column)
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        order = self._order[places]
        same = pc.equal(pa.chunked_array([self._values.take(pa.array(order))]), column).fill_null(False)
        ids = np.where(np.asarray(same.to_numpy()), order + np.int32(RESERVED_IDS), np.int32(UNKNOWN_ID))
        if column.null_count:
            ids[np.asarray(column.is_null().to_numpy())] = MISSING_ID
        return ids.astype(np.int32, copy=False)


def value_text(value: Value) -> str:
    """Return how a value is shown: 3.0 as 3, true as true, the empty text as <empty>."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value) if value != "" else EMPTY_TEXT


def canonical(column: Column) -> Column:
    """Return the column in one of the four Arrow types of a vocabulary; numbers that are not finite become NULL.

    Times become ISO text without a fraction of zero.
    """
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return column
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        column = column.cast(pa.float64())
        return pc.if_else(pc.is_finite(column), column, pa.scalar(None, pa.float64()))
    if pa.types.is_timestamp(kind):
        return pc.replace_substring_regex(as_text(column), r"[.]0+(Z?)$", r"\1")
    return as_text(column)


def value_type(kind: pa.DataType) -> ValueType:
    """Return how values of an Arrow type are kept."""
    if pa.types.is_boolean(kind):
        return ValueType.BOOLEAN
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return ValueType.INTEGER
    return ValueType.NUMBER if pa.types.is_floating(kind) else ValueType.TEXT


def _comparable(column: Column, values: pa.Array) -> tuple[Column, pa.Array]:
    """Return both sides as text; a truth value compares as 1 and 0 with anything but text."""
    if pa.types.is_null(column.type):
        return column.cast(values.type), values
    if pa.types.is_boolean(column.type) and not is_text(values.type):
        column = column.cast(pa.int8())
    if pa.types.is_boolean(values.type) and not is_text(column.type):
        values = values.cast(pa.int8())
    return as_text(column), as_text(values)


def truth_of(text: str) -> bool | None:
    """Return what a yes-or-no word means, or None for any other text."""
    word = text.strip().casefold()
    return word in TRUE_WORDS if word in TRUE_WORDS | FALSE_WORDS else None


def _truth(text: str) -> bool:
    truth = truth_of(text)
    if truth is None:
        raise ValueError(text)
    return truth


def _integer(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(text)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_PARSERS: dict[ValueType, Callable[[str], Value]] = {
    ValueType.TEXT: str,
    ValueType.INTEGER: _integer,
    ValueType.NUMBER: _finite,
    ValueType.BOOLEAN: _truth,
}


def _parse(text: str, kind: ValueType) -> Value | None:
    try:
        return _PARSERS[kind](text)
    except ValueError:  # not a value of this type, hence not in the vocabulary
        return None


def check_categorical(column: Column, name: str) -> None:
    """Raise DataError for types whose values cannot be categories."""
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise DataError(f"The values of {name} are of type {kind} and cannot be categories.", do="Ignore the field.")

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

from .columns import Column, as_text, is_text, plain

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
        column = _canonical(plain(column))
        candidates = self.values
        if column.type != candidates.type:
            column, candidates = _comparable(column, candidates)
        found = pc.index_in(column, value_set=candidates).fill_null(UNKNOWN_ID - RESERVED_IDS)
        ids = np.array(found.to_numpy(), dtype=np.int32) + np.int32(RESERVED_IDS)
        if column.null_count:
            ids[np.asarray(column.is_null().to_numpy())] = MISSING_ID
        return ids

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


def fit_vocabulary(column: Column, *, minimum_count: int = 2) -> Vocabulary:
    """Return the values that occur at least `minimum_count` times, most frequent first, ties by value."""
    column = _canonical(plain(column))
    kind = _value_type(column.type)
    if pa.types.is_null(column.type):
        return Vocabulary(type=kind, values=pa.array([], kind.arrow))
    counts = pc.value_counts(column.drop_null())
    table = pa.table({"value": counts.field("values"), "count": counts.field("counts")})
    table = table.filter(pc.greater_equal(table["count"], minimum_count))
    table = table.sort_by([("count", "descending"), ("value", "ascending")])
    values = table["value"].combine_chunks()
    return Vocabulary(type=kind, values=values if isinstance(values, pa.Array) else pa.concat_arrays(values.chunks))


def value_text(value: Value) -> str:
    """Return how a value is shown: 3.0 as 3, true as true, the empty text as <empty>."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value) if value != "" else EMPTY_TEXT


def _canonical(column: Column) -> Column:
    """Return the column in one of the four Arrow types of a vocabulary; numbers that are not finite become NULL."""
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return column
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        column = column.cast(pa.float64())
        return pc.if_else(pc.is_finite(column), column, pa.scalar(None, pa.float64()))
    return as_text(column)


def _value_type(kind: pa.DataType) -> ValueType:
    if pa.types.is_boolean(kind):
        return ValueType.BOOLEAN
    if pa.types.is_integer(kind):
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

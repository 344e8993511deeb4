"""From rows as Python tuples to Arrow columns, when a column may hold anything whatever its declared type says.

Every column starts with the narrowest kind its declared type promises and widens when a value does not fit:

    BOOLEAN    0/1                        -> bool
    INTEGER                               -> int64
    FLOAT      (decimals too)             -> float64
    DATE       where dates have a type    -> date32
    TIMESTAMP  where times have a type    -> timestamp in microseconds, without zone (UTC where there was one)
    TEXT                                  -> string, as stored; dates and times stored as text stay ISO text
    MIXED      (text among numbers, blobs)-> string, numbers as Python writes them, blobs as text or else as hex
    LIST       several values a row       -> list of string

Dates stored as numbers stay int64 or float64. Nothing is rounded: an integer float64 cannot hold widens to text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crosslens.relational import ColumnType


class Kind(IntEnum):
    """How a column is held, narrow to wide."""

    BOOLEAN = 0
    INTEGER = 1
    FLOAT = 2
    DATE = 3
    TIMESTAMP = 4
    TEXT = 5
    MIXED = 6
    LIST = 7

    @property
    def arrow(self) -> pa.DataType:
        """Return the Arrow type."""
        return _ARROW[self]


_ARROW = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TEXT: pa.string(),
    Kind.MIXED: pa.string(),
    Kind.LIST: pa.list_(pa.string()),
}
_LOOSE = (Kind.BOOLEAN, Kind.INTEGER, Kind.FLOAT, Kind.TEXT, Kind.MIXED)
"""The kinds of a database whose columns may hold anything; the others need a database that keeps its types."""
_FIRST = {
    ColumnType.BOOLEAN: Kind.BOOLEAN,
    ColumnType.FLOAT: Kind.FLOAT,
    ColumnType.DECIMAL: Kind.FLOAT,
    ColumnType.TEXT: Kind.TEXT,
    ColumnType.BINARY: Kind.MIXED,
}


class WiderKinds(Exception):
    """Later rows need wider columns than the rows before them."""

    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        super().__init__(kinds)
        self.kinds = kinds


class _DoesNotFit(Exception):
    """A value needs a wider kind."""


def first_kind(declared: ColumnType) -> Kind:
    """Return the narrowest kind for a declared type; dates, times and untyped columns may turn out to be numbers."""
    return _FIRST.get(declared, Kind.INTEGER)


def fit_columns(rows: Sequence[tuple[Any, ...]], kinds: Sequence[Kind]) -> tuple[list[pa.Array], tuple[Kind, ...]]:
    """Return one array per column and the kinds they have, each as given or wider."""
    arrays, fitted = [], []
    for values, kind in zip(zip(*rows, strict=True), kinds, strict=True):
        array, wide_enough = _fit(values, kind)
        arrays.append(array)
        fitted.append(wide_enough)
    return arrays, tuple(fitted)


def empty_columns(kinds: Iterable[Kind]) -> list[pa.Array]:
    """Return arrays without rows."""
    return [pa.array([], kind.arrow) for kind in kinds]


def _fit(values: tuple[Any, ...], kind: Kind) -> tuple[pa.Array, Kind]:
    for wider in _LOOSE:
        if wider >= kind:
            try:
                return _array(values, wider), wider
            except (_DoesNotFit, pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
                continue
    raise AssertionError("MIXED holds every value SQLite has")


def _array(values: tuple[Any, ...], kind: Kind) -> pa.Array:
    if kind is Kind.BOOLEAN:
        return _booleans(_integers(values))
    if kind is Kind.INTEGER:
        return _integers(values)
    if kind is Kind.MIXED:
        return pa.array([_as_text(value) for value in values], pa.string())
    return pa.array(values, kind.arrow)


def _integers(values: tuple[Any, ...]) -> pa.Array:
    # Without a given type, because with int64 Arrow would silently cut 1.5 to 1.
    array = pa.array(values)
    if pa.types.is_null(array.type):
        return array.cast(pa.int64())
    if not pa.types.is_int64(array.type):
        raise _DoesNotFit
    return array


def _booleans(array: pa.Array) -> pa.Array:
    limits = pc.min_max(array)
    if limits["min"].is_valid and (limits["min"].as_py() < 0 or limits["max"].as_py() > 1):
        raise _DoesNotFit
    return array.cast(pa.bool_())


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return _bytes_as_text(value)
    return str(value)


def _bytes_as_text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.hex()

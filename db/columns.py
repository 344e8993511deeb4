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

import json
from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
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
_WIDER = {
    Kind.BOOLEAN: (Kind.BOOLEAN, Kind.INTEGER, Kind.FLOAT, Kind.TEXT, Kind.MIXED),
    Kind.INTEGER: (Kind.INTEGER, Kind.FLOAT, Kind.TEXT, Kind.MIXED),
    Kind.FLOAT: (Kind.FLOAT, Kind.TEXT, Kind.MIXED),
    Kind.DATE: (Kind.DATE, Kind.TIMESTAMP, Kind.TEXT, Kind.MIXED),
    Kind.TIMESTAMP: (Kind.TIMESTAMP, Kind.TEXT, Kind.MIXED),
    Kind.TEXT: (Kind.TEXT, Kind.MIXED),
    Kind.MIXED: (Kind.MIXED,),
    Kind.LIST: (Kind.LIST,),
}
"""What a column of each kind may turn out to be, narrow to wide; the last always fits."""
_LISTS = (list, tuple, set, frozenset)
_EXACT_INTEGERS = 2**53
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


def tuple_batches(
    batches: Iterable[Sequence[tuple[Any, ...]]], kinds: Sequence[Kind]
) -> Generator[list[pa.Array], None, None]:
    """Yield the arrays of each list of rows, exactly of `kinds`; WiderKinds when a value does not fit."""
    wanted = tuple(kinds)
    for rows in batches:
        arrays, fitted = fit_columns(rows, wanted)
        if fitted != wanted:
            raise WiderKinds(fitted)
        yield arrays


def _fit(values: tuple[Any, ...], kind: Kind) -> tuple[pa.Array, Kind]:
    for wider in _WIDER[kind]:
        try:
            return _array(values, wider), wider
        except (_DoesNotFit, pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            continue
    raise AssertionError("the widest kinds hold every value")


def _array(values: tuple[Any, ...], kind: Kind) -> pa.Array:
    match kind:
        case Kind.BOOLEAN:
            return _booleans(values)
        case Kind.INTEGER:
            return _integers(values)
        case Kind.FLOAT:
            return _floats(values)
        case Kind.DATE:
            return _dates(values)
        case Kind.TIMESTAMP:
            return pa.array([_in_utc(value) for value in values], kind.arrow)
        case Kind.MIXED:
            return pa.array([_as_text(value) for value in values], kind.arrow)
        case Kind.LIST:
            return pa.array([_as_list(value) for value in values], kind.arrow)
    return pa.array(values, kind.arrow)


def _integers(values: tuple[Any, ...]) -> pa.Array:
    # Without a given type, because with int64 Arrow would silently cut 1.5 to 1.
    array = pa.array(values)
    if pa.types.is_null(array.type) or pa.types.is_boolean(array.type):
        return array.cast(pa.int64())
    if not pa.types.is_int64(array.type):
        raise _DoesNotFit
    return array


def _booleans(values: tuple[Any, ...]) -> pa.Array:
    array = _integers(values)
    limits = pc.min_max(array)
    if limits["min"].is_valid and (limits["min"].as_py() < 0 or limits["max"].as_py() > 1):
        raise _DoesNotFit
    return array.cast(pa.bool_())


def _floats(values: tuple[Any, ...]) -> pa.Array:
    try:
        return pa.array(values, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # decimals, or what is no number
        return pa.array([_decimal_as_float(value) for value in values], pa.float64())


def _decimal_as_float(value: Any) -> Any:
    """Return a decimal as float; an integer too long for a float is text, as any other integer would be."""
    if not isinstance(value, Decimal):
        return value
    if value.is_finite() and value == value.to_integral_value() and abs(value) > _EXACT_INTEGERS:
        raise _DoesNotFit
    return float(value)


def _dates(values: tuple[Any, ...]) -> pa.Array:
    # Arrow would silently cut the hours off, and take a number for days since 1970.
    if any(value is not None and (isinstance(value, datetime) or not isinstance(value, date)) for value in values):
        raise _DoesNotFit
    return pa.array(values, pa.date32())


def _in_utc(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if value is None:
        return None
    raise _DoesNotFit


def _as_list(value: Any) -> list[str | None] | None:
    """Return the elements as text; a single value is a list of one."""
    if value is None:
        return None
    return [_as_text(element) for element in value] if isinstance(value, _LISTS) else [_as_text(value)]


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytes_as_text(bytes(value))
    if isinstance(value, (dict, *_LISTS)):
        return json.dumps(value if isinstance(value, (dict, list)) else list(value), ensure_ascii=False, default=str)
    return str(value)


def _bytes_as_text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.hex()

"""DuckDB's types: what they mean, how their values are held, and how to ask for them in that shape."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from crosslens.relational import ColumnType

from ..columns import Kind
from .duckdb_dialect import Varchars

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_LARGE_INTEGERS = {"HUGEINT", "UHUGEINT", "BIGNUM"}
_EXACT = {
    "BOOLEAN": ColumnType.BOOLEAN,
    "FLOAT": ColumnType.FLOAT,
    "DOUBLE": ColumnType.FLOAT,
    "DATE": ColumnType.DATE,
    "BLOB": ColumnType.BINARY,
    "JSON": ColumnType.JSON,
    "VARIANT": ColumnType.JSON,
    "VARCHAR": ColumnType.TEXT,
    "UUID": ColumnType.TEXT,
    "TIME": ColumnType.TEXT,
    "TIME_NS": ColumnType.TEXT,
    "TIME WITH TIME ZONE": ColumnType.TEXT,
}
_KINDS = {
    ColumnType.BOOLEAN: Kind.BOOLEAN,
    ColumnType.INTEGER: Kind.INTEGER,
    ColumnType.FLOAT: Kind.FLOAT,
    ColumnType.DECIMAL: Kind.FLOAT,
    ColumnType.DATE: Kind.DATE,
    ColumnType.TIMESTAMP: Kind.TIMESTAMP,
    ColumnType.BINARY: Kind.MIXED,
    ColumnType.ARRAY: Kind.LIST,
}
_DECIMAL = re.compile(r"DECIMAL\(\d+,\s*(\d+)\)")
_CHOICE = re.compile(r"'((?:[^']|'')*)'")
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # years 1 to 9999: beyond them lie DuckDB's infinities
_MICROSECONDS = 86_400_000_000


def logical_type(declared: str) -> ColumnType:
    """Return what a DuckDB type means to us."""
    if declared.endswith("]"):
        return ColumnType.ARRAY
    if declared in _INTEGERS or declared in _LARGE_INTEGERS:
        return ColumnType.INTEGER
    if match := _DECIMAL.fullmatch(declared):
        return ColumnType.DECIMAL if int(match[1]) else ColumnType.INTEGER
    if declared.startswith("ENUM("):
        return ColumnType.TEXT
    if declared.startswith(("STRUCT(", "MAP(")):
        return ColumnType.JSON
    if declared.startswith("TIMESTAMP"):
        return ColumnType.TIMESTAMP
    return _EXACT.get(declared, ColumnType.OTHER)


def choices(declared: str) -> tuple[str, ...]:
    """Return the words of an enum."""
    if not declared.startswith("ENUM(") or declared.endswith("]"):
        return ()
    return tuple(word.replace("''", "'") for word in _CHOICE.findall(declared))


def kind_of(meaning: ColumnType) -> Kind:
    """Return how values of a type are held."""
    return _KINDS.get(meaning, Kind.TEXT)


def wide_enough(declared: str, kind: Kind) -> Kind:
    """Return `kind` if values of a type can be given in it, else the one they can be given in."""
    natural = kind_of(logical_type(declared))
    if kind in (natural, Kind.TEXT, Kind.MIXED, Kind.LIST) or (kind, natural) == (Kind.FLOAT, Kind.INTEGER):
        return kind
    return natural if natural > kind else Kind.TEXT


def in_shape(column: sa.ColumnElement[Any], declared: str, kind: Kind) -> sa.ColumnElement[Any]:
    """Return an expression that gives a column in a shape Arrow casts to `kind` in one step."""
    if kind is Kind.LIST:
        return _list(column, declared)
    if kind in (Kind.TEXT, Kind.MIXED):
        return _text(column, declared)
    if kind is Kind.TIMESTAMP:
        return _moment(column, declared)
    if declared in _LARGE_INTEGERS:  # Arrow has no integer of that size, but reads one from text, or says it cannot
        return sa.cast(column, sa.Text())
    if logical_type(declared) is ColumnType.DECIMAL:
        return sa.cast(column, sa.Double())
    return column


def for_reading(column: sa.ColumnElement[Any], declared: str) -> sa.ColumnElement[Any]:
    """Return an expression that gives a column as plain Python values: numbers, text, bytes, dates and times."""
    meaning = logical_type(declared)
    if meaning is ColumnType.TIMESTAMP:
        return _moment(column, declared)
    plain = meaning not in (ColumnType.TEXT, ColumnType.JSON, ColumnType.ARRAY, ColumnType.OTHER)
    return column if plain or declared == "VARCHAR" else _text(column, declared)


def fit(array: pa.Array, kind: Kind) -> pa.Array | None:
    """Return an array of exactly the type of `kind`, or None when a value does not fit."""
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind.arrow)
    try:
        fitted = array if array.type == kind.arrow else array.cast(kind.arrow)
    except pa.ArrowInvalid:
        return None
    return fitted if _is_finite(fitted, kind) else None


def _is_finite(array: pa.Array, kind: Kind) -> bool:
    if kind not in (Kind.DATE, Kind.TIMESTAMP):
        return True
    unit = 1 if kind is Kind.DATE else _MICROSECONDS
    limits = pc.min_max(array.view(pa.int32() if kind is Kind.DATE else pa.int64()))
    low, high = limits["min"].as_py(), limits["max"].as_py()
    return low is None or (low >= _FIRST_DAY * unit and high < (_LAST_DAY + 1) * unit)


def _text(column: sa.ColumnElement[Any], declared: str) -> sa.ColumnElement[Any]:
    if declared == "VARCHAR":
        return column
    if declared == "BLOB":  # as text where it is some, else as hex; TRY turns the error of `decode` into NULL
        decoded = getattr(sa.func, "try")(sa.func.decode(column))
        return sa.func.coalesce(decoded, sa.func.lower(sa.func.hex(column)))
    if logical_type(declared) is ColumnType.JSON and declared != "JSON":
        return sa.cast(sa.func.to_json(column), sa.Text())
    return sa.cast(column, sa.Text())


def _moment(column: sa.ColumnElement[Any], declared: str) -> sa.ColumnElement[Any]:
    return sa.func.timezone("UTC", column) if "WITH TIME ZONE" in declared else sa.cast(column, sa.TIMESTAMP())


def _list(column: sa.ColumnElement[Any], declared: str) -> sa.ColumnElement[Any]:
    if declared.endswith("]"):
        return sa.cast(column, Varchars())
    return sa.case((column.is_(None), sa.null()), else_=sa.func.list_value(_text(column, declared)))


def shaped(
    columns: Sequence[sa.ColumnElement[Any]], declared: Sequence[str], kinds: Sequence[Kind]
) -> list[sa.ColumnElement[Any]]:
    """Return the columns of a select in the shapes of `kinds`, under the same names."""
    return [
        in_shape(column, type_, kind).label(f"c{number}")
        for number, (column, type_, kind) in enumerate(zip(columns, declared, kinds, strict=True))
    ]

"""What a column holds: from a database's words for types to logical types."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from crosslens.relational import ColumnType

_EXACT = {
    "DATE": ColumnType.DATE,
    "TIME": ColumnType.TEXT,
    "JSON": ColumnType.TEXT,
    "UUID": ColumnType.TEXT,
    "ENUM": ColumnType.TEXT,
    "STRING": ColumnType.TEXT,
    "MONEY": ColumnType.DECIMAL,
    "NUMBER": ColumnType.DECIMAL,
}
# In the order of SQLite's own affinity rules, after the words SQLite itself does not know.
_PARTS = (
    ("BOOL", ColumnType.BOOLEAN),
    ("DATETIME", ColumnType.TIMESTAMP),
    ("TIMESTAMP", ColumnType.TIMESTAMP),
    ("INT", ColumnType.INTEGER),
    ("SERIAL", ColumnType.INTEGER),
    ("CHAR", ColumnType.TEXT),
    ("CLOB", ColumnType.TEXT),
    ("TEXT", ColumnType.TEXT),
    ("BLOB", ColumnType.BINARY),
    ("BINARY", ColumnType.BINARY),
    ("REAL", ColumnType.FLOAT),
    ("FLOA", ColumnType.FLOAT),
    ("DOUB", ColumnType.FLOAT),
    ("DEC", ColumnType.DECIMAL),
    ("NUMERIC", ColumnType.DECIMAL),
)


def sqlite_type(declared: str) -> ColumnType:
    """Return the logical type of a declared SQLite type, which may be any text or none at all."""
    word = declared.upper().partition("(")[0].strip()
    if word in _EXACT:
        return _EXACT[word]
    return next((kind for part, kind in _PARTS if part in word), ColumnType.OTHER)


def sqlalchemy_type(kind: TypeEngine[Any]) -> ColumnType:
    """Return the logical type of a reflected SQLAlchemy type; OTHER for what SQLAlchemy does not know."""
    return next((found for base, found in _SQLALCHEMY if isinstance(kind, base)), ColumnType.OTHER)


def choices_of(kind: TypeEngine[Any]) -> tuple[str, ...]:
    """Return the choices of an enum, in its order; none for other types."""
    choices = getattr(kind, "enums", None) if isinstance(kind, sa.Enum) else None
    return tuple(str(choice) for choice in choices or ())


# Subclasses stand before their bases: an Enum is a String, a Boolean may be an Integer, a Float is a Numeric.
_SQLALCHEMY: tuple[tuple[Any, ColumnType], ...] = (
    (sa.ARRAY, ColumnType.ARRAY),
    (sa.JSON, ColumnType.JSON),
    (sa.Boolean, ColumnType.BOOLEAN),
    ((sa.Interval, postgresql.INTERVAL), ColumnType.TEXT),
    (postgresql.MONEY, ColumnType.DECIMAL),
    (sa.Enum, ColumnType.TEXT),
    (sa.Uuid, ColumnType.TEXT),
    (sa.Time, ColumnType.TEXT),
    (sa.DateTime, ColumnType.TIMESTAMP),
    (sa.Date, ColumnType.DATE),
    (sa.Float, ColumnType.FLOAT),
    (sa.Numeric, ColumnType.DECIMAL),
    (sa.Integer, ColumnType.INTEGER),
    ((sa.LargeBinary, sa.BINARY, sa.VARBINARY), ColumnType.BINARY),
    (sa.String, ColumnType.TEXT),
)

"""A new table as SQLAlchemy describes it, from the columns of Arrow rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.sql import quoted_name
from sqlalchemy.types import TypeEngine

from crosslens.relational import TableRef

MOST_DIGITS = 38
"""Digits of a decimal that every database keeps; those with more become text."""

_MYSQL = ("mysql", "mariadb")
_TEXT: TypeEngine[Any] = sa.Text().with_variant(mysql.LONGTEXT(), *_MYSQL)
_BYTES: TypeEngine[Any] = sa.LargeBinary().with_variant(mysql.LONGBLOB(), *_MYSQL)


def new_table(table: TableRef, schema: pa.Schema, *, prefixes: tuple[str, ...] = ()) -> sa.Table:
    """Return the table: every name quoted, columns that may be NULL, no keys."""
    columns = [sa.Column(quoted_name(field.name, True), column_type(field.type)) for field in schema]
    return sa.Table(
        quoted_name(table.name, True),
        sa.MetaData(),
        *columns,
        schema=None if table.schema is None else quoted_name(table.schema, True),
        prefixes=list(prefixes),
        mysql_charset="utf8mb4",
        mariadb_charset="utf8mb4",
    )


def column_type(kind: pa.DataType) -> TypeEngine[Any]:
    """Return the type that keeps values of an Arrow type whole."""
    if pa.types.is_boolean(kind):
        return sa.Boolean()
    if pa.types.is_integer(kind):
        return sa.BigInteger()
    if pa.types.is_floating(kind):
        return sa.Double()
    if pa.types.is_decimal(kind) and kind.precision <= MOST_DIGITS and 0 <= kind.scale <= kind.precision:
        return sa.Numeric(kind.precision, kind.scale)
    if pa.types.is_date(kind):
        return sa.Date()
    if pa.types.is_timestamp(kind):
        return sa.DateTime(timezone=kind.tz is not None).with_variant(mysql.DATETIME(fsp=6), *_MYSQL)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _BYTES
    return _TEXT


def is_text(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type are written as text."""
    return column_type(kind) is _TEXT


def as_declared(column: pa.Array) -> pa.Array:
    """Return values in the type their column was given: decimals with too many digits are text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if is_text(column.type) else column

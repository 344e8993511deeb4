"""What every dialect says in its own way: lists of values in one cell, and hashes that draw the same rows each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from crosslens.errors import QueryError

_PRIME = 2_147_483_647
"""Products of two numbers below it stay within 64 bits."""
_FACTOR = 1_103_515_245
_STEP = 826_366_247
_CHARACTERS = 24
"""So many of a text's last characters are hashed where the database has no function for it."""


class ValueList(FunctionElement[Any]):
    """Aggregate texts of a group into one cell, ordered: an array where the database has them, else JSON text."""

    name = "value_list"
    inherit_cache = True


class RowHash(FunctionElement[Any]):
    """A number (or text) that orders rows as if at random, the same way each time for one seed."""

    name = "row_hash"
    inherit_cache = False

    def __init__(self, seed: int, columns: Sequence[tuple[sa.ColumnElement[Any], bool]]) -> None:
        """`columns` come with whether they hold whole numbers."""
        super().__init__(*(column for column, _ in columns))
        self.seed = seed
        self.whole = tuple(whole for _, whole in columns)


@compiles(ValueList)
def _no_list(element: ValueList, compiler: Any, **options: Any) -> str:
    if compiler.dialect.name == "default":  # no database, only a statement shown or taken apart
        return f"value_list({compiler.process(element.clauses, **options)})"
    raise QueryError(
        f"Values cannot be gathered in a database of the kind {compiler.dialect.name}.",
        do="Join the table as “exists”, “count” or “latest”.",
    )


@compiles(ValueList, "sqlite")
def _sqlite_list(element: ValueList, compiler: Any, **options: Any) -> str:
    return str(compiler.process(sa.func.json_group_array(*element.clauses), **options))


@compiles(ValueList, "postgresql")
def _postgresql_list(element: ValueList, compiler: Any, **options: Any) -> str:
    (value,) = element.clauses
    return str(compiler.process(sa.func.array_agg(aggregate_order_by(value, value)), **options))


@compiles(ValueList, "duckdb")
def _duckdb_list(element: ValueList, compiler: Any, **options: Any) -> str:
    return f"list_sort(list({compiler.process(element.clauses, **options)}))"


@compiles(ValueList, "mysql")
@compiles(ValueList, "mariadb")
def _mysql_list(element: ValueList, compiler: Any, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    order = f" ORDER BY {value}" if compiler.dialect.is_mariadb else ""  # MySQL's has no order
    return f"JSON_ARRAYAGG({value}{order})"


@compiles(RowHash)
def _digest(element: RowHash, compiler: Any, **options: Any) -> str:
    return str(compiler.process(sa.func.md5(_joined(element)), **options))


@compiles(RowHash, "postgresql")
def _postgresql_hash(element: RowHash, compiler: Any, **options: Any) -> str:
    return str(compiler.process(sa.func.hashtextextended(_joined(element), sa.literal(element.seed)), **options))


@compiles(RowHash, "sqlite")
def _arithmetic(element: RowHash, compiler: Any, **options: Any) -> str:
    """SQLite has no hash function: mix the key's parts by multiplying and squaring modulo a prime."""
    mixed: sa.ColumnElement[Any] = sa.literal((element.seed * _STEP + 1) % _PRIME)
    for column, whole in zip(element.clauses, element.whole, strict=True):
        part = _remainder(column) if whole else _text_number(column)
        mixed = (mixed * _FACTOR + part) % _PRIME
    line = (mixed * _FACTOR + _STEP) % _PRIME
    square = (line * line + _STEP) % _PRIME
    return str(compiler.process((square * square + _FACTOR) % _PRIME, **options))


def _joined(element: RowHash) -> sa.ColumnElement[Any]:
    texts = [sa.cast(column, sa.Text()) for column in element.clauses]
    return sa.func.concat_ws(sa.literal("|"), sa.literal(str(element.seed)), *texts)


def _remainder(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    number: sa.ColumnElement[Any] = sa.func.coalesce(sa.type_coerce(column, sa.BigInteger()), 0)
    return (number % _PRIME + _PRIME) % _PRIME


def _text_number(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a weighted sum of the last characters' codes: below 2**57, and flat, for SQLite's parser is not deep."""
    text = sa.cast(column, sa.Text())
    number: sa.ColumnElement[Any] = sa.func.coalesce(sa.func.length(text), 0)
    for place in range(1, _CHARACTERS + 1):
        code = sa.func.coalesce(sa.func.unicode(sa.func.substr(text, -place, 1)), 0)
        number = number + code * pow(_FACTOR, place, _PRIME)
    return number % _PRIME

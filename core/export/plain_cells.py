"""Columns as formats without types of their own hold them: lists, decimals and bytes become text."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

SEPARATOR = "|"
"""Stands between the values of a list in one cell."""


def flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows with every column of a type that CSV knows."""
    columns = [flat_column(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def flat_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns that `flat` makes."""
    return pa.schema([(field.name, flat_column(pa.array([], field.type)).type) for field in schema])


def for_table(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows with every column of a type that all databases know."""
    return pa.RecordBatch.from_arrays([table_column(column) for column in batch.columns], names=batch.schema.names)


def table_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns that `for_table` makes."""
    return pa.schema([(field.name, table_column(pa.array([], field.type)).type) for field in schema])


def table_column(column: pa.Array) -> pa.Array:
    """Return one column: lists joined by |, times of day as text, whole numbers beyond 63 bits as decimals."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return table_column(column.dictionary_decode())
    if pa.types.is_nested(kind) or pa.types.is_duration(kind) or pa.types.is_null(kind):
        return flat_column(column)
    if pa.types.is_time(kind):
        return column.cast(pa.string())
    return column.cast(pa.decimal128(20, 0)) if kind == pa.uint64() else column


def flat_column(column: pa.Array) -> pa.Array:
    """Return one column: lists joined by |, decimals with all their digits, bytes in hexadecimal digits."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return flat_column(column.dictionary_decode())
    if pa.types.is_null(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _joined(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
    if pa.types.is_nested(kind) or pa.types.is_duration(kind):
        return pa.array([_json(value) for value in column.to_pylist()], pa.string())
    return column


def _joined(column: pa.Array) -> pa.Array:
    if pa.types.is_nested(column.type.value_type):
        return pa.array([_json(value) for value in column.to_pylist()], pa.string())
    texts = flat_column(column.flatten())
    whole = type(column).from_arrays(_offsets(column), texts.cast(pa.string()), mask=_mask(column))
    return pc.binary_join(whole, SEPARATOR).cast(pa.string())


def _offsets(column: pa.Array) -> pa.Array:
    lengths = column.value_lengths().fill_null(0)
    kind = pa.int64() if pa.types.is_large_list(column.type) else pa.int32()
    ends = pc.cumulative_sum(lengths).cast(kind)
    return pa.concat_arrays([pa.array([0], kind), ends])


def _mask(column: pa.Array) -> pa.Array | None:
    return column.is_null() if column.null_count else None


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)

"""Arrow columns of a snapshot read as numbers, times and keys, whatever type the database stored them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens import DataError
from crosslens.data import Float64Array, Int32Array, Int64Array
from crosslens.relational import ColumnRef

Column: TypeAlias = "pa.ChunkedArray"

_NUMBER = r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"


def column_at(table: pa.Table, columns: Sequence[ColumnRef], ref: ColumnRef) -> Column:
    """Return the column of `table` that holds `ref`: column i of a snapshot is `columns[i]`. DataError if absent."""
    if table.num_columns != len(columns):
        raise DataError(
            f"The rows have {table.num_columns} columns, but {len(columns)} were expected.",
            do="Read the rows again with the query this preparation was made for.",
        )
    try:
        return plain(table.column(tuple(columns).index(ref)))
    except ValueError as error:
        raise DataError(
            f"The rows have no column {ref}.", do="Add the column to the query, or remove its field.", column=ref
        ) from error


def plain(column: Column | pa.Array) -> Column:
    """Return the column without dictionary encoding, as a chunked array."""
    column = pa.chunked_array([column]) if isinstance(column, pa.Array) else column
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def is_text(kind: pa.DataType) -> bool:
    """Whether the type holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def numbers(column: Column) -> Float64Array:
    """Return float64 (N,), NaN for NULL, infinities and text that is not a number; times become seconds since 1970."""
    result = _floats(column)
    result[~np.isfinite(result)] = np.nan
    return result


def not_numbers(column: Column) -> pa.Array:
    """Return the distinct texts that `numbers` cannot read, empty for columns of other types."""
    if not is_text(column.type):
        return pa.array([], pa.string())
    trimmed = pc.utf8_trim_whitespace(column)
    other = pc.and_kleene(pc.invert(_looks_numeric(trimmed)), pc.not_equal(trimmed, ""))
    return column.filter(other).unique()


def _floats(column: Column) -> Float64Array:
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif is_text(kind):
        column = _parse(column)
    elif pa.types.is_temporal(kind):
        column = _seconds(column)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise DataError(f"Values of type {kind} cannot be read as numbers.", do="Ignore the column.")
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64, copy=True)


def _parse(column: Column) -> Column:
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:  # some text is not a number: read what is
        trimmed = pc.utf8_trim_whitespace(column)
        numeric = pc.if_else(_looks_numeric(trimmed), trimmed, pa.scalar(None, trimmed.type))
        return numeric.cast(pa.float64())


def _looks_numeric(column: Column) -> Column:
    return pc.match_substring_regex(column, _NUMBER)


def _seconds(column: Column) -> Column:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        micros = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None)), safe=False).cast(pa.int64())
        return pc.divide(micros.cast(pa.float64(), safe=False), 1e6)
    return column.cast(pa.int64())


ColumnStream: TypeAlias = Callable[[], Iterator[Any]]
"""Reads one column from the start, block by block, each time it is called."""

_NOTATIONS = (pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.timestamp("ns"), pa.float64())
"""How times written as text are tried to be read, all of them alike."""


def times(column: Column) -> Int64Array | Float64Array:
    """Return numbers (N,) that order the rows of one column in time; see `stream_times`."""
    return stream_times(lambda: iter((column,)), len(column))


def stream_times(stream: ColumnStream, rows: int) -> Int64Array | Float64Array:
    """Return numbers (rows,) that order the rows in time, without NULLs: int64 ticks, or float64.

    Text is read as ISO 8601 (with or without an offset) or as a number. DataError for NULLs and for other text.
    """
    for notation in _NOTATIONS:
        try:
            return _all_times(stream, rows, notation)
        except pa.ArrowInvalid:  # not this notation: try the next
            continue
    raise DataError(
        f"Text such as '{_first_strange_time(stream)}' cannot be put in order of time.",
        why="Times stored as text must look like 2026-11-22 or 2026-11-22 08:30:00.",
        do="Choose another time column, or split by user or at random.",
    )


def _all_times(stream: ColumnStream, rows: int, notation: pa.DataType) -> Int64Array | Float64Array:
    found: Int64Array | Float64Array = np.zeros(rows, np.int64)
    missing = start = unusable = 0
    for column in stream():
        missing += column.null_count
        ticks = _ticks(column.cast(notation) if is_text(column.type) else column)
        if ticks.dtype == np.float64 and not start:
            found = np.zeros(rows, np.float64)
        found[start : start + len(ticks)] = ticks
        start += len(ticks)
        unusable += int(np.isnan(ticks).sum()) if ticks.dtype == np.float64 else 0
    _refuse_gaps(missing, unusable, start)
    return found[:start]


def _ticks(column: Column) -> Int64Array | Float64Array:
    """Return int64 or float64 (N,), 0 or NaN for NULL."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date64(kind) or pa.types.is_time64(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        column = column.cast(pa.int32()).cast(pa.int64())
    elif not pa.types.is_integer(kind):
        return numbers(column)
    return np.asarray(column.fill_null(0).to_numpy()).astype(np.int64, copy=False)


def _refuse_gaps(missing: int, unusable: int, rows: int) -> None:
    if missing:
        raise DataError(
            f"{missing:,} of {rows:,} rows have no time.",
            why="A split by time needs to know for every row whether it is early or late.",
            do="Filter these rows out, or split by user or at random.",
            rows=missing,
        )
    if unusable:
        raise DataError(
            f"{unusable:,} of {rows:,} times are not finite numbers.",
            do="Filter these rows out, or split by user or at random.",
            rows=unusable,
        )


def _first_strange_time(stream: ColumnStream) -> str:
    first = ""
    for column in stream():
        strange = pc.invert(pc.match_substring_regex(column, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]|$)"))
        found = column.filter(strange)
        if len(found):
            return str(found[0].as_py())
        first = first or str(column[0].as_py())
    return first


def keys(column: Column) -> tuple[Int64Array, list[Any]]:
    """Return for every row the position of its value among the distinct values (-1 for NULL), and those values."""
    if pa.types.is_null(column.type):
        return np.full(len(column), -1, np.int64), []
    encoded = column.dictionary_encode().unify_dictionaries()
    parts = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    positions = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
    return positions, encoded.chunk(0).dictionary.to_pylist() if parts else []


def distinct(column: Column) -> tuple[Int32Array, Column]:
    """Return for every row the position of its value among the distinct values (-1 for NULL), and those as a column."""
    if not len(column) or pa.types.is_null(column.type):
        return np.full(len(column), -1, np.int32), column.slice(0, 0)
    encoded = column.dictionary_encode().unify_dictionaries()
    parts = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    return np.concatenate(parts).astype(np.int32, copy=False), pa.chunked_array([encoded.chunk(0).dictionary])


def as_text(column: Column) -> Column:
    """Return the values as text: 1.0 reads "1", true reads "true"; NULL stays NULL."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        raise DataError("Binary values cannot be read as text.", do="Ignore the column.")
    return column.cast(pa.large_string())

"""What the values of each column look like: computed by Arrow on a sample, column by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens.errors import Stopped
from crosslens.relational import ColumnInfo, ColumnProfile, ColumnRef, ColumnType

BINS = 20
EXAMPLES = 10
EXAMPLE_CHARACTERS = 80
_SURE_ROWS = 1000  # so many distinct texts must all be dates for a column to be one
_TIMES = {ColumnType.DATE, ColumnType.TIMESTAMP}
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"
_CLOCK = r"(Z|[+-]\d{2}:?\d{2})$"


def profile_columns(
    columns: Sequence[tuple[ColumnRef, ColumnInfo]],
    arrays: Sequence[pa.ChunkedArray],
    *,
    sampled: bool,
    should_stop: Callable[[], bool],
) -> tuple[ColumnProfile, ...]:
    """Return one profile per column; `arrays` hold the same rows."""
    profiles = []
    for (ref, info), array in zip(columns, arrays, strict=True):
        if should_stop():
            raise Stopped("Stopped while looking at the columns.")
        profiles.append(profile_column(ref, info.type, array, sampled=sampled))
    return tuple(profiles)


def profile_column(ref: ColumnRef, declared: ColumnType, array: pa.ChunkedArray, *, sampled: bool) -> ColumnProfile:
    """Return the profile of one column; its type is what the values show where they differ from what was declared."""
    counts = _value_counts(array)
    kind = observed_type(declared, array.drop_null() if pa.types.is_list(array.type) else counts.field("values"))
    numbers = _numbers(array, kind)
    low, high, mean = _range(array, kind, numbers)
    return ColumnProfile(
        column=ref,
        type=kind,
        rows=len(array),
        nulls=array.null_count,
        distinct=len(counts),
        examples=_examples(counts, kind),
        minimum=low,
        maximum=high,
        mean=mean,
        histogram=_histogram(numbers),
        mean_length=_mean_length(array),
        sampled=sampled,
    )


def observed_type(declared: ColumnType, values: pa.Array) -> ColumnType:
    """Return the declared type unless the `values` that are there contradict it, or show dates kept as text."""
    if len(values) == 0:
        return declared
    if pa.types.is_string(values.type):
        return _text_type(declared, values)
    if pa.types.is_list(values.type):
        return ColumnType.ARRAY
    if pa.types.is_temporal(values.type):
        return ColumnType.DATE if pa.types.is_date(values.type) else ColumnType.TIMESTAMP
    if pa.types.is_boolean(values.type) or declared in _TIMES | {ColumnType.DECIMAL}:
        return ColumnType.BOOLEAN if pa.types.is_boolean(values.type) else declared
    return ColumnType.INTEGER if pa.types.is_int64(values.type) else ColumnType.FLOAT


def _text_type(declared: ColumnType, values: pa.Array) -> ColumnType:
    if declared in (ColumnType.BINARY, ColumnType.JSON, ColumnType.ARRAY):
        return declared
    few = values[:_SURE_ROWS]
    for pattern, kind in ((_DATE, ColumnType.DATE), (_TIMESTAMP, ColumnType.TIMESTAMP)):
        if pc.all(pc.match_substring_regex(few, pattern)).as_py() and _times(few) is not None:
            return kind
    return ColumnType.TEXT


def _value_counts(array: pa.ChunkedArray) -> pa.StructArray:
    """Return the distinct values that are there with their counts; of lists, those of the values in them."""
    if pa.types.is_list(array.type):
        array = pc.list_flatten(array)
    counts = array.drop_null().value_counts()
    return counts.combine_chunks() if isinstance(counts, pa.ChunkedArray) else counts


def _examples(counts: pa.StructArray, kind: ColumnType) -> tuple[tuple[str, int], ...]:
    """Return the most frequent values, ties in the order of the values."""
    if len(counts) == 0:
        return ()
    table = pa.table({"value": counts.field("values"), "count": counts.field("counts")})
    order = pc.select_k_unstable(table, k=EXAMPLES, sort_keys=[("count", "descending"), ("value", "ascending")])
    best = table.take(order)
    texts = [_example(value, kind) for value in best["value"].to_pylist()]
    return tuple(zip(texts, best["count"].to_pylist(), strict=True))


def _example(value: object, kind: ColumnType) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    limit = EXAMPLE_CHARACTERS if kind is not ColumnType.BINARY else EXAMPLE_CHARACTERS // 4
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _numbers(array: pa.ChunkedArray, kind: ColumnType) -> np.ndarray | None:
    """Return the values that are there as float64, times as seconds since 1970; None for anything else."""
    present = array.drop_null()
    if pa.types.is_string(present.type):
        return _times(present) if kind in _TIMES and len(present) else None
    if pa.types.is_boolean(present.type) or pa.types.is_list(present.type) or len(present) == 0:
        return None
    if pa.types.is_temporal(present.type):
        return np.asarray(present.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(), np.float64) / 1e6
    return np.asarray(present.to_numpy(), np.float64)


def _times(values: pa.Array | pa.ChunkedArray) -> np.ndarray | None:
    """Return ISO texts as seconds since 1970, or None if one of them is no date; offsets from UTC are respected."""
    has_clock = pc.any(pc.match_substring_regex(values, _CLOCK)).as_py()
    try:
        moments = pc.cast(values, pa.timestamp("us", "UTC" if has_clock else None))
    except pa.ArrowInvalid:  # the thirtieth of February, or offsets on some rows only
        return None
    return np.asarray(moments.cast(pa.int64()).to_numpy(), np.float64) / 1e6


def _range(
    array: pa.ChunkedArray, kind: ColumnType, numbers: np.ndarray | None
) -> tuple[float | str | None, float | str | None, float | None]:
    if numbers is None:
        return None, None, None
    if pa.types.is_string(array.type) or pa.types.is_temporal(array.type):
        limits = pc.min_max(array)
        return str(limits["min"]), str(limits["max"]), None
    mean = None if kind in _TIMES else float(numbers.mean())
    return float(numbers.min()), float(numbers.max()), mean


def _histogram(numbers: np.ndarray | None) -> tuple[int, ...]:
    if numbers is None:
        return ()
    finite = numbers[np.isfinite(numbers)]
    if len(finite) == 0:
        return ()
    return tuple(int(count) for count in np.histogram(finite, BINS)[0])


def _mean_length(array: pa.ChunkedArray) -> float | None:
    if not pa.types.is_string(array.type) or array.null_count == len(array):
        return None
    return float(pc.mean(pc.utf8_length(array)).as_py())

"""Order statistics of a long array without sorting or copying it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosslens.data import Float64Array, Int64Array

_CHUNK = 1 << 18
_BITS = 16
"""A pass over the array narrows the place of a value by so many bits."""

Numbers = Int64Array | Float64Array


def value_at(values: Numbers, rank: int) -> float:
    """Return the value that would be at `rank` (from 0) were the finite `values` (N,) sorted, exactly as it is stored.

    Whole numbers are returned as int. At most four passes of 2^18 values each at a time.
    """
    low, high = _key(values.min()), _key(values.max())
    while low < high:
        shift = max(0, (high - low).bit_length() - _BITS)
        counts = np.zeros(((high - low) >> shift) + 1, np.int64)
        below = 0
        for keys in _keys(values):
            below += int((keys < low).sum())
            inside = keys[(keys >= low) & (keys <= high)]
            steps = (inside.view(np.uint64) - np.uint64(low % 2**64)) >> np.uint64(shift)
            counts += np.bincount(steps.astype(np.int64), minlength=len(counts))
        place = int(np.searchsorted(np.cumsum(counts) + below, rank, side="right"))
        low += place << shift
        high = min(high, low + (1 << shift) - 1)
    return _value(low, values.dtype == np.float64)


def next_above(values: Numbers, value: float) -> float | None:
    """Return the smallest of `values` above `value`, or None."""
    found = [part[part > value].min() for part in _chunks(values) if (part > value).any()]
    return min(found).item() if found else None


def last_below(values: Numbers, value: float) -> float | None:
    """Return the largest of `values` below `value`, or None."""
    found = [part[part < value].max() for part in _chunks(values) if (part < value).any()]
    return max(found).item() if found else None


def count_below(values: Numbers, value: float) -> int:
    """Return how many of `values` are below `value`."""
    return sum(int((part < value).sum()) for part in _chunks(values))


def _chunks(values: Numbers) -> Iterator[Numbers]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def _keys(values: Numbers) -> Iterator[Int64Array]:
    """Yield whole numbers in the order of the values, chunk by chunk."""
    return (_ordered(part) for part in _chunks(values))


def _ordered(part: Numbers) -> Int64Array:
    """Return int64 that compare as the numbers do: the bits of negative doubles are turned around; -0.0 is 0.0."""
    if part.dtype == np.int64:
        return part.astype(np.int64, copy=False)
    bits = (part + 0.0).view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _key(value: np.int64 | np.float64) -> int:
    return int(_ordered(np.array([value]))[0])


def _value(key: int, is_float: bool) -> float:
    if not is_float:
        return key
    bits = key if key >= 0 else -(2**63) - key
    return float(np.array([bits], np.int64).view(np.float64)[0])

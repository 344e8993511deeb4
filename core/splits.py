"""Parting rows into training, validation and test: by time, by user, or at random.

One byte per row is kept; a split by time needs eight more, and a random one four, while it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens import DataError
from crosslens.data import Float64Array, Int64Array

from .columns import Column, ColumnStream, as_text, stream_times
from .hashing import hash64
from .ranks import Numbers, count_below, last_below, next_above, value_at
from .recipe import SplitMethod, SplitSpec

MINIMUM_ROWS = 10
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The part of every row, uint8 (N,): 0 training, 1 validation, 2 test."""

    parts: NDArray[np.uint8]

    @property
    def train(self) -> Int64Array:
        """Return the row numbers of the training part, ascending."""
        return self._rows(_TRAIN)

    @property
    def validation(self) -> Int64Array:
        """Return the row numbers of the validation part, ascending."""
        return self._rows(_VALIDATE)

    @property
    def test(self) -> Int64Array:
        """Return the row numbers of the test part, ascending."""
        return self._rows(_TEST)

    @property
    def is_training(self) -> NDArray[np.bool_]:
        """Return which rows train, bool (N,)."""
        return np.asarray(self.parts == _TRAIN)

    def _rows(self, part: int) -> Int64Array:
        return np.flatnonzero(self.parts == part).astype(np.int64, copy=False)


def split_rows(
    rows: int, spec: SplitSpec, *, times: ColumnStream | None = None, users: ColumnStream | None = None
) -> Split:
    """Part `rows` rows as `spec` says.

    TIME needs `times`: the latest rows are the test part, the ones before validate; rows of one time are never
    parted. USER needs `users`: a user's rows stay together, chosen by a seeded hash of the value's text, so the part
    of a user depends neither on the order of rows nor on other users; each row without a user stands for itself.
    DataError when the rows cannot be parted so that every part has some.
    """
    _check_shares(spec)
    if rows < MINIMUM_ROWS:
        raise DataError(
            f"There are only {rows} rows.",
            why=f"Training, validation and test together need at least {MINIMUM_ROWS}.",
            do="Remove filters, or choose another table.",
            rows=rows,
        )
    return _checked(Split(_METHODS[spec.method](rows, spec, times, users)), spec)


_TRAIN, _VALIDATE, _TEST = 0, 1, 2
_Parts: TypeAlias = NDArray[np.uint8]
_Stream: TypeAlias = ColumnStream | None


def _check_shares(spec: SplitSpec) -> None:
    if spec.validation > 0 and spec.test > 0 and spec.validation + spec.test < 1:
        return
    raise DataError(
        f"Validation {spec.validation:.0%} and test {spec.test:.0%} leave no proper split.",
        why="Each part needs a share above 0, and something must be left to train on.",
        do="Choose shares such as 10 % for validation and 20 % for test.",
    )


def _checked(split: Split, spec: SplitSpec) -> Split:
    counts = np.bincount(split.parts, minlength=3)
    for name, part in (("training", _TRAIN), ("validation", _VALIDATE), ("test", _TEST)):
        if not counts[part]:
            raise DataError(
                f"The split by {spec.method} leaves no {name} rows.",
                do="Use more rows, other shares, or another kind of split.",
            )
    return split


def _by_time(rows: int, spec: SplitSpec, stream: _Stream, _users: _Stream) -> _Parts:
    if stream is None:
        raise _absent("time", "a time column")
    values = stream_times(stream, rows)
    starts = _cuts(values, (1 - spec.test - spec.validation, 1 - spec.test))
    if starts is None:
        raise DataError(
            "The rows have too few different times to split by time.",
            why="Rows of one time stay together, and training, validation and test each need a time of their own.",
            do="Choose another time column, or split by user or at random.",
        )
    parts = np.zeros(len(values), np.uint8)
    for start in range(0, len(values), _CHUNK):
        some = values[start : start + _CHUNK]
        parts[start : start + _CHUNK] = (some >= starts[0]).astype(np.uint8) + (some >= starts[1])
    return parts


def _cuts(values: Numbers, shares: tuple[float, float]) -> tuple[float, float] | None:
    """Return the times at which validation and test start, as near to the wanted shares as whole times allow."""
    first = values.min().item()
    second = next_above(values, first)
    third = None if second is None else next_above(values, second)
    if second is None or third is None:
        return None
    test = _nearest(values, shares[1], lowest=third, highest=values.max().item())
    before = last_below(values, test)
    assert before is not None, "the test starts at the third time or later"
    return _nearest(values, shares[0], lowest=second, highest=before), test


def _nearest(values: Numbers, share: float, *, lowest: float, highest: float) -> float:
    """Return the time from `lowest` to `highest` before which the share of rows is nearest to `share`."""
    at = value_at(values, min(int(share * len(values)), len(values) - 1))
    after = next_above(values, at)
    candidates = sorted({min(max(time, lowest), highest) for time in (at, after) if time is not None})
    return min(candidates, key=lambda time: abs(count_below(values, time) / len(values) - share))


def _by_user(rows: int, spec: SplitSpec, _times: _Stream, stream: _Stream) -> _Parts:
    if stream is None:
        raise _absent("user", "a field with the role user")
    lonely = np.random.default_rng(spec.seed)
    parts, start = np.zeros(rows, np.uint8), 0
    for column in stream():
        draws = _user_draws(column, spec.seed)
        missing = np.asarray(column.is_null().to_numpy())
        draws[missing] = lonely.random(int(missing.sum()))
        parts[start : start + len(draws)] = _assign(draws, spec)
        start += len(draws)
    return parts


def _user_draws(column: Column, seed: int) -> Float64Array:
    """Return a number in 0..1 for every row, float64 (N,), alike for one user and one seed."""
    salt = hash64(pa.array([f"split {seed}"]))
    mixed = hash64(pa.array((hash64(as_text(column)) ^ salt).view(np.int64)))
    return np.asarray(mixed / 2.0**64)


def _at_random(rows: int, spec: SplitSpec, _times: _Stream, _users: _Stream) -> _Parts:
    ranks = np.arange(rows, dtype=np.int32 if rows < 2**31 else np.int64)
    np.random.default_rng(spec.seed).shuffle(ranks)
    parts = np.zeros(rows, np.uint8)
    for start in range(0, rows, _CHUNK):
        some = ranks[start : start + _CHUNK].astype(np.float64)
        parts[start : start + _CHUNK] = _assign((some + 0.5) / rows, spec)
    return parts


def _assign(draws: Float64Array, spec: SplitSpec) -> _Parts:
    """Give the lowest draws to the test part, the next to validation."""
    return np.where(draws < spec.test, _TEST, np.where(draws < spec.test + spec.validation, _VALIDATE, _TRAIN)).astype(
        np.uint8
    )


def _absent(method: str, wanted: str) -> DataError:
    return DataError(f"A split by {method} needs {wanted}.", do="Name one, or choose another kind of split.")


_METHODS: dict[SplitMethod, Callable[[int, SplitSpec, _Stream, _Stream], _Parts]] = {
    SplitMethod.TIME: _by_time,
    SplitMethod.USER: _by_user,
    SplitMethod.RANDOM: _at_random,
}

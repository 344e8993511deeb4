"""Parting rows into training, validation and test: by time, by user, or at random."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens import DataError
from crosslens.data import Float64Array, Int64Array

from .columns import keys, plain, times
from .recipe import SplitMethod, SplitSpec

MINIMUM_ROWS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Row numbers of the three parts, each int64 and ascending; together every row exactly once."""

    train: Int64Array
    validation: Int64Array
    test: Int64Array


def split_rows(
    rows: int, spec: SplitSpec, *, times: pa.ChunkedArray | None = None, users: pa.ChunkedArray | None = None
) -> Split:
    """Part `rows` rows as `spec` says.

    TIME needs `times` (N,): the latest rows are the test part, the ones before validate; rows of one time are never
    parted. USER needs `users` (N,): a user's rows stay together, chosen by a seeded hash of the value, so the part of
    a user depends neither on the order of rows nor on other users; each row without a user stands for itself.
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
    parts = _METHODS[spec.method](rows, spec, times, users)
    return _checked(
        Split(*(np.flatnonzero(parts == part).astype(np.int64) for part in (_TRAIN, _VALIDATE, _TEST))), spec
    )


_TRAIN, _VALIDATE, _TEST = 0, 1, 2
_Parts: TypeAlias = NDArray[np.int8]
_Column: TypeAlias = pa.ChunkedArray | None


def _check_shares(spec: SplitSpec) -> None:
    if spec.validation > 0 and spec.test > 0 and spec.validation + spec.test < 1:
        return
    raise DataError(
        f"Validation {spec.validation:.0%} and test {spec.test:.0%} leave no proper split.",
        why="Each part needs a share above 0, and something must be left to train on.",
        do="Choose shares such as 10 % for validation and 20 % for test.",
    )


def _checked(split: Split, spec: SplitSpec) -> Split:
    for name, part in (("training", split.train), ("validation", split.validation), ("test", split.test)):
        if not len(part):
            raise DataError(
                f"The split by {spec.method} leaves no {name} rows.",
                do="Use more rows, other shares, or another kind of split.",
            )
    return split


def _by_time(rows: int, spec: SplitSpec, column: _Column, _users: _Column) -> _Parts:
    if column is None:
        raise _absent("time", "a time column")
    values = times(plain(column))
    starts = _cuts(values, (1 - spec.test - spec.validation, 1 - spec.test))
    if starts is None:
        raise DataError(
            "The rows have too few different times to split by time.",
            why="Rows of one time stay together, and training, validation and test each need a time of their own.",
            do="Choose another time column, or split by user or at random.",
        )
    return np.searchsorted(np.array(starts), values, side="right").astype(np.int8)


def _cuts(values: Int64Array | Float64Array, shares: tuple[float, float]) -> tuple[float, float] | None:
    """Return the times at which validation and test start, as near to the wanted shares as whole times allow."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 3:
        return None
    before = np.cumsum(counts)[:-1] / len(values)  # share of rows before distinct[i + 1]
    test = 1 + int(np.argmin(np.abs(before[1:] - shares[1])))
    validate = int(np.argmin(np.abs(before[:test] - shares[0])))
    return distinct[validate + 1], distinct[test + 1]


def _by_user(rows: int, spec: SplitSpec, _times: _Column, column: _Column) -> _Parts:
    if column is None:
        raise _absent("user", "a field with the role user")
    positions, values = keys(plain(column))
    known = np.array([_draw(str(value), spec.seed) for value in values], dtype=np.float64)
    draws = np.empty(rows)
    named = positions >= 0
    draws[named] = known[positions[named]]
    draws[~named] = np.random.default_rng(spec.seed).random(int((~named).sum()))
    return _assign(draws, spec)


def _draw(text: str, seed: int) -> float:
    digest = hashlib.blake2b(text.encode(), digest_size=8, key=str(seed).encode()[:64]).digest()
    return int.from_bytes(digest, "big") / 2**64


def _at_random(rows: int, spec: SplitSpec, _times: _Column, _users: _Column) -> _Parts:
    ranks = np.random.default_rng(spec.seed).permutation(rows)
    return _assign((ranks + 0.5) / rows, spec)


def _assign(draws: Float64Array, spec: SplitSpec) -> _Parts:
    """Give the lowest draws to the test part, the next to validation."""
    return np.where(draws < spec.test, _TEST, np.where(draws < spec.test + spec.validation, _VALIDATE, _TRAIN)).astype(
        np.int8
    )


def _absent(method: str, wanted: str) -> DataError:
    return DataError(f"A split by {method} needs {wanted}.", do="Name one, or choose another kind of split.")


_METHODS: dict[SplitMethod, Callable[[int, SplitSpec, _Column, _Column], _Parts]] = {
    SplitMethod.TIME: _by_time,
    SplitMethod.USER: _by_user,
    SplitMethod.RANDOM: _at_random,
}

"""Questions of the kind "what if these fields came from other rows", asked of a model in few large batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosslens.data import EncodedDataset, Float32Array, Float64Array, Int32Array, Int64Array
from crosslens.errors import Stopped

Predict: TypeAlias = Callable[[EncodedDataset], Float64Array]
"""Logits (N,) of every row of a dataset."""
Progress: TypeAlias = Callable[[float], None]
FieldSet: TypeAlias = tuple[int, ...]

BATCH_ROWS = 131_072
"""Rows per call: enough to hide the cost of a call, few enough for memory (some tens of MB at 40 fields)."""


def ignore(_: float) -> None:
    """Take no notice of progress."""


def never() -> bool:
    """Never stop."""
    return False


class Ticker:
    """Counts predicted rows towards a total, tells the fraction, and raises Stopped between two calls."""

    def __init__(self, progress: Progress, should_stop: Callable[[], bool]) -> None:
        self._progress = progress
        self._should_stop = should_stop
        self._done = 0
        self.total = 0

    def check(self) -> None:
        """Raise Stopped if the user wants to stop."""
        if self._should_stop():
            raise Stopped("Stopped while looking for what drives the predictions.")

    def advance(self, rows: int) -> None:
        """Report `rows` more predictions."""
        self._done += rows
        self._progress(min(1.0, self._done / max(self.total, self._done, 1)))


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """Other rows to take values from: for each field of each row its own random row of `data`.

    sources int64 (F, N): the row of `data` that lends field f of row n its value.
    """

    data: EncodedDataset
    sources: Int64Array

    @classmethod
    def independent(cls, data: EncodedDataset, rows: int, rng: np.random.Generator) -> Background:
        """Draw every field on its own, so that two replaced fields are independent."""
        return cls(data, rng.integers(0, len(data), (len(data.schema.fields), rows)))

    @classmethod
    def whole_rows(cls, data: EncodedDataset, rows: int, rng: np.random.Generator) -> Background:
        """Draw one row for all fields, so that replacing every field leaves a row that exists."""
        sources = rng.integers(0, len(data), rows)
        return cls(data, np.broadcast_to(sources, (len(data.schema.fields), rows)))

    def ids(self) -> Int32Array:
        """Return what is lent to the categorical fields, (N, C)."""
        ids = self.data.ids
        return ids[self.sources[: ids.shape[1]].T, np.arange(ids.shape[1])]

    def values(self) -> Float32Array:
        """Return what is lent to the numerical fields, (N, M)."""
        values = self.data.values
        return values[self.sources[self.data.ids.shape[1] :].T, np.arange(values.shape[1])]


def predict_replaced(
    predict: Predict, data: EncodedDataset, sets: Sequence[FieldSet], background: Background, ticker: Ticker
) -> Float64Array:
    """Return logits (len(sets), N): of each row with the fields of each set taken from the background."""
    masks = np.zeros((len(sets), len(data.schema.fields)), dtype=bool)
    for place, fields in enumerate(sets):
        masks[place, list(fields)] = True
    return predict_masked(predict, data, masks[:, None, :], background, ticker)


def predict_masked(
    predict: Predict, data: EncodedDataset, masks: NDArray[np.bool_], background: Background, ticker: Ticker
) -> Float64Array:
    """Return logits (V, N) of V variants; masks (V, N or 1, F) say which fields come from the background."""
    lent_ids, lent_values = background.ids(), background.values()
    categorical = data.ids.shape[1]
    found = np.empty((len(masks), len(data)))
    for part in _parts(len(masks), len(data)):
        ticker.check()
        mask = masks[part]
        ids = np.where(mask[..., :categorical], lent_ids, data.ids)
        values = np.where(mask[..., categorical:], lent_values, data.values)
        # The number of rows is spelled out: -1 cannot be worked out where there are no fields of one kind.
        rows = len(mask) * len(data)
        variant = data.with_features(ids.reshape(rows, ids.shape[-1]), values.reshape(rows, values.shape[-1]))
        found[part] = np.asarray(predict(variant), np.float64).reshape(-1, len(data))
        ticker.advance(len(variant))
    return found


def _parts(variants: int, rows: int) -> Iterator[slice]:
    step = max(1, BATCH_ROWS // max(rows, 1))
    for start in range(0, variants, step):
        yield slice(start, min(start + step, variants))

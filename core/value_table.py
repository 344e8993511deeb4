"""A pair of fields value by value: how many rows, what happened, what is predicted, what the two do together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosslens.data import EncodedDataset, Float64Array, Int64Array

from .commands import ValueTableMade
from .differences import quantile_bins, second_difference
from .display import HeatMap
from .variants import Predict

MINIMUM_SUPPORT = 30
"""Cells with fewer rows are greyed: their rate is mostly chance."""
OTHER = "other"
_ROWS = 10_000
_EFFECT_ROWS = 3_000
"""The effect asks the model many times a row, and its means need fewer rows than rates do."""


def value_table(
    predict: Predict,
    data: EncodedDataset,
    pair: tuple[str, str],
    *,
    decode: Callable[[str, float], str],
    top: int = 8,
    bins: int = 6,
    rows: int = _ROWS,
    effect_rows: int = _EFFECT_ROWS,
    background: int = 3,
    seed: int = 0,
) -> ValueTableMade:
    """Cross two fields over at most `rows` rows of `data`, their effect over at most `effect_rows` of these.

    The `top` most frequent values stand alone, the rest is "other"; numerical fields are cut into `bins` quantile bins.
    `decode(field, local id or standardised value)` makes the text of a value. Empty cells are None.
    """
    order = np.random.default_rng(seed).permutation(len(data))[:rows]
    data = data.take(order)
    first, second = (_values(data, name, decode, top, bins) for name in pair)
    cells = _Cells(pair, first, second)
    logits = np.asarray(predict(data), np.float64)
    predicted = 1.0 / (1.0 + np.exp(-np.clip(logits, -500, 500)))
    some = data.take(slice(0, effect_rows))
    effect = second_difference(predict, some, pair, background=background, seed=seed) if len(some) else logits
    return ValueTableMade(
        observed=cells.heat_map("Observed rate", np.asarray(data.target, np.float64), "%"),
        predicted=cells.heat_map("Predicted rate", predicted, "%"),
        effect=cells.heat_map("What the pair adds", effect, "logit", diverging=True),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """The groups of one field: their names, and the group of each row, (N,)."""

    names: tuple[str, ...]
    groups: Int64Array


def _values(data: EncodedDataset, name: str, decode: Callable[[str, float], str], top: int, bins: int) -> _Values:
    field = data.schema.names.index(name)
    categorical = data.ids.shape[1]
    if field < categorical:
        return _categories(data.local_ids()[:, field], name, decode, top)
    return _ranges(data.values[:, field - categorical], name, decode, bins)


def _categories(ids: NDArray[np.int32], name: str, decode: Callable[[str, float], str], top: int) -> _Values:
    """Most frequent first; a single value too many is shown rather than called "other"."""
    found, places, counts = np.unique(ids, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = order if len(found) <= top + 1 else order[:top]
    group = np.full(len(found), len(shown), np.int64)
    group[shown] = np.arange(len(shown))
    names = tuple(decode(name, int(found[place])) for place in shown)
    return _Values(names + ((OTHER,) if len(shown) < len(found) else ()), group[places])


def _ranges(values: NDArray[np.float32], name: str, decode: Callable[[str, float], str], bins: int) -> _Values:
    groups, edges = quantile_bins(values, bins)
    texts = [decode(name, float(edge)) for edge in edges]
    names = [f"< {texts[0]}"] if texts else ["all"]
    names += [f"{low} – {high}" for low, high in itertools.pairwise(texts)]
    names += [f"≥ {texts[-1]}"] if texts else []
    if np.isnan(values).any():
        names.append(decode(name, float("nan")))
    return _Values(tuple(names), groups)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Rows sorted into the cells of a table."""

    pair: tuple[str, str]
    first: _Values
    second: _Values

    def heat_map(self, title: str, values: Float64Array, unit: str, *, diverging: bool = False) -> HeatMap:
        """Return the mean of `values` in each cell; they belong to the first rows, if there are fewer of them."""
        counts = self._sum(np.ones(len(values)))
        sums = self._sum(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / counts
        return HeatMap(
            title=f"{title}: {self.pair[0]} × {self.pair[1]}",
            rows=self.first.names,
            columns=self.second.names,
            values=tuple(tuple(None if np.isnan(mean) else float(mean) for mean in row) for row in means),
            unit=unit,
            diverging=diverging,
            greyed=tuple(tuple(bool(count < MINIMUM_SUPPORT) for count in row) for row in counts),
            counts=tuple(tuple(int(count) for count in row) for row in counts),
            note=f"{len(values):,} held-out rows. Cells with fewer than {MINIMUM_SUPPORT} rows are grey.",
        )

    def _sum(self, values: Float64Array) -> Float64Array:
        shape = (len(self.first.names), len(self.second.names))
        flat = (self.first.groups * shape[1] + self.second.groups)[: len(values)]
        sums = np.bincount(flat, weights=values, minlength=shape[0] * shape[1])
        return sums.astype(np.float64).reshape(shape)

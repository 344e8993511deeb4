"""Second differences of a model's logit: what two fields do together, beyond what each does alone.

With x\\i the row x whose field i comes from another, random row:

    D(x) = E[ f(x) - f(x\\i) - f(x\\j) + f(x\\i,j) ] - a_i(x_i) - a_j(x_j)

The expectation removes everything that is additive in x_i and x_j under independent fields. Fields of a database are
not independent (an item has one brand), so D also loses its best additive approximation a_i + a_j over the rows that
exist (purification; Hooker, 2007; Lengerich et al., 2020): what one of two tied fields says alone is no interaction.
The group means a are shrunk by their variance components (Searle et al., 1992), so that rare values do not swallow D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosslens.data import EncodedDataset, Float64Array, Int64Array

from .variants import Background, FieldSet, Predict, Ticker, ignore, never, predict_replaced

NUMERICAL_GROUPS = 12
FEWEST_DRAWS = 2
"""With two background draws the noise of their mean can be told, and corrected."""
_SWEEPS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some rows of `population` rows; `design` (N,), mean 1, gives every row the weight that its draw took from it."""

    rows: EncodedDataset
    design: Float64Array
    population: int


def plain_sample(data: EncodedDataset, count: int, rng: np.random.Generator) -> Sample:
    """Draw `count` rows at random (all, if there are no more), in their order."""
    chosen = np.sort(rng.permutation(len(data))[:count])
    return Sample(data.take(chosen), np.ones(len(chosen)), len(data))


def balanced_sample(data: EncodedDataset, count: int, rng: np.random.Generator) -> Sample:
    """Draw `count` rows, half of them positive as far as there are any, and weigh them back (case-control design).

    The few positives carry most of what labels tell: at a rate of 10 % a fifth of the rows tells nearly as much as all.
    """
    if len(data) <= count:
        return plain_sample(data, count, rng)
    classes = [np.flatnonzero(data.target == label) for label in (0, 1)]
    positives = max(min(len(classes[1]), count // 2), count - len(classes[0]))
    drawn = [rng.permutation(rows)[:size] for rows, size in zip(classes, (count - positives, positives), strict=True)]
    chosen = np.concatenate(drawn)
    design = np.concatenate(
        [np.full(len(some), len(rows) / max(len(some), 1)) for some, rows in zip(drawn, classes, strict=True)]
    )
    order = np.argsort(chosen)
    return Sample(data.take(chosen[order]), design[order] * count / len(data), len(data))


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """Means over background draws, (K, N), and the variance of each mean."""

    mean: Float64Array
    variance: Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Logits (N,) of a sample, differences of pairs (P, N) and of single fields (F, N), mean squares of the latter."""

    sample: Sample
    logits: Float64Array
    pairs: Noisy
    fields: Noisy
    field_squares: Float64Array


def measure_differences(
    predict: Predict,
    sample: Sample,
    pairs: Int64Array,
    *,
    lenders: EncodedDataset,
    draws: int,
    rng: np.random.Generator,
    ticker: Ticker,
    fields: Int64Array | None = None,
) -> Measured:
    """Ask for single fields (default: all) and `pairs` (P, 2) of them, once for each background draw, and average.

    Background rows are drawn from `lenders`, at least FEWEST_DRAWS times. Stopped when asked to.
    """
    data = sample.rows
    fields = np.arange(len(data.schema.fields)) if fields is None else np.sort(fields)
    logits = np.asarray(predict(data), np.float64)
    ticker.advance(len(data))
    singles: list[FieldSet] = [(int(field),) for field in fields]
    i, j = np.searchsorted(fields, pairs).T
    doubles: list[FieldSet] = [(int(first), int(second)) for first, second in pairs]
    of_pairs, of_fields = _Running(len(pairs), len(data)), _Running(len(singles), len(data))
    for _ in range(max(draws, FEWEST_DRAWS)):
        draw = Background.independent(lenders, len(data), rng)
        single = predict_replaced(predict, data, singles, draw, ticker)
        double = predict_replaced(predict, data, doubles, draw, ticker)
        of_fields.add(logits - single)
        of_pairs.add(logits - single[i] - single[j] + double)
    noisy = of_pairs.noisy()
    return Measured(
        sample=sample,
        logits=logits,
        pairs=replace(noisy, mean=_purified(noisy.mean, pairs, sample)),
        fields=of_fields.noisy(),
        field_squares=of_fields.squares(),
    )


def second_difference(
    predict: Predict, data: EncodedDataset, pair: tuple[str, str], *, background: int = 4, seed: int = 0
) -> Float64Array:
    """Return D of one pair for every row of `data`, in logits, (N,)."""
    chosen = pair_places(data, (pair,))
    sample = Sample(data, np.ones(len(data)), len(data))
    measured = measure_differences(
        predict, sample, chosen, lenders=data, draws=background, rng=np.random.default_rng(seed),
        ticker=Ticker(ignore, never), fields=chosen[0],
    )  # fmt: skip
    return np.asarray(measured.pairs.mean[0])


def pair_places(data: EncodedDataset, pairs: Sequence[tuple[str, str]]) -> Int64Array:
    """Return the places of the fields of each pair, (P, 2); ValueError for a field there is not."""
    names = data.schema.names
    return np.array([(names.index(first), names.index(second)) for first, second in pairs], np.int64).reshape(-1, 2)


class _Running:
    """Mean, variance and mean square over draws, without keeping the draws."""

    def __init__(self, kinds: int, rows: int) -> None:
        self._count = 0
        self._mean = np.zeros((kinds, rows))
        self._spread = np.zeros((kinds, rows))

    def add(self, values: Float64Array) -> None:
        self._count += 1
        step = values - self._mean
        self._mean += step / self._count
        self._spread += step * (values - self._mean)

    def noisy(self) -> Noisy:
        return Noisy(self._mean, self._spread / (self._count - 1) / self._count)

    def squares(self) -> Float64Array:
        return self._mean**2 + self._spread / self._count


def _purified(mean: Float64Array, pairs: Int64Array, sample: Sample) -> Float64Array:
    groups = {int(field): _groups(sample.rows, int(field)) for field in np.unique(pairs)}
    pure = np.empty_like(mean)
    for place, (i, j) in enumerate(pairs):
        pure[place] = mean[place] - additive_part(mean[place], groups[i], groups[j], sample.design)
    return pure


def _groups(data: EncodedDataset, field: int) -> Int64Array:
    """Return a group number for each row, (N,): ids as they are, numbers in quantile bins, missing ones apart."""
    categorical = data.ids.shape[1]
    if field < categorical:
        return np.unique(data.ids[:, field], return_inverse=True)[1].astype(np.int64)
    return quantile_bins(data.values[:, field - categorical], NUMERICAL_GROUPS)[0]


def quantile_bins(values: NDArray[np.floating], bins: int) -> tuple[Int64Array, Float64Array]:
    """Return the bin of each value and the inner edges; -1 is not used, missing values get the bin after the last."""
    known = values[~np.isnan(values)].astype(np.float64)
    edges = np.unique(np.quantile(known, np.arange(1, bins) / bins)) if len(known) else np.zeros(0)
    if len(known):
        edges = edges[(edges > known.min())]
    places = np.searchsorted(edges, values, side="right").astype(np.int64)
    places[np.isnan(values)] = len(edges) + 1
    return places, edges


def additive_part(
    values: Float64Array, first: Int64Array, second: Int64Array, weights: Float64Array | None = None
) -> Float64Array:
    """Return the best approximation of `values` (N,) by a constant and shrunk means of both groups (backfitting).

    weights (N,) have mean 1.
    """
    weights = np.ones(len(values)) if weights is None else weights
    constant = float(np.average(values, weights=weights))
    parts = [np.zeros_like(values), np.zeros_like(values)]
    for _ in range(_SWEEPS):
        for place, groups in enumerate((first, second)):
            parts[place] = _shrunk_means(values - constant - parts[1 - place], groups, weights)
    return np.asarray(constant + parts[0] + parts[1])


def _shrunk_means(values: Float64Array, groups: Int64Array, weights: Float64Array) -> Float64Array:
    """Return the mean of each row's group, shrunk to 0 as far as the variance between groups may be chance."""
    used, rows = int((np.bincount(groups) > 0).sum()), len(values)
    if used < 2 or used == rows:
        return np.zeros_like(values)
    sizes = np.bincount(groups, weights=weights)
    means = np.bincount(groups, weights=weights * values) / np.where(sizes > 0, sizes, 1.0)
    within = float(weights @ (values - means[groups]) ** 2) / (rows - used)
    spread = float(sizes @ (means - np.average(values, weights=weights)) ** 2) / (used - 1)
    between = max(0.0, (spread - within) / ((rows - float(sizes @ sizes) / rows) / (used - 1)))
    if between == 0.0:
        return np.zeros_like(values)
    kept = sizes[groups] * between
    return np.asarray(means[groups] * kept / (kept + within))

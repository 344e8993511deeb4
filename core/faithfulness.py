"""Do contributions name the fields that matter to the model? Deletion and insertion against random order.

Fields of a row are replaced by those of a random background row one after another. If contributions are faithful, the
largest ones first move the logit away from where it was sooner than a random order does (deletion), and given back
first bring it home sooner (insertion).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crosslens.data import EncodedDataset, Float64Array, Int64Array
from crosslens.errors import DataError
from crosslens.explanations import Contributions

from .evidence import Faithfulness
from .metrics import resample
from .quality import Curve
from .variants import Background, Predict, Progress, Ticker, ignore, never, predict_masked


def measure_faithfulness(
    predict: Predict,
    data: EncodedDataset,
    contributions: Contributions,
    *,
    background: EncodedDataset | None = None,
    rows: int = 500,
    draws: int = 4,
    seed: int = 0,
    progress: Progress = ignore,
    should_stop: Callable[[], bool] = never,
) -> Faithfulness:
    """Measure `contributions`, one row each for the rows of `data`, on at most `rows` of them.

    Replaced values come from random rows of `background` (default: `data`), `draws` times with another random order.
    Distances |f(changed row) - f(row)| are divided by their mean when all fields are replaced, so that curves run from
    0 to 1 and back. DataError without rows; Stopped when asked to.
    """
    if len(data) != len(contributions.values) or contributions.fields != data.schema.names:
        raise ValueError("contributions belong to other rows or fields")
    if not len(data):
        raise DataError("There are no rows to test the contributions on.", do="Explain at least one row.")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(data))[:rows])
    part, values = data.take(chosen), contributions.values[chosen]
    ticker = Ticker(progress, should_stop)
    ticker.total = draws * len(part) * (4 * values.shape[1] + 4)
    lenders = data if background is None else background
    found = [_distances(predict, part, values, lenders, rng, ticker) for _ in range(draws)]
    return _faithfulness(np.mean(found, axis=0), seed)


def _distances(
    predict: Predict,
    data: EncodedDataset,
    contributions: Float64Array,
    lenders: EncodedDataset,
    rng: np.random.Generator,
    ticker: Ticker,
) -> Float64Array:
    """Return |f(changed) - f(row)| of deletion, random deletion, insertion, random insertion, (4, F + 1, N)."""
    ours = _places(np.argsort(-np.abs(contributions), axis=1, kind="stable"))
    other = _places(rng.permuted(np.tile(np.arange(contributions.shape[1]), (len(data), 1)), axis=1))
    steps = np.arange(contributions.shape[1] + 1)[:, None, None]
    masks = [ours < steps, other < steps, ours >= steps, other >= steps]
    lent = Background.whole_rows(lenders, len(data), rng)
    logits = np.asarray(predict(data), np.float64)
    return np.stack([np.abs(predict_masked(predict, data, mask, lent, ticker) - logits) for mask in masks])


def _places(order: Int64Array) -> Int64Array:
    """Return the place of each field in the order of its row, (N, F)."""
    return np.argsort(order, axis=1)


def _faithfulness(distances: Float64Array, seed: int) -> Faithfulness:
    """Return areas and curves from distances (4, F + 1, N); a model that never moves has an area of 0."""
    deletion, deletion_random, insertion, insertion_random = distances
    full = deletion[-1]
    advantage = 0.5 * (_area(deletion - deletion_random) + _area(insertion_random - insertion))
    scale = float(full.mean()) or 1.0
    counts = resample(len(full), seed=seed)
    scales = counts @ full
    draws = counts @ advantage / np.where(scales > 0, scales, 1.0)
    low, high = np.quantile(draws, (0.025, 0.975))
    x = tuple(np.linspace(0.0, 1.0, len(deletion)).tolist())
    curves = [Curve(x, tuple((each.mean(axis=1) / scale).tolist())) for each in distances]
    return Faithfulness(
        area=float(advantage.mean()) / scale,
        low=float(low),
        high=float(high),
        deletion=curves[0],
        deletion_random=curves[1],
        insertion=curves[2],
        insertion_random=curves[3],
        rows=len(full),
    )


def _area(curves: Float64Array) -> Float64Array:
    """Return the area under each column of (F + 1, N) over 0..1, by trapezoids."""
    if len(curves) < 2:
        return np.zeros(curves.shape[1])
    return np.asarray((curves[1:] + curves[:-1]).mean(axis=0) / 2)

"""Metrics of binary predictions with intervals, from labels and logits alone.

AUC by mid-ranks with the interval of DeLong, DeLong & Clarke-Pearson (1988), computed in O(n log n) from placement
values (Sun & Xu, 2014) and, for rows that belong together, summed per cluster (Obuchowski, 1997). Everything else by a
Poisson bootstrap over rows or clusters. All intervals have level 0.95.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosslens.data import Float64Array, Int64Array
from crosslens.errors import DataError
from crosslens.runs import Metric

from .quality import Curve, PairedComparison, Quality, ReliabilityBin

Z95 = 1.959963984540054
RESAMPLES = 200
CURVE_POINTS = 200
FEW_LABELS = 50
"""Below this many positives or negatives an interval is too wide to decide anything."""
SUSPICIOUS_AUC = 0.98
TOO_GOOD = "The AUC is higher than clicks usually allow: check whether a column gives the label away."
_FEWEST_TAKEN = 10
"""Precision of fewer top rows than this is chance: the drawn curve starts here."""
_MOST_UNITS = 20_000
"""More rows than this are resampled in random groups: the same variance, fewer draws."""
_CHUNK = 1_000_000


def evaluate(
    labels: ArrayLike,
    logits: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    task: str = "click",
    seed: int = 0,
) -> Quality:
    """Measure predictions against labels.

    labels (N,) 0 or 1; logits (N,); weights (N,) positive; clusters (N,) names rows that belong together (users).
    Metrics that a single class leaves undefined are absent and a warning says so. DataError if labels are not 0 and 1
    or a logit is not finite.
    """
    rows = _rows(labels, logits, weights, clusters)
    if not len(rows.labels):
        return _empty(task)
    positives = int(rows.labels.sum())
    metrics = tuple(
        Metric(name, value, low, high, len(rows.labels), positives) for name, value, low, high in _measure(rows, seed)
    )
    both = 0 < positives < len(rows.labels)
    return Quality(
        task=task,
        rows=len(rows.labels),
        positives=positives,
        metrics=metrics,
        roc=_roc(rows) if both else Curve((), ()),
        precision_recall=_precision_recall(rows) if both else Curve((), ()),
        gains=_gains(rows) if positives else Curve((), ()),
        reliability=_reliability(rows),
        warnings=_warnings(len(rows.labels), positives, metrics),
    )


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve by mid-ranks; NaN when there is only one class."""
    rows = _rows(labels, scores, None, None)
    return _area(rows)[0] if 0 < rows.labels.sum() < len(rows.labels) else math.nan


def log_losses(labels: NDArray[Any], logits: NDArray[Any]) -> Float64Array:
    """Return the log loss of every entry in nats; shapes broadcast. Exact for logits of any size."""
    return np.asarray(np.logaddexp(0.0, logits) - labels * logits)


def compare_auc(
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> PairedComparison:
    """Compare the AUC of two models on the same rows by DeLong's paired test; DataError when one class is absent."""
    a, b = _rows(labels, first, weights, clusters), _rows(labels, second, weights, clusters)
    if not 0 < a.labels.sum() < len(a.labels):
        raise DataError("AUC cannot be compared on rows of one class.", do="Compare on rows with clicks and without.")
    area_a, influence_a = _area(a)
    area_b, influence_b = _area(b)
    order_a, order_b = np.argsort(a.order), np.argsort(b.order)
    difference = influence_a[order_a] - influence_b[order_b]
    error = math.sqrt(_variance(difference, a.labels[order_a], a.clusters, order_a))
    return _paired("auc", area_a, area_b, error, len(a.labels))


def compare_log_loss(
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> PairedComparison:
    """Compare the mean log loss of two models on the same rows (paired, normal approximation)."""
    a, b = _rows(labels, first, weights, clusters), _rows(labels, second, weights, clusters)
    if len(a.labels) < 2:
        raise DataError("Log loss cannot be compared on fewer than two rows.", do="Compare on more rows.")
    order_a, order_b = np.argsort(a.order), np.argsort(b.order)
    losses_a, losses_b = a.losses[order_a], b.losses[order_b]
    weight = a.weights[order_a] / a.weights.sum()
    mean_a, mean_b = float(weight @ losses_a), float(weight @ losses_b)
    influence = weight * (losses_a - losses_b - (mean_a - mean_b))
    return _paired("log_loss", mean_a, mean_b, math.sqrt(_variance(influence, None, a.clusters, order_a)), len(weight))


def normal_tail(z: float) -> float:
    """Return P(Z > z) of a standard normal."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """Return Wilson's interval of a share; trials may be an effective number."""
    if trials <= 0:
        return 0.0, 1.0
    share, square = successes / trials, Z95 * Z95
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = Z95 / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def resample(units: int, *, seed: int, resamples: int = RESAMPLES) -> Float64Array:
    """Return how often each of `units` occurs in each Poisson resample, (resamples, units), scaled to mean 1."""
    counts = _draws(resamples, units, np.random.default_rng(seed)).astype(np.float64)
    return np.asarray(counts / np.maximum(counts.mean(axis=1, keepdims=True), 1.0 / max(units, 1)))


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows sorted by falling logit. `order` leads from there to the given rows; `ends` are the last of equal logits."""

    labels: Float64Array
    logits: Float64Array
    probabilities: Float64Array
    losses: Float64Array
    weights: Float64Array
    clusters: Int64Array | None
    order: Int64Array
    ends: Int64Array


def _rows(labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None, clusters: ArrayLike | None) -> _Rows:
    y, f = np.asarray(labels, np.float64).ravel(), np.asarray(logits, np.float64).ravel()
    w = np.ones_like(y) if weights is None else np.asarray(weights, np.float64).ravel()
    groups = None if clusters is None else np.unique(np.asarray(clusters).ravel(), return_inverse=True)[1]
    _check(y, f, w, groups)
    order = np.argsort(-f, kind="stable")
    y, f, w = y[order], f[order], w[order]
    ends = np.flatnonzero(np.append(f[1:] != f[:-1], True)) if len(f) else np.zeros(0, np.int64)
    small = np.exp(-np.abs(f))
    probabilities = np.where(f >= 0, 1.0, small) / (1.0 + small)
    return _Rows(y, f, probabilities, log_losses(y, f), w, None if groups is None else groups[order], order, ends)


def _check(y: Float64Array, f: Float64Array, w: Float64Array, groups: Int64Array | None) -> None:
    if not len(y) == len(f) == len(w) or (groups is not None and len(groups) != len(y)):
        raise ValueError(f"{len(y)} labels, {len(f)} logits, {len(w)} weights: the lengths differ")
    if not np.isfinite(f).all():
        raise DataError(
            "The model predicts values that are not numbers.",
            why="Its training has probably diverged.",
            do="Train again with a smaller learning rate.",
        )
    if not np.isin(y, (0.0, 1.0)).all():
        raise DataError("A label is neither 0 nor 1.", do="Choose a column that says whether it happened.")
    if not (np.isfinite(w).all() and (w >= 0).all() and (w.sum() > 0 or not len(w))):
        raise DataError("A weight is negative or not a number.", do="Choose another weight column.")


def _empty(task: str) -> Quality:
    nothing = Curve((), ())
    return Quality(task, 0, 0, (), nothing, nothing, nothing, (), ("There are no rows to measure on.",))


def _measure(rows: _Rows, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """Yield name, value, low, high of every metric these rows allow."""
    if 0 < rows.labels.sum() < len(rows.labels):
        area, influence = _area(rows)
        error = math.sqrt(_variance(influence, rows.labels, rows.clusters, None))
        yield ("auc", area, *_area_interval(area, error, rows.labels))
    starts = _bin_starts(rows)
    values = _averages(rows, rows.weights[None, :], starts)
    samples = [_averages(rows, weights, starts) for weights in _resampled_weights(rows, seed)]
    for name, value in values.items():
        if math.isfinite(value[0]):
            draws = np.concatenate([sample[name] for sample in samples])
            yield (name, float(value[0]), *_percentiles(name, float(value[0]), draws[np.isfinite(draws)]))


def _area(rows: _Rows) -> tuple[float, Float64Array]:
    """Return AUC and the influence of each row on it (in the order of `rows`), from weighted placement values."""
    positive, negative = rows.weights * rows.labels, rows.weights * (1.0 - rows.labels)
    sizes = np.diff(rows.ends, prepend=-1)
    starts = rows.ends - sizes + 1
    in_group = np.vstack((np.add.reduceat(positive, starts), np.add.reduceat(negative, starts)))
    above = np.cumsum(in_group, axis=1) - 0.5 * in_group
    totals = in_group.sum(axis=1)
    placement_positive = np.repeat(1.0 - above[1] / totals[1], sizes)
    placement_negative = np.repeat(above[0] / totals[0], sizes)
    area = float(positive @ placement_positive / totals[0])
    influence = positive / totals[0] * (placement_positive - area) + negative / totals[1] * (placement_negative - area)
    return area, influence


def _variance(
    influence: Float64Array, labels: Float64Array | None, clusters: Int64Array | None, order: Int64Array | None
) -> float:
    """Return the variance of an estimate from the influences of its rows, or of its clusters of rows.

    With labels, each class gets its own degrees of freedom, as DeLong has it.
    """
    if clusters is not None:
        sums = np.bincount(clusters if order is None else clusters[order], weights=influence)
        return float(sums @ sums * len(sums) / max(len(sums) - 1, 1))
    if labels is None:
        return float(influence @ influence * len(influence) / max(len(influence) - 1, 1))
    return sum(_variance(influence[labels == label], None, None, None) for label in (0.0, 1.0))


def _area_interval(area: float, error: float, labels: Float64Array) -> tuple[float, float]:
    """Return an interval on the logit scale, so that it stays within 0..1.

    Complete separation has no variance; there the exact bound of as many successes as the rarer class has rows.
    """
    if area <= 0.0 or area >= 1.0 or error == 0.0:
        bound = 0.025 ** (1.0 / max(min(labels.sum(), len(labels) - labels.sum()), 1.0))
        return (min(area, bound), 1.0) if area >= 0.5 else (0.0, max(area, 1.0 - bound))
    centre, half = math.log(area / (1 - area)), Z95 * error / (area * (1 - area))
    return 1 / (1 + math.exp(-max(centre - half, -700.0))), 1 / (1 + math.exp(-min(centre + half, 700.0)))


def _averages(rows: _Rows, weights: Float64Array, starts: Int64Array) -> dict[str, Float64Array]:
    """Return the metrics that are averages, one number per row of `weights` (R, N); NaN where undefined."""
    total = weights.sum(axis=1)
    hits = weights @ rows.labels
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = weights @ rows.losses / total
        rate = hits / total
        entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
        gaps = np.add.reduceat(weights * (rows.probabilities - rows.labels), starts, axis=1)
        return {
            "log_loss": loss,
            "normalised_entropy": np.where(entropy > 0, loss / entropy, np.nan),
            "pr_auc": np.where((hits > 0) & (hits < total), _average_precision(rows, weights), np.nan),
            "calibration_error": np.abs(gaps).sum(axis=1) / total,
            "calibration_ratio": np.where(hits > 0, weights @ rows.probabilities / hits, np.nan),
        }


def _average_precision(rows: _Rows, weights: Float64Array) -> Float64Array:
    """Return the mean, over positives, of the precision among the rows predicted at least as high, (R,)."""
    found = np.cumsum(weights * rows.labels, axis=1)
    precision = np.cumsum(weights, axis=1)
    if len(rows.ends) < len(rows.labels):
        found, precision = found[:, rows.ends], precision[:, rows.ends]
    np.divide(found, precision, out=precision, where=precision > 0)
    total = found[:, -1].copy()
    found[:, 1:] -= found[:, :-1].copy()
    return np.asarray(np.einsum("ij,ij->i", found, precision) / total)


def _resampled_weights(rows: _Rows, seed: int) -> Iterator[Float64Array]:
    """Yield weights of resampled rows or clusters, in chunks (R, N) of bounded size."""
    count = len(rows.labels)
    rng = np.random.default_rng(seed)
    units = rows.clusters
    if units is None and count > _MOST_UNITS:
        units = rng.permutation(count) % _MOST_UNITS
    step = max(1, _CHUNK // count)
    for start in range(0, RESAMPLES, step):
        draws = _draws(min(step, RESAMPLES - start), count if units is None else int(units.max()) + 1, rng)
        weights = (draws if units is None else draws[:, units]) * rows.weights
        yield weights[weights.sum(axis=1) > 0]


def _draws(resamples: int, units: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return how often each unit occurs in each resample: Poisson with mean 1, by a table that is fast to look up."""
    return _POISSON[rng.integers(0, len(_POISSON), (resamples, units), dtype=np.uint16)]


def _poisson_table(size: int = 65_536) -> NDArray[np.uint8]:
    reached = np.cumsum([math.exp(-1.0) / math.factorial(count) for count in range(20)])
    return np.searchsorted(reached, (np.arange(size) + 0.5) / size).astype(np.uint8)


_POISSON = _poisson_table()


def _percentiles(name: str, value: float, draws: Float64Array) -> tuple[float, float]:
    """Return the 2.5 and 97.5 percentiles of the resampled values.

    An absolute value grows by resampling alone; the calibration error's interval is therefore moved back to its value.
    """
    if not len(draws):
        return value, value
    low, middle, high = (float(q) for q in np.quantile(draws, (0.025, 0.5, 0.975)))
    if name == "calibration_error":
        low, high = max(0.0, low + value - middle), high + value - middle
    return min(low, value), max(high, value)


def _bin_starts(rows: _Rows) -> Int64Array:
    """Return where bins of about equal mass start; rows of equal logits share a bin, 10 to 20 bins where possible."""
    bins = int(np.clip(rows.labels.sum() // FEW_LABELS, 10, 20))
    mass = np.cumsum(rows.weights)
    wanted = np.searchsorted(mass, mass[-1] * np.arange(1, bins) / bins)
    last = rows.ends[np.searchsorted(rows.ends, wanted)]
    starts = np.unique(np.concatenate(([0], last + 1)))
    return starts[starts < len(mass)].astype(np.int64)


def _reliability(rows: _Rows) -> tuple[ReliabilityBin, ...]:
    starts = _bin_starts(rows)
    stops = np.append(starts[1:], len(rows.labels))
    bins = (_reliability_bin(rows, slice(a, b)) for a, b in zip(starts[::-1], stops[::-1], strict=True))
    return tuple(entry for entry in bins if entry is not None)


def _reliability_bin(rows: _Rows, part: slice) -> ReliabilityBin | None:
    weights = rows.weights[part]
    if weights.sum() == 0:
        return None
    predicted = float(np.average(rows.probabilities[part], weights=weights))
    observed = float(np.average(rows.labels[part], weights=weights))
    effective = float(weights.sum() ** 2 / (weights @ weights))
    low, high = wilson(observed * effective, effective)
    return ReliabilityBin(predicted, observed, low, high, len(weights))


def _roc(rows: _Rows) -> Curve:
    hits = np.append(0.0, np.cumsum(rows.weights * rows.labels)[rows.ends])
    false = np.append(0.0, np.cumsum(rows.weights * (1 - rows.labels))[rows.ends])
    return _thin(false / false[-1], hits / hits[-1])


def _precision_recall(rows: _Rows) -> Curve:
    hits = np.cumsum(rows.weights * rows.labels)[rows.ends]
    taken = np.cumsum(rows.weights)[rows.ends]
    kept = (taken > 0) & (rows.ends >= min(_FEWEST_TAKEN, len(rows.labels)) - 1)
    return _thin(hits[kept] / hits[-1], hits[kept] / taken[kept])


def _gains(rows: _Rows) -> Curve:
    hits = np.append(0.0, np.cumsum(rows.weights * rows.labels)[rows.ends])
    taken = np.append(0.0, np.cumsum(rows.weights)[rows.ends])
    return _thin(taken / taken[-1], hits / hits[-1])


def _thin(x: Float64Array, y: Float64Array) -> Curve:
    """Return at most CURVE_POINTS points, evenly along the curve; first and last are always kept."""
    if len(x) > CURVE_POINTS:
        way = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)) * (np.diff(y) > 0)))
        chosen = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], CURVE_POINTS - 1)))
        chosen = np.unique(np.concatenate((chosen, [len(x) - 1])))
        x, y = x[chosen], y[chosen]
    return Curve(tuple(x.tolist()), tuple(y.tolist()))


def _paired(metric: str, first: float, second: float, error: float, rows: int) -> PairedComparison:
    difference = first - second
    p_value = 2 * normal_tail(abs(difference) / error) if error > 0 else float(difference == 0)
    return PairedComparison(
        metric, first, second, difference, difference - Z95 * error, difference + Z95 * error, p_value, rows
    )


def _warnings(rows: int, positives: int, metrics: tuple[Metric, ...]) -> tuple[str, ...]:
    found = []
    if positives in (0, rows):
        label = "0" if positives == 0 else "1"
        found.append(f"Every label on these {rows:,} rows is {label}, so ranking cannot be measured.")
    elif positives < FEW_LABELS or rows - positives < FEW_LABELS:
        few, word = (positives, "positive") if positives < FEW_LABELS else (rows - positives, "negative")
        found.append(f"Only {few} {word} rows: the intervals are too wide to decide anything fine.")
    if any(metric.name == "auc" and metric.value > SUSPICIOUS_AUC and metric.low > 0.95 for metric in metrics):
        found.append(TOO_GOOD)
    return tuple(found)

"""How well one grouping of the rows tells a label: rates learned on one half of the rows, the AUC taken on the other.

Out of fold, values that occur once tell nothing, so identifiers raise no alarm.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from crosslens.data import Float32Array, Float64Array, Int64Array

_FOLDS = 2


def strength(groups: Int64Array, labels: Float32Array) -> float:
    """Return the AUC that the positive rates of `groups` (N,) reach on `labels` (N,), mean of two folds.

    Rows of one group and fold are alike, so that they are counted and not sorted.
    """
    cells = groups * _FOLDS + _folds(len(labels))
    wanted = _FOLDS * (int(groups.max(initial=0)) + 1)
    rows = np.bincount(cells, minlength=wanted).reshape(-1, _FOLDS)
    positives = np.asarray(np.bincount(cells, weights=labels, minlength=wanted).reshape(-1, _FOLDS), np.float64)
    found = []
    for fold in range(_FOLDS):
        here = rows[:, fold] > 0
        rates = _rates(positives[:, 1 - fold], rows[:, 1 - fold])
        found.append(_auc(rates[here], positives[here, fold], rows[here, fold]))
    return float(np.mean(found))


@lru_cache(maxsize=4)
def _folds(rows: int) -> Int64Array:
    folds = np.random.default_rng(1).integers(0, _FOLDS, rows)
    folds.flags.writeable = False
    return folds


def _rates(positives: Float64Array, rows: Int64Array) -> Float64Array:
    """Return the share of positives per group, drawn towards the overall share by one row's worth."""
    overall = positives.sum() / rows.sum() if rows.any() else 0.5
    return np.asarray((positives + overall) / (rows + 1.0))


def auc(labels: Float32Array, scores: Float64Array) -> float:
    """Return the probability that a positive row scores above a negative one, ties counting half; 0.5 for one class."""
    return _auc(scores, labels.astype(np.float64), np.ones(len(labels), np.int64))


def _auc(scores: Float64Array, positives: Float64Array, rows: Int64Array) -> float:
    """Return the AUC of groups of rows: a score, the positive ones and the number of rows of each."""
    places = np.unique(scores, return_inverse=True)[1]
    good = np.bincount(places, weights=positives)
    bad = np.bincount(places, weights=rows) - good
    below = np.cumsum(bad) - bad
    pairs = good.sum() * bad.sum()
    return float(np.sum(good * (below + bad / 2)) / pairs) if pairs else 0.5


def shown(value: float) -> str:
    """Return an AUC as text, whichever way it points."""
    return f"{max(value, 1 - value):.3f}"

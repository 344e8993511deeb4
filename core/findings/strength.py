"""How well one grouping of the rows tells a label: rates learned on one half of the rows, the AUC taken on the other.

Out of fold, values that occur once tell nothing, so identifiers raise no alarm.
"""

from __future__ import annotations

import numpy as np

from crosslens.data import Float32Array, Float64Array, Int64Array

_FOLDS = 2


def strength(groups: Int64Array, labels: Float32Array) -> float:
    """Return the AUC that the positive rates of `groups` (N,) reach on `labels` (N,), mean of two folds."""
    folds = np.random.default_rng(1).integers(0, _FOLDS, len(labels))
    scores = np.empty(len(labels))
    count = int(groups.max(initial=0)) + 1
    for fold in range(_FOLDS):
        learn = folds != fold
        scores[~learn] = _rates(groups[learn], labels[learn], count)[groups[~learn]]
    return float(np.mean([auc(labels[folds == fold], scores[folds == fold]) for fold in range(_FOLDS)]))


def _rates(groups: Int64Array, labels: Float32Array, count: int) -> Float64Array:
    """Return the share of positives per group, drawn towards the overall share by one row's worth."""
    overall = float(labels.mean()) if len(labels) else 0.5
    positives = np.bincount(groups, weights=labels, minlength=count)
    return np.asarray((positives + overall) / (np.bincount(groups, minlength=count) + 1.0))


def auc(labels: Float32Array, scores: Float64Array) -> float:
    """Return the probability that a positive row scores above a negative one, ties counting half; 0.5 for one class."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    positives = np.bincount(places, weights=labels, minlength=len(counts))
    negatives = counts - positives
    below = np.cumsum(negatives) - negatives
    pairs = positives.sum() * negatives.sum()
    return float(np.sum(positives * (below + negatives / 2)) / pairs) if pairs else 0.5


def shown(value: float) -> str:
    """Return an AUC as text, whichever way it points."""
    return f"{max(value, 1 - value):.3f}"

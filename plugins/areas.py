"""The area under the ROC curve, without a neural library: for models that report it while they train."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


def auc(target: FloatArray, scores: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the chance that a positive row scores above a negative one; ties count half. Both classes needed."""
    weight = np.ones(len(target)) if weights is None else weights.astype(np.float64)
    order = np.argsort(scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    positive = _per_score((weight * (target > 0.5))[order], ends)
    negative = _per_score((weight * (target <= 0.5))[order], ends)
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / (positive.sum() * negative.sum()))


def _per_score(sorted_weights: NDArray[np.float64], ends: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.diff(np.cumsum(sorted_weights)[ends], prepend=0.0)

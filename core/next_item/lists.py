"""What recommended lists are like beyond being right: coverage, Gini, novelty, diversity."""

from __future__ import annotations

import numpy as np

from crosslens.data import RESERVED_IDS, Float32Array, Int32Array, Int64Array

from .values import ListQuality

_BLOCK = 8_192


def measure_lists(
    top: Int32Array, counts: Int64Array, *, vectors: Float32Array | None = None, source: str = ""
) -> ListQuality:
    """Measure lists (U, k) of item ids, 0 where a list is shorter.

    counts (I,) are training events per id; vectors (I, D), rows of length 1 or 0, come from `source`.
    """
    listed = top[top >= RESERVED_IDS]
    times = np.bincount(listed, minlength=len(counts))[RESERVED_IDS:]
    # an item without a training event counts as if it had one, so that its surprise is finite
    surprise = -np.log2(np.maximum(counts, 1) / max(int(counts.sum()), 1))
    return ListQuality(
        k=top.shape[1],
        coverage=float((times > 0).mean()) if len(times) else 0.0,
        gini=gini(times),
        novelty=float(surprise[listed].mean()) if len(listed) else 0.0,
        diversity=None if vectors is None else diversity(top, vectors),
        vectors="" if vectors is None else source,
    )


def gini(counts: Int64Array) -> float:
    """Return Gini's coefficient of counts: 0 when all are alike, towards 1 when one has everything."""
    total, number = counts.sum(), len(counts)
    if not total:
        return 0.0
    ordered = np.sort(counts)
    return float(2 * (np.arange(1, number + 1) @ ordered) / (number * total) - (number + 1) / number)


def diversity(top: Int32Array, vectors: Float32Array) -> float | None:
    """Return the mean of 1 - cosine over pairs of a list, then over lists; None if no list has two known items."""
    sums, lists = 0.0, 0
    for start in range(0, len(top), _BLOCK):
        found = np.asarray(vectors[top[start : start + _BLOCK]], np.float64)  # (n, k, D)
        found[top[start : start + _BLOCK] < RESERVED_IDS] = 0
        known = np.count_nonzero((found != 0).any(axis=2), axis=1)
        several = known > 1
        whole = (found.sum(axis=1) ** 2).sum(axis=1)
        cosine = (whole - (found**2).sum(axis=(1, 2)))[several] / (known * (known - 1))[several]
        sums, lists = sums + float((1 - cosine).sum()), lists + int(several.sum())
    return sums / lists if lists else None

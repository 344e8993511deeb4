"""What all encoders share: unit vectors, truncated SVD, and rows only for items of which something is known."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from crosslens import RESERVED_IDS, EncodeContext, SequenceDataset, Stopped
from crosslens.data import Float32Array, Int64Array

_TINY = 1e-9


def unit(vectors: Any) -> Float32Array:
    """Return the rows made length 1, float32; rows (nearly) 0 become 0."""
    vectors = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > _TINY)
    return np.asarray(found, np.float32)


def reduced(matrix: csr_array, width: int, context: EncodeContext) -> Float32Array:
    """Return the rows of a sparse matrix (N, M) in `width` numbers or fewer, length 1 or 0.

    A randomised truncated SVD by the seed; exact where rows or columns are no more than `width`.
    """
    if matrix.shape[1] <= width:
        return unit(matrix.toarray())
    with threadpool_limits(context.threads):
        if matrix.shape[0] <= width:
            left, values, _ = np.linalg.svd(matrix.toarray(), full_matrices=False)
            return unit(left * values)
        return unit(TruncatedSVD(width, random_state=context.seed).fit_transform(matrix))


def described(train: SequenceDataset) -> tuple[Int64Array, list[str]]:
    """Return the ids of the items that have a text, and the texts."""
    texts = train.catalogue.texts
    ids = [item for item in range(RESERVED_IDS, len(texts)) if texts[item].strip()]
    return np.array(ids, np.int64), [texts[item] for item in ids]


def spread(size: int, ids: Int64Array, vectors: Float32Array) -> Float32Array:
    """Return (size, D) with the vectors at their ids and 0 elsewhere."""
    found = np.zeros((size, max(vectors.shape[1], 1)), np.float32)
    if vectors.size:
        found[ids] = vectors
    return found


def in_batches(texts: Sequence[str], size: int, context: EncodeContext) -> Iterator[list[str]]:
    """Yield texts in batches, tell how far it is, and raise Stopped if told to stop."""
    for start in range(0, len(texts), size):
        if context.should_stop():
            raise Stopped
        yield list(texts[start : start + size])
        context.progress(min(start + size, len(texts)) / len(texts))


@contextmanager
def offline() -> Iterator[None]:
    """Forbid model libraries to look for anything outside the folder they are given."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

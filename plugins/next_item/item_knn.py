"""Item-kNN: items that the same users had are alike (Sarwar et al., WWW 2001).

    sim(i, j)  = c_ij / ( sqrt(c_i c_j) + shrinkage )        c_ij users who had both, c_i users who had i
    score(i)   = sum over the history of 2^(-age / half_life) sim(i, j)  +  a trifle of popularity

Only the highest similarities of each item are kept. The trifle orders items that nobody had together with the history,
and is all there is for a user without one; it never outweighs a similarity.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from crosslens import RESERVED_IDS, Catalogue, FitContext, SequenceDataset, SequenceTrainingData, Stopped
from crosslens.data import Float32Array
from crosslens.sequences import empty_scores

from . import ItemKnnParameters, saved
from .histories import check_histories, check_training, item_counts, known_events, owners
from .progress import report_fit

_MODEL = "item-knn"
_ROWS = 512  # items whose similarities are made at a time
_TRIFLE = 1e-6
_ARRAYS = ("data", "indices", "indptr", "trifle")


@dataclass(frozen=True, slots=True)
class ItemKnnEstimator:
    """Item-kNN before counting."""

    parameters: ItemKnnParameters

    def fit(self, data: SequenceTrainingData, context: FitContext) -> ItemKnnModel:
        """Count pairs; DataError without an event of an item, Stopped if told to stop."""
        check_training(data)
        train = known_events(data.train)
        pairs = similarities(train, self.parameters, context)
        counts = item_counts(train)
        trifle = (_TRIFLE * counts / counts.max()).astype(np.float32)
        facts = {"events": len(train.items), "seed": context.seed, "cold_start": "popularity", "notes": []}
        model = ItemKnnModel(data.catalogue, pairs, trifle, self.parameters.half_life, facts)
        report_fit(model.score, data, context)
        return model


def user_items(train: SequenceDataset, longest: int) -> csr_array:
    """Return (U, I) with 1 where a user had an item among their latest `longest` events."""
    age = np.repeat(train.offsets[1:], train.lengths) - np.arange(len(train.items)) - 1
    recent = age < longest
    places = (owners(train)[recent], np.asarray(train.items)[recent])
    had = csr_array((np.ones(len(places[0]), np.float32), places), shape=(len(train), train.catalogue.size))
    had.sum_duplicates()
    had.data[:] = 1.0
    return had


def similarities(train: SequenceDataset, parameters: ItemKnnParameters, context: FitContext) -> csr_array:
    """Return sim (I, I), the highest `neighbours` of each row; an item is not its own neighbour."""
    had = user_items(train, parameters.longest)
    by_item = csr_array(had.T)
    counts = np.asarray(had.sum(axis=0), np.float32)
    rows = []
    for start in range(0, train.catalogue.size, _ROWS):
        if context.should_stop():
            raise Stopped
        rows.append(_block(by_item[start : start + _ROWS] @ had, start, counts, parameters))
    data, indices, lengths = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    return csr_array((data, indices, indptr), shape=(train.catalogue.size, train.catalogue.size))


def _block(
    together: csr_array, start: int, counts: Float32Array, parameters: ItemKnnParameters
) -> tuple[Float32Array, np.ndarray, np.ndarray]:
    """Return values, columns and row lengths of the highest similarities of consecutive items."""
    rows = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
    others = together.indices != rows + start
    rows, columns, both = rows[others], together.indices[others], together.data[others]
    similar = both / (np.sqrt(counts[rows + start] * counts[columns]) + np.float32(parameters.shrinkage))
    order = np.lexsort((columns, -similar, rows))
    rows, columns, similar = rows[order], columns[order], similar[order]
    firsts = np.searchsorted(rows, rows)
    kept = np.arange(len(rows)) - firsts < parameters.neighbours
    lengths = np.bincount(rows[kept], minlength=together.shape[0])
    return similar[kept].astype(np.float32), columns[kept], lengths


@dataclass(frozen=True, slots=True, eq=False)
class ItemKnnModel:
    """pairs (I, I) sparse similarities; trifle float32 (I,) a little popularity."""

    catalogue: Catalogue
    pairs: csr_array
    trifle: Float32Array
    half_life: float
    facts: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> ItemKnnModel:
        """Read what `save` wrote; StorageError if it is not there or not readable."""
        arrays, facts = saved.read(folder, _MODEL, _ARRAYS)
        size = len(arrays["trifle"])
        pairs = csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(size, size))
        return cls(Catalogue(size), pairs, arrays["trifle"], facts["half_life"], facts["training"])

    def save(self, folder: Path) -> None:
        """Write similarities and popularity."""
        arrays = {name: getattr(self.pairs, name) for name in _ARRAYS[:3]} | {"trifle": self.trifle}
        saved.write(folder, _MODEL, arrays, {"half_life": self.half_life, "training": self.facts})

    def score(self, histories: SequenceDataset) -> Float32Array:
        """Return scores float32 (U, I); DataError for other items."""
        check_histories(histories, self.catalogue)
        histories = known_events(histories)
        age = np.repeat(histories.offsets[1:], histories.lengths) - np.arange(len(histories.items)) - 1
        weights = np.exp2(-age / self.half_life).astype(np.float32)
        shape = (len(histories), self.catalogue.size)
        history = csr_array((weights, np.asarray(histories.items), histories.offsets), shape=shape)
        scores = empty_scores(*shape)
        scores[:, RESERVED_IDS:] = (history @ self.pairs).toarray()[:, RESERVED_IDS:] + self.trifle[RESERVED_IDS:]
        return scores

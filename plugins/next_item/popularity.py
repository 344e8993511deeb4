"""Popularity: the share of each item in the training events. Equation in __init__."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crosslens import RESERVED_IDS, Catalogue, FitContext, SequenceDataset, SequenceTrainingData, Stopped
from crosslens.data import Float32Array, Float64Array
from crosslens.sequences import empty_scores

from . import PopularityParameters, saved
from .histories import check_histories, check_training, item_counts, log_popularity
from .progress import report_fit

_MODEL = "popularity"


@dataclass(frozen=True, slots=True)
class PopularityEstimator:
    """Popularity before counting."""

    parameters: PopularityParameters

    def fit(self, data: SequenceTrainingData, context: FitContext) -> PopularityModel:
        """Count; DataError without an event of an item, Stopped if told to stop."""
        check_training(data)
        if context.should_stop():
            raise Stopped
        weights = event_weights(data.train, self.parameters.half_life)
        shares = log_popularity(item_counts(data.train, weights)).astype(np.float32)
        facts = {"events": len(data.train.items), "seed": context.seed, "cold_start": _MODEL, "notes": []}
        model = PopularityModel(data.catalogue, shares, facts)
        report_fit(model.score, data, context)
        return model


def event_weights(train: SequenceDataset, half_life: float) -> Float64Array | None:
    """Return 2^(-age / (half_life span)) per event (E,), the age against the latest event; None to count all alike."""
    if not half_life or train.times is None or not len(train.items):
        return None
    times = np.asarray(train.times, np.float64)
    span = times.max() - times.min()
    return None if not span else np.exp2(-(times.max() - times) / (half_life * span))


@dataclass(frozen=True, slots=True, eq=False)
class PopularityModel:
    """shares float32 (I,): log shares of the training events; the same for every user."""

    catalogue: Catalogue
    shares: Float32Array
    facts: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> PopularityModel:
        """Read what `save` wrote; StorageError if it is not there or not readable."""
        arrays, facts = saved.read(folder, _MODEL, ("shares",))
        return cls(Catalogue(len(arrays["shares"])), arrays["shares"], facts["training"])

    def save(self, folder: Path) -> None:
        """Write the shares."""
        saved.write(folder, _MODEL, {"shares": self.shares}, {"training": self.facts})

    def score(self, histories: SequenceDataset) -> Float32Array:
        """Return log shares for every user, float32 (U, I); DataError for other items."""
        check_histories(histories, self.catalogue)
        scores = empty_scores(len(histories), self.catalogue.size)
        scores[:, RESERVED_IDS:] = self.shares[RESERVED_IDS:]
        return scores

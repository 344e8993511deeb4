"""What every next-item model asks of sequences: known items only, counts, and sentences for what cannot be learned."""

from __future__ import annotations

import numpy as np

from crosslens import RESERVED_IDS, Catalogue, DataError, SequenceDataset, SequenceTrainingData
from crosslens.data import Float64Array, Int64Array


def known_events(data: SequenceDataset) -> SequenceDataset:
    """Return the sequences without events of items outside the catalogue; users stay, even with nothing left."""
    known = data.items >= RESERVED_IDS
    if known.all():
        return data
    before = np.concatenate(([0], np.cumsum(known)))  # (E + 1,) known events before each
    return SequenceDataset(
        catalogue=data.catalogue,
        offsets=before[data.offsets],
        items=np.asarray(data.items)[known],
        times=None if data.times is None else np.asarray(data.times)[known],
        users=data.users,
    )


def item_counts(data: SequenceDataset, weights: Float64Array | None = None) -> Float64Array:
    """Return how often each item occurs (or the sum of the events' weights), float64 (I,); 0 for the reserved ids."""
    counts = np.bincount(data.items, weights=weights, minlength=data.catalogue.size).astype(np.float64)
    counts[:RESERVED_IDS] = 0
    return counts


def log_popularity(counts: Float64Array) -> Float64Array:
    """Return log shares (I,) of counts, each one larger: what to score users with who have no history."""
    return np.asarray(np.log(counts + 1.0) - np.log(counts.sum() + len(counts)))


def owners(data: SequenceDataset) -> Int64Array:
    """Return the user of every event, (E,)."""
    return np.repeat(np.arange(len(data)), data.lengths)


def check_training(data: SequenceTrainingData) -> None:
    """Raise DataError if there is no item or no event of one."""
    if data.catalogue.size <= RESERVED_IDS:
        raise DataError("There is no item to recommend.", do="Choose another item column, or a smaller core.")
    if not (data.train.items >= RESERVED_IDS).any():
        raise DataError(
            "No training event names an item of the catalogue.",
            do="Choose another item column, or another split.",
        )


def check_histories(histories: SequenceDataset, catalogue: Catalogue) -> None:
    """Raise DataError if the histories speak of other items than a model was trained on."""
    if histories.catalogue.size != catalogue.size:
        raise DataError(
            "These histories speak of other items than the model was trained on.",
            why=f"The model knows {catalogue.size - RESERVED_IDS} items, "
            f"these have {histories.catalogue.size - RESERVED_IDS}.",
            do="Encode the histories with the items of the same run.",
        )

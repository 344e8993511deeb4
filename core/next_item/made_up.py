"""Sequences made up to find out how long a training would take: as many users, items and events in proportion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosslens.data import RESERVED_IDS, Float32Array
from crosslens.sequences import Catalogue, HeldOut, SequenceDataset, SequenceTrainingData, TextEncoders

_DIMENSIONS = 64


@dataclass(frozen=True, slots=True)
class SequenceCounts:
    """How many users, items and events there are, each at least 1."""

    users: int
    items: int
    events: int

    @property
    def per_user(self) -> float:
        """Return the mean length of a sequence."""
        return max(self.events / self.users, 1.0)


def made_up_sequences(counts: SequenceCounts, events: int, *, seed: int = 0) -> SequenceTrainingData:
    """Return about so many `events` of the users there would be for them; all items, the first ones chosen most.

    An item's share falls with its rank r as 1 / r. The last item of every user is held out for validation.
    """
    draw = np.random.default_rng(seed)
    users = max(round(events / counts.per_user), 1)
    lengths = 1 + draw.poisson(max(counts.per_user - 1.0, 1.0), users)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    ranks = np.floor(float(counts.items) ** draw.random(offsets[-1] + users)).astype(np.int32)  # log-uniform: 1 / r
    items = np.minimum(ranks, counts.items) + (RESERVED_IDS - 1)
    times = np.arange(offsets[-1], dtype=np.int64)
    catalogue = Catalogue(counts.items + RESERVED_IDS)
    train = SequenceDataset(catalogue, offsets, items[: offsets[-1]], times, np.arange(users, dtype=np.int64))
    return SequenceTrainingData(train, HeldOut(train, items[offsets[-1] :]))


def made_up_encoders(ids: tuple[str, ...], *, seed: int = 0) -> TextEncoders:
    """Return encoders that give every item some vector: the time encoding takes is not that of a training."""

    def encode(_: str, __: dict[str, object], train: SequenceDataset) -> Float32Array:
        drawn = np.random.default_rng(seed).standard_normal((train.catalogue.size, _DIMENSIONS), np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        return drawn

    return TextEncoders(ids, encode)

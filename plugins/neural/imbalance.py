"""Rare positives: weights for them, fewer negatives per epoch, and probabilities that stay right.

Count each positive p times and keep a share w of the negatives. For a row with click probability q the expected loss at
logit u is then p q log(1 + e^-u) + w (1 - q) log(1 + e^u), whose minimum is at

    u = log( p q / (w (1 - q)) ) = logit(q) + s,       s = log(p / w)

So the loss is taken at u = z + s and the network's own logit z ends at logit(q): predictions need no correction. With
several outputs only that of the first label is shifted: a conversion rate among clicks does not change with the number
of rows without a click.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crosslens import EncodedDataset

from .recipe import Recipe

Float32Array = NDArray[np.float32]
Int64Array = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Imbalance:
    """Which training rows an epoch sees and how much each counts; positive: the first label is 1.

    `kept` is how many of the `negatives` (row numbers) an epoch draws; None: an epoch sees all rows.
    """

    rows: int
    positive_weight: float
    positives: Int64Array | None = None
    negatives: Int64Array | None = None
    kept: int = 0

    @classmethod
    def of(cls, train: EncodedDataset, recipe: Recipe) -> Imbalance:
        """Return what the recipe asks for; at least one negative is kept where there is any."""
        if recipe.negative_rate >= 1:
            return cls(len(train), recipe.positive_weight)
        positive = train.labels[train.schema.labels[0]] > 0.5
        negatives = np.flatnonzero(~positive)
        kept = min(max(round(recipe.negative_rate * len(negatives)), 1), len(negatives))
        return cls(len(train), recipe.positive_weight, np.flatnonzero(positive), negatives, kept)

    @property
    def rate(self) -> float:
        """Return the share of negatives an epoch sees, exactly."""
        return 1.0 if self.negatives is None or not len(self.negatives) else self.kept / len(self.negatives)

    @property
    def shift(self) -> float:
        """Return s: what the loss adds to the logit of the first label."""
        return math.log(self.positive_weight / self.rate)

    @property
    def rows_per_epoch(self) -> int:
        """Return how many rows an epoch sees."""
        return self.rows if self.positives is None else len(self.positives) + self.kept

    def order(self) -> Int64Array:
        """Return the rows of one epoch in a random order, by torch's random numbers: a checkpoint keeps their state."""
        if self.positives is None or self.negatives is None:
            return _permutation(self.rows)
        drawn = self.negatives[_permutation(len(self.negatives))[: self.kept]]
        rows = np.concatenate((self.positives, drawn))
        return rows[_permutation(len(rows))]

    def chances(self) -> Float32Array | None:
        """Return each row's chance to be in an epoch, (N,), or None where all are in."""
        if self.negatives is None:
            return None
        chances = np.ones(self.rows, np.float32)
        chances[self.negatives] = self.rate
        return chances

    def weights(self, train: EncodedDataset) -> Float32Array | None:
        """Return what each row counts, (N,), with mean 1 over the rows of an epoch; None where all count alike."""
        if self.positive_weight == 1 and train.weights is None:
            return None
        positive = train.labels[train.schema.labels[0]] > 0.5
        weights = np.where(positive, np.float32(self.positive_weight), np.float32(1))
        if train.weights is not None:
            weights *= train.weights
        chances = self.chances()
        mean = weights.mean(dtype=np.float64) if chances is None else np.average(weights, weights=chances)
        return (weights / np.float32(mean)).astype(np.float32)


def _permutation(count: int) -> Int64Array:
    order: Int64Array = torch.randperm(count).numpy()
    return order

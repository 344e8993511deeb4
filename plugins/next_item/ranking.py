"""NDCG@k by ranking every item for every validation user: what chooses the epoch of a next-item model.

    NDCG@k = mean over users of 1 / log2(1 + rank) where rank <= k, else 0         one relevant item per user

Ties get the rank in their middle. Items of a user's history are left out of the ranking when no validation target is in
its own history (nobody in these data takes the same item twice); otherwise they stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crosslens import RESERVED_IDS, HeldOut, SequenceDataset
from crosslens.data import Float32Array, Float64Array, Int32Array

from .histories import owners

_SCORES = 1 << 23  # most scores in memory at a time

Score = Callable[[SequenceDataset], Float32Array]


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """The validation users that are ranked, and whether what they had before is left out."""

    held_out: HeldOut
    without_seen: bool

    @classmethod
    def sample(cls, held_out: HeldOut, *, most: int, seed: int) -> Validation:
        """Take at most `most` users, the same for the same seed."""
        if len(held_out.histories) > most:
            chosen = np.sort(np.random.default_rng(seed).choice(len(held_out.histories), most, replace=False))
            held_out = HeldOut(held_out.histories.take(chosen), held_out.targets[chosen])
        histories = held_out.histories
        repeated = histories.items == held_out.targets[owners(histories)]
        return cls(held_out, without_seen=not bool(repeated.any()))

    def __len__(self) -> int:
        return len(self.held_out.histories)

    def ndcg(self, score: Score, at: int = 10) -> float:
        """Return NDCG@`at` over the users; 0 when there is none."""
        if not len(self):
            return 0.0
        rows = max(1, _SCORES // self.held_out.histories.catalogue.size)
        gains = [self._gains(score, slice(start, start + rows), at) for start in range(0, len(self), rows)]
        return float(np.concatenate(gains).mean())

    def _gains(self, score: Score, users: slice, at: int) -> Float64Array:
        histories, targets = self.held_out.histories.take(users), self.held_out.targets[users]
        ranks = mid_ranks(score(histories), targets, histories if self.without_seen else None)
        return np.where(ranks <= at, 1.0 / np.log2(1.0 + ranks), 0.0)


def mid_ranks(scores: Float32Array, targets: Int32Array, seen: SequenceDataset | None) -> Float64Array:
    """Return the rank of each user's target (U,) among scores (U, I), from 1; ties share the rank in their middle.

    Items of `seen` are left out, the target never. Infinite where the target is no item or its score no number.
    """
    rows = np.arange(len(scores))
    own = scores[rows, targets][:, None]
    if seen is not None:
        scores = scores.copy()
        scores[owners(seen), seen.items] = -np.inf
        scores[rows, targets] = own[:, 0]
    above, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    ranked = (targets >= RESERVED_IDS) & np.isfinite(own[:, 0])
    return np.where(ranked, above + (equal + 1) / 2, np.inf)

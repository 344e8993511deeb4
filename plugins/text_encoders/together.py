"""Items by the users they share: positive pointwise mutual information, then a truncated SVD (Levy and Goldberg, 2014).

    pmi_ij = log( c_ij n / (c_i c_j) ) where positive       c_ij users who had both, c_i = sum_j c_ij, n = sum_i c_i

Counted over training sequences only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array

from crosslens import EncodeContext, SequenceDataset, Stopped
from crosslens.data import Float32Array

from ..next_item.histories import known_events
from ..next_item.item_knn import user_items
from . import CollaborativeParameters
from .vectors import reduced


@dataclass(frozen=True, slots=True)
class CollaborativeSvd:
    """Items are alike when the same users had them. Texts are not looked at."""

    parameters: CollaborativeParameters

    def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
        """Return float32 (I, D), D at most the asked width; 0 for items that were never had with another."""
        if context.should_stop():
            raise Stopped
        weights = positive_information(user_items(known_events(train), self.parameters.longest))
        context.progress(0.5)
        if context.should_stop():
            raise Stopped
        vectors = reduced(weights, self.parameters.width, context)
        context.progress(1.0)
        return vectors


def positive_information(had: csr_array) -> csr_array:
    """Return the PPMI (I, I) of items in (U, I); an item and itself count as never together."""
    together = csr_array(had.T @ had)
    together = csr_array(together - diags_array(together.diagonal()))
    together.eliminate_zeros()
    counts = np.asarray(together.sum(axis=1), np.float64)
    rows = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
    ratio = together.data * counts.sum() / (counts[rows] * counts[together.indices])
    together.data = np.maximum(np.log(ratio), 0.0)
    together.eliminate_zeros()
    return together

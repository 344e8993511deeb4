"""What keeps embeddings honest: values hidden at random, and a prior on every vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from crosslens import MISSING_ID, UNKNOWN_ID, EncodedDataset

from .imbalance import Float32Array
from .pooling import ValueShares, group_names


class FieldDropout:
    """Hides values at random, half as <missing> and half as <unknown>, so that both are known when they come.

    A hidden numerical value is missing. `leads` (C,) name for each field the one it is hidden with, if not itself: the
    values of a multi-valued field go together.
    """

    def __init__(
        self, offsets: np.ndarray, share: float, device: torch.device, leads: Sequence[int] | None = None
    ) -> None:
        self.share = share
        self.leads = None if leads is None or list(leads) == list(range(len(leads))) else list(leads)
        start = torch.from_numpy(offsets).to(device, torch.int32)
        self.missing, self.unknown = start + MISSING_ID, start + UNKNOWN_ID

    def __call__(self, ids: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return ids and values with some of them hidden."""
        if not self.share:
            return ids, values
        chance = torch.rand(ids.shape, device=ids.device)
        if self.leads is not None:
            chance = chance[:, self.leads]
        hidden = torch.where(chance < self.share / 2, self.missing, self.unknown)
        kept_values = values.masked_fill(torch.rand(values.shape, device=values.device) < self.share, torch.nan)
        return torch.where(chance < self.share, hidden, ids), kept_values


class Prior:
    """A Gaussian prior on the vector of every value of a categorical field: l2 times its squared length, once an epoch.

    A lookup carries its value's share, l2 / (lookups of the value in an epoch): values with few rows are held back more
    per row than values with many, and only vectors that a batch looks up are touched. `chances` (N,) say how likely a
    row is in an epoch. A vector taken in part, as one of several values of a field, is held back as a whole.
    """

    def __init__(
        self,
        train: EncodedDataset,
        l2: float,
        field_dropout: float,
        device: torch.device,
        chances: Float32Array | None = None,
    ) -> None:
        self.l2 = l2
        counts = _lookups(train, chances)
        rows = len(train) if chances is None else float(chances.sum(dtype=np.float64))
        for reserved in (MISSING_ID, UNKNOWN_ID):
            counts[train.schema.offsets + reserved] += rows * field_dropout / 2
        self.share = torch.from_numpy(l2 / np.maximum(counts, 1)).to(device, torch.float32)
        self.taken = ValueShares(train.schema).to(device) if group_names(train.schema) else None

    def penalty(self, ids: Tensor, embedded: Tensor) -> Tensor:
        """Return this batch's part of the penalty, in nats per row, for ids (B, C) and e (B, F, E)."""
        lengths = embedded[:, : ids.shape[1]].square().sum(2)
        if self.taken is not None:
            taken = self.taken(ids)
            lengths = lengths / taken.masked_fill(taken == 0, 1).square()
        return (lengths * self.share[ids.long()]).sum() / len(ids)


def _lookups(train: EncodedDataset, chances: Float32Array | None) -> np.ndarray:
    """Return how often an epoch looks up each id of the table, field by field: no copy of all ids."""
    schema = train.schema
    counts = [
        np.bincount(train.ids[:, column] - np.int32(start), weights=chances, minlength=field.cardinality)
        for column, (start, field) in enumerate(zip(schema.offsets, schema.categorical, strict=True))
    ]
    return np.concatenate([np.zeros(0), *counts])

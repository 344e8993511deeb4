"""Rows as tensors: batches of a permutation for training, consecutive chunks for prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crosslens import MISSING_ID, UNKNOWN_ID, EncodedDataset


@dataclass(frozen=True, slots=True)
class Batch:
    """ids (B, C) int32, values (B, M), target (B,), weights (B,) with mean 1 over all training rows, or None."""

    ids: Tensor
    values: Tensor
    target: Tensor
    weights: Tensor | None


def training_batches(data: EncodedDataset, size: int, device: torch.device) -> Iterator[Batch]:
    """Yield every row once in a random order, in batches of nearly equal size (no tiny last batch)."""
    order = torch.randperm(len(data)).numpy()
    mean_weight = 1.0 if data.weights is None else float(data.weights.mean(dtype=np.float64))
    for rows in np.array_split(order, batch_count(len(data), size)):
        yield Batch(
            _tensor(data.ids[rows], device),
            _tensor(data.values[rows], device),
            _tensor(data.target[rows], device),
            None if data.weights is None else _tensor(data.weights[rows] / np.float32(mean_weight), device),
        )


def batch_count(rows: int, size: int) -> int:
    """Return how many batches of at most `size` rows hold `rows` rows."""
    return -(-rows // size)


def chunks(data: EncodedDataset, size: int, device: torch.device) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield (rows, ids, values) of consecutive rows; the arrays themselves are never handed out."""
    for start in range(0, len(data), size):
        rows = slice(start, min(start + size, len(data)))
        yield rows, _tensor(data.ids[rows].copy(), device), _tensor(data.values[rows].copy(), device)


class FieldDropout:
    """Hides values at random, half as <missing> and half as <unknown>, so that both are known when they come.

    A hidden numerical value is missing.
    """

    def __init__(self, offsets: np.ndarray, share: float, device: torch.device) -> None:
        self.share = share
        start = torch.from_numpy(offsets).to(device, torch.int32)
        self.missing, self.unknown = start + MISSING_ID, start + UNKNOWN_ID

    def __call__(self, ids: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return ids and values with some of them hidden."""
        if not self.share:
            return ids, values
        chance = torch.rand(ids.shape, device=ids.device)
        hidden = torch.where(chance < self.share / 2, self.missing, self.unknown)
        kept_values = values.masked_fill(torch.rand(values.shape, device=values.device) < self.share, torch.nan)
        return torch.where(chance < self.share, hidden, ids), kept_values


class Prior:
    """A Gaussian prior on the vector of every value of a categorical field: l2 times its squared length, once an epoch.

    A lookup carries its value's share, l2 / (lookups of the value in an epoch): values with few rows are held back more
    per row than values with many, and only vectors that a batch looks up are touched.
    """

    def __init__(self, train: EncodedDataset, l2: float, field_dropout: float, device: torch.device) -> None:
        self.l2 = l2
        counts = np.bincount(train.ids.ravel(), minlength=train.schema.table_size).astype(np.float64)
        for reserved in (MISSING_ID, UNKNOWN_ID):
            counts[train.schema.offsets + reserved] += len(train) * field_dropout / 2
        self.share = torch.from_numpy(l2 / np.maximum(counts, 1)).to(device, torch.float32)

    def penalty(self, ids: Tensor, embedded: Tensor) -> Tensor:
        """Return this batch's part of the penalty, in nats per row, for ids (B, C) and e (B, F, E)."""
        lengths = embedded[:, : ids.shape[1]].square().sum(2)
        return (lengths * self.share[ids.long()]).sum() / len(ids)


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)

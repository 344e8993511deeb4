"""Rows as tensors: batches of a permutation for training, consecutive chunks for prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crosslens import EncodedDataset

from .imbalance import Float32Array, Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """ids (B, C) int32, values (B, M), labels by name (B,), weights (B,) with mean 1 over an epoch's rows, or None."""

    ids: Tensor
    values: Tensor
    labels: Mapping[str, Tensor]
    weights: Tensor | None

    def __len__(self) -> int:
        return len(self.ids)


def training_batches(
    data: EncodedDataset, order: Int64Array, size: int, device: torch.device, weights: Float32Array | None = None
) -> Iterator[Batch]:
    """Yield the rows in the given order, in batches of nearly equal size (no tiny last batch)."""
    for rows in np.array_split(order, batch_count(len(order), size)):
        yield Batch(
            _tensor(data.ids[rows], device),
            _tensor(data.values[rows], device),
            {name: _tensor(label[rows], device) for name, label in data.labels.items()},
            None if weights is None else _tensor(weights[rows], device),
        )


def batch_count(rows: int, size: int) -> int:
    """Return how many batches of at most `size` rows hold `rows` rows."""
    return -(-rows // size)


def chunks(data: EncodedDataset, size: int, device: torch.device) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield (rows, ids, values) of consecutive rows; the arrays themselves are never handed out."""
    for rows in row_slices(len(data), size):
        yield rows, *chunk(data, rows, device)


def row_slices(rows: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most `size` of so many rows."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def chunk(data: EncodedDataset, rows: slice, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ids and values of some rows, copied."""
    return _tensor(data.ids[rows].copy(), device), _tensor(data.values[rows].copy(), device)


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)

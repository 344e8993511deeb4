"""ARM-Net as one would write it down from the paper: the peer that `benchmarks.armnet` measures against.

Plain modules and autograd throughout, alpha-entmax by bisection from PyPI's `entmax` (50 steps), rows one by one
through a torch DataLoader. Equations, shapes, initial spreads and optimiser are ours: quality can be compared too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from entmax import entmax_bisect
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from crosslens import EncodedDataset

_STEPS = 50


class ReferenceArmNet(nn.Module):
    """Categorical fields only; logits (B,) for ids (B, F)."""

    def __init__(
        self,
        schema_size: int,
        fields: int,
        *,
        heads: int,
        neurons: int,
        width: int,
        alpha: float,
        layers: Sequence[int],
        spread: float,
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.embedding = nn.Embedding(schema_size, width)
        nn.init.normal_(self.embedding.weight, std=spread)
        self.query = nn.Parameter(torch.randn(heads, neurons, width))
        self.bilinear = nn.Parameter(torch.randn(heads, width, width) / math.sqrt(width))
        self.values = nn.Parameter(torch.randn(heads, neurons, fields))
        self.norm = nn.BatchNorm1d(heads * neurons)
        sizes = [heads * neurons * width, *layers]
        hidden = [part for pair in zip(sizes, layers, strict=False) for part in (nn.Linear(*pair), nn.ReLU())]
        self.mlp = nn.Sequential(*hidden, nn.Linear(sizes[-1], 1))

    def forward(self, ids: Tensor) -> Tensor:
        embedded = self.embedding(ids)  # (B, F, E)
        projected = torch.einsum("kij,bfj->bkfi", self.bilinear, embedded)
        scores = torch.einsum("koi,bkfi->bkof", self.query, projected) / math.sqrt(embedded.shape[2])
        gates = entmax_bisect(scores, self.alpha, dim=-1, n_iter=_STEPS)
        neurons = torch.exp(torch.einsum("bkof,kof,bfe->bkoe", gates, self.values, embedded))
        return self.mlp(self.norm(neurons.flatten(1, 2)).flatten(1)).squeeze(1)


def reference_epoch(
    module: ReferenceArmNet,
    optimizer: torch.optim.Optimizer,
    data: EncodedDataset,
    batch_size: int,
    mark: Callable[[], None],
) -> None:
    """Train one epoch; `mark` is called before every batch, as ours asks `should_stop`."""
    rows = TensorDataset(torch.from_numpy(data.ids.astype(np.int64)), torch.from_numpy(data.target.copy()))
    loader = DataLoader(rows, batch_size=batch_size, shuffle=True)
    loss_of = nn.BCEWithLogitsLoss()
    module.train()
    for ids, target in loader:
        mark()
        optimizer.zero_grad()
        loss = loss_of(module(ids), target)
        loss.backward()
        optimizer.step()


def reference_logits(module: ReferenceArmNet, data: EncodedDataset, batch_size: int) -> np.ndarray:
    """Return logits (N,)."""
    module.eval()
    with torch.no_grad():
        parts = [module(ids) for ids in torch.from_numpy(data.ids.astype(np.int64)).split(batch_size)]
    return torch.cat(parts).numpy()

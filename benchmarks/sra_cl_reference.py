"""SRA-CL as its equations read, one training sample per target: what ours is measured against.

Every prefix of a history is a sample of `length` items, padded on the left. For each one the encoder runs over the
prefix, over its ten neighbours with gradients, over the synthesized positive's own prefix and over two views with
replaced items: fourteen passes. Scores of all items are made at once and kept for the backward pass. Written from the
equations of the paper; attention is masked, and the losses are those of `plugins.sra_cl.contrast`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

NEIGHBOURS, SHARE, TEMPERATURE, ALPHA, BETA = 10, 0.2, 0.2, 0.1, 0.1


class ReferenceEncoder(nn.Module):
    """SASRec from torch's own layers: items (B, T), padded with 0 on the left, to the last state (B, E)."""

    def __init__(self, size: int, *, length: int, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(size, width, padding_idx=0)
        self.positions = nn.Embedding(length, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        nn.init.normal_(self.items.weight, std=0.02)

    def forward(self, items: Tensor) -> Tensor:
        places = torch.arange(items.shape[1])
        x = self.dropout(self.norm(self.items(items) + self.positions(places)))
        later = torch.triu(torch.ones(len(places), len(places), dtype=torch.bool), 1)
        hidden = later | (items == 0)[:, None]  # (B, T, T)
        hidden = hidden & ~torch.eye(len(places), dtype=torch.bool)  # padding sees itself, so that no row is empty
        mask = hidden.repeat_interleave(self.encoder.layers[0].self_attn.num_heads, 0)
        states: Tensor = self.encoder(x, mask=mask)
        return states[:, -1]


@dataclass(eq=False)
class Samples:
    """prefixes int64 (S, T) padded on the left, targets (S,), neighbours (S, k): rows, alike (I, k): items."""

    prefixes: Tensor
    targets: Tensor
    neighbours: Tensor
    alike: Tensor


def samples(offsets: np.ndarray, items: np.ndarray, length: int, size: int, *, seed: int) -> Samples:
    """Return every prefix of every history as a sample; neighbours are random: only their cost matters."""
    random = np.random.default_rng(seed)
    starts = np.repeat(offsets[:-1], np.diff(offsets))
    ends = np.arange(len(items))
    ends, starts = ends[ends > starts], starts[ends > starts]  # targets; the prefix stands before
    places = ends[:, None] - np.arange(length, 0, -1)
    prefixes = np.where(places >= starts[:, None], items[np.maximum(places, 0)], 0).astype(np.int64)
    neighbours = random.integers(0, len(ends), (len(ends), NEIGHBOURS))
    alike = random.integers(2, size, (size, NEIGHBOURS))
    alike[:2] = 0
    return Samples(
        torch.from_numpy(prefixes),
        torch.from_numpy(items[ends].astype(np.int64)),
        torch.from_numpy(neighbours),
        torch.from_numpy(alike),
    )


class ReferenceSraCl(nn.Module):
    """The encoder, the synthesizer, and the three losses of one batch of samples."""

    def __init__(self, size: int, **shape: float) -> None:
        super().__init__()
        self.encoder = ReferenceEncoder(size, **shape)  # type: ignore[arg-type]
        width = self.encoder.items.embedding_dim
        self.anchor, self.candidate = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, data: Samples, rows: Tensor) -> Tensor:
        """Return L_rec + alpha L_CS + beta L_IS."""
        prefixes = data.prefixes[rows]
        states = self.encoder(prefixes)
        loss = functional.cross_entropy(states @ self.encoder.items.weight.T, data.targets[rows])
        others = torch.stack([self.encoder(data.prefixes[data.neighbours[rows, j]]) for j in range(NEIGHBOURS)], 1)
        again = self.encoder(prefixes)
        weights = (self.anchor(again)[:, None] * self.candidate(others)).sum(2).softmax(1)
        positive = (weights[:, :, None] * others).sum(1)
        one, other = (self.encoder(self._view(prefixes, data.alike)) for _ in range(2))
        return loss + ALPHA * _info_nce(states, positive) + BETA * _info_nce(one, other)

    @staticmethod
    def _view(prefixes: Tensor, alike: Tensor) -> Tensor:
        pick = torch.randint(0, NEIGHBOURS, prefixes.shape)
        return torch.where(torch.rand(prefixes.shape) < SHARE, alike[prefixes, pick], prefixes)


def _info_nce(anchors: Tensor, positives: Tensor) -> Tensor:
    cosines = functional.normalize(anchors, dim=1) @ functional.normalize(positives, dim=1).T
    return functional.cross_entropy(cosines / TEMPERATURE, torch.arange(len(anchors)))

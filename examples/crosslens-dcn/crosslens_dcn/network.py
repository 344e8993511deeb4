"""DCN-V2: a cross network beside a deep one (Wang et al., WWW 2021, section 3; the parallel structure).

    x_0     = [ e_1 ; ... ; e_F ]                               embeddings of all fields, side by side
    x_(l+1) = x_0 * ( W_l x_l + b_l ) + x_l                     cross layer; * is entry by entry              (eq. 1)
    h_(l+1) = relu( W_l h_l + b_l ),  h_0 = x_0                 deep layer
    logit   = w' [ x_L ; h_L ] + b

DIFF: numerical fields have an embedding too, multiplied with their value; a missing number is an embedding of its own.

Axes: B batch, C categorical fields, M numerical fields, F = C + M, E embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

_SPREAD = 0.05  # of embeddings at the start


class CrossLayer(nn.Module):
    """One cross layer over vectors of `width` numbers (eq. 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, first: Tensor, x: Tensor) -> Tensor:
        """Return x_(l+1), (B, F E)."""
        return first * self.linear(x) + x


class DcnNetwork(nn.Module):
    """The network. `table_size` counts the values of all categorical fields."""

    def __init__(
        self, table_size: int, fields: int, numbers: int, *, embedding: int, cross: int, deep: Sequence[int]
    ) -> None:
        super().__init__()
        width = fields * embedding
        self.values = nn.Embedding(table_size, embedding)
        self.scales = nn.Parameter(torch.empty(numbers, embedding))
        self.missing = nn.Parameter(torch.empty(numbers, embedding))
        for weights in (self.values.weight, self.scales, self.missing):
            nn.init.normal_(weights, std=_SPREAD)
        self.cross = nn.ModuleList(CrossLayer(width) for _ in range(cross))
        sizes = (width, *deep)
        layers = [(nn.Linear(one, other), nn.ReLU()) for one, other in pairwise(sizes)]
        self.deep = nn.Sequential(*(layer for pair in layers for layer in pair))
        self.last = nn.Linear(width + sizes[-1], 1)

    def embeddings(self, ids: Tensor, values: Tensor) -> Tensor:
        """Return (B, F, E) of ids (B, C) in the shared table and values (B, M), NaN where missing."""
        absent = torch.isnan(values)[:, :, None]
        numbers = torch.where(absent, self.missing, torch.nan_to_num(values)[:, :, None] * self.scales)
        return torch.cat((self.values(ids), numbers), dim=1)

    def logits(self, embeddings: Tensor) -> Tensor:
        """Return (B,) from (B, F, E)."""
        first = embeddings.flatten(1)  # (B, F E)
        crossed = first
        for layer in self.cross:
            crossed = layer(first, crossed)
        return self.last(torch.cat((crossed, self.deep(first)), dim=1)).squeeze(1)

    def block_norms(self, fields: int) -> Tensor:
        """Return the Frobenius norms of the blocks of W_0, (F, F): how strongly fields cross (section 7)."""
        weights = self.cross[0].linear.weight
        blocks = weights.reshape(fields, -1, fields, weights.shape[0] // fields)  # (F, E, F, E)
        return blocks.square().sum(dim=(1, 3)).sqrt()

"""The SASRec encoder: causal self-attention over a user's items (Kang and McAuley, ICDM 2018).

    x_t  = dropout(LayerNorm( e_{i_t} + p_t ))
    a    = LayerNorm( x + dropout(Attention(x)) )          each item sees itself and those before it
    x'   = LayerNorm( a + dropout(W2 GELU(W1 a)) )         FFN of four times the width; stacked
    score of item i after t items = h_t' e_i               tied: the table that is read is the table that is ranked

Axes: B sequences, T places, E width. Items stand at the left of a row and padding behind them: with causal attention no
item ever sees padding, so no mask is needed. Positions count from the end: the latest item of a sequence has the last.

DIFF: layer norm after the sum and GELU, as in BERT; the paper has it before and ReLU. No dropout on attention weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import SasRecParameters

_SPREAD = 0.02


class Block(nn.Module):
    """One layer of attention and feed-forward network, post-norm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(width, 3 * width)  # queries, keys and values at once
        self.attended = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, 4 * width)
        self.output = nn.Linear(4 * width, width)
        self.output_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the next layer's states (B, T, E) of x (B, T, E)."""
        query, key, value = (part.transpose(1, 2) for part in self._heads(self.projection(x), 3))  # (B, K, T, E / K)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self._feed(x, mixed.transpose(1, 2).flatten(2))

    def at(self, x: Tensor, places: Tensor) -> Tensor:
        """Return the next layer's states (B, E) at one place (B,) of every sequence: what `forward` gives there."""
        width = x.shape[-1]
        own = x[torch.arange(len(x), device=x.device), places]  # (B, E)
        weight, bias = self.projection.weight, self.projection.bias
        query = functional.linear(own, weight[:width], bias[:width])[:, None]  # (B, 1, E)
        key, value = self._heads(functional.linear(x, weight[width:], bias[width:]), 2)  # (B, T, K, E / K)
        (query,) = self._heads(query, 1)
        scores = (query * key).sum(3) / key.shape[3] ** 0.5  # (B, T, K)
        later = torch.arange(x.shape[1], device=x.device) > places[:, None]  # (B, T)
        gates = scores.masked_fill(later[:, :, None], -torch.inf).softmax(1)
        return self._feed(own, (gates[..., None] * value).sum(1).flatten(1))

    def _feed(self, x: Tensor, mixed: Tensor) -> Tensor:
        attended = self.attention_norm(x + self.dropout(self.attended(mixed)))
        hidden = functional.gelu(self.hidden(attended))
        output: Tensor = self.output_norm(attended + self.dropout(self.output(hidden)))
        return output

    def _heads(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        batch, places = projected.shape[:2]
        return projected.view(batch, places, parts, self.heads, -1).unbind(2)  # parts of (B, T, K, E / K)


class SasRec(nn.Module):
    """Items to states. `sparse`: the table's gradients have only the rows that a step touched."""

    def __init__(self, size: int, parameters: SasRecParameters, *, sparse: bool = False) -> None:
        super().__init__()
        self.length = parameters.length
        self.items = nn.Embedding(size, parameters.width, sparse=sparse)
        self.positions = nn.Embedding(parameters.length, parameters.width)
        self.norm = nn.LayerNorm(parameters.width)
        self.dropout = nn.Dropout(parameters.dropout)
        self.blocks = nn.ModuleList(
            Block(parameters.width, parameters.heads, parameters.dropout) for _ in range(parameters.layers)
        )
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=_SPREAD)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        """Return states (B, T, E) of items (B, T), of which the first `lengths` (B,) of each row count."""
        x = self._embedded(items, lengths)
        for block in self.blocks:
            x = block(x)
        return x

    def final(self, items: Tensor, lengths: Tensor) -> Tensor:
        """Return the state (B, E) at the last item of every sequence; each has at least one item."""
        x = self._embedded(items, lengths)
        for block in self.blocks[:-1]:
            x = block(x)
        last: Any = self.blocks[-1]
        state: Tensor = last.at(x, lengths - 1)
        return state

    def _embedded(self, items: Tensor, lengths: Tensor) -> Tensor:
        places = torch.arange(items.shape[1], device=items.device) + (self.length - lengths)[:, None]
        x = self.items(items) + self.positions(places.clamp_(max=self.length - 1))
        embedded: Tensor = self.dropout(self.norm(x))
        return embedded

"""One vector per field and row: looked up for categorical fields, computed for numerical ones.

e_f = table[id_f]                     one table for all fields, ids arrive with their offset
e_f = x_f vector_f + bias_f           numerical; a trained vector where the value is missing. Nothing is clamped.
e_f = table[id_f] / n                 the n values a row has of a multi-valued field, 0 for the others, see `pooling`
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from crosslens import EncodedSchema

from .pooling import ValueShares, group_names

SPARSE_TABLE = 4_000_000
"""Tables with more numbers than this are updated row by row: a dense step would touch all of them."""


class FieldEmbedding(nn.Module):
    """One vector of `width` numbers per field and row; `spread` is the standard deviation before training."""

    def __init__(self, schema: EncodedSchema, width: int, spread: float) -> None:
        super().__init__()
        self.sparse = schema.table_size * width > SPARSE_TABLE
        numerical = len(schema.numerical)
        self.table = nn.Parameter(torch.randn(schema.table_size, width) * spread)
        self.vector = nn.Parameter(torch.randn(numerical, width) * spread)
        self.bias = nn.Parameter(torch.randn(numerical, width) * spread)
        self.missing = nn.Parameter(torch.randn(numerical, width) * spread)
        self.shares = ValueShares(schema) if group_names(schema) else None

    def forward(self, ids: Tensor, values: Tensor) -> Tensor:
        """Return e (B, F, E) for ids (B, C) in the shared table and values (B, M), NaN where missing."""
        looked_up = functional.embedding(ids.long() if self.sparse else ids, self.table, sparse=self.sparse)
        if self.shares is not None:
            looked_up = looked_up * self.shares(ids).unsqueeze(2)
        if not values.shape[1]:
            return looked_up
        column = values.unsqueeze(2)  # (B, M, 1)
        absent = column.isnan()
        present = column.masked_fill(absent, 0) * self.vector + self.bias
        return torch.cat((looked_up, torch.where(absent, self.missing, present)), 1)

    def value_shares(self, ids: Tensor, values: Tensor) -> Tensor:
        """Return how much of every field's vector a row takes (B, F): 1, or its share of the values of its group."""
        ones = torch.ones_like(values)
        return torch.cat((torch.ones_like(ids) if self.shares is None else self.shares(ids), ones), 1)

"""The exponents of ARM-Net as plain tensor operations, for graphs; `gate` computes them in blocks."""

from __future__ import annotations

from torch import Tensor

from ..entmax_graph import entmax_graph


def exponents_graph(embedded: Tensor, alignment: Tensor, values: Tensor, alpha: float) -> Tensor:
    """Return s (B, E, N) for e (B, F, E), m (E, N) and v (F, N)."""
    gates = entmax_graph(embedded @ alignment, alpha, 1)
    return embedded.transpose(1, 2) @ (gates * values)

"""alpha-entmax in a fixed number of plain tensor operations: what a graph can hold that decides nothing.

The equations are those of `entmax`, and so is the climb to the threshold; it is not left before its last step, because
steps from the root on stay there. For alpha > 2, halvings alone shrink the bracket until float32 ends.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .entmax import check_alpha

_CONVEX_STEPS = 12
_HALVINGS = 30
_POLISH = 3


def entmax_graph(x: Tensor, alpha: float, dim: int = -1) -> Tensor:
    """Return the alpha-entmax of `x` along `dim`, in the shape and type of `x`; 1 <= alpha <= 2.5."""
    check_alpha(alpha)
    if alpha == 1:
        return torch.softmax(x, dim)
    q = 1 / (alpha - 1)
    centred = (x - x.amax(dim, keepdim=True)) * (alpha - 1)
    tau = _climb(centred, q, dim) if alpha <= 2 else _halve(centred, q, dim)
    p, _ = _evaluate(centred, tau, q)
    return p / p.sum(dim, keepdim=True)


def _climb(x: Tensor, q: float, dim: int) -> Tensor:
    highest = _largest_tau(x, q, dim)
    tau = (x.mean(dim, keepdim=True) + highest).clamp(min=-1)
    for _ in range(_CONVEX_STEPS):
        tau = (tau + _newton_step(x, tau, q, dim)).clamp(max=highest)
    return tau


def _halve(x: Tensor, q: float, dim: int) -> Tensor:
    low = torch.full_like(x.amax(dim, keepdim=True), -1)
    high = torch.full_like(low, _largest_tau(x, q, dim))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        p, _ = _evaluate(x, middle, q)
        is_left = p.sum(dim, keepdim=True) >= 1
        low, high = torch.where(is_left, middle, low), torch.where(is_left, high, middle)
    tau = low
    for _ in range(_POLISH):
        tau = torch.minimum(torch.maximum(tau + _newton_step(x, tau, q, dim), low), high)
    return tau


def _largest_tau(x: Tensor, q: float, dim: int) -> float:
    return -float(x.shape[dim] ** (-1 / q))


def _newton_step(x: Tensor, tau: Tensor, q: float, dim: int) -> Tensor:
    p, slope = _evaluate(x, tau, q)
    f = p.sum(dim, keepdim=True)
    return (f - f.pow(1 - 1 / q)) / slope.sum(dim, keepdim=True)


def _evaluate(x: Tensor, tau: Tensor, q: float) -> tuple[Tensor, Tensor]:
    """Return u^q and u^(q-1) on the support, for u = [x - tau]_+."""
    u = (x - tau).clamp(min=0)
    inside = u > 0
    slope = torch.where(inside, (torch.where(inside, u, 1.0).log() * (q - 1)).exp(), 0.0)
    return u * slope, slope

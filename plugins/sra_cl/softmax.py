"""Cross-entropy over a catalogue: the full softmax in blocks, and a sampled one for large catalogues.

    L = mean over n of ( log sum_i exp(h_n' e_i) - h_n' e_{y_n} )                                     full
    L = mean over n of ( log( exp(h_n' e_{y_n}) + (I - 1)/S sum_s exp(h_n' e_s) ) - h_n' e_{y_n} )    sampled

The full one never holds scores (N, I): it goes through blocks of rows, and makes the gradient of a block while its
scores are in the cache, so that nothing is kept and nothing computed twice. The sampled one compares all targets of a
step with the same S items drawn uniformly, an estimate of the sum that is right on average (Bengio and Senecal, 2003);
a drawn item that is a row's own target does not count in that row.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

_BLOCK = 1 << 20  # scores of a block: 4 MiB
_SAFE = 40.0  # exp(x - _SAFE) keeps full precision in float32 for |x| <= _SAFE


def softmax_loss(states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats of states (N, E) against a table (I, E) with targets (N,) in [0, I)."""
    loss: Tensor = _SoftmaxLoss.apply(states, table, targets)  # type: ignore[no-untyped-call]
    return loss


class _SoftmaxLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, and keep its gradients (N, E) and (I, E), which are no larger than what they belong to."""
        shift = _bound(states, table)
        wide = torch.cat((table, table.new_ones(len(table), 1)), 1)  # (I, E + 1)
        by_states, by_table = torch.empty_like(states), torch.zeros_like(table)
        total = torch.zeros((), dtype=torch.float64, device=states.device)
        rows = max(1, _BLOCK // len(table))
        for start in range(0, len(states), rows):
            block = slice(start, start + rows)
            h, own = states[block], table[targets[block]]
            scores, largest = _shifted(h, wide, table, shift)
            exponentials = scores.exp_()
            sums = exponentials @ wide  # (n, E + 1): the last column is the softmax's denominator
            denominator = sums[:, -1:]
            by_states[block] = sums[:, :-1] / denominator - own
            by_table.addmm_(exponentials.T, h / denominator)
            total += (denominator.log() + largest).sum() - (h * own).sum()
        by_table.index_add_(0, targets, states, alpha=-1.0)
        ctx.save_for_backward(by_states, by_table)
        return (total / len(states)).to(states.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        by_states, by_table = ctx.saved_tensors
        scale = gradients[0] / len(by_states)
        return by_states * scale, by_table * scale, None


def _bound(states: Tensor, table: Tensor) -> Tensor | None:
    """Return a number no score exceeds (Cauchy-Schwarz), or None where subtracting it could lose digits."""
    if states.device.type != "cpu" or not len(states):
        return None  # reading it would make an accelerator wait
    bound = torch.linalg.vector_norm(states, dim=1).max() * torch.linalg.vector_norm(table, dim=1).max()
    return bound if bound <= _SAFE else None


def _shifted(h: Tensor, wide: Tensor, table: Tensor, shift: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return scores (n, I) less something that none exceeds, and that: one number, or the largest of each row."""
    if shift is not None:
        return torch.cat((h, -shift.expand(len(h), 1)), 1) @ wide.T, shift.expand(len(h), 1)
    scores = h @ table.T
    largest = scores.amax(1, keepdim=True)
    return scores.sub_(largest), largest


def sampled_softmax_loss(states: Tensor, own: Tensor, drawn: Tensor, *, hits: Tensor, others: int) -> Tensor:
    """Return the mean sampled cross-entropy in nats.

    states, own (N, E): states and their targets' vectors; drawn (S, E): vectors drawn uniformly from the catalogue;
    hits bool (N, S): where the drawn item is the row's target; others: how many items are no target, I - 1.
    """
    scores = (states @ drawn.T).masked_fill(hits, -torch.inf)  # (N, S)
    counted = (~hits).sum(1).clamp(min=1).log()
    rest = scores.logsumexp(1) + math.log(max(others, 1)) - counted
    own_scores = (states * own).sum(1)
    return functional.softplus(rest - own_scores).mean()

"""Sparse gates and the sums they weigh, in one pass over rows that fit the cache.

    z_bn = entmax over fields (e_bf' m_n)        m_n = W_k' q_ko / sqrt(E): alignment of neuron n = (k, o)
    s_bn = sum_f z_bfn v_fn e_bf                 the exponent of neuron n

Everything of size (B, F, N) lives in blocks of about a mebibyte: whole batches spend half their time on memory.
Neurons are the last axis everywhere, so every step over fields reads and writes neighbouring numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..entmax import entmax_and_slope, entmax_into
from ..neural.batches import row_slices
from ..neural.threads import shares, spread

_BLOCK = 1 << 18
"""Numbers per block: 1 MiB of float32, the second-level cache of a core."""


def exponents(embedded: Tensor, alignment: Tensor, values: Tensor, alpha: float) -> Tensor:
    """Return s (B, E, N) for e (B, F, E), m (E, N) and v (F, N); differentiable in all three."""
    return _Exponents.apply(embedded, alignment, values, alpha, False)  # type: ignore[no-any-return, no-untyped-call]


def products(embedded: Tensor, alignment: Tensor, values: Tensor, alpha: float) -> Tensor:
    """Return y = exp(s) (B, E, N) as `exponents` returns s."""
    return _Exponents.apply(embedded, alignment, values, alpha, True)  # type: ignore[no-any-return, no-untyped-call]


def weights(embedded: Tensor, alignment: Tensor, values: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return the gates z (B, F, N) and the signed weights w = z v (B, F, N), without a graph."""
    gates, _ = entmax_and_slope(embedded.detach() @ alignment.detach(), alpha, 1)
    return gates, gates * values.detach()


class _Exponents(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, embedded: Tensor, alignment: Tensor, values: Tensor, alpha: float, power: bool) -> Tensor:
        rows, fields, width = embedded.shape
        sums = embedded.new_empty(rows, width, values.shape[1])
        keep = any(context.needs_input_grad)

        def weigh(blocks: list[slice]) -> list[Tensor]:
            kept: list[Tensor] = []
            rooms = _Rooms(embedded, values)
            for block in blocks:
                part = embedded[block]
                scores, room, *own = rooms.of(len(part))
                gate, slope = (torch.empty_like(room) for _ in range(2)) if keep else own
                torch.mm(part.reshape(-1, width), alignment, out=scores.flatten(0, 1))
                entmax_into(scores, alpha, 1, p=gate, slope=slope, room=room)
                torch.bmm(part.transpose(1, 2), torch.mul(gate, values, out=room), out=sums[block])
                if power:
                    sums[block].exp_()
                if keep:
                    kept += (gate, slope)
            return kept

        kept = spread(weigh, shares(_blocks(rows, fields * values.shape[1])))
        gates = (tensor for share in kept for tensor in share)
        context.save_for_backward(embedded, alignment, values, sums if power else None, *gates)
        return sums

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        embedded, alignment, values, powers, *gates = context.saved_tensors
        rows, fields, width = embedded.shape
        to_embedded = torch.empty_like(embedded, memory_format=torch.contiguous_format)

        def pass_back(blocks: list[tuple[slice, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
            to_alignment, to_values = torch.zeros_like(alignment), torch.zeros_like(values)
            rooms = _Rooms(embedded, values)
            for block, gate, slope in blocks:
                part = embedded[block]
                sums = gradient[block] if powers is None else gradient[block] * powers[block]
                to_weights, room, *_ = rooms.of(len(part))
                torch.bmm(part, sums, out=to_weights)
                to_values += torch.mul(to_weights, gate, out=room).sum(0)
                torch.bmm(torch.mul(gate, values, out=room), sums.transpose(1, 2), out=to_embedded[block])
                to_scores = _through_entmax(to_weights.mul_(values), slope).flatten(0, 1)
                to_alignment.addmm_(part.reshape(-1, width).T, to_scores)
                to_embedded[block].flatten(0, 1).addmm_(to_scores, alignment.T)
            return to_alignment, to_values

        blocks = zip(_blocks(rows, fields * values.shape[1]), gates[::2], gates[1::2], strict=True)
        to_alignment, to_values = map(sum, zip(*spread(pass_back, shares(blocks)), strict=True))
        return to_embedded, to_alignment, to_values, None, None


class _Rooms:
    """Tensors of the size of a block (B, F, N) that are written over, block after block."""

    def __init__(self, embedded: Tensor, values: Tensor) -> None:
        rows = min(_rows_of_a_block(values.numel()), len(embedded))
        self._rooms = embedded.new_empty(4, rows, *values.shape)

    def of(self, rows: int) -> tuple[Tensor, ...]:
        """Return the rooms of a block of `rows` rows."""
        return self._rooms[:, :rows].unbind(0)


def _through_entmax(gradient: Tensor, slope: Tensor) -> Tensor:
    """Write the gradient at the scores over that at the gates, as `entmax_backward` does, fields being axis 1."""
    gradient.mul_(slope)
    ratio = gradient.sum(1, keepdim=True).div_(slope.sum(1, keepdim=True))
    return gradient.addcmul_(slope, ratio, value=-1)


def _blocks(rows: int, size: int) -> Iterator[slice]:
    return row_slices(rows, _rows_of_a_block(size))


def _rows_of_a_block(size: int) -> int:
    return max(1, _BLOCK // max(size, 1))

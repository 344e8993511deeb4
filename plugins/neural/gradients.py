"""Contributions by integrated gradients (Sundararajan, Taly & Yan, ICML 2017), complete to rounding.

    g = integral over t in (0, 1) of d logit / d x at x' + t (x - x')
    contribution_f = sum over the numbers of field f of g (x - x')          summed over f: logit(x) - logit(x')

x are the embeddings of a row and x' their mean over training rows, so a field at a common value contributes little. The
integral is taken by Gauss-Legendre points, refined row by row until the sum is within `COMPLETE` of the logit; what is
left is spread over the fields by size, and the method says how large it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from crosslens import Contributions, EncodedDataset, ExplainContext, Stopped
from crosslens.data import Float64Array

from .batches import chunks
from .network import Network

COMPLETE = 1e-3
"""Largest gap in logits between the summed contributions and the change of the logit, before it is made good."""
MEAN_ROWS = 8192
CHUNK = 256
_MEAN_CHUNK = 512
_STEPS = (8, 32, 128)
_POINTS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The straight way from an origin to some rows: start + t change, over one or more tensors that move together.

    start     (...) each; change (B, ...) each
    logit     maps the moving tensors, with any number of rows, to logits (B,)
    share     maps mean gradients (b, ...) and row numbers (b,) to each field's part (b, F)
    """

    start: tuple[Tensor, ...]
    change: tuple[Tensor, ...]
    logit: Callable[..., Tensor]
    share: Callable[[tuple[Tensor, ...], Tensor], Tensor]

    def contributions(self, wanted: Tensor) -> tuple[Float64Array, float]:
        """Return contributions (B, F) that sum to `wanted` (B,), and the largest gap that was made good."""
        open_rows, result, gaps = torch.arange(len(wanted)), None, wanted
        for steps in _STEPS:
            integrated = self._integrate(open_rows, steps)
            result = integrated if result is None else result.index_copy(0, open_rows, integrated)
            gaps = wanted - result.sum(1)
            open_rows = torch.nonzero(gaps.abs() > COMPLETE).flatten()
            if not len(open_rows):
                break
        assert result is not None
        return _completed(result, gaps).numpy(), float(gaps.abs().max())

    def _integrate(self, rows: Tensor, steps: int) -> Tensor:
        parts = torch.split(rows, max(1, _POINTS // steps))
        return torch.cat([self.share(self._gradients(part, steps), part) for part in parts])

    def _gradients(self, rows: Tensor, steps: int) -> tuple[Tensor, ...]:
        """Return the mean gradient at every moving tensor (b, ...)."""
        place, weight = _legendre(steps)
        inputs = [_points(start, change[rows], place) for start, change in zip(self.start, self.change, strict=True)]
        with torch.enable_grad():
            for moving in inputs:
                moving.requires_grad_()
            gradients = torch.autograd.grad(self.logit(*inputs).sum(), inputs)
        return tuple(
            torch.einsum("t,bt...->b...", weight, gradient.double().view(len(rows), steps, *gradient.shape[1:]))
            for gradient in gradients
        )


def mean_embeddings(network: Network, train: EncodedDataset, *, seed: int) -> tuple[Tensor, ...]:
    """Return the mean of each of the network's embeddings (F, E) over training rows, or over a random 8,192 of them."""
    sums: list[Tensor] | None = None
    sample = some_rows(train, seed=seed)
    for _, ids, values in chunks(sample, _MEAN_CHUNK, torch.device("cpu")):
        with torch.no_grad():
            parts = [embedded.sum(0).double() for embedded in network.embeddings(ids, values)]
        sums = parts if sums is None else [total + part for total, part in zip(sums, parts, strict=True)]
    return tuple((total / len(sample)).float() for total in sums or [])


def some_rows(train: EncodedDataset, *, seed: int) -> EncodedDataset:
    """Return all rows in order, or a random 8,192 of them."""
    rows = min(len(train), MEAN_ROWS)
    return train.take(np.sort(np.random.default_rng(seed).permutation(len(train))[:rows]))


def embedding_contributions(
    network: Network,
    origin: tuple[Tensor, ...],
    data: EncodedDataset,
    context: ExplainContext,
    *,
    pick: Callable[[Tensor], Tensor],
    task: str = "click",
) -> Contributions:
    """Return the signed contributions of every field to one logit of a network, from `origin` (F, E) each.

    `pick` maps the network's logits (B, T) to the logit that is explained (B,): one of them, or one made of them. For
    any network whose logits are differentiable in its embeddings, dropout and running statistics frozen.
    """
    values = np.empty((len(data), len(data.schema.fields)))
    logits, gap = np.empty(len(data)), 0.0

    def logit(*embeddings: Tensor) -> Tensor:
        return pick(network.logits(*embeddings))

    with torch.no_grad():
        start = float(logit(*(mean.unsqueeze(0) for mean in origin)))
    for rows, ids, numbers in watched(data, context):
        with torch.no_grad():
            embeddings = network.embeddings(ids, numbers)
            found = logit(*embeddings).double()
        change = tuple(embedded - mean for embedded, mean in zip(embeddings, origin, strict=True))
        path = Path(origin, change, logit, _embedding_share(change))
        values[rows], largest = path.contributions(found - start)
        logits[rows], gap = found.numpy(), max(gap, largest)
    return Contributions(
        fields=data.schema.names,
        values=values,
        baseline=np.full(len(data), start),
        logits=logits,
        method=f"Integrated gradients of the logit from the mean training row; {remainder(gap)}",
        task=task,
    )


def remainder(gap: float) -> str:
    """Say what was spread to make contributions complete."""
    return f"a remainder of at most {gap:.1g} logits per row was spread in proportion."


def watched(data: EncodedDataset, context: ExplainContext) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield (rows, ids, values) of consecutive rows, report progress after each, and raise Stopped when told to."""
    for rows, ids, values in chunks(data, CHUNK, torch.device("cpu")):
        if context.should_stop():
            raise Stopped
        yield rows, ids, values
        context.progress(rows.stop / len(data))


def _embedding_share(change: tuple[Tensor, ...]) -> Callable[[tuple[Tensor, ...], Tensor], Tensor]:
    def share(gradients: tuple[Tensor, ...], rows: Tensor) -> Tensor:
        parts = [(gradient * moved[rows]).sum(2) for gradient, moved in zip(gradients, change, strict=True)]
        return torch.stack(parts).sum(0)

    return share


@cache
def _legendre(steps: int) -> tuple[Tensor, Tensor]:
    """Return the Gauss-Legendre places in (0, 1) and their weights, (steps,) each; finding them costs steps cubed."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return torch.from_numpy((points + 1) / 2).float(), torch.from_numpy(weights / 2)


def _points(start: Tensor, change: Tensor, place: Tensor) -> Tensor:
    """Return start + t change for every row and place t, flattened to (B*T, ...)."""
    times = place.view(1, -1, *(1,) * start.dim())
    return (start + times * change.unsqueeze(1)).flatten(0, 1)


def _completed(result: Tensor, gaps: Tensor) -> Tensor:
    """Spread each row's gap over its fields by the size of their contributions; evenly where all are 0."""
    size = result.abs() + torch.finfo(torch.float64).tiny
    return result + gaps.unsqueeze(1) * size / size.sum(1, keepdim=True)

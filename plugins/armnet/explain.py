"""What ARM-Net says about itself: contributions that sum to the logit, and the quantities its paper publishes.

With c_fen = w_fn e_fe, field f's exact share in the exponent s_en = sum_f c_fen, and c' the mean share on training rows
(s' = sum_f c'_f), integrated gradients (Sundararajan, Taly & Yan, ICML 2017) carry the logit back to s:

    g_en = integral over t in (0, 1) of d logit / d s_en at s' + t (s - s')
    contribution_f = sum_en g_en (c_fen - c'_fen)          summed over f: logit(s) - logit(s')

The second branch of ARM-Net+ is carried back to its embeddings in the same way along the same path. The path runs
through BatchNorm and MLP; the gates are taken as they are on the row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from crosslens import (
    Contributions,
    EncodedDataset,
    ExplainContext,
    FieldImportance,
    InteractionTerm,
    InteractionTerms,
    Stopped,
)
from crosslens.data import Float64Array

from .baseline import Baseline
from .batches import chunks
from .module import ArmNet, Inside

COMPLETE = 1e-3
"""Largest gap in logits between the summed contributions and the change of the logit, before it is made good."""
_STEPS = (8, 32, 128)
_CHUNK = 256
_POINTS = 4096
_TERMS = 200


def contributions(module: ArmNet, baseline: Baseline, data: EncodedDataset, context: ExplainContext) -> Contributions:
    """Return signed contributions, complete to rounding.

    Rows whose gap exceeds `COMPLETE` are integrated on finer points, up to 128; what is left is spread over the fields
    in proportion to their size, and `method` says how large it was at most.
    """
    values = np.empty((len(data), len(data.schema.fields)))
    logits, gap = np.empty(len(data)), 0.0
    origin = _origin_logit(module, baseline)
    for rows, ids, numbers in _watched(data, context):
        part = _Rows.of(module, baseline, ids, numbers, origin)
        integrated, largest = part.contributions()
        values[rows], logits[rows], gap = integrated, part.logits.numpy(), max(gap, largest)
    return Contributions(
        fields=data.schema.names,
        values=values,
        baseline=np.full(len(data), origin),
        logits=logits,
        method="Exact shares of the fields in each neuron, times integrated gradients of the logit from the mean "
        f"training row; a remainder of at most {gap:.1g} logits per row was spread in proportion.",
    )


def field_importance(module: ArmNet, data: EncodedDataset) -> FieldImportance:
    """Return the paper's global importance: the sum of |v| over neurons. It is the same for all rows."""
    return FieldImportance(
        fields=data.schema.names,
        values=module.arm.values.detach().abs().sum(1).double().numpy(),
        method="Sum of the absolute value weights |v| over all neurons, as the paper publishes it.",
        meaning="High: the neurons weigh this field strongly wherever their gates let it in. It ignores the length of "
        "embeddings, the gates and the layers behind, and does not depend on the rows.",
        rows=len(data),
    )


def interaction_terms(module: ArmNet, data: EncodedDataset, context: ExplainContext) -> InteractionTerms:
    """Return the sets of two or more fields that gates let in together, most frequent first, 200 at most."""
    counts: Counter[bytes] = Counter()
    sizes: defaultdict[bytes, float] = defaultdict(float)
    for _, ids, numbers in _watched(data, context):
        for key, count, size in _supports(module.inside(ids, numbers)):
            counts[key] += count
            sizes[key] += size
    names = data.schema.names
    terms = [
        InteractionTerm(fields, frequency=count / len(data), weight=sizes[key] / count)
        for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if len(fields := _fields(key, names)) > 1
    ]
    return InteractionTerms(
        terms=tuple(terms[:_TERMS]),
        method="Sets of fields with a gate above 0 in the same neuron, as the paper publishes them.",
        meaning="Frequency: how many neurons per row combine exactly these fields. Weight: mean |w| of their fields. A "
        "term that is used often need not matter at the output, and it shows no sign.",
        rows=len(data),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Some rows and the way from the baseline to them: end - start is `change`, and `shares` say whose it is.

    sums (B, E, N) and deep (B, F, E) move together; shares (B, F, E, N).
    """

    module: ArmNet
    start: tuple[Tensor, Tensor | None]
    change: tuple[Tensor, Tensor | None]
    inside: Inside
    baseline: Baseline
    logits: Tensor
    origin: float

    @classmethod
    def of(cls, module: ArmNet, baseline: Baseline, ids: Tensor, values: Tensor, origin: float) -> _Rows:
        inside = module.inside(ids, values)
        start = baseline.shares.sum(0)
        with torch.inference_mode():
            logits = module(ids, values).double()
        deep = None if inside.deep is None or baseline.deep is None else inside.deep - baseline.deep
        return cls(module, (start, baseline.deep), (inside.sums - start, deep), inside, baseline, logits, origin)

    def contributions(self) -> tuple[Float64Array, float]:
        """Return contributions (B, F) that sum to logit - origin, and the largest gap that was made good."""
        result = torch.zeros(self.inside.embedded.shape[:2], dtype=torch.float64)
        wanted = self.logits - self.origin
        open_rows = torch.arange(len(wanted))
        for steps in _STEPS:
            result[open_rows] = self._integrate(open_rows, steps)
            gaps = wanted - result.sum(1)
            open_rows = torch.nonzero(gaps.abs() > COMPLETE).flatten()
            if not len(open_rows):
                break
        return _completed(result, gaps).numpy(), float(gaps.abs().max())

    def _integrate(self, rows: Tensor, steps: int) -> Tensor:
        parts = torch.split(rows, max(1, _POINTS // steps))
        return torch.cat([self._integrate_part(part, steps) for part in parts])

    def _integrate_part(self, rows: Tensor, steps: int) -> Tensor:
        sums, deep = self._gradients(rows, steps)
        embedded, signed = self.inside.embedded[rows].double(), self.inside.weights[rows].double()
        result = torch.einsum("bfe,bfn,ben->bf", embedded, signed, sums)
        result -= torch.einsum("fen,ben->bf", self.baseline.shares.double(), sums)
        if deep is None or self.change[1] is None:
            return result
        return result + (deep * self.change[1][rows]).sum(2)

    def _gradients(self, rows: Tensor, steps: int) -> tuple[Tensor, Tensor | None]:
        """Return the mean gradient at s (B, E, N) and at the deep embeddings (B, F, E), by Gauss-Legendre points."""
        place, weight = _legendre(steps)
        inputs = [_path(start, change[rows], place) for start, change in self._moving()]
        with torch.enable_grad():
            for moving in inputs:
                moving.requires_grad_()
            logits = self.module.head(inputs[0], inputs[1] if len(inputs) > 1 else None)
            gradients = torch.autograd.grad(logits.sum(), inputs)
        means = [
            torch.einsum("t,bt...->b...", weight, gradient.double().view(len(rows), steps, *gradient.shape[1:]))
            for gradient in gradients
        ]
        return means[0], means[1] if len(means) > 1 else None

    def _moving(self) -> list[tuple[Tensor, Tensor]]:
        return [
            (start, change)
            for start, change in zip(self.start, self.change, strict=True)
            if start is not None and change is not None
        ]


@cache
def _legendre(steps: int) -> tuple[Tensor, Tensor]:
    """Return the Gauss-Legendre places in (0, 1) and their weights, (steps,) each; finding them costs steps cubed."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return torch.from_numpy((points + 1) / 2).float(), torch.from_numpy(weights / 2)


def _path(start: Tensor, change: Tensor, place: Tensor) -> Tensor:
    """Return start + t change for every row and place t, flattened to (B*T, ...)."""
    times = place.view(1, -1, *(1,) * start.dim())
    return (start + times * change.unsqueeze(1)).flatten(0, 1)


def _completed(result: Tensor, gaps: Tensor) -> Tensor:
    """Spread each row's gap over its fields by the size of their contributions; evenly where all are 0."""
    size = result.abs() + torch.finfo(torch.float64).tiny
    return result + gaps.unsqueeze(1) * size / size.sum(1, keepdim=True)


def _origin_logit(module: ArmNet, baseline: Baseline) -> float:
    with torch.inference_mode():
        deep = None if baseline.deep is None else baseline.deep.unsqueeze(0)
        return float(module.head(baseline.shares.sum(0).unsqueeze(0), deep))


def _watched(data: EncodedDataset, context: ExplainContext) -> Iterator[tuple[slice, Tensor, Tensor]]:
    for rows, ids, values in chunks(data, _CHUNK, torch.device("cpu")):
        if context.should_stop():
            raise Stopped
        yield rows, ids, values
        context.progress(rows.stop / len(data))


def _supports(inside: Inside) -> list[tuple[bytes, int, float]]:
    """Return (packed set of fields, occurrences, summed mean |w|) of every set of fields some neuron's gate lets in."""
    chosen = (inside.gates > 0).transpose(1, 2).flatten(0, 1).numpy()  # (B*N, F)
    size = inside.weights.abs().sum(1).flatten().double().numpy() / np.maximum(chosen.sum(1), 1)
    packed = np.packbits(chosen, axis=1)
    keys, place, counts = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
    sums = np.bincount(place.ravel(), weights=size, minlength=len(keys))
    return [(key.tobytes(), int(count), float(total)) for key, count, total in zip(keys, counts, sums, strict=True)]


def _fields(key: bytes, names: tuple[str, ...]) -> tuple[str, ...]:
    chosen = np.unpackbits(np.frombuffer(key, np.uint8), count=len(names))
    return tuple(name for name, there in zip(names, chosen, strict=True) if there)

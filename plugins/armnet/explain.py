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
from collections.abc import Mapping

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
)

from ..neural.batches import chunks
from ..neural.gradients import Path, remainder, some_rows, watched
from .module import ArmNet, Inside

_MEAN_CHUNK = 512
_TERMS = 200


def contributions(
    module: ArmNet, origin: Mapping[str, Tensor], data: EncodedDataset, context: ExplainContext
) -> Contributions:
    """Return signed contributions from the mean training row (`mean_shares`), complete to rounding."""
    values = np.empty((len(data), len(data.schema.fields)))
    logits, gap = np.empty(len(data)), 0.0
    start = _origin_logit(module, origin)
    for rows, ids, numbers in watched(data, context):
        with torch.inference_mode():
            found = module(ids, numbers)[:, 0].double()
        path = _path(module, origin, module.inside(ids, numbers))
        values[rows], largest = path.contributions(found - start)
        logits[rows], gap = found.numpy(), max(gap, largest)
    return Contributions(
        fields=data.schema.names,
        values=values,
        baseline=np.full(len(data), start),
        logits=logits,
        method="Exact shares of the fields in each neuron, times integrated gradients of the logit from the mean "
        f"training row; {remainder(gap)}",
    )


def field_importance(module: ArmNet, data: EncodedDataset) -> FieldImportance:
    """Return the paper's global importance: the sum of |v| over neurons. It is the same for all rows."""
    return FieldImportance(
        fields=data.schema.names,
        values=module.tokens.spread(module.arm.values.detach().abs().sum(1).double(), 0).numpy(),
        method="Sum of the absolute value weights |v| over all neurons, as the paper publishes it."
        + (" The values of a multi-valued field have one weight together." if module.tokens.pools else ""),
        meaning="High: the neurons weigh this field strongly wherever their gates let it in. It ignores the length of "
        "embeddings, the gates and the layers behind, and does not depend on the rows.",
        rows=len(data),
    )


def interaction_terms(module: ArmNet, data: EncodedDataset, context: ExplainContext) -> InteractionTerms:
    """Return the sets of two or more fields that gates let in together, most frequent first, 200 at most."""
    counts: Counter[bytes] = Counter()
    sizes: defaultdict[bytes, float] = defaultdict(float)
    for _, ids, numbers in watched(data, context):
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


def mean_shares(module: ArmNet, train: EncodedDataset, *, seed: int) -> dict[str, Tensor]:
    """Return the mean shares of the fields over training rows, or over a random 8,192 of them.

    shares (F, E, N) with s = shares.sum(0); for ARM-Net+ also deep (F, E), its second branch's mean embeddings.
    """
    sample = some_rows(train, seed=seed)
    shares, deep = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for _, ids, values in chunks(sample, _MEAN_CHUNK, torch.device("cpu")):
        inside = module.inside(ids, values)
        shares = shares + torch.einsum("bfe,bfn->fen", inside.embedded, inside.weights).double()
        deep = deep if inside.deep is None else deep + inside.deep.sum(0).double()
    found = {"shares": (shares / len(sample)).float()}
    return found if module.deep is None else found | {"deep": (deep / len(sample)).float()}


def _path(module: ArmNet, origin: Mapping[str, Tensor], inside: Inside) -> Path:
    """Return the way of the exponents (and of the deep embeddings, together) from the mean training row to some rows.

    sums (B, E, N) and deep (B, F, E) move; a field's part of the sums is its exact share.
    """
    start = origin["shares"].sum(0)
    deep = () if inside.deep is None else (inside.deep - origin["deep"],)

    def share(gradients: tuple[Tensor, ...], rows: Tensor) -> Tensor:
        embedded, signed = inside.embedded[rows].double(), inside.weights[rows].double()
        result = torch.einsum("bfe,bfn,ben->bf", embedded, signed, gradients[0])
        result -= torch.einsum("fen,ben->bf", origin["shares"].double(), gradients[0])
        for gradient, change in zip(gradients[1:], deep, strict=True):
            result += (gradient * change[rows]).sum(2)
        return result

    starts = (start,) if inside.deep is None else (start, origin["deep"])
    return Path(starts, (inside.sums - start, *deep), module.head, share)


def _origin_logit(module: ArmNet, origin: Mapping[str, Tensor]) -> float:
    with torch.inference_mode():
        deep = None if module.deep is None else origin["deep"].unsqueeze(0)
        return float(module.head(origin["shares"].sum(0).unsqueeze(0), deep))


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

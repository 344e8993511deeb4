"""What the towers learn, in nats per impression; y clicked, z converted, a and b the logits of pCTR and pCVR.

    BCE(y, a) + BCE(y z, c)            c = logit(pCTR pCVR) = -log( e^-a + e^-b + e^-(a+b) )        (eq. 3)
    + lambda y BCE(z, b)               among clicked rows; 0 in the paper
    + y / max(s(a), floor) BCE(z, b)   escm2-ips: stands for all rows; no gradient into a

Rows that are weighed or sampled by their click (w+ for clicked rows, rate w of the others) have click odds w+/w times
as high: p' = s(a + log(w+/w)). All clicked rows are kept alike, so pCVR stays as it is among them, and of the rows left
pCTCVR' = p' pCVR. Hence the shifted a is right in both parts of the loss, b is never corrected, and only the propensity
of escm2-ips, which speaks of all rows, needs a without the shift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crosslens import EncodedDataset
from crosslens.data import Float64Array

from ..funnel import BOTH, CLICK, CONVERSION, both_labels, product_logit
from ..neural.batches import Batch
from ..neural.scoring import validation_metrics
from ..neural.step import Objective
from . import EsmmParameters, Variant


def ctcvr_logit(a: Tensor, b: Tensor) -> Tensor:
    """Return the logit of sigmoid(a) sigmoid(b), exact where the product of two sigmoids has lost its digits."""
    return -torch.logsumexp(torch.stack((-a, -b, -(a + b))), 0)


@dataclass(frozen=True, slots=True)
class EsmmLoss:
    """The loss of a variant. `clicked` is the weight of BCE(z, b) among clicked rows, `shift` is log(w+/w)."""

    product: bool
    clicked: float
    floor: float | None
    shift: float

    @classmethod
    def of(cls, parameters: EsmmParameters, shift: float = 0.0) -> EsmmLoss:
        """Return the loss that the parameters describe; `shift` is what sampling and weights add to a."""
        variant = Variant(parameters.variant)
        return cls(
            product=variant.learns_product,
            clicked=variant.clicked_weight + parameters.lambda_cvr,
            floor=parameters.propensity_floor if variant is Variant.ESCM2_IPS else None,
            shift=shift,
        )

    def rows(self, logits: Tensor, click: Tensor, conversion: Tensor, *, shift: float) -> Tensor:
        """Return the loss of every row (B,) for logits (B, 2), the first of which were raised by `shift`."""
        a, b = logits.unbind(1)
        loss = _log_loss(a, click)
        if self.product:
            loss = loss + _log_loss(ctcvr_logit(a, b), click * conversion)
        weight = self._clicked_weight(a - shift)
        if isinstance(weight, Tensor) or weight:
            loss = loss + weight * click * _log_loss(b, conversion)
        return loss

    def _clicked_weight(self, a: Tensor) -> Tensor | float:
        if self.floor is None:
            return self.clicked
        return self.clicked + 1 / torch.sigmoid(a.detach()).clamp_min(self.floor)

    def objective(self) -> Objective:
        """Return what the training loop asks for."""
        return Objective((CLICK, CONVERSION), self.of_batch, self.metrics)

    def of_batch(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch."""
        rows = self.rows(logits, batch.labels[CLICK], batch.labels[CONVERSION], shift=self.shift)
        return rows.mean() if batch.weights is None else (rows * batch.weights).mean()

    def metrics(self, logits: Float64Array, rows: EncodedDataset) -> dict[str, float]:
        """Return the loss of validation rows, and the AUC of every output on the rows that tell of it.

        The part of escm2-ips that is weighed by the model's own pCTR is left out: it falls when pCTR rises, whatever is
        true, and would choose an epoch that expects too many clicks.
        """
        labels = [torch.from_numpy(np.array(rows.labels[name], np.float64)) for name in (CLICK, CONVERSION)]
        losses = replace(self, floor=None).rows(torch.from_numpy(logits), *labels, shift=0.0).numpy()
        metrics = {"loss": float(np.average(losses, weights=rows.weights))}
        clicked = np.asarray(rows.labels[CLICK]) > 0.5
        asked = (
            ("auc", rows.labels[CLICK], logits[:, 0], np.ones(len(rows), bool)),
            (f"auc_{CONVERSION}", rows.labels[CONVERSION], logits[:, 1], clicked),
            (f"auc_{BOTH}", both_labels(rows.labels), product_logit(*logits.T), np.ones(len(rows), bool)),
        )
        for name, target, scores, kept in asked:
            weights = None if rows.weights is None else rows.weights[kept]
            found = validation_metrics(target[kept], scores[kept], weights) if kept.any() else {}
            if "auc" in found:
                metrics[name] = found["auc"]
        return metrics


def _log_loss(logits: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


Pick = Callable[[Tensor], Tensor]
PICKS: dict[str, Pick] = {
    CLICK: lambda logits: logits[:, 0],
    CONVERSION: lambda logits: logits[:, 1],
    BOTH: lambda logits: ctcvr_logit(logits[:, 0], logits[:, 1]),
}
"""The logit (B,) of every output, from the logits (B, 2) of the towers."""

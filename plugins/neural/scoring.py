"""Logits of many rows, and what validation rows say about them: log loss and AUC over all rows at once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from crosslens import EncodedDataset
from crosslens.data import Float64Array

from ..areas import auc
from ..labels import has_both_classes
from .batches import chunk, row_slices
from .network import Network
from .threads import spread

__all__ = ["auc", "log_loss", "predict_logits", "validation_metrics"]

FloatArray = NDArray[np.floating]
_CHUNK = 4096


def predict_logits(network: Network, data: EncodedDataset, outputs: int) -> Float64Array:
    """Return logits (N, T) by the frozen statistics of the network, which is left in evaluation mode."""
    network.eval()
    logits = np.empty((len(data), outputs), np.float64)
    device = next(network.parameters()).device

    def score(rows: slice) -> None:
        logits[rows] = network(*chunk(data, rows, device)).float().cpu().numpy()

    with torch.inference_mode():
        if device.type == "cpu":
            spread(score, row_slices(len(data), _CHUNK))
        else:
            for rows in row_slices(len(data), _CHUNK):
                score(rows)
    return logits


def log_loss(target: FloatArray, logits: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the weighted mean of log(1 + exp(-logit)) of positives and log(1 + exp(logit)) of negatives, in nats."""
    losses = np.logaddexp(0.0, np.where(target > 0.5, -logits, logits).astype(np.float64))
    return float(np.average(losses, weights=weights))


def validation_metrics(target: FloatArray, logits: FloatArray, weights: FloatArray | None) -> dict[str, float]:
    """Return {"loss", "auc"}; "auc" only where both classes carry weight. NaN as the loss of logits not finite."""
    if not np.isfinite(logits).all():
        return {"loss": float("nan")}
    counted = target if weights is None else target[weights > 0]
    metrics = {"loss": log_loss(target, logits, weights)}
    if has_both_classes(counted):
        metrics["auc"] = auc(target, logits, weights)
    return metrics

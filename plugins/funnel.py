"""What every model of a funnel shares: its labels, the rows conversions are learned from, and the product of chances.

With a = logit(pCTR) and b = logit(pCVR), the logit of pCTCVR = pCTR pCVR is

    -log( e^-a + e^-b + e^-(a+b) )       1 / (s(a) s(b)) = (1 + e^-a)(1 + e^-b), and logit p = -log(1/p - 1)

which keeps every digit where the product of two sigmoids has lost them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crosslens import DataError, EncodedDataset, Output, TrainingData
from crosslens.data import Float32Array, Float64Array

CLICK, CONVERSION, BOTH = Output.CLICK.value, Output.CONVERSION.value, Output.CLICK_AND_CONVERSION.value
_LEAST_RATE = 1e-4


def product_logit(a: Float64Array, b: Float64Array) -> Float64Array:
    """Return the logit of sigmoid(a) sigmoid(b), elementwise."""
    return np.asarray(-np.logaddexp(np.logaddexp(-a, -b), -(a + b)))


def product_slopes(a: Float64Array, b: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the derivatives of `product_logit` by a and by b: (1 - s(a)) / (1 - s(a) s(b)), and with b for a.

    With u = e^-a, v = e^-b they are u (1 + v) / (u + v + u v) and v (1 + u) / (u + v + u v).
    """
    whole = np.logaddexp(np.logaddexp(-a, -b), -(a + b))
    return np.exp(-a + np.logaddexp(0.0, -b) - whole), np.exp(-b + np.logaddexp(0.0, -a) - whole)


def click_rows(data: EncodedDataset) -> EncodedDataset:
    """Return all rows, labelled by whether they were clicked."""
    return data.with_labels({CLICK: data.labels[CLICK]})


def conversion_rows(data: EncodedDataset) -> EncodedDataset:
    """Return the clicked rows, labelled by whether they converted."""
    clicked = np.flatnonzero(np.asarray(data.labels[CLICK]) > 0.5)
    part = data.take(clicked)
    return part.with_labels({CONVERSION: part.labels[CONVERSION]})


def both_labels(labels: Mapping[str, Float32Array]) -> Float32Array:
    """Return y z, (N,): clicked and converted. A conversion without a click counts as none."""
    return np.asarray(labels[CLICK]) * np.asarray(labels[CONVERSION])


@dataclass(frozen=True, slots=True)
class Rates:
    """The weighted rates of training rows: `click` of all rows, `conversion` of clicked rows."""

    click: float
    conversion: float

    @classmethod
    def of(cls, data: EncodedDataset) -> Rates:
        """Measure them."""
        clicked = np.asarray(data.labels[CLICK], np.float64)
        weights = np.ones(len(data)) if data.weights is None else np.asarray(data.weights, np.float64)
        clicks = float(weights @ clicked)
        bought = float(weights @ np.asarray(both_labels(data.labels), np.float64))
        return cls(clicks / float(weights.sum()), bought / clicks if clicks else 0.0)

    @property
    def logits(self) -> tuple[float, float]:
        """Return both as logits, kept within reach of training."""
        return _logit(self.click), _logit(self.conversion)


def check_funnel(data: TrainingData) -> None:
    """Raise DataError where a funnel has nothing to learn from: a label is absent, or the same wherever it counts."""
    for name in (CLICK, CONVERSION):
        if name not in data.train.labels:
            raise DataError(
                f"The rows have no label {name}.",
                why="A funnel model learns from clicks and from conversions.",
                do=f'Give a column the role "{name}".',
            )
    if not len(data.train):
        raise DataError("There are no training rows.", do="Choose a query or a split that leaves some.")
    if not len(data.validation):
        raise DataError(
            "There are no validation rows.",
            why="They decide when training stops.",
            do="Give the validation part a share of the rows.",
        )
    _check_clicks(np.asarray(data.train.labels[CLICK]))
    _check_conversions(data.train)


def _check_clicks(clicks: Float32Array) -> None:
    if bool(np.all(clicks == clicks[0])):
        raise DataError(
            f"Every training row is {'clicked' if clicks[0] else 'unclicked'}.",
            why="A model learns from the difference between rows with and without a click.",
            do="Check that the click label is the right one, or take more rows.",
            label=CLICK,
        )


def _check_conversions(train: EncodedDataset) -> None:
    found = conversion_rows(train).target
    if bool(np.any(found != found[0])):
        return
    unclicked = int(((np.asarray(train.labels[CLICK]) <= 0.5) & (np.asarray(train.labels[CONVERSION]) > 0.5)).sum())
    if not found[0] and unclicked:
        raise DataError(
            f"No clicked training row converts, but {unclicked:,} rows without a click do.",
            why="The chance of a conversion is learned from clicked rows.",
            do="Check that clicks and conversions belong together, or choose the repair that counts a conversion as a "
            "click.",
            label=CONVERSION,
        )
    raise DataError(
        f"{'Every' if found[0] else 'No'} clicked training row converts.",
        why="A model learns from the difference between clicks with and without a conversion.",
        do="Take more rows, or train a model of clicks alone.",
        label=CONVERSION,
    )


def _logit(rate: float) -> float:
    rate = min(max(rate, _LEAST_RATE), 1.0 - _LEAST_RATE)
    return math.log(rate / (1.0 - rate))

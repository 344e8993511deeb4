"""How good a model is, on rows it has not seen, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

from crosslens.runs import Metric


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve, x ascending, thinned for drawing."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows of similar prediction (equal mass): mean predicted against observed rate with a Wilson interval."""

    predicted: float
    observed: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True)
class Quality:
    """Everything measured about one binary label on one part of the data.

    metrics: auc, log_loss, normalised_entropy, pr_auc, calibration_error, calibration_ratio (mean
    predicted / observed).
    """

    task: str
    rows: int
    positives: int
    metrics: tuple[Metric, ...]
    roc: Curve
    precision_recall: Curve
    gains: Curve
    reliability: tuple[ReliabilityBin, ...]
    warnings: tuple[str, ...] = ()

    def metric(self, name: str) -> Metric:
        """Return the metric of that name; KeyError if it was not measured."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Model `first` minus model `second` on the same rows; `different` only when the interval excludes 0."""

    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    rows: int

    @property
    def different(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

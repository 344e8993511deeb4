"""Estimators of models with one binary label: the mean log loss, judged by validation log loss.

Validation log loss chooses the epoch: it is defined for any labels, has less noise than AUC on few positives, and
rewards calibration; AUC is reported beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional

from crosslens import DataError, EncodedDataset, EncodedSchema, FitContext, TrainingData, TrainingEstimate
from crosslens.data import Float64Array

from ..labels import check_labels
from .batches import Batch
from .devices import chosen_device
from .estimate import estimate_training
from .fitted import FittedNetwork
from .network import Network
from .recipe import Recipe
from .scoring import validation_metrics
from .step import Objective
from .training import train_network


@dataclass(frozen=True, slots=True)
class ClickEstimator:
    """A network of one label before training: its parameters, and the model it becomes."""

    parameters: Recipe
    model: type[FittedNetwork]

    def fit(self, data: TrainingData, context: FitContext) -> FittedNetwork:
        """Train until validation log loss stops falling and keep the best epoch.

        Stop returns the best epoch so far, or the state of the first one when some steps were made. DataError for a
        single class, no rows or no fields, too little memory, and when the loss is lost in the first epoch; Stopped
        before the first step.
        """
        check_labels(data)
        check_features(data)
        objective = click_objective(data.schema.labels[0])
        trained = train_network(self._maker(data), objective, self.parameters, data, context)
        return self.model.from_training(trained, self.parameters, data.train)

    def estimate(self, data: TrainingData, context: FitContext) -> TrainingEstimate:
        """Return the memory and the seconds per epoch that `fit` would take, from three steps on a copy.

        DataError as `fit` raises it before its first step.
        """
        check_labels(data)
        check_features(data)
        objective = click_objective(data.schema.labels[0])
        return estimate_training(self._maker(data), objective, self.parameters, data, context).told(self.parameters)

    def check_device(self, device: str) -> None:
        """Raise ParameterError for a device that this machine does not have."""
        chosen_device(device)

    def _maker(self, data: TrainingData) -> Callable[[EncodedSchema], Network]:
        rate = float(np.average(data.train.target, weights=data.train.weights))
        return lambda schema: self.model.make(schema, self.parameters, rate)


def check_features(data: TrainingData) -> None:
    """Raise DataError where no field or no weighted row is left to learn from."""
    if not data.schema.fields:
        raise DataError("There is no field to learn from.", do="Give at least one column the role of a feature.")
    if data.train.weights is not None and not data.train.weights.sum() > 0:
        raise DataError("No training row has a weight above 0.", do="Check the weight column.")


def click_objective(label: str) -> Objective:
    """Return the mean log loss of one label, weighted by the rows' weights; validation counts log loss and AUC."""

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits[:, 0], batch.labels[label], weight=batch.weights)

    def metrics(logits: Float64Array, rows: EncodedDataset) -> dict[str, float]:
        return validation_metrics(rows.labels[label], logits[:, 0], rows.weights)

    return Objective(("click",), loss, metrics)

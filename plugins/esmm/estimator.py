"""Training ESMM: the shared loop with the loss of the chosen variant, judged by the same loss of validation rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crosslens import EncodedSchema, FitContext, TrainingData, TrainingEstimate

from ..funnel import Rates, check_funnel
from ..neural.click import check_features
from ..neural.devices import chosen_device
from ..neural.estimate import estimate_training
from ..neural.imbalance import Imbalance
from ..neural.step import Objective
from ..neural.training import train_network
from . import EsmmParameters
from .fitted import EsmmModel
from .losses import EsmmLoss
from .module import Esmm


@dataclass(frozen=True, slots=True)
class EsmmEstimator:
    """ESMM before training."""

    parameters: EsmmParameters

    def fit(self, data: TrainingData, context: FitContext) -> EsmmModel:
        """Train until the validation loss of the whole objective stops falling and keep the best epoch.

        Stop returns the best epoch so far, or the state of the first one when some steps were made. DataError for
        clicks or conversions that are all alike, no rows or no fields, too little memory, and when the loss is lost in
        the first epoch; Stopped before the first step.
        """
        self._check(data)
        objective = self._objective(data)
        trained = train_network(self._maker(data), objective, self.parameters, data, context)
        return EsmmModel.from_training(trained, self.parameters, data.train)

    def estimate(self, data: TrainingData, context: FitContext) -> TrainingEstimate:
        """Return the memory and the seconds per epoch that `fit` would take; DataError as `fit` raises it."""
        self._check(data)
        objective = self._objective(data)
        return estimate_training(self._maker(data), objective, self.parameters, data, context).told(self.parameters)

    def check_device(self, device: str) -> None:
        """Raise ParameterError for a device that this machine does not have."""
        chosen_device(device)

    def _check(self, data: TrainingData) -> None:
        check_funnel(data)
        check_features(data)

    def _objective(self, data: TrainingData) -> Objective:
        return EsmmLoss.of(self.parameters, Imbalance.of(data.train, self.parameters).shift).objective()

    def _maker(self, data: TrainingData) -> Callable[[EncodedSchema], Esmm]:
        rates = Rates.of(data.train)
        return lambda schema: Esmm(schema, self.parameters, rates)

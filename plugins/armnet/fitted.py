"""A trained ARM-Net: what the shared model needs to know of it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from crosslens import EncodedDataset, EncodedSchema, ExplainContext, ExplanationKind

from ..neural.fitted import FittedNetwork, Makers
from . import ArmNetParameters, ArmNetPlusParameters
from .explain import contributions, field_importance, interaction_terms, mean_shares
from .module import ArmNet


class ArmNetModel(FittedNetwork):
    """A trained ARM-Net or ARM-Net+. Contributions start at the mean shares of the fields, see `mean_shares`."""

    title = "ARM-Net"
    kinds = (ArmNetParameters, ArmNetPlusParameters)

    @classmethod
    def make(cls, schema: EncodedSchema, parameters: ArmNetParameters, rate: float = 0.5) -> ArmNet:
        """Return an untrained network."""
        return ArmNet(schema, parameters, rate)

    @classmethod
    def measure_origin(cls, network: Any, train: EncodedDataset, *, seed: int) -> dict[str, Tensor]:
        """Return the mean shares of the fields on training rows."""
        return mean_shares(network, train, seed=seed)

    def explanations(self, data: EncodedDataset, context: ExplainContext) -> Makers:
        """Return contributions by exact shares, and what the paper publishes."""
        network = self.network
        return [
            (ExplanationKind.CONTRIBUTIONS, lambda: contributions(network, self.origin, data, context)),
            (ExplanationKind.FIELD_IMPORTANCE, lambda: field_importance(network, data)),
            (ExplanationKind.INTERACTION_TERMS, lambda: interaction_terms(network, data, context)),
        ]

"""A trained AutoInt: what the shared model needs to know of it."""

from __future__ import annotations

from crosslens import EncodedDataset, EncodedSchema, ExplainContext, ExplanationKind

from ..neural.fitted import FittedNetwork, Makers, column
from . import AutoIntParameters, AutoIntPlusParameters
from .explain import attended_pairs, attention_received
from .module import AutoInt


class AutoIntModel(FittedNetwork):
    """A trained AutoInt or AutoInt+. Contributions start at the mean embeddings of training rows."""

    title = "AutoInt"
    kinds = (AutoIntParameters, AutoIntPlusParameters)

    @classmethod
    def make(cls, schema: EncodedSchema, parameters: AutoIntParameters, rate: float = 0.5) -> AutoInt:
        """Return an untrained network."""
        return AutoInt(schema, parameters, rate)

    def explanations(self, data: EncodedDataset, context: ExplainContext) -> Makers:
        """Return contributions by integrated gradients, and where attention went."""
        network = self.network
        return [
            (ExplanationKind.CONTRIBUTIONS, lambda: self.contributions(data, context, "click", column(0))),
            (ExplanationKind.FIELD_IMPORTANCE, lambda: attention_received(network, data, context)),
            (ExplanationKind.PAIR_INTERACTIONS, lambda: attended_pairs(network, data, context)),
        ]

"""A trained ESMM: three outputs from two towers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from crosslens import EncodedDataset, EncodedSchema, ExplainContext, ExplanationKind, Predictions

from ..funnel import BOTH, CLICK, CONVERSION, product_logit
from ..neural.fitted import FittedNetwork, Makers
from ..neural.scoring import predict_logits
from . import EsmmParameters
from .losses import PICKS
from .module import Esmm


class EsmmModel(FittedNetwork):
    """A trained ESMM, or one of its relatives."""

    title = "ESMM"
    kinds = (EsmmParameters,)
    outputs = (CLICK, CONVERSION, BOTH)

    @classmethod
    def make(cls, schema: EncodedSchema, parameters: Any, rate: float = 0.5) -> Esmm:
        """Return an untrained network."""
        return Esmm(schema, parameters)

    def predict(self, data: EncodedDataset) -> Predictions:
        """Return the logits of pCTR, pCVR and pCTCVR for every row; DataError for rows of another schema."""
        self.check(data)
        a, b = predict_logits(self.network, data, 2).T
        return Predictions({CLICK: a, CONVERSION: b, BOTH: product_logit(a, b)})

    @classmethod
    def graph_outputs(cls, logits: Tensor) -> Sequence[Tensor]:
        """Return the logits of pCTR, pCVR and pCTCVR, each (N,)."""
        a, b = logits.unbind(1)
        return a, b, -_log_sum(_log_sum(-a, -b), -(a + b))

    def explanations(self, data: EncodedDataset, context: ExplainContext) -> Makers:
        """Return contributions to the output that is asked about, or to each."""
        asked = (context.output,) if context.output else self.outputs
        return [
            (ExplanationKind.CONTRIBUTIONS, partial(self.contributions, data, context, name, PICKS[name]))
            for name in asked
        ]


def _log_sum(first: Tensor, second: Tensor) -> Tensor:
    """Return log(e^first + e^second) by operations that graphs know."""
    return torch.maximum(first, second) + torch.log1p(torch.exp(-(first - second).abs()))

"""Words and users in common side by side, each with its share of the cosine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crosslens import EncodeContext, SequenceDataset
from crosslens.data import Float32Array

from . import CollaborativeParameters, HybridParameters, TfidfParameters
from .together import CollaborativeSvd
from .vectors import unit
from .words import TfidfSvd


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Concatenates both vectors of an item; an item known by one of them alone has that one."""

    parameters: HybridParameters

    def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
        """Return float32 (I, D), rows of length 1, or 0 where neither words nor users say anything."""
        width, share = self.parameters.width, self.parameters.text_share
        words = TfidfSvd(TfidfParameters(width=width)).encode(train, _half(context, 0.0))
        users = CollaborativeSvd(CollaborativeParameters(width=width)).encode(train, _half(context, 0.5))
        return unit(np.concatenate((np.sqrt(share) * words, np.sqrt(1 - share) * users), axis=1))


def _half(context: EncodeContext, start: float) -> EncodeContext:
    return replace(context, progress=lambda done: context.progress(start + done / 2))

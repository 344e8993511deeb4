"""Where contributions start: the mean of what the model sees on training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crosslens import EncodedDataset

from .batches import chunks
from .module import ArmNet

_ROWS = 8192
_CHUNK = 512
_PREFIX = "baseline/"


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """Mean shares of the fields in the exponents: shares (F, E, N) with s = shares.sum(0); deep (F, E) for ARM-Net+."""

    shares: Tensor
    deep: Tensor | None

    @classmethod
    def measure(cls, module: ArmNet, train: EncodedDataset, *, seed: int) -> Baseline:
        """Average over the training rows, or over a random 8,192 of them."""
        rows = min(len(train), _ROWS)
        sample = train.take(np.sort(np.random.default_rng(seed).permutation(len(train))[:rows]))
        shares, deep = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for _, ids, values in chunks(sample, _CHUNK, torch.device("cpu")):
            inside = module.inside(ids, values)
            shares = shares + torch.einsum("bfe,bfn->fen", inside.embedded, inside.weights).double()
            deep = deep if inside.deep is None else deep + inside.deep.sum(0).double()
        return cls((shares / rows).float(), None if module.deep is None else (deep / rows).float())

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors to save, under names of their own."""
        named = {"shares": self.shares} | ({} if self.deep is None else {"deep": self.deep})
        return {_PREFIX + name: tensor for name, tensor in named.items()}

    @classmethod
    def split(cls, tensors: dict[str, Tensor]) -> tuple[Baseline, dict[str, Tensor]]:
        """Return the baseline among saved tensors, and the others."""
        others = {name: tensor for name, tensor in tensors.items() if not name.startswith(_PREFIX)}
        return cls(tensors[_PREFIX + "shares"], tensors.get(_PREFIX + "deep")), others

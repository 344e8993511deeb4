"""The logistic regression as an ONNX file: a look-up, a product and a sum."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from .neural.onnx import write_onnx

if TYPE_CHECKING:
    from .logistic_model import LogisticModel


class LogisticForm(nn.Module):
    """logit = b + sum_c w_c[id_c] + sum_m ( w_m v_m  or  u_m where v_m is missing )."""

    def __init__(self, model: LogisticModel) -> None:
        super().__init__()
        self.table, self.slopes, self.missing = (
            nn.Parameter(torch.from_numpy(np.array(numbers, np.float32)))
            for numbers in (model.table, model.slopes, model.missing)
        )
        self.intercept = model.intercept

    def forward(self, ids: Tensor, values: Tensor) -> tuple[Tensor]:
        """Return the logits (N,) for ids (N, C) and values (N, M)."""
        absent = values.isnan()
        terms = torch.where(absent, self.missing, torch.where(absent, 0.0, values) * self.slopes)
        return (self.table[ids].sum(1) + terms.sum(1) + self.intercept,)


def write_logistic(model: LogisticModel, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the model as ONNX with one output, "click"."""
    write_onnx(LogisticForm(model), model.schema, ("click",), path, metadata)

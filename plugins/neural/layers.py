"""Parts that networks are put together from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


def mlp(width: int, layers: Sequence[int], dropout: float, outputs: int = 1) -> nn.Sequential:
    """Return linear layers with ReLU and dropout between them, from `width` numbers to `outputs`."""
    parts: list[nn.Module] = []
    for size in layers:
        parts += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
        width = size
    return nn.Sequential(*parts, nn.Linear(width, outputs))


def start_at_rate(output: nn.Module, rate: float) -> None:
    """Set the bias of a last layer to the logit of the label's rate, kept within 0.01 % and 99.99 %."""
    assert isinstance(output, nn.Linear)
    share = min(max(rate, 1e-4), 1 - 1e-4)
    with torch.no_grad():
        output.bias.fill_(math.log(share / (1 - share)))

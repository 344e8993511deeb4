"""Adam for networks, row by row for large tables; the length of a step's gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from .network import Network


def optimisers(network: Network) -> list[torch.optim.Optimizer]:
    """Return Adam for all parameters but the large tables, and SparseAdam for those if there are any."""
    sparse = [table.table for table in network.tables if table.sparse]
    apart = {id(parameter) for parameter in sparse}
    dense = [parameter for parameter in network.parameters() if id(parameter) not in apart]
    found: list[torch.optim.Optimizer] = [torch.optim.Adam(dense, fused=dense[0].device.type != "mps")]
    return [*found, torch.optim.SparseAdam(sparse)] if sparse else found


def set_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate of every optimiser."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


@torch.no_grad()
def clip(network: Network, limit: float) -> None:
    """Shorten the gradient of all parameters together to `limit` where it is longer (Pascanu et al., ICML 2013).

    Unlike torch's own function this one knows row-sparse gradients.
    """
    gradients = [_numbers(parameter) for parameter in network.parameters() if parameter.grad is not None]
    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    scale = (limit / (length + 1e-12)).clamp_(max=1)
    torch._foreach_mul_(gradients, scale)


def _numbers(parameter: torch.nn.Parameter) -> Tensor:
    """Return the numbers of a gradient, those of the rows looked up if it is sparse; shared with the gradient."""
    gradient = parameter.grad
    assert gradient is not None
    if not gradient.is_sparse:
        return gradient
    parameter.grad = gradient.coalesce()
    return parameter.grad.values()

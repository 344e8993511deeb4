"""The loss of a step: cross-entropy of the next item at every place, and what SRA-CL adds to it.

L = L_rec + alpha L_CS + beta L_IS        L_rec as in `softmax`, the others as in `contrast`
"""

from __future__ import annotations

import torch
from torch import Tensor

from crosslens import RESERVED_IDS

from . import SasRecParameters
from .contrast import Contrast
from .module import SasRec
from .softmax import sampled_softmax_loss, softmax_loss
from .windows import Batch


def training_loss(
    network: SasRec, contrast: Contrast | None, batch: Batch, parameters: SasRecParameters
) -> tuple[Tensor, Tensor]:
    """Return L_rec in nats per target, and alpha L_CS + beta L_IS."""
    states = network(batch.items, batch.lengths)  # (B, T, E)
    loss = next_item_loss(network, states[batch.inside], batch.targets, parameters)
    if contrast is None:
        return loss, torch.zeros_like(loss)
    anchors = states[torch.arange(len(states), device=states.device), batch.lengths - 1]
    return loss, contrast.loss(network, batch, anchors)


def next_item_loss(network: SasRec, states: Tensor, targets: Tensor, parameters: SasRecParameters) -> Tensor:
    """Return the mean cross-entropy of states (N, E): over all items, or over a sample of them where they are many."""
    items = network.items.num_embeddings - RESERVED_IDS
    if not network.items.sparse:
        return softmax_loss(states, network.items.weight[RESERVED_IDS:], targets - RESERVED_IDS)
    drawn = torch.randint(RESERVED_IDS, items + RESERVED_IDS, (parameters.negatives,), device=targets.device)
    hits = targets[:, None] == drawn
    own, others = network.items(targets), network.items(drawn)
    return sampled_softmax_loss(states, own, others, hits=hits, others=items - 1)

"""One step of training: a batch goes in, the mean loss comes out, and the parameters have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from crosslens import EncodedDataset
from crosslens.data import Float64Array

from .batches import Batch, training_batches
from .devices import Precision
from .imbalance import Float32Array, Imbalance
from .network import Network
from .optimisers import clip
from .pooling import group_leads
from .recipe import Recipe
from .regularise import FieldDropout, Prior


@dataclass(frozen=True, slots=True)
class Objective:
    """What a network learns, one logit per name in `outputs` (T,).

    loss      (logits (B, T), batch) -> mean loss in nats. With a recipe that weighs or samples rows the first logit has
              been shifted already (`imbalance`); weights are the loss's to apply.
    metrics   (logits (N, T), validation rows) -> metrics by name; "loss" is needed and decides, NaN: it diverged
    """

    outputs: tuple[str, ...]
    loss: Callable[[Tensor, Batch], Tensor]
    metrics: Callable[[Float64Array, EncodedDataset], dict[str, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of training: rows in, parameters changed, mean loss out."""

    network: Network
    objective: Objective
    recipe: Recipe
    imbalance: Imbalance
    weights: Float32Array | None
    dropout: FieldDropout
    prior: Prior
    precision: Precision

    @classmethod
    def of(
        cls, network: Network, objective: Objective, recipe: Recipe, train: EncodedDataset, device: torch.device
    ) -> Step:
        """Count what the prior and the weights rest on."""
        imbalance = Imbalance.of(train, recipe)
        return cls(
            network=network,
            objective=objective,
            recipe=recipe,
            imbalance=imbalance,
            weights=imbalance.weights(train),
            dropout=FieldDropout(train.schema.offsets, recipe.field_dropout, device, group_leads(train.schema)),
            prior=Prior(train, recipe.l2, recipe.field_dropout, device, imbalance.chances()),
            precision=Precision.of(device),
        )

    def batches(self, train: EncodedDataset) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        order, device = self.imbalance.order(), self.precision.device
        return training_batches(train, order, self.recipe.batch_size, device, self.weights)

    def take(self, batch: Batch, optimizers: list[torch.optim.Optimizer], number: int) -> Tensor:
        """Make step `number` (from 1) and return the mean loss, without the penalty of the embeddings."""
        self.network.average_statistics(number)
        with self.precision.lowered():
            loss, penalty = self.losses(batch)
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.precision.scaled(loss + penalty).backward()  # type: ignore[no-untyped-call]
        if self.recipe.gradient_clip:
            for optimizer in optimizers:
                self.precision.unscale(optimizer)
            clip(self.network, self.recipe.gradient_clip)
        self.precision.step(optimizers)
        return loss.detach()

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean loss of a batch in nats, and the penalty of the embeddings it looked up."""
        ids, values = self.dropout(batch.ids, batch.values)
        embeddings = self.network.embeddings(ids, values)
        loss = self.objective.loss(self._shifted(self.network.logits(*embeddings).float()), batch)
        if not self.prior.l2:
            return loss, torch.zeros_like(loss)
        return loss, torch.stack([self.prior.penalty(ids, embedded) for embedded in embeddings]).sum()

    def _shifted(self, logits: Tensor) -> Tensor:
        shift = self.imbalance.shift
        if not shift:
            return logits
        return torch.cat((logits[:, :1] + shift, logits[:, 1:]), 1)

"""Training a network on rows: Adam on a mean loss, early stopping on validation, the best epoch restored.

Validation decides by the metric called "loss". On a CPU the same seed and threads give the same numbers, and a training
resumed from its checkpoint those of one never interrupted.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from crosslens import EncodedDataset, EncodedSchema, FitContext, TrainingData, parameters_to_plain
from crosslens.plain import to_plain

from .batches import Batch, batch_count
from .checkpoint import Weights
from .devices import chosen_device, isolated
from .epoch import EpochMeter
from .imbalance import Imbalance
from .loop import Loop, Schedule, Validated
from .network import Network
from .optimisers import optimisers
from .probe import check_memory, free_memory, memory_needed
from .recipe import Recipe
from .scoring import predict_logits
from .step import Objective, Step

_WHY_LOST = "The steps were too large, or a field holds extreme values."

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


@dataclass(frozen=True, slots=True, eq=False)
class Trained(Generic[AnyNetwork]):
    """A network at its best epoch, on the CPU, and what a model remembers of its training."""

    network: AnyNetwork
    facts: dict[str, Any]


def train_network(
    make: Callable[[EncodedSchema], AnyNetwork],
    objective: Objective,
    recipe: Recipe,
    data: TrainingData,
    context: FitContext,
) -> Trained[AnyNetwork]:
    """Train what `make` builds for a schema until validation stops improving, and return the best epoch.

    Stop returns the best epoch so far, or the state of the first one when some steps were made. DataError when it would
    not fit into the free memory and when the loss is lost in the first epoch, ParameterError without the device,
    Stopped before the first step.
    """
    device = chosen_device(context.device)
    rows = Imbalance.of(data.train, recipe).rows_per_epoch
    free = free_memory(device)
    check_memory(memory_needed(make, objective, recipe, data.schema, rows, free=free), free, recipe, data.schema)
    with isolated(context, device):
        network = make(data.schema).to(device)
        adam = optimisers(network)
        learner = _RowLearner(Step.of(network, objective, recipe, data.train, device), adam, data)
        loop = Loop(
            learner=learner,
            schedule=Schedule(recipe.epochs, recipe.patience, recipe.learning_rate),
            optimizers=adam,
            context=context,
            device=device,
            identity=_identity(recipe, data, context),
            why_lost=_WHY_LOST,
            scaler=learner.step.precision.scaler,
        )
        loop.run()
        network.zero_grad(set_to_none=True)
        network.cpu().eval().requires_grad_(False)
        return Trained(network, loop.facts() | {"validation_loss": loop.state.best_loss, "rows": len(data.train)})


@dataclass(frozen=True, slots=True, eq=False)
class _RowLearner:
    """A network and the rows it learns from, see `loop.Learner`."""

    step: Step
    optimizers: list[torch.optim.Optimizer]
    data: TrainingData

    @property
    def steps(self) -> int:
        return batch_count(self.step.imbalance.rows_per_epoch, self.step.recipe.batch_size)

    def weights(self) -> Weights:
        return self.step.network.state_dict()

    def load_weights(self, weights: Weights) -> None:
        self.step.network.load_state_dict(weights)

    def learn(self, meter: EpochMeter) -> bool:
        def take(batch: Batch) -> tuple[Tensor, int]:
            return self.step.take(batch, self.optimizers, meter.next_step), len(batch)

        self.step.network.train()
        return meter.watch(self.step.batches(self.data.train), take)

    def validate(self, epoch: int) -> Validated:
        objective, rows = self.step.objective, self.data.validation
        metrics = objective.metrics(predict_logits(self.step.network, rows, len(objective.outputs)), rows)
        return Validated(metrics["loss"], metrics)


def _identity(recipe: Recipe, data: TrainingData, context: FitContext) -> dict[str, Any]:
    return {
        "model": type(recipe).__name__,
        "parameters": parameters_to_plain(recipe),
        "schema": to_plain(data.schema),
        "rows": [len(data.train), len(data.validation)],
        "labels": [_digest(data.train), _digest(data.validation)],
        "seed": context.seed,
    }


def _digest(data: EncodedDataset) -> int:
    """Return a number that other rows will hardly share; labels are quickly read however wide the rows are."""
    digest = 0
    for label in data.labels.values():
        digest = zlib.crc32(np.ascontiguousarray(label).data, digest)
    return digest

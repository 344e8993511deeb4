"""What a training will take, measured on a copy that is thrown away: memory by counting, time by a few steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from crosslens import EncodedSchema, FitContext, TrainingData, TrainingEstimate

from .devices import chosen_device, isolated
from .imbalance import Imbalance
from .network import Network
from .optimisers import optimisers, set_rate
from .probe import MemoryNeeded, Pace, check_memory, free_memory, memory_needed, pace
from .recipe import Recipe
from .step import Objective, Step

_TIMED = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training will take: memory beyond its rows, and time, measured on a copy."""

    memory: MemoryNeeded
    pace: Pace

    def told(self, recipe: Recipe) -> TrainingEstimate:
        """Return it in the app's words."""
        return TrainingEstimate(self.memory.total, self.pace.epoch_seconds, recipe.epochs)


def estimate_training(
    make: Callable[[EncodedSchema], Network],
    objective: Objective,
    recipe: Recipe,
    data: TrainingData,
    context: FitContext,
) -> Estimate:
    """Return what `train_network` would take, from three timed steps of a network that is thrown away.

    DataError when it would not fit into the free memory.
    """
    device = chosen_device(context.device)
    rows = Imbalance.of(data.train, recipe).rows_per_epoch
    free = free_memory(device)
    needed = memory_needed(make, objective, recipe, data.schema, rows, free=free)
    check_memory(needed, free, recipe, data.schema)
    with isolated(context, device):
        network = make(data.schema).to(device).train()
        step, adam = Step.of(network, objective, recipe, data.train, device), optimisers(network)
        set_rate(adam, recipe.learning_rate)
        batches = list(islice(step.batches(data.train), _TIMED + 1))
        batches = batches if len(batches) > 1 else batches * 2
        return Estimate(needed, pace(lambda batch: step.take(batch, adam, 1), batches, rows))

"""Training a network: Adam on a mean loss, early stopping on validation, the best epoch restored.

Validation decides by the metric called "loss". After `patience` epochs without a better one the learning rate falls
tenfold, once, and training goes on from the best epoch; after as many again it ends. On a CPU the same seed and threads
give the same numbers, and a training resumed from its checkpoint those of one never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from crosslens import (
    DataError,
    EncodedDataset,
    EncodedSchema,
    FitContext,
    FitProgress,
    Stopped,
    TrainingData,
    TrainingEstimate,
    parameters_to_plain,
)
from crosslens.data import Float64Array
from crosslens.plain import to_plain

from .batches import Batch, batch_count, training_batches
from .devices import Precision, chosen_device, isolated
from .imbalance import Float32Array, Imbalance
from .network import Network
from .optimisers import clip, optimisers, set_rate
from .pooling import group_leads
from .probe import MemoryNeeded, Pace, check_memory, free_memory, memory_needed, pace
from .recipe import Recipe
from .regularise import FieldDropout, Prior
from .scoring import predict_logits
from .training_state import Checkpoint, TrainingState, Weights, copied, latest_checkpoint, save_checkpoint

REPORT_SECONDS = 0.2
_TIMED = 3

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


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
        training = _Training.start(network, objective, recipe, data, context, device)
        training.run()
        return Trained(training.network, training.facts())


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


@dataclass(eq=False)
class _Training(Generic[AnyNetwork]):
    network: AnyNetwork
    objective: Objective
    recipe: Recipe
    data: TrainingData
    context: FitContext
    device: torch.device
    optimizers: list[torch.optim.Optimizer]
    identity: dict[str, Any]
    step: Step
    state: TrainingState = field(default_factory=TrainingState)
    best: Weights = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        network: AnyNetwork,
        objective: Objective,
        recipe: Recipe,
        data: TrainingData,
        context: FitContext,
        device: torch.device,
    ) -> _Training[AnyNetwork]:
        """Prepare the first epoch, or go on from the last checkpoint."""
        training = cls(
            network=network,
            objective=objective,
            recipe=recipe,
            data=data,
            context=context,
            device=device,
            optimizers=optimisers(network),
            identity=_identity(recipe, data, context),
            step=Step.of(network, objective, recipe, data.train, device),
        )
        training.resume()
        return training

    def resume(self) -> None:
        """Take over the last checkpoint of this training, if there is one."""
        checkpoint = latest_checkpoint(self.context, self.identity, len(self.optimizers))
        if checkpoint is None:
            return
        self.state, self.best = checkpoint.state, checkpoint.best
        self.network.load_state_dict(checkpoint.weights)
        for optimizer, moments in zip(self.optimizers, checkpoint.optimizers, strict=True):
            optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        torch.set_rng_state(checkpoint.random)
        self.context.log.info("Training goes on after epoch %d.", self.state.epoch)

    def run(self) -> None:
        """Train the epochs that are left and put the best one back."""
        while not self.state.ended:
            epoch = _Epoch(self)
            whole = epoch.run()
            if not whole and (self.best or not epoch.steps_done):
                break
            self._close_epoch(epoch, keep=whole)
            if not whole:
                break
        if not self.best:
            raise Stopped
        self.network.load_state_dict(self.best)
        self.network.zero_grad(set_to_none=True)
        self.network.cpu().eval().requires_grad_(False)

    def facts(self) -> dict[str, Any]:
        """Return what the model remembers of its training."""
        return {
            "epochs": self.state.epoch,
            "best_epoch": self.state.best_epoch,
            "validation_loss": self.state.best_loss,
            "rows": len(self.data.train),
            "seed": self.context.seed,
            "device": str(self.device),
            "ended": self.state.ended or "Stopped.",
        }

    def _close_epoch(self, epoch: _Epoch, *, keep: bool) -> None:
        validation = self.data.validation
        logits = predict_logits(self.network, validation, len(self.objective.outputs))
        metrics = self.objective.metrics(logits, validation)
        if not (epoch.is_finite and math.isfinite(metrics["loss"])):
            self._diverged()
        else:
            self._judge(metrics["loss"])
            if keep:
                self._checkpoint()
        epoch.report(metrics=metrics, message=self.state.ended)

    def _judge(self, loss: float) -> None:
        before = self.state
        self.state = before.after(loss, patience=self.recipe.patience, epochs=self.recipe.epochs)
        if self.state.best_epoch == self.state.epoch:
            self.best = copied(self.network.state_dict())
        elif self.state.decays > before.decays:
            self.network.load_state_dict(self.best)

    def _diverged(self) -> None:
        if not self.best:
            raise DataError(
                "Training lost its way in the first epoch: the loss is not a number.",
                why="The steps were too large, or a field holds extreme values.",
                do="Lower the learning rate.",
                learning_rate=self.recipe.learning_rate,
            )
        ended = f"The loss is not a number after epoch {self.state.epoch}; the best epoch before it was kept."
        self.context.log.warning(ended)
        self.state = replace(self.state, epoch=self.state.epoch + 1, ended=ended)

    def _checkpoint(self) -> None:
        moments = tuple(optimizer.state_dict()["state"] for optimizer in self.optimizers)
        checkpoint = Checkpoint(self.state, self.network.state_dict(), self.best, moments, torch.get_rng_state())
        save_checkpoint(self.context, checkpoint, self.identity)


class _Epoch:
    """One pass over the training rows, watched."""

    def __init__(self, training: _Training[Any]) -> None:
        self.training = training
        self.number = training.state.epoch + 1
        self.steps = batch_count(training.step.imbalance.rows_per_epoch, training.recipe.batch_size)
        self.steps_done = 0
        self.rows_done = 0
        self.is_finite = True
        self.started = self.reported = time.monotonic()
        self._ended = 0.0  # validation does not count as training time
        self._loss = torch.zeros((), device=training.device)
        self._losses = 0
        self._last_loss: float | None = None

    def run(self) -> bool:
        """Return whether the epoch went through; it ends early on Stop and when the loss is no number."""
        training = self.training
        training.network.train()
        set_rate(training.optimizers, training.state.rate(training.recipe.learning_rate))
        for batch in training.step.batches(training.data.train):
            if training.context.should_stop():
                return False
            self._take(batch)
            if time.monotonic() - self.reported >= REPORT_SECONDS:
                self.report()
            if not self.is_finite:
                break
        self._measure()
        self._ended = time.monotonic()
        return True

    def report(self, metrics: dict[str, float] | None = None, message: str = "") -> None:
        """Tell the context where training stands."""
        self._measure()
        training, self.reported = self.training, time.monotonic()
        training.context.progress(
            FitProgress(
                epoch=self.number,
                epochs=training.recipe.epochs,
                step=self.steps_done,
                steps=self.steps,
                rows_per_second=self.rows_done / max((self._ended or self.reported) - self.started, 1e-9),
                loss=self._last_loss,
                metrics=metrics or {},
                best_epoch=training.state.best_epoch or None,
                message=message,
            )
        )

    def _take(self, batch: Batch) -> None:
        training = self.training
        training.state = replace(training.state, step=training.state.step + 1)
        self._loss += training.step.take(batch, training.optimizers, training.state.step)
        self._losses += 1
        self.steps_done += 1
        self.rows_done += len(batch)

    def _measure(self) -> None:
        """Read the mean loss since the last look; the only place where training waits for a number."""
        if not self._losses:
            return
        self._last_loss = float(self._loss) / self._losses
        self.is_finite = self.is_finite and math.isfinite(self._last_loss)
        self._loss.zero_()
        self._losses = 0


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


def _identity(recipe: Recipe, data: TrainingData, context: FitContext) -> dict[str, Any]:
    return {
        "model": type(recipe).__name__,
        "parameters": parameters_to_plain(recipe),
        "schema": to_plain(data.schema),
        "rows": [len(data.train), len(data.validation)],
        "seed": context.seed,
    }

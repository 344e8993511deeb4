"""The loop by which every network is trained: epochs until validation stops improving, the best of them kept.

After `patience` epochs without a better one the learning rate falls tenfold, once, and training goes on from the best
epoch; after as many again it ends. A training that is resumed goes on after its last whole epoch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from crosslens import DataError, FitContext, Stopped

from .checkpoint import Checkpoint, Weights, copied, latest_checkpoint, save_checkpoint
from .epoch import EpochMeter
from .optimisers import set_rate
from .training_state import TrainingState


@dataclass(frozen=True, slots=True)
class Validated:
    """What validation says of an epoch: the `loss` that decides, NaN if training lost its way, and what is shown."""

    loss: float
    metrics: Mapping[str, float]


class Learner(Protocol):
    """What the loop trains."""

    @property
    def steps(self) -> int:
        """Return how many steps an epoch has."""

    def weights(self) -> Weights:
        """Return all that is learned, as it stands; the tensors are the learner's own."""

    def load_weights(self, weights: Weights) -> None:
        """Take over what `weights` returned."""

    def learn(self, meter: EpochMeter) -> bool:
        """Make one pass over the training rows, watched by `meter`; return whether it went through."""

    def validate(self, epoch: int) -> Validated:
        """Judge what was learned in the epochs up to `epoch` (from 1)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long a training goes on and how large its steps are."""

    epochs: int
    patience: int
    learning_rate: float


@dataclass(eq=False)
class Loop:
    """One training. `identity` says which, to know its checkpoint by; `why_lost` why its loss may be no number."""

    learner: Learner
    schedule: Schedule
    optimizers: list[torch.optim.Optimizer]
    context: FitContext
    device: torch.device
    identity: dict[str, Any]
    why_lost: str = "The steps were too large."
    scaler: torch.amp.GradScaler | None = None
    state: TrainingState = field(default_factory=TrainingState)
    best: Weights = field(default_factory=dict)

    def run(self) -> None:
        """Train the epochs that are left and give the learner the weights of the best.

        Stop leaves the best epoch so far, or the state of the first one when some steps were made. DataError when the
        loss is lost in the first epoch, Stopped before the first step.
        """
        self._resume()
        while not self.state.ended:
            meter = self._meter()
            set_rate(self.optimizers, self.state.rate(self.schedule.learning_rate))
            whole = self.learner.learn(meter)
            self.state = replace(self.state, step=self.state.step + meter.steps_done)
            if not whole and (self.best or not meter.steps_done):
                break
            self._close(meter, keep=whole)
            if not whole:
                break
        if not self.best:
            raise Stopped
        self.learner.load_weights(self.best)

    def facts(self) -> dict[str, Any]:
        """Return what every model remembers of its training."""
        return {
            "epochs": self.state.epoch,
            "best_epoch": self.state.best_epoch,
            "seed": self.context.seed,
            "device": str(self.device),
            "ended": self.state.ended or "Stopped.",
        }

    def _meter(self) -> EpochMeter:
        return EpochMeter(
            self.context,
            self.device,
            epoch=self.state.epoch + 1,
            epochs=self.schedule.epochs,
            steps=self.learner.steps,
            best_epoch=self.state.best_epoch,
            steps_before=self.state.step,
        )

    def _close(self, meter: EpochMeter, *, keep: bool) -> None:
        validated = self.learner.validate(meter.epoch)
        if meter.is_finite and math.isfinite(validated.loss):
            self._judge(validated.loss)
            if keep:
                self._save()
        else:
            self._end_lost()
        meter.best_epoch = self.state.best_epoch
        meter.report(metrics=validated.metrics, message=self.state.ended)

    def _judge(self, loss: float) -> None:
        before = self.state
        self.state = before.after(loss, patience=self.schedule.patience, epochs=self.schedule.epochs)
        if self.state.best_epoch == self.state.epoch:
            self.best = copied(self.learner.weights())
        elif self.state.decays > before.decays:
            self.learner.load_weights(self.best)

    def _end_lost(self) -> None:
        if not self.best:
            raise DataError(
                "Training lost its way in the first epoch: the loss is not a number.",
                why=self.why_lost,
                do="Lower the learning rate.",
                learning_rate=self.schedule.learning_rate,
            )
        self.state = self.state.lost()
        self.context.log.warning(self.state.ended)

    def _resume(self) -> None:
        """Take over the last checkpoint of this training, if there is one."""
        found = latest_checkpoint(self.context, self.identity, self.learner.weights(), len(self.optimizers))
        if found is None:
            return
        self.state, self.best = found.state, found.best
        self.learner.load_weights(found.weights)
        found.restore(self.optimizers, self.device, self.scaler)
        self.context.log.info("Training goes on after epoch %d.", self.state.epoch)

    def _save(self) -> None:
        checkpoint = Checkpoint.of(
            self.state, self.learner.weights(), self.best, self.optimizers, self.device, self.scaler
        )
        save_checkpoint(self.context, checkpoint, self.identity)

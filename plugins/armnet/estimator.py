"""Training ARM-Net: Adam on the mean log loss, early stopping on validation log loss, best epoch restored."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crosslens import DataError, FitContext, FitProgress, Stopped, TrainingData, parameters_to_plain
from crosslens.plain import to_plain

from ..labels import check_labels
from . import ArmNetParameters
from .batches import Batch, FieldDropout, Prior, batch_count, training_batches
from .fitted import ArmNetModel, predict_logits
from .module import ArmNet
from .scoring import validation_metrics
from .training_state import (
    Checkpoint,
    TrainingState,
    Weights,
    copied,
    latest_checkpoint,
    save_checkpoint,
)

REPORT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ArmNetEstimator:
    """ARM-Net before training.

    Validation log loss chooses the epoch: it is defined for any labels, has less noise than AUC on few positives, and
    rewards calibration; AUC is reported beside it. After `patience` epochs without a better one the learning rate falls
    tenfold, once, and training goes on from the best epoch; after as many again it ends. On a CPU the same seed and
    threads give the same numbers, and a training resumed from its checkpoint those of one never interrupted.
    """

    parameters: ArmNetParameters

    def fit(self, data: TrainingData, context: FitContext) -> ArmNetModel:
        """Train until validation log loss stops falling and keep the best epoch.

        Stop returns the best epoch so far, or the state of the first one when some steps were made. DataError for a
        single class, no rows or no fields, and when the loss is lost in the first epoch; Stopped before the first step.
        """
        check_labels(data)
        if not data.schema.fields:
            raise DataError("There is no field to learn from.", do="Give at least one column the role of a feature.")
        if data.train.weights is not None and not data.train.weights.sum() > 0:
            raise DataError("No training row has a weight above 0.", do="Check the weight column.")
        with _isolated(context):
            return _Training.start(self.parameters, data, context).run()


@contextmanager
def _isolated(context: FitContext) -> Iterator[None]:
    """Lend this training its own random numbers and threads, and give back what was there."""
    device = torch.device(context.device)
    cards = [device] if device.type == "cuda" else []
    threads = torch.get_num_threads()
    torch.set_num_threads(context.threads)
    try:
        with torch.random.fork_rng(cards):
            torch.manual_seed(context.seed)
            yield
    finally:
        torch.set_num_threads(threads)


@dataclass(eq=False)
class _Training:
    parameters: ArmNetParameters
    data: TrainingData
    context: FitContext
    module: ArmNet
    optimizers: list[torch.optim.Optimizer]
    identity: dict[str, Any]
    dropout: FieldDropout
    prior: Prior
    state: TrainingState = field(default_factory=TrainingState)
    best: Weights = field(default_factory=dict)

    @classmethod
    def start(cls, parameters: ArmNetParameters, data: TrainingData, context: FitContext) -> _Training:
        """Make the untrained module and its optimisers, or go on from the last checkpoint."""
        device = torch.device(context.device)
        module = ArmNet(data.schema, parameters, rate=_rate(data)).to(device)
        training = cls(
            parameters=parameters,
            data=data,
            context=context,
            module=module,
            optimizers=_optimizers(module),
            identity=_identity(parameters, data, context),
            dropout=FieldDropout(data.schema.offsets, parameters.field_dropout, device),
            prior=Prior(data.train, parameters.l2, parameters.field_dropout, device),
        )
        training.resume()
        return training

    def resume(self) -> None:
        """Take over the last checkpoint of this training, if there is one."""
        checkpoint = latest_checkpoint(self.context, self.identity, len(self.optimizers))
        if checkpoint is None:
            return
        self.state, self.best = checkpoint.state, checkpoint.best
        self.module.load_state_dict(checkpoint.weights)
        for optimizer, moments in zip(self.optimizers, checkpoint.optimizers, strict=True):
            optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        torch.set_rng_state(checkpoint.random)
        self.context.log.info("Training goes on after epoch %d.", self.state.epoch)

    def run(self) -> ArmNetModel:
        """Train the epochs that are left and return the best one."""
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
        self.module.load_state_dict(self.best)
        return ArmNetModel.from_training(self.module, self.parameters, self.data.train, self.facts())

    def facts(self) -> dict[str, Any]:
        """Return what the model remembers of its training."""
        return {
            "epochs": self.state.epoch,
            "best_epoch": self.state.best_epoch,
            "validation_loss": self.state.best_loss,
            "rows": len(self.data.train),
            "seed": self.context.seed,
            "ended": self.state.ended or "Stopped.",
        }

    def _close_epoch(self, epoch: _Epoch, *, keep: bool) -> None:
        validation = self.data.validation
        logits = predict_logits(self.module, validation)
        metrics = validation_metrics(validation.target, logits, validation.weights)
        if not (epoch.is_finite and math.isfinite(metrics["loss"])):
            self._diverged()
        else:
            self._judge(metrics["loss"])
            if keep:
                self._checkpoint()
        epoch.report(metrics=metrics, message=self.state.ended)

    def _judge(self, loss: float) -> None:
        before = self.state
        self.state = before.after(loss, patience=self.parameters.patience, epochs=self.parameters.epochs)
        if self.state.best_epoch == self.state.epoch:
            self.best = copied(self.module.state_dict())
        elif self.state.decays > before.decays:
            self.module.load_state_dict(self.best)

    def _diverged(self) -> None:
        if not self.best:
            raise DataError(
                "Training lost its way in the first epoch: the loss is not a number.",
                why="The steps were too large, or a field holds extreme values.",
                do="Lower the learning rate.",
                learning_rate=self.parameters.learning_rate,
            )
        ended = f"The loss is not a number after epoch {self.state.epoch}; the best epoch before it was kept."
        self.context.log.warning(ended)
        self.state = replace(self.state, epoch=self.state.epoch + 1, ended=ended)

    def _checkpoint(self) -> None:
        optimizers = tuple(optimizer.state_dict()["state"] for optimizer in self.optimizers)
        checkpoint = Checkpoint(self.state, self.module.state_dict(), self.best, optimizers, torch.get_rng_state())
        save_checkpoint(self.context, checkpoint, self.identity)


class _Epoch:
    """One pass over the training rows, watched."""

    def __init__(self, training: _Training) -> None:
        self.training = training
        self.number = training.state.epoch + 1
        self.steps = batch_count(len(training.data.train), training.parameters.batch_size)
        self.steps_done = 0
        self.rows_done = 0
        self.is_finite = True
        self.started = self.reported = time.monotonic()
        self._ended = 0.0  # validation does not count as training time
        self._loss = torch.zeros((), device=training.context.device)
        self._losses = 0
        self._last_loss: float | None = None

    def run(self) -> bool:
        """Return whether the epoch went through; it ends early on Stop and when the loss is no number."""
        training = self.training
        training.module.train()
        _set_rate(training.optimizers, training.state.rate(training.parameters.learning_rate))
        device = torch.device(training.context.device)
        for batch in training_batches(training.data.train, training.parameters.batch_size, device):
            if training.context.should_stop():
                return False
            self._step(batch)
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
                epochs=training.parameters.epochs,
                step=self.steps_done,
                steps=self.steps,
                rows_per_second=self.rows_done / max((self._ended or self.reported) - self.started, 1e-9),
                loss=self._last_loss,
                metrics=metrics or {},
                best_epoch=training.state.best_epoch or None,
                message=message,
            )
        )

    def _step(self, batch: Batch) -> None:
        training = self.training
        training.state = replace(training.state, step=training.state.step + 1)
        training.module.average_statistics(training.state.step)
        loss, penalty = training_loss(training.module, batch, training.dropout, training.prior)
        for optimizer in training.optimizers:
            optimizer.zero_grad()
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        for optimizer in training.optimizers:
            optimizer.step()
        self._loss += loss.detach()
        self._losses += 1
        self.steps_done += 1
        self.rows_done += len(batch.target)

    def _measure(self) -> None:
        """Read the mean loss since the last look; the only place where training waits for a number."""
        if not self._losses:
            return
        self._last_loss = float(self._loss) / self._losses
        self.is_finite = self.is_finite and math.isfinite(self._last_loss)
        self._loss.zero_()
        self._losses = 0


def training_loss(module: ArmNet, batch: Batch, dropout: FieldDropout, prior: Prior) -> tuple[Tensor, Tensor]:
    """Return the mean log loss of a batch in nats, and the penalty of the embeddings it looked up."""
    ids, values = dropout(batch.ids, batch.values)
    embeddings = module.embeddings(ids, values)
    loss = functional.binary_cross_entropy_with_logits(module.logits(*embeddings), batch.target, weight=batch.weights)
    if not prior.l2:
        return loss, torch.zeros_like(loss)
    penalties = [prior.penalty(ids, embedded) for embedded in embeddings if embedded is not None]
    return loss, torch.stack(penalties).sum()


def _optimizers(module: ArmNet) -> list[torch.optim.Optimizer]:
    tables = [module.embedding] + ([module.deep.embedding] if module.deep is not None else [])
    sparse = [table.table for table in tables if table.sparse]
    apart = {id(parameter) for parameter in sparse}
    dense = [parameter for parameter in module.parameters() if id(parameter) not in apart]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(dense, fused=True)]
    return [*optimizers, torch.optim.SparseAdam(sparse)] if sparse else optimizers


def _set_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def _rate(data: TrainingData) -> float:
    return float(np.average(data.train.target, weights=data.train.weights))


def _identity(parameters: ArmNetParameters, data: TrainingData, context: FitContext) -> dict[str, Any]:
    return {
        "model": type(parameters).__name__,
        "parameters": parameters_to_plain(parameters),
        "schema": to_plain(data.schema),
        "rows": [len(data.train), len(data.validation)],
        "seed": context.seed,
    }

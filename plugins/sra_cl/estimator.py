"""Training SASRec and SRA-CL: Adam, early stopping on validation NDCG@10 by full ranking, best epoch restored."""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crosslens import (
    RESERVED_IDS,
    Catalogue,
    DataError,
    FitContext,
    FitProgress,
    SequenceDataset,
    SequenceTrainingData,
    Stopped,
    parameters_to_plain,
)

from ..neural.devices import chosen_device, isolated
from ..neural.training_state import Checkpoint, TrainingState, Weights, copied, latest_checkpoint, save_checkpoint
from ..next_item.histories import check_training, item_counts, known_events, log_popularity
from ..next_item.ranking import Validation
from . import SasRecParameters, SraClParameters
from .contrast import Contrast
from .fitted import SasRecModel, score
from .memory import check_memory
from .module import SasRec
from .semantics import look_up
from .softmax import sampled_softmax_loss, softmax_loss
from .windows import Batch, Windows

REPORT_SECONDS = 0.2
METRIC = "ndcg@10"


@dataclass(frozen=True, slots=True)
class SasRecEstimator:
    """SASRec before training; with `SraClParameters`, SRA-CL.

    Validation NDCG@10 over all items chooses the epoch. After `patience` epochs without a better one the learning rate
    falls tenfold, once, and training goes on from the best epoch; after as many again it ends. Without validation users
    all epochs are trained and the last one is kept. On a CPU the same seed and threads give the same numbers, and a
    training resumed from its checkpoint those of one never interrupted.
    """

    parameters: SasRecParameters

    def fit(self, data: SequenceTrainingData, context: FitContext) -> SasRecModel:
        """Train until validation NDCG stops rising and keep the best epoch.

        Stop returns the best epoch so far, or the state of the first one when some steps were made. DataError when no
        user has two events, when the text encoder fails, and when the loss is lost in the first epoch; Stopped before
        the first step.
        """
        check_training(data)
        train = known_events(data.train)
        windows = Windows.cut(train, self.parameters.length)
        if not len(windows):
            raise DataError(
                "Nobody's history has two items, so there is no next item to learn from.",
                why="Every training history holds a single event.",
                do="Choose another user column, or take more rows.",
            )
        device = chosen_device(context.device)
        check_memory(train, self.parameters, device)
        context = replace(context, device=str(device))
        with isolated(context, device):
            return _Training.start(self.parameters, data, train, windows, context).run()


@dataclass(eq=False)
class _Training:
    parameters: SasRecParameters
    train: SequenceDataset
    windows: Windows
    validation: Validation
    context: FitContext
    network: SasRec
    contrast: Contrast | None
    prior: Tensor
    optimizers: list[torch.optim.Optimizer]
    identity: dict[str, Any]
    notes: tuple[str, ...]
    state: TrainingState = field(default_factory=TrainingState)
    best: Weights = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        parameters: SasRecParameters,
        data: SequenceTrainingData,
        train: SequenceDataset,
        windows: Windows,
        context: FitContext,
    ) -> _Training:
        """Make the untrained network and its optimisers, or go on from the last checkpoint."""
        device = torch.device(context.device)
        items = train.catalogue.size - RESERVED_IDS
        network = SasRec(train.catalogue.size, parameters, sparse=items > parameters.sampled_above).to(device)
        contrast, notes = _contrast(parameters, train, context)
        counts = item_counts(train)
        training = cls(
            parameters=parameters,
            train=train,
            windows=windows,
            validation=Validation.sample(data.validation, most=parameters.validation_users, seed=context.seed),
            context=context,
            network=network,
            contrast=contrast,
            prior=torch.from_numpy(log_popularity(counts).astype(np.float32)),
            optimizers=_optimizers(network, contrast),
            identity=_identity(parameters, train, data, context),
            notes=notes,
        )
        training.resume()
        return training

    def resume(self) -> None:
        """Take over the last checkpoint of this training, if there is one."""
        checkpoint = latest_checkpoint(self.context, self.identity, len(self.optimizers))
        if checkpoint is None:
            return
        self.state, self.best = checkpoint.state, checkpoint.best
        self.load_weights(checkpoint.weights)
        for optimizer, moments in zip(self.optimizers, checkpoint.optimizers, strict=True):
            optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        torch.set_rng_state(checkpoint.random)
        self.context.log.info("Training goes on after epoch %d.", self.state.epoch)

    def weights(self) -> Weights:
        """Return all that is learned: the network's weights and the synthesizer's."""
        parts = {"network": self.network} | ({"synthesizer": self.contrast.synthesizer} if self.contrast else {})
        return {
            f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()
        }

    def load_weights(self, weights: Weights) -> None:
        """Take over what `weights` returned."""
        self.network.load_state_dict(_part("network.", weights))
        if self.contrast:
            self.contrast.synthesizer.load_state_dict(_part("synthesizer.", weights))

    def run(self) -> SasRecModel:
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
        self.network.load_state_dict(_part("network.", self.best))
        network = self.network.cpu().eval().requires_grad_(False)
        catalogue = Catalogue(self.train.catalogue.size, self.train.catalogue.titles, self.train.catalogue.texts)
        return SasRecModel(catalogue, self.parameters, network, self.prior, self.facts())

    def facts(self) -> dict[str, Any]:
        """Return what the model remembers of its training."""
        return {
            "epochs": self.state.epoch,
            "best_epoch": self.state.best_epoch,
            METRIC: 1.0 - self.state.best_loss if len(self.validation) else None,
            "validation_users": len(self.validation),
            "targets": self.windows.targets,
            "seed": self.context.seed,
            "device": self.context.device,
            "cold_start": "popularity",
            "notes": list(self.notes),
            "ended": self.state.ended or "Stopped.",
        }

    def _close_epoch(self, epoch: _Epoch, *, keep: bool) -> None:
        ndcg = self.validation.ndcg(lambda histories: score(self.network, self.prior, histories))
        if not (epoch.is_finite and self._is_finite()):
            self._diverged()
        else:
            self._judge(ndcg)
            if keep:
                self._checkpoint()
        epoch.report(metrics={METRIC: ndcg}, message=self.state.ended)

    def _judge(self, ndcg: float) -> None:
        before = self.state
        # The state keeps what falls; without anybody to validate on, every epoch counts as better than the last.
        loss = 1.0 - ndcg if len(self.validation) else -float(before.epoch)
        self.state = before.after(loss, patience=self.parameters.patience, epochs=self.parameters.epochs)
        if self.state.best_epoch == self.state.epoch:
            self.best = copied(self.weights())
        elif self.state.decays > before.decays:
            self.load_weights(self.best)

    def _is_finite(self) -> bool:
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.weights().values())

    def _diverged(self) -> None:
        if not self.best:
            raise DataError(
                "Training lost its way in the first epoch: the loss is not a number.",
                why="The steps were too large.",
                do="Lower the learning rate.",
                learning_rate=self.parameters.learning_rate,
            )
        ended = f"The loss is not a number after epoch {self.state.epoch}; the best epoch before it was kept."
        self.context.log.warning(ended)
        self.state = replace(self.state, epoch=self.state.epoch + 1, ended=ended)

    def _checkpoint(self) -> None:
        optimizers = tuple(optimizer.state_dict()["state"] for optimizer in self.optimizers)
        checkpoint = Checkpoint(self.state, self.weights(), self.best, optimizers, torch.get_rng_state())
        save_checkpoint(self.context, checkpoint, self.identity)


class _Epoch:
    """One pass over the training windows, watched."""

    def __init__(self, training: _Training) -> None:
        self.training = training
        self.number = training.state.epoch + 1
        self.steps = training.windows.batch_count(training.parameters.batch_size)
        self.steps_done = 0
        self.targets_done = 0
        self.is_finite = True
        self.started = self.reported = time.monotonic()
        self._ended = 0.0  # validation does not count as training time
        self._loss = torch.zeros((), device=training.context.device)
        self._losses = 0
        self._last_loss: float | None = None

    def run(self) -> bool:
        """Return whether the epoch went through; it ends early on Stop and when the loss is no number."""
        training = self.training
        _set_rate(training.optimizers, training.state.rate(training.parameters.learning_rate))
        if training.contrast and not training.context.should_stop():
            training.contrast.begin_epoch(training.network)
        training.network.train()
        device = torch.device(training.context.device)
        whole = True
        for batch in training.windows.batches(training.parameters.batch_size):
            if training.context.should_stop():
                whole = False
                break
            self._step(batch.to(device))
            if time.monotonic() - self.reported >= REPORT_SECONDS:
                self._measure()
                self.report()
                if not self.is_finite:
                    break
        self._measure()
        self._ended = time.monotonic()
        return whole

    def report(self, metrics: dict[str, float] | None = None, message: str = "") -> None:
        """Tell the app where training is."""
        training = self.training
        self.reported = time.monotonic()
        training.context.progress(
            FitProgress(
                epoch=self.number,
                epochs=training.parameters.epochs,
                step=self.steps_done,
                steps=self.steps,
                rows_per_second=self.targets_done / max((self._ended or self.reported) - self.started, 1e-9),
                loss=self._last_loss,
                metrics=metrics or {},
                best_epoch=training.state.best_epoch or None,
                message=message,
            )
        )

    def _step(self, batch: Batch) -> None:
        training = self.training
        training.state = replace(training.state, step=training.state.step + 1)
        loss, extra = training_loss(training.network, training.contrast, batch, training.parameters)
        for optimizer in training.optimizers:
            optimizer.zero_grad()
        (loss + extra).backward()  # type: ignore[no-untyped-call]
        for optimizer in training.optimizers:
            optimizer.step()
        self._loss += (loss + extra).detach()
        self._losses += 1
        self.steps_done += 1
        self.targets_done += len(batch.targets)

    def _measure(self) -> None:
        """Read the mean loss since the last look; the only place where training waits for a number."""
        if not self._losses:
            return
        self._last_loss = float(self._loss) / self._losses
        self.is_finite = self.is_finite and math.isfinite(self._last_loss)
        self._loss.zero_()
        self._losses = 0


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


def _contrast(
    parameters: SasRecParameters, train: SequenceDataset, context: FitContext
) -> tuple[Contrast | None, tuple[str, ...]]:
    if not isinstance(parameters, SraClParameters) or not (parameters.alpha or parameters.beta):
        return None, ()
    semantics = look_up(parameters, train, context)
    return Contrast.prepare(parameters, train, semantics, torch.device(context.device)), semantics.notes


def _optimizers(network: SasRec, contrast: Contrast | None) -> list[torch.optim.Optimizer]:
    dense = [parameter for name, parameter in network.named_parameters() if name != "items.weight"]
    if contrast:
        dense += list(contrast.synthesizer.parameters())
    if not network.items.sparse:
        return [torch.optim.Adam([network.items.weight, *dense], fused=True)]
    return [torch.optim.Adam(dense, fused=True), torch.optim.SparseAdam([network.items.weight])]


def _set_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def _part(prefix: str, weights: Weights) -> Weights:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _identity(
    parameters: SasRecParameters, train: SequenceDataset, data: SequenceTrainingData, context: FitContext
) -> dict[str, Any]:
    digest = zlib.crc32(np.ascontiguousarray(train.items).data, zlib.crc32(np.ascontiguousarray(train.offsets).data))
    return {
        "model": type(parameters).__name__,
        "parameters": parameters_to_plain(parameters),
        "items": train.catalogue.size,
        "events": [len(train.items), digest],
        "validation": len(data.validation.histories),
        "seed": context.seed,
    }

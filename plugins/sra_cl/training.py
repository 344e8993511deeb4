"""Training SASRec and SRA-CL: Adam, early stopping on validation NDCG@10 by full ranking, best epoch restored."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crosslens import (
    RESERVED_IDS,
    Catalogue,
    FitContext,
    SequenceDataset,
    SequenceTrainingData,
    parameters_to_plain,
)

from ..neural.checkpoint import Weights
from ..neural.epoch import EpochMeter
from ..neural.loop import Loop, Schedule, Validated
from ..next_item.histories import item_counts, log_popularity
from ..next_item.ranking import Validation
from . import SasRecParameters, SraClParameters
from .contrast import Contrast
from .fitted import SasRecModel, score
from .losses import training_loss
from .module import SasRec
from .semantics import look_up
from .windows import Batch, Windows

METRIC = "ndcg@10"


def train_sequences(
    parameters: SasRecParameters,
    data: SequenceTrainingData,
    train: SequenceDataset,
    windows: Windows,
    context: FitContext,
) -> SasRecModel:
    """Train on `windows` of `train`, the known events of `data.train`, and return the best epoch; see `Loop.run`."""
    device = torch.device(context.device)
    items = train.catalogue.size - RESERVED_IDS
    network = SasRec(train.catalogue.size, parameters, sparse=items > parameters.sampled_above).to(device)
    contrast, notes = _contrast(parameters, train, context)
    prior = torch.from_numpy(log_popularity(item_counts(train)).astype(np.float32))
    validation = Validation.sample(data.validation, most=parameters.validation_users, seed=context.seed)
    learner = _SequenceLearner(
        parameters, windows, validation, network, contrast, prior, _optimizers(network, contrast), context
    )
    loop = Loop(
        learner=learner,
        schedule=Schedule(parameters.epochs, parameters.patience, parameters.learning_rate),
        optimizers=learner.optimizers,
        context=context,
        device=device,
        identity=_identity(parameters, train, data, context),
    )
    loop.run()
    facts = loop.facts() | {
        METRIC: 1.0 - loop.state.best_loss if len(validation) else None,
        "validation_users": len(validation),
        "targets": windows.targets,
        "cold_start": "popularity",
        "notes": list(notes),
    }
    catalogue = Catalogue(train.catalogue.size, train.catalogue.titles, train.catalogue.texts)
    return SasRecModel(catalogue, parameters, network.cpu().eval().requires_grad_(False), prior, facts)


@dataclass(frozen=True, slots=True, eq=False)
class _SequenceLearner:
    """An encoder, the synthesizer of SRA-CL, and the windows they learn from, see `loop.Learner`."""

    parameters: SasRecParameters
    windows: Windows
    validation: Validation
    network: SasRec
    contrast: Contrast | None
    prior: Tensor
    optimizers: list[torch.optim.Optimizer]
    context: FitContext

    @property
    def steps(self) -> int:
        return self.windows.batch_count(self.parameters.batch_size)

    def weights(self) -> Weights:
        parts = {"network": self.network} | ({"synthesizer": self.contrast.synthesizer} if self.contrast else {})
        return {
            f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()
        }

    def load_weights(self, weights: Weights) -> None:
        self.network.load_state_dict(_part("network.", weights))
        if self.contrast:
            self.contrast.synthesizer.load_state_dict(_part("synthesizer.", weights))

    def learn(self, meter: EpochMeter) -> bool:
        if self.contrast and not self.context.should_stop():
            self.contrast.begin_epoch(self.network)
        self.network.train()
        return meter.watch(self.windows.batches(self.parameters.batch_size), self._take)

    def validate(self, epoch: int) -> Validated:
        ndcg = self.validation.ndcg(lambda histories: score(self.network, self.prior, histories))
        metrics = {METRIC: ndcg}
        if not all(bool(torch.isfinite(tensor).all()) for tensor in self.weights().values()):
            return Validated(float("nan"), metrics)
        # The loop keeps what falls; without anybody to validate on, every epoch counts as better than the last.
        return Validated(1.0 - ndcg if len(self.validation) else 1.0 - epoch, metrics)

    def _take(self, batch: Batch) -> tuple[Tensor, int]:
        loss, extra = training_loss(
            self.network, self.contrast, batch.to(torch.device(self.context.device)), self.parameters
        )
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        (loss + extra).backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            optimizer.step()
        return (loss + extra).detach(), len(batch.targets)


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

"""Trains a DCN-V2 on the log loss with Adam, keeps the best epoch, and explains it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from crosslens import (
    Contributions,
    DataError,
    EncodedDataset,
    EncodedSchema,
    ExplainContext,
    Explanation,
    ExplanationKind,
    FitContext,
    FitProgress,
    PairInteractions,
    Predictions,
    Stopped,
    TrainingData,
)
from crosslens.plain import from_plain, to_plain

from . import DcnParameters
from .network import DcnNetwork

_BLOCK = 4096  # rows at a time when nothing is learned
_ORDERS = 4  # in which fields join when contributions are counted; the second half are the first half reversed
_WEIGHTS, _FACTS = "network.safetensors", "model.json"


@dataclass(frozen=True, slots=True)
class DcnEstimator:
    """DCN-V2 before training."""

    parameters: DcnParameters

    def fit(self, data: TrainingData, context: FitContext) -> DcnModel:
        """Return the best epoch by validation log loss. DataError for a single class; Stopped before an epoch."""
        _check(data)
        torch.set_num_threads(context.threads)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            model = DcnModel.new(data.schema, self.parameters)
        best = _trained(model, data, context)
        if best is None:
            raise Stopped
        model.network.load_state_dict(best)
        return model


def _trained(model: DcnModel, data: TrainingData, context: FitContext) -> dict[str, Tensor] | None:
    """Train until the validation log loss stops falling; return the best weights, None if stopped before any."""
    chosen = model.parameters
    optimizer = torch.optim.Adam(model.network.parameters(), lr=chosen.learning_rate, weight_decay=chosen.l2)
    random = np.random.default_rng(context.seed)
    best, best_loss, best_epoch = None, float("inf"), 0
    for epoch in range(1, chosen.epochs + 1):
        losses = []
        for rows in _batches(len(data.train), chosen.batch_size, random):
            if context.should_stop():
                return best
            losses.append(_step(model.network, optimizer, data.train.take(rows)))
        loss = _log_loss(model, data.validation)
        if best is None or loss < best_loss:
            best = {name: weights.detach().clone() for name, weights in model.network.state_dict().items()}
            best_loss, best_epoch = loss, epoch
        context.progress(
            FitProgress(
                epoch, chosen.epochs, epoch, chosen.epochs,
                loss=float(np.mean(losses)), metrics={"loss": loss}, best_epoch=best_epoch,
            )
        )  # fmt: skip
        if epoch - best_epoch >= chosen.patience:
            break
    return best


def _batches(rows: int, size: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = random.permutation(rows)
    for start in range(0, rows, size):
        yield np.sort(order[start : start + size])


def _step(network: DcnNetwork, optimizer: torch.optim.Optimizer, rows: EncodedDataset) -> float:
    """Move the weights once; return the mean loss of the batch."""
    weights = None if rows.weights is None else torch.from_numpy(rows.weights)
    logits = network.logits(network.embeddings(*_tensors(rows)))
    loss = binary_cross_entropy_with_logits(logits, torch.from_numpy(rows.target), weights)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _tensors(rows: EncodedDataset) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(rows.ids.astype(np.int64)), torch.from_numpy(np.array(rows.values, np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class DcnModel:
    """A trained DCN-V2."""

    schema: EncodedSchema
    parameters: DcnParameters
    network: DcnNetwork

    @classmethod
    def new(cls, schema: EncodedSchema, parameters: DcnParameters) -> DcnModel:
        """Return a model that knows nothing yet."""
        network = DcnNetwork(
            schema.table_size,
            len(schema.fields),
            len(schema.numerical),
            embedding=parameters.embedding,
            cross=parameters.cross_layers,
            deep=parameters.deep_layers,
        )
        return cls(schema, parameters, network)

    def predict(self, data: EncodedDataset) -> Predictions:
        """Return logits, a block of rows at a time."""
        with torch.inference_mode():
            parts = [self.network.logits(part).numpy() for part in self._embedded(data)]
        return Predictions({"click": np.concatenate([np.zeros(0), *parts]).astype(np.float64)})

    def explain(
        self, data: EncodedDataset, kinds: Collection[ExplanationKind], context: ExplainContext
    ) -> tuple[Explanation, ...]:
        """Return the asked explanations."""
        made: list[Explanation] = []
        with torch.inference_mode():
            for kind in kinds:
                if kind is ExplanationKind.CONTRIBUTIONS:
                    made.append(self._contributions(data, context))
                elif kind is ExplanationKind.PAIR_INTERACTIONS:
                    made.append(self._pairs(data))
        return tuple(made)

    def save(self, folder: Path) -> None:
        """Write the weights as safetensors and the rest as JSON."""
        save_file(self.network.state_dict(), folder / _WEIGHTS)
        facts = {"schema": to_plain(self.schema), "parameters": to_plain(self.parameters)}
        (folder / _FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> DcnModel:
        """Read what `save` wrote."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        model = cls.new(from_plain(EncodedSchema, facts["schema"]), from_plain(DcnParameters, facts["parameters"]))
        model.network.load_state_dict(load_file(folder / _WEIGHTS))
        return model

    def _embedded(self, data: EncodedDataset) -> Iterator[Tensor]:
        for start in range(0, len(data), _BLOCK):
            yield self.network.embeddings(*_tensors(data.take(slice(start, start + _BLOCK))))

    def _contributions(self, data: EncodedDataset, context: ExplainContext) -> Contributions:
        """Return sampled Shapley values (Castro et al., 2009) against a row whose embeddings are all 0.

        Fields join in some orders, each order there and back; what the logit moves is theirs, so that the shares are
        complete whatever the orders.
        """
        fields = len(self.schema.fields)
        random = np.random.default_rng(context.seed)
        orders = [random.permutation(fields) for _ in range(_ORDERS // 2)]
        orders += [order[::-1] for order in orders]
        parts = [self._shares(part, orders) for part in self._embedded(data)]
        nothing = float(self.network.logits(torch.zeros(1, fields, self.parameters.embedding))[0])
        return Contributions(
            fields=self.schema.names,
            values=np.concatenate([np.zeros((0, fields)), *parts]),
            baseline=np.full(len(data), nothing),
            logits=self.predict(data).logit(),
            method=f"sampled Shapley values, {_ORDERS} orders of the fields",
        )

    def _shares(self, embeddings: Tensor, orders: list[NDArray[np.int64]]) -> NDArray[np.float64]:
        shares = np.zeros(embeddings.shape[:2])
        for order in orders:
            joined = torch.zeros_like(embeddings)
            before = self.network.logits(joined).double()
            for field in order:
                joined[:, field] = embeddings[:, field]
                after = self.network.logits(joined).double()
                shares[:, field] += (after - before).numpy() / len(orders)
                before = after
        return shares

    def _pairs(self, data: EncodedDataset) -> PairInteractions:
        norms = self.network.block_norms(len(self.schema.fields)).double().numpy()
        strength = norms + norms.T
        np.fill_diagonal(strength, 0.0)
        return PairInteractions(
            fields=self.schema.names,
            values=strength,
            method="norms of the blocks of the first cross layer's matrix",
            meaning="How strongly the cross network multiplies the two fields with each other.",
            rows=len(data),
        )


def _log_loss(model: DcnModel, data: EncodedDataset) -> float:
    logits = model.predict(data).logit()
    return float(np.mean(np.logaddexp(0.0, np.where(data.target > 0.5, -logits, logits)))) if len(data) else 0.0


def _check(data: TrainingData) -> None:
    if not len(data.train) or np.all(data.train.target == data.train.target[0]):
        raise DataError("Every training row has the same label, or there is none.", do="Take more rows.")
    if not data.schema.fields:
        raise DataError("There is no field to learn from.", do="Give at least one column the role of a feature.")

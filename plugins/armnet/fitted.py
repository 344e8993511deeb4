"""A trained ARM-Net: predictions, explanations, and its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from crosslens import (
    CrosslensError,
    DataError,
    EncodedDataset,
    EncodedSchema,
    ExplainContext,
    Explanation,
    ExplanationKind,
    Predictions,
    StorageError,
    parameters_from_plain,
    parameters_to_plain,
)
from crosslens.data import Float64Array
from crosslens.plain import from_plain, to_plain

from . import ArmNetParameters, ArmNetPlusParameters
from .baseline import Baseline
from .batches import chunks
from .explain import contributions, field_importance, interaction_terms
from .module import ArmNet

_WEIGHTS = "weights.safetensors"
_FACTS = "model.json"
_FORMAT = 1
_CHUNK = 4096
_KINDS: dict[str, type[ArmNetParameters]] = {kind.__name__: kind for kind in (ArmNetParameters, ArmNetPlusParameters)}


@dataclass(frozen=True, slots=True, eq=False)
class ArmNetModel:
    """A trained ARM-Net or ARM-Net+. `facts` remember its training: epochs, rows, seed, validation loss."""

    schema: EncodedSchema
    parameters: ArmNetParameters
    module: ArmNet
    baseline: Baseline
    facts: dict[str, Any]

    @classmethod
    def from_training(
        cls, module: ArmNet, parameters: ArmNetParameters, train: EncodedDataset, facts: dict[str, Any]
    ) -> ArmNetModel:
        """Keep a trained module, and the mean of what it sees on the training rows as the origin of contributions."""
        module = module.cpu().eval().requires_grad_(False)
        return cls(train.schema, parameters, module, Baseline.measure(module, train, seed=facts["seed"]), facts)

    @classmethod
    def load(cls, folder: Path) -> ArmNetModel:
        """Read what `save` wrote; StorageError if it is not there or not readable."""
        try:
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            return cls._read(facts, load_file(folder / _WEIGHTS))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, CrosslensError) as error:
            raise StorageError(
                f"The folder {folder.name} does not hold a readable ARM-Net model.",
                why=str(error),
                do="Train the model again.",
                folder=str(folder),
            ) from error

    @classmethod
    def _read(cls, facts: dict[str, Any], tensors: dict[str, torch.Tensor]) -> ArmNetModel:
        if facts["format"] != _FORMAT:
            raise ValueError(f"its format is {facts['format']}, this Crosslens reads {_FORMAT}")
        schema = from_plain(EncodedSchema, facts["schema"])
        parameters = parameters_from_plain(_KINDS[facts["model"]], facts["parameters"])
        with torch.random.fork_rng([]):
            module = ArmNet(schema, parameters)
        baseline, weights = Baseline.split(tensors)
        module.load_state_dict(weights)
        return cls(schema, parameters, module.eval().requires_grad_(False), baseline, facts["training"])

    def save(self, folder: Path) -> None:
        """Write weights as safetensors and everything else as JSON."""
        facts = {
            "format": _FORMAT,
            "model": type(self.parameters).__name__,
            "parameters": parameters_to_plain(self.parameters),
            "schema": to_plain(self.schema),
            "training": self.facts,
        }
        (folder / _FACTS).write_text(json.dumps(facts, indent=2), encoding="utf-8")
        save_file(self.module.state_dict() | self.baseline.tensors(), folder / _WEIGHTS)

    def predict(self, data: EncodedDataset) -> Predictions:
        """Return logits for every row; DataError for rows of another schema."""
        self._check(data)
        return Predictions({"click": predict_logits(self.module, data)})

    def explain(
        self, data: EncodedDataset, kinds: Collection[ExplanationKind], context: ExplainContext
    ) -> tuple[Explanation, ...]:
        """Return the asked kinds that ARM-Net offers, each over all rows of `data`; Stopped if told to."""
        self._check(data)
        makers: dict[ExplanationKind, Callable[[], Explanation]] = {
            ExplanationKind.CONTRIBUTIONS: lambda: contributions(self.module, self.baseline, data, context),
            ExplanationKind.FIELD_IMPORTANCE: lambda: field_importance(self.module, data),
            ExplanationKind.INTERACTION_TERMS: lambda: interaction_terms(self.module, data, context),
        }
        threads = torch.get_num_threads()
        torch.set_num_threads(context.threads)
        try:
            return tuple(make() for kind, make in makers.items() if kind in kinds)
        finally:
            torch.set_num_threads(threads)

    def _check(self, data: EncodedDataset) -> None:
        if data.schema.fields != self.schema.fields:
            raise DataError(
                "These rows have other fields than the model was trained on.",
                why=f"The model knows {', '.join(self.schema.names)}.",
                do="Encode the rows with the encoders of the same run.",
            )


def predict_logits(module: ArmNet, data: EncodedDataset) -> Float64Array:
    """Return logits (N,) by the frozen statistics of the module, which is left in evaluation mode."""
    module.eval()
    logits = np.empty(len(data), np.float64)
    device = module.arm.query.device
    with torch.inference_mode():
        for rows, ids, values in chunks(data, _CHUNK, device):
            logits[rows] = module(ids, values).cpu().numpy()
    return logits

"""A trained network as the app uses it: predictions, explanations, files."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from crosslens import (
    Contributions,
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
from crosslens.plain import from_plain, to_plain

from .gradients import embedding_contributions, mean_embeddings
from .network import Network
from .scoring import predict_logits
from .training import Trained

_WEIGHTS = "weights.safetensors"
_FACTS = "model.json"
_FORMAT = 1
_ORIGIN = "baseline/"

Makers = list[tuple[ExplanationKind, Callable[[], Explanation]]]


@dataclass(frozen=True, slots=True, eq=False)
class FittedNetwork:
    """A trained network. Inherit, name the class variables, and build the network.

    origin   where contributions start, by name; by default the mean embeddings of training rows, "0", "1", ...
    facts    what is remembered of the training: epochs, rows, seed, validation loss
    title    the model's name in sentences; kinds: its parameter classes; outputs: the names of its logits
    """

    schema: EncodedSchema
    parameters: Any
    network: Any  # what `make` returns: subclasses know its type
    origin: dict[str, Tensor]
    facts: dict[str, Any]

    title: ClassVar[str]
    kinds: ClassVar[tuple[type[Any], ...]]
    outputs: ClassVar[tuple[str, ...]] = ("click",)

    @classmethod
    def make(cls, schema: EncodedSchema, parameters: Any, rate: float = 0.5) -> Network:
        """Return an untrained network; `rate` is the share of training rows with the label."""
        raise NotImplementedError

    @classmethod
    def measure_origin(cls, network: Any, train: EncodedDataset, *, seed: int) -> dict[str, Tensor]:
        """Return where contributions start, as tensors by name."""
        means = mean_embeddings(network, train, seed=seed)
        return {str(number): mean for number, mean in enumerate(means)}

    def explanations(self, data: EncodedDataset, context: ExplainContext) -> Makers:
        """Return what the model can explain, each as a function that does it when called."""
        return [
            (ExplanationKind.CONTRIBUTIONS, partial(self.contributions, data, context, name, column(number)))
            for number, name in enumerate(self.outputs)
        ]

    def contributions(
        self, data: EncodedDataset, context: ExplainContext, task: str, pick: Callable[[Tensor], Tensor]
    ) -> Contributions:
        """Return integrated gradients of the logit that `pick` (B, T) -> (B,) makes, from the mean training row."""
        origin = tuple(tensor for _, tensor in sorted(self.origin.items()))
        return embedding_contributions(self.network, origin, data, context, pick=pick, task=task)

    @classmethod
    def from_training(cls, trained: Trained[Any], parameters: Any, train: EncodedDataset) -> Self:
        """Keep a trained network, and where contributions start on its training rows."""
        origin = cls.measure_origin(trained.network, train, seed=trained.facts["seed"])
        return cls(train.schema, parameters, trained.network, origin, trained.facts)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; StorageError if it is not there or not readable."""
        try:
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            return cls._read(facts, load_file(folder / _WEIGHTS))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, CrosslensError) as error:
            raise StorageError(
                f"The folder {folder.name} does not hold a readable {cls.title} model.",
                why=str(error),
                do="Train the model again.",
                folder=str(folder),
            ) from error

    @classmethod
    def _read(cls, facts: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        if facts["format"] != _FORMAT:
            raise ValueError(f"its format is {facts['format']}, this Crosslens reads {_FORMAT}")
        schema = from_plain(EncodedSchema, facts["schema"])
        kinds = {kind.__name__: kind for kind in cls.kinds}
        parameters = parameters_from_plain(kinds[facts["model"]], facts["parameters"])
        with torch.random.fork_rng([]):
            network = cls.make(schema, parameters)
        origin = {name.removeprefix(_ORIGIN): tensors.pop(name) for name in sorted(tensors) if name.startswith(_ORIGIN)}
        network.load_state_dict(tensors)
        return cls(schema, parameters, network.eval().requires_grad_(False), origin, facts["training"])

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
        origin = {_ORIGIN + name: tensor for name, tensor in self.origin.items()}
        save_file(self.network.state_dict() | origin, folder / _WEIGHTS)

    def predict(self, data: EncodedDataset) -> Predictions:
        """Return the logits of every output for every row; DataError for rows of another schema."""
        self.check(data)
        logits = predict_logits(self.network, data, len(self.outputs))
        return Predictions({name: logits[:, column] for column, name in enumerate(self.outputs)})

    @classmethod
    def graph_outputs(cls, logits: Tensor) -> Sequence[Tensor]:
        """Return a logit (N,) for each of `outputs` from the network's logits (N, T), by plain tensor operations."""
        return logits.unbind(1)

    def export_onnx(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the network as ONNX; see `crosslens.models.OnnxExport`."""
        from .onnx import GraphForm, write_onnx  # its libraries are heavy, and optional

        write_onnx(GraphForm(self.network, self.graph_outputs), self.schema, self.outputs, path, metadata)

    def explain(
        self, data: EncodedDataset, kinds: Collection[ExplanationKind], context: ExplainContext
    ) -> tuple[Explanation, ...]:
        """Return the asked kinds that the model offers, each over all rows of `data`; Stopped if told to."""
        self.check(data)
        threads = torch.get_num_threads()
        torch.set_num_threads(context.threads)
        try:
            return tuple(make() for kind, make in self.explanations(data, context) if kind in kinds)
        finally:
            torch.set_num_threads(threads)

    def check(self, data: EncodedDataset) -> None:
        """Raise DataError for rows of another schema."""
        if data.schema.fields != self.schema.fields:
            raise DataError(
                "These rows have other fields than the model was trained on.",
                why=f"The model knows {', '.join(self.schema.names)}.",
                do="Encode the rows with the encoders of the same run.",
            )


def column(number: int) -> Callable[[Tensor], Tensor]:
    """Return the function that picks one logit (B,) of several (B, T)."""
    return lambda logits: logits[:, number]

"""A trained SASRec or SRA-CL: scores and files. Serving needs the encoder only; what SRA-CL looked up stays behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from crosslens import (
    RESERVED_IDS,
    Catalogue,
    CrosslensError,
    SequenceDataset,
    StorageError,
    parameters_from_plain,
    parameters_to_plain,
)
from crosslens.data import Float32Array
from crosslens.sequences import empty_scores

from ..next_item.histories import check_histories, known_events
from . import SasRecParameters, SraClParameters
from .module import SasRec
from .windows import latest

_WEIGHTS = "weights.safetensors"
_FACTS = "model.json"
_FORMAT = 1
_PRIOR = "log_popularity"
_BLOCK = 1024
_KINDS: dict[str, type[SasRecParameters]] = {kind.__name__: kind for kind in (SasRecParameters, SraClParameters)}


@dataclass(frozen=True, slots=True, eq=False)
class SasRecModel:
    """A trained encoder. `prior` (I,) scores users without a history; `facts` remember the training."""

    catalogue: Catalogue
    parameters: SasRecParameters
    network: SasRec
    prior: torch.Tensor
    facts: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> SasRecModel:
        """Read what `save` wrote; StorageError if it is not there or not readable."""
        try:
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            return cls._read(facts, load_file(folder / _WEIGHTS))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, CrosslensError) as error:
            raise StorageError(
                f"The folder {folder.name} does not hold a readable SASRec model.",
                why=str(error),
                do="Train the model again.",
                folder=str(folder),
            ) from error

    @classmethod
    def _read(cls, facts: dict[str, Any], tensors: dict[str, torch.Tensor]) -> SasRecModel:
        if facts["format"] != _FORMAT:
            raise ValueError(f"its format is {facts['format']}, this Crosslens reads {_FORMAT}")
        parameters = parameters_from_plain(_KINDS[facts["model"]], facts["parameters"])
        prior = tensors.pop(_PRIOR)
        if len(prior) != facts["size"]:
            raise ValueError(f"it has {len(prior)} popularities for {facts['size']} items")
        with torch.random.fork_rng([]):
            network = SasRec(facts["size"], parameters)
        network.load_state_dict(tensors)
        network.eval().requires_grad_(False)
        return cls(Catalogue(facts["size"]), parameters, network, prior, facts["training"])

    def save(self, folder: Path) -> None:
        """Write weights as safetensors and everything else as JSON."""
        facts = {
            "format": _FORMAT,
            "model": type(self.parameters).__name__,
            "parameters": parameters_to_plain(self.parameters),
            "size": self.catalogue.size,
            "training": self.facts,
        }
        (folder / _FACTS).write_text(json.dumps(facts, indent=2, ensure_ascii=False), encoding="utf-8")
        save_file(self.network.state_dict() | {_PRIOR: self.prior}, folder / _WEIGHTS)

    def score(self, histories: SequenceDataset) -> Float32Array:
        """Return scores float32 (U, I): h' e_i, or log popularity without a known item; DataError for other items."""
        check_histories(histories, self.catalogue)
        return score(self.network, self.prior, histories)


def score(network: SasRec, prior: torch.Tensor, histories: SequenceDataset) -> Float32Array:
    """Return scores float32 (U, I) of every item as the next one; the network is left in evaluation mode.

    prior (I,): scores where a history holds no known item. Padding and <unknown> get -inf.
    """
    network.eval()
    histories = known_events(histories)
    scores = empty_scores(len(histories), histories.catalogue.size)
    table = network.items.weight
    with torch.inference_mode():
        for start in range(0, len(histories), _BLOCK):
            users = np.arange(start, min(start + _BLOCK, len(histories)))
            warm = users[histories.lengths[users] > 0]
            scores[users] = prior.cpu().numpy()
            if len(warm):
                items, lengths = latest(histories, warm, network.length)
                states = network.final(items.to(table.device), lengths.to(table.device))
                scores[warm] = (states @ table.T).cpu().numpy()
    scores[:, :RESERVED_IDS] = -np.inf
    return scores

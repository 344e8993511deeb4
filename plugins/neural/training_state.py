"""Where training stands between two epochs, and its checkpoint on disk."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from crosslens import FitContext

_TENSORS = "training.safetensors"
_STATE = "training.json"
_RANDOM = "random"
_DECAYS = 1

Weights = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class TrainingState:
    """Epochs and steps done, the best epoch by validation log loss, and what the learning rate has come to.

    `stale` counts epochs since the best one or since the learning rate fell; `ended` says why training is over.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    stale: int = 0
    decays: int = 0
    ended: str = ""

    def after(self, loss: float, *, patience: int, epochs: int) -> TrainingState:
        """Return the state after one more epoch that ended with this validation log loss."""
        state = replace(self, epoch=self.epoch + 1)
        if loss < self.best_loss:
            state = replace(state, best_epoch=state.epoch, best_loss=loss, stale=0)
        else:
            state = replace(state, stale=state.stale + 1)
        if state.stale >= patience:
            state = replace(state, stale=0, decays=state.decays + 1)
        if state.decays > _DECAYS:
            return replace(state, ended="Validation stopped improving.")
        return replace(state, ended="The last epoch is done.") if state.epoch >= epochs else state

    def rate(self, start: float) -> float:
        """Return the learning rate: `start`, divided by ten at every plateau."""
        return start * 0.1**self.decays


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything training needs to go on as if nothing had happened; an optimiser is its state by parameter number.

    No two tensors share memory: safetensors would refuse them.
    """

    state: TrainingState
    weights: Weights
    best: Weights
    optimizers: tuple[dict[int, dict[str, Any]], ...]
    random: Tensor


def save_checkpoint(context: FitContext, checkpoint: Checkpoint, identity: dict[str, Any]) -> None:
    """Write tensors as safetensors and the rest as JSON. `identity` says which training they belong to."""
    tensors = _prefixed("weights", checkpoint.weights) | _prefixed("best", checkpoint.best)
    for number, optimizer in enumerate(checkpoint.optimizers):
        tensors |= _prefixed(f"optimizer{number}", _moments(optimizer))
    tensors[_RANDOM] = checkpoint.random

    def write(folder: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / _TENSORS)
        facts = {"state": asdict(checkpoint.state), "identity": identity}
        (folder / _STATE).write_text(json.dumps(facts), encoding="utf-8")

    context.checkpoints.save(write)


def latest_checkpoint(context: FitContext, identity: dict[str, Any], optimizers: int) -> Checkpoint | None:
    """Return the checkpoint to go on from; None if there is none, if it is damaged, or of another training."""
    folder = context.checkpoints.latest()
    if folder is None:
        return None
    try:
        facts = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        tensors = load_file(folder / _TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        context.log.warning("The checkpoint cannot be read (%s); training starts anew.", error)
        return None
    if facts["identity"] != json.loads(json.dumps(identity)):
        context.log.warning("The checkpoint belongs to other rows or parameters; training starts anew.")
        return None
    return Checkpoint(
        state=TrainingState(**facts["state"]),
        weights=_under("weights", tensors),
        best=_under("best", tensors),
        optimizers=tuple(_optimizer(_under(f"optimizer{number}", tensors)) for number in range(optimizers)),
        random=tensors[_RANDOM],
    )


def copied(weights: Weights) -> Weights:
    """Return a copy that training will not change."""
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def _prefixed(prefix: str, tensors: Weights) -> Weights:
    return {f"{prefix}/{name}": tensor.detach().cpu() for name, tensor in tensors.items()}


def _under(prefix: str, tensors: Weights) -> Weights:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _moments(optimizer: dict[int, dict[str, Any]]) -> Weights:
    # SparseAdam counts steps in an int, Adam in a tensor.
    return {
        f"{parameter}/{name}": torch.as_tensor(value)
        for parameter, moments in optimizer.items()
        for name, value in moments.items()
    }


def _optimizer(tensors: Weights) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for path, tensor in tensors.items():
        parameter, name = path.split("/")
        # A step kept as a tensor would be rounded to single precision in SparseAdam.
        state.setdefault(int(parameter), {})[name] = tensor if tensor.is_floating_point() else int(tensor)
    return state

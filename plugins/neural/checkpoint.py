"""A training between two epochs, kept on disk: tensors as safetensors, the rest as JSON.

With the random numbers of the device and the factor of float16 gradients in it, a training goes on with the numbers of
one never interrupted: always on a CPU, on a card where the card itself repeats them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from crosslens import FitContext

from .devices import random_state, set_random_state
from .training_state import TrainingState

_TENSORS = "training.safetensors"
_STATE = "training.json"
_RANDOM = "random"
_DEVICE_RANDOM = "device_random"

Weights = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Everything training needs to go on as if nothing had happened.

    weights, best    all that is learned, as it is and as it was at the best epoch
    optimizers       the state of each by parameter number
    random           the state of the CPU's random numbers, and `device_random` of the device's if it has its own
    scaler           the state of `Precision.scaler`, None without one

    No two tensors share memory: safetensors would refuse them.
    """

    state: TrainingState
    weights: Weights
    best: Weights
    optimizers: tuple[dict[int, dict[str, Any]], ...]
    random: Tensor
    device_random: Tensor | None = None
    scaler: dict[str, Any] | None = None

    @classmethod
    def of(
        cls,
        state: TrainingState,
        weights: Weights,
        best: Weights,
        optimizers: Sequence[torch.optim.Optimizer],
        device: torch.device,
        scaler: torch.amp.GradScaler | None = None,
    ) -> Checkpoint:
        """Take what optimisers, random numbers and scaler have come to."""
        return cls(
            state=state,
            weights=weights,
            best=best,
            optimizers=tuple(optimizer.state_dict()["state"] for optimizer in optimizers),
            random=torch.get_rng_state(),
            device_random=random_state(device),
            scaler=None if scaler is None else scaler.state_dict(),
        )

    def restore(
        self,
        optimizers: Sequence[torch.optim.Optimizer],
        device: torch.device,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        """Give optimisers, random numbers and scaler what they had; weights are the caller's to take.

        A checkpoint of another device has no random numbers for this one and leaves its own.
        """
        for optimizer, moments in zip(optimizers, self.optimizers, strict=True):
            optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        torch.set_rng_state(self.random)
        if self.device_random is not None:
            set_random_state(device, self.device_random)
        if scaler is not None and self.scaler is not None:
            scaler.load_state_dict(self.scaler)


def save_checkpoint(context: FitContext, checkpoint: Checkpoint, identity: dict[str, Any]) -> None:
    """Write a checkpoint. `identity` says which training it belongs to."""
    tensors = _prefixed("weights", checkpoint.weights) | _prefixed("best", checkpoint.best)
    for number, optimizer in enumerate(checkpoint.optimizers):
        tensors |= _prefixed(f"optimizer{number}", _moments(optimizer))
    tensors[_RANDOM] = checkpoint.random
    if checkpoint.device_random is not None:
        tensors[_DEVICE_RANDOM] = checkpoint.device_random

    def write(folder: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / _TENSORS)
        facts = {"state": asdict(checkpoint.state), "identity": identity, "scaler": checkpoint.scaler}
        (folder / _STATE).write_text(json.dumps(facts), encoding="utf-8")

    context.checkpoints.save(write)


def latest_checkpoint(
    context: FitContext, identity: dict[str, Any], weights: Weights, optimizers: int
) -> Checkpoint | None:
    """Return the checkpoint to go on from; None, and a warning, if it is damaged or of another training.

    `weights` are those it would replace: their names and shapes must be the same.
    """
    folder = context.checkpoints.latest()
    if folder is None:
        return None
    try:
        facts, checkpoint = _read(folder, optimizers)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        context.log.warning("The checkpoint cannot be read (%s); training starts anew.", error)
        return None
    shapes = [{name: tensor.shape for name, tensor in each.items()} for each in (weights, checkpoint.weights)]
    if facts["identity"] != json.loads(json.dumps(identity)) or shapes[0] != shapes[1]:
        context.log.warning("The checkpoint belongs to other rows or parameters; training starts anew.")
        return None
    return checkpoint


def copied(weights: Weights) -> Weights:
    """Return a copy that training will not change."""
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def _read(folder: Path, optimizers: int) -> tuple[dict[str, Any], Checkpoint]:
    facts = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    tensors = load_file(folder / _TENSORS)
    if "identity" not in facts:
        raise ValueError("it does not say which training it belongs to")
    return facts, Checkpoint(
        state=TrainingState(**facts["state"]),
        weights=_under("weights", tensors),
        best=_under("best", tensors),
        optimizers=tuple(_optimizer(_under(f"optimizer{number}", tensors)) for number in range(optimizers)),
        random=tensors[_RANDOM],
        device_random=tensors.get(_DEVICE_RANDOM),
        scaler=facts.get("scaler"),
    )


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

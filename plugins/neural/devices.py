"""Where a training runs, and with how many digits.

cpu    single precision, repeatable bit by bit for the same seed and threads
cuda   bfloat16 where the card has it, otherwise float16 with scaled gradients
mps    single precision: half precision there is neither faster nor as well tried
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from crosslens import FitContext, ParameterError


def chosen_device(name: str) -> torch.device:
    """Return the device of that name; "auto" is the fastest there is. ParameterError where this machine has none."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, found in there.items() if found))
    if not there.get(name.partition(":")[0], False):
        raise ParameterError(
            f"This machine has no device {name!r} to train on.",
            do=f"Choose one of: {', '.join(kind for kind, found in there.items() if found)}.",
            parameter="device",
            value=name,
        )
    return torch.device(name)


@contextmanager
def isolated(context: FitContext, device: torch.device) -> Iterator[None]:
    """Lend a training its own random numbers and threads, and give back what was there."""
    cards = [device] if device.type == "cuda" else []
    threads = torch.get_num_threads()
    torch.set_num_threads(context.threads)
    try:
        with torch.random.fork_rng(cards):
            torch.manual_seed(context.seed)
            yield
    finally:
        torch.set_num_threads(threads)


def random_state(device: torch.device) -> Tensor | None:
    """Return the state of the random numbers that a device draws by itself; None where it draws the CPU's."""
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def set_random_state(device: torch.device, state: Tensor) -> None:
    """Give a device the random numbers that `random_state` found."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state)


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    """How many digits products have on a device; `scaler` keeps small float16 gradients from vanishing."""

    device: torch.device
    kind: torch.dtype | None = None
    scaler: torch.amp.GradScaler | None = None

    @classmethod
    def of(cls, device: torch.device) -> Precision:
        """Return what suits the device."""
        if device.type != "cuda":
            return cls(device)
        if torch.cuda.is_bf16_supported():
            return cls(device, torch.bfloat16)
        return cls(device, torch.float16, torch.amp.GradScaler(device.type))

    def lowered(self) -> AbstractContextManager[object]:
        """Return a context in which products are taken with fewer digits, where the device gains by it."""
        return nullcontext() if self.kind is None else torch.autocast(self.device.type, self.kind)

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss as it goes backward."""
        return loss if self.scaler is None else self.scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Give the gradients of an optimiser their true size before they are looked at."""
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)

    def step(self, optimizers: list[torch.optim.Optimizer]) -> None:
        """Take a step with every optimiser; one whose scaled gradients overflowed is left out."""
        for optimizer in optimizers:
            if self.scaler is None:
                optimizer.step()
            else:
                self.scaler.step(optimizer)
        if self.scaler is not None:
            self.scaler.update()


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Take products with all digits again: for powers, exponentials and normalisations that half precision spoils."""
    if torch.is_autocast_enabled(device.type):
        with torch.autocast(device.type, enabled=False):
            yield
    else:
        yield

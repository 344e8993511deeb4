"""Whether a training fits into memory, said before anything is made."""

from __future__ import annotations

import torch

from crosslens import RESERVED_IDS, DataError, SequenceDataset
from crosslens._sizes import format_bytes

from ..neural.probe import free_memory
from . import SasRecParameters, SraClParameters

_NUMBER = 4  # bytes
_FULL_COPIES = 8  # of the table: weights, best, two moments, two gradients and their sum, one beside a column of ones
_SAMPLED_COPIES = 5  # weights, best, two moments, the rows of a step
_LAYER_NUMBERS = 40  # kept per place, layer and number of the width, for the backward pass


def needed_memory(train: SequenceDataset, parameters: SasRecParameters) -> int:
    """Return about how many bytes a training takes: tables, users' states and vectors, and one step."""
    items = train.catalogue.size
    copies = _SAMPLED_COPIES if items - RESERVED_IDS > parameters.sampled_above else _FULL_COPIES
    table = copies * items * parameters.width
    step = parameters.batch_size * parameters.length * parameters.layers * parameters.width * _LAYER_NUMBERS
    users = 0
    if isinstance(parameters, SraClParameters):
        step *= 3  # two views beside the sequence itself
        users = len(train) * (2 * parameters.width + parameters.neighbours)
    scores = 4 * items  # one user's, ranked
    return _NUMBER * (table + step + users + scores)


def check_memory(train: SequenceDataset, parameters: SasRecParameters, device: torch.device) -> None:
    """Raise DataError, with what to change, when a training does not fit."""
    needed, free = needed_memory(train, parameters), free_memory(device)
    if needed <= free:
        return
    raise DataError(
        f"Training needs about {format_bytes(needed)} of memory; {format_bytes(free)} are free.",
        why=f"There are {train.catalogue.size - RESERVED_IDS:,} items, {parameters.width} numbers each, and steps of "
        f"{parameters.batch_size:,} users.",
        do="Lower the width or the batch size, or leave out rare items with a larger core.",
        needed=needed,
        free=free,
    )

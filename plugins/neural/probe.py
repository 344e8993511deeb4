"""What a training will take, before anything large is allocated: memory by counting, time by timing three steps.

Tables and weights are counted on a network built on torch's "meta" device, which has shapes and no numbers. What a
batch keeps for its backward pass is counted on a few rows of a network with three values per field: it does not depend
on the size of the tables.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil
import torch
from torch import Tensor

from crosslens import RESERVED_IDS, DataError, EncodedSchema, FieldKind
from crosslens._sizes import format_bytes

from .batches import Batch
from .network import Network
from .recipe import Recipe

if TYPE_CHECKING:
    from .step import Objective

_NUMBER = 4
_DENSE_COPIES = 5
"""Numbers per parameter: itself, its gradient, two moments of Adam, the best epoch."""
_SPARSE_COPIES = 4
"""The same without the gradient, which has the rows of one batch only."""
_ROWS = 32
_BACKWARD = 2
"""Bytes at the height of a step over the bytes kept for its backward pass: gradients of what is kept, and temporaries.
The growth of a process by one step of ARM-Net was 1.8 times what was kept; tables were within 5 % of their count."""


@dataclass(frozen=True, slots=True)
class MemoryNeeded:
    """Bytes of a training beyond its rows.

    Embedding tables and the rest of the weights, each with all their copies, and what the largest batch takes.
    """

    tables: int
    weights: int
    batch: int

    @property
    def total(self) -> int:
        """Return all bytes together."""
        return self.tables + self.weights + self.batch


def memory_needed(
    make: Callable[[EncodedSchema], Network],
    objective: Objective,
    recipe: Recipe,
    schema: EncodedSchema,
    rows: int,
    *,
    free: float = math.inf,
) -> MemoryNeeded:
    """Return what training on batches of at most `rows` rows takes; allocates the weights once, the tables never.

    Where tables and weights alone are more than the `free` bytes, nothing is allocated and the batch counts as 0. The
    caller's random numbers are left as they were.
    """
    with torch.random.fork_rng([]):
        with torch.device("meta"):
            network = make(schema)
        tables = [table.table for table in network.tables]
        copies = [_SPARSE_COPIES if table.sparse else _DENSE_COPIES for table in network.tables]
        numbers = sum(parameter.numel() for parameter in network.parameters())
        large = sum(table.numel() * copy for table, copy in zip(tables, copies, strict=True))
        small = (numbers - sum(table.numel() for table in tables)) * _DENSE_COPIES
        fits = (large + small) * _NUMBER <= free
        kept = _kept_by_a_batch(make, objective, schema) if fits else 0.0
    prior = schema.table_size * 3 * _NUMBER  # one share per value, and the counts it is made of
    batch = round(kept * min(recipe.batch_size, rows) * _BACKWARD)
    return MemoryNeeded(tables=large * _NUMBER + prior, weights=small * _NUMBER, batch=batch)


def check_memory(needed: MemoryNeeded, free: int, recipe: Recipe, schema: EncodedSchema) -> None:
    """Raise DataError, with what to change, when a training does not fit into `free` bytes."""
    if needed.total <= free:
        return
    widest = max(schema.categorical, key=lambda field: field.cardinality, default=None)
    if needed.batch > needed.tables + needed.weights:
        why = f"A step of {recipe.batch_size:,} rows takes {format_bytes(needed.batch)} of it."
        do = "Lower the batch size, or the widths of the model."
    elif needed.tables > needed.weights and widest is not None:
        why = (
            f"The vectors of {schema.table_size:,} values, with their gradients and averages, take "
            f"{format_bytes(needed.tables)} of it; {widest.name} has {widest.cardinality - RESERVED_IDS:,} of them."
        )
        do = f"Hash {widest.name} or cut its rare values, or lower the embedding width."
    else:
        why = f"The layers of the network take {format_bytes(needed.weights)} of it."
        do = "Lower the widths of the layers."
    raise DataError(
        f"Training needs about {format_bytes(needed.total)} of memory; {format_bytes(free)} are free.",
        why=why,
        do=do,
        needed=needed.total,
        free=free,
    )


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free where the device keeps its numbers."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a training will be: rows per second, and seconds per epoch without validation."""

    rows_per_second: float
    epoch_seconds: float


def pace(step: Callable[[Batch], Tensor], batches: list[Batch], rows_per_epoch: int) -> Pace:
    """Time `step` on all batches but the first, which warms up; at least two batches."""
    float(step(batches[0]))
    started = time.perf_counter()
    for batch in batches[1:]:
        loss = step(batch)
    float(loss)  # waits for the device
    rows = sum(len(batch) for batch in batches[1:]) / max(time.perf_counter() - started, 1e-9)
    return Pace(rows, rows_per_epoch / rows)


def _kept_by_a_batch(make: Callable[[EncodedSchema], Network], objective: Objective, schema: EncodedSchema) -> float:
    """Return the bytes a row of a batch keeps for the backward pass."""
    small = EncodedSchema(
        tuple(
            field if field.kind is FieldKind.NUMERICAL else replace(field, cardinality=RESERVED_IDS + 1)
            for field in schema.fields
        ),
        schema.labels,
    )
    network = make(small).train()
    more, fewer = (_kept(network, objective, small, rows) for rows in (2 * _ROWS, _ROWS))
    return (more - fewer) / _ROWS


def _kept(network: Network, objective: Objective, schema: EncodedSchema, rows: int) -> int:
    seen: dict[int, Tensor] = {}  # holds the tensors: a freed one would lend its address to the next

    def count(tensor: Tensor) -> Tensor:
        seen[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.from_numpy(schema.offsets).int().repeat(rows, 1)
    labels = {name: torch.arange(rows).remainder(2).float() for name in schema.labels}
    batch = Batch(ids, torch.zeros(rows, len(schema.numerical)), labels, torch.ones(rows))
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        objective.loss(network(batch.ids, batch.values), batch)
    return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())

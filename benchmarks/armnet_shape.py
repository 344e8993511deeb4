"""The shape, the rows and the clock of the benchmarks of ARM-Net."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

import numpy as np

from crosslens import EncodedDataset, EncodedField, EncodedSchema, FieldKind

FIELDS, VALUES = 10, 100
NEURONS, WIDTH, ALPHA, LAYERS, BATCH = 128, 10, 1.7, (256, 256), 4096
RATE, SPREAD = 1e-2, 0.05


@dataclass(eq=False)
class BatchClock:
    """Seconds from the start of one batch to the start of the next, by the wall and of the processor.

    Medians over batches stand beside each other fairly on a busy machine; the processor's seconds do not see the load.
    """

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    _last: tuple[float, float] | None = None

    def mark(self) -> None:
        """Begin a batch."""
        now = time.perf_counter(), time.process_time()
        if self._last:
            self.wall.append(now[0] - self._last[0])
            self.processor.append(now[1] - self._last[1])
        self._last = now

    def pause(self) -> None:
        """Begin something else."""
        self._last = None

    @property
    def rows_per_second(self) -> float:
        """Return the rows of a batch over its median wall time."""
        return BATCH / statistics.median(self.wall)

    @property
    def rows_per_processor_second(self) -> float:
        """Return the rows of a batch over its median processor time."""
        return BATCH / statistics.median(self.processor)


def planted_rows(rows: int, *, seed: int) -> EncodedDataset:
    """Return rows whose label depends on three of ten fields alone, on two pairs, and on a triple."""
    random = np.random.default_rng(seed)
    schema = EncodedSchema(
        tuple(EncodedField(f"field {i}", FieldKind.CATEGORICAL, VALUES) for i in range(FIELDS)), ("click",)
    )
    local = random.integers(2, VALUES, (rows, FIELDS))
    sides = np.where(np.random.default_rng(0).random((FIELDS, VALUES)) < 0.5, -1.0, 1.0)
    x = sides[np.arange(FIELDS), local]  # (N, F), each value on one of two sides
    logit = 1.5 * x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] + 0.7 * x[:, 4] * x[:, 5] * x[:, 6] + 0.7 * x[:, 7:].sum(1)
    label = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    ids = (local + schema.offsets).astype(np.int32)
    return EncodedDataset(schema, ids, np.zeros((rows, 0), np.float32), {"click": label})

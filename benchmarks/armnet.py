"""ARM-Net training and scoring: ours beside the plain reference, epoch by epoch in turn: load hits both alike."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from crosslens import (
    EncodedDataset,
    EncodedField,
    EncodedSchema,
    FieldKind,
    FitContext,
    FitProgress,
    TrainingData,
)
from plugins.armnet import ArmNetParameters, build
from plugins.neural.scoring import auc

from .armnet_reference import ReferenceArmNet, reference_epoch, reference_logits

FIELDS, VALUES = 10, 100
NEURONS, WIDTH, ALPHA, LAYERS, BATCH = 128, 10, 1.7, (256, 256), 4096
_RATE, _SPREAD = 1e-2, 0.05


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


def measure(rows: int = 32_768, repeats: int = 3, threads: int = 0) -> dict[str, Any]:
    """Train both for `repeats` epochs on `rows` rows, taking turns, and return figures; the ratios are what counts.

    Both see the same rows, shapes, optimiser and initial spreads; the AUC is that of new rows after the last epoch.
    """
    rows = max(rows // BATCH, 2) * BATCH  # whole batches, so that all are alike
    torch.set_num_threads(threads or os.cpu_count() or 1)
    data = planted_rows(rows, seed=1), planted_rows(max(rows // 4, BATCH), seed=2)
    torch.manual_seed(0)
    reference = ReferenceArmNet(
        FIELDS * VALUES, FIELDS, heads=1, neurons=NEURONS, width=WIDTH, alpha=ALPHA, layers=LAYERS, spread=_SPREAD
    )
    optimizer = torch.optim.Adam(reference.parameters(), lr=_RATE)
    ours, theirs = BatchClock(), BatchClock()

    def before_our_batch() -> bool:
        ours.mark()
        return False

    def after_our_epoch(progress: FitProgress) -> None:
        if progress.metrics:
            ours.pause()
            reference_epoch(reference, optimizer, data[0], BATCH, theirs.mark)
            theirs.pause()

    parameters = ArmNetParameters(
        heads=1, neurons=NEURONS, embedding=WIDTH, alpha=ALPHA, layers=LAYERS, batch_size=BATCH, epochs=repeats,
        patience=repeats + 1, dropout=0.0, l2=0.0, field_dropout=0.0, learning_rate=_RATE, initial_spread=_SPREAD,
    )  # fmt: skip
    context = FitContext(threads=torch.get_num_threads(), should_stop=before_our_batch, progress=after_our_epoch)
    model = build(parameters).fit(TrainingData(*data), context)
    scoring, reference_scoring, our_auc, their_auc = _score(model, reference, data[1], repeats)
    return {
        "rows": rows,
        "epochs": repeats,
        "threads": torch.get_num_threads(),
        "shape": {"fields": FIELDS, "neurons": NEURONS, "alpha": ALPHA, "layers": list(LAYERS), "batch": BATCH},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "training_rows_per_second": _sides(ours.rows_per_second, theirs.rows_per_second),
        "training_rows_per_processor_second": _sides(ours.rows_per_processor_second, theirs.rows_per_processor_second),
        "scoring_rows_per_second": _sides(statistics.median(scoring), statistics.median(reference_scoring)),
        "auc": {"ours": our_auc, "reference": their_auc},
    }


def table(figures: dict[str, Any]) -> str:
    """Return the figures as a table to print."""
    columns = {
        "training rows/s": figures["training_rows_per_second"],
        "per CPU second": figures["training_rows_per_processor_second"],
        "scoring rows/s": figures["scoring_rows_per_second"],
    }
    lines = [f"ARM-Net, {figures['rows']:,} rows, {figures['shape']}, {figures['threads']} threads"]
    lines.append(f"{'':20}" + "".join(f"{name:>18}" for name in (*columns, "AUC")))
    for side, name in (("ours", "Crosslens"), ("reference", "plain reference")):
        cells = "".join(f"{column[side]:18,.0f}" for column in columns.values())
        lines.append(f"{name:20}{cells}{figures['auc'][side]:18.4f}")
    lines.append(f"{'ratio of medians':20}" + "".join(f"{column['ratio']:17.1f}x" for column in columns.values()))
    return "\n".join(lines)


def _sides(ours: float, reference: float) -> dict[str, float]:
    return {"ours": ours, "reference": reference, "ratio": ours / reference}


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


def _score(
    model: Any, reference: ReferenceArmNet, data: EncodedDataset, repeats: int
) -> tuple[list[float], list[float], float, float]:
    ours, theirs = [], []
    for _ in range(repeats):
        started = time.perf_counter()
        our_logits = model.predict(data).logit()
        between = time.perf_counter()
        their_logits = reference_logits(reference, data, BATCH)
        ours.append(len(data) / (between - started))
        theirs.append(len(data) / (time.perf_counter() - between))
    return ours, theirs, auc(data.target, our_logits), auc(data.target, their_logits)

"""ARM-Net training and scoring: ours beside the plain reference, epoch by epoch in turn: load hits both alike."""

from __future__ import annotations

import os
import platform
import statistics
import time
from typing import Any

import torch

from crosslens import (
    EncodedDataset,
    FitContext,
    FitProgress,
    TrainingData,
)
from plugins.armnet import ArmNetParameters, build
from plugins.neural.scoring import auc

from . import armnet_time
from .armnet_reference import ReferenceArmNet, reference_epoch, reference_logits
from .armnet_shape import ALPHA, BATCH, FIELDS, LAYERS, NEURONS, RATE, SPREAD, VALUES, WIDTH, BatchClock, planted_rows


def measure(rows: int = 32_768, repeats: int = 3, threads: int = 0, seeds: int = 3) -> dict[str, Any]:
    """Train both for `repeats` epochs on `rows` rows, taking turns, and return figures; the ratios are what counts.

    Both see the same rows, shapes, optimiser and initial spreads; the AUC is that of new rows after the last epoch.
    """
    rows = max(rows // BATCH, 2) * BATCH  # whole batches, so that all are alike
    torch.set_num_threads(threads or os.cpu_count() or 1)
    data = planted_rows(rows, seed=1), planted_rows(max(rows // 4, BATCH), seed=2)
    torch.manual_seed(0)
    reference = ReferenceArmNet(
        FIELDS * VALUES, FIELDS, heads=1, neurons=NEURONS, width=WIDTH, alpha=ALPHA, layers=LAYERS, spread=SPREAD
    )
    optimizer = torch.optim.Adam(reference.parameters(), lr=RATE)
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
        patience=repeats + 1, dropout=0.0, l2=0.0, field_dropout=0.0, learning_rate=RATE, initial_spread=SPREAD,
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
        "to_the_same_auc": armnet_time.measure(rows, seeds),
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
    return "\n".join([*lines, armnet_time.table(figures["to_the_same_auc"])])


def _sides(ours: float, reference: float) -> dict[str, float]:
    return {"ours": ours, "reference": reference, "ratio": ours / reference}


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

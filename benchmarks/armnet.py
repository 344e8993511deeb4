"""ARM-Net training and scoring: ours beside the plain reference, epoch by epoch in turn: load hits both alike."""

from __future__ import annotations

import os
import platform
import statistics
import time
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
from plugins.armnet import ArmNetParameters
from plugins.armnet.estimator import ArmNetEstimator
from plugins.armnet.scoring import auc

from .armnet_reference import ReferenceArmNet, reference_epoch, reference_logits

FIELDS, VALUES = 10, 1000
NEURONS, WIDTH, ALPHA, LAYERS, BATCH = 128, 10, 1.7, (256, 256), 4096
_RATE, _SPREAD = 1e-3, 0.05


def measure(rows: int = 32_768, repeats: int = 3, threads: int = 0) -> dict[str, Any]:
    """Train both for `repeats` epochs on `rows` rows and return figures; the ratios are what counts.

    Both see the same rows, shapes, optimiser and initial spread; both run the same number of epochs.
    """
    torch.set_num_threads(threads or os.cpu_count() or 1)
    data = planted_rows(rows, seed=1), planted_rows(max(rows // 4, BATCH), seed=2)
    torch.manual_seed(0)
    reference = ReferenceArmNet(
        FIELDS * VALUES, FIELDS, heads=1, neurons=NEURONS, width=WIDTH, alpha=ALPHA, layers=LAYERS, spread=_SPREAD
    )
    optimizer = torch.optim.Adam(reference.parameters(), lr=_RATE)
    theirs = [0.0] * repeats
    ours: list[float] = []

    def after_epoch(progress: FitProgress) -> None:
        if progress.metrics:
            ours.append(progress.rows_per_second)
            theirs[len(ours) - 1] = reference_epoch(reference, optimizer, data[0], BATCH)

    parameters = ArmNetParameters(
        heads=1, neurons=NEURONS, embedding=WIDTH, alpha=ALPHA, layers=LAYERS, batch_size=BATCH, epochs=repeats,
        patience=repeats + 1, dropout=0.0, l2=0.0, field_dropout=0.0, learning_rate=_RATE, initial_spread=_SPREAD,
    )  # fmt: skip
    context = FitContext(seed=0, threads=torch.get_num_threads(), progress=after_epoch)
    model = ArmNetEstimator(parameters).fit(TrainingData(*data), context)
    scoring, reference_scoring, our_auc, their_auc = _score(model, reference, data[1], repeats)
    return {
        "rows": rows,
        "repeats": repeats,
        "threads": torch.get_num_threads(),
        "shape": {"fields": FIELDS, "neurons": NEURONS, "alpha": ALPHA, "layers": list(LAYERS), "batch": BATCH},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "training_rows_per_second": {"ours": ours, "reference": theirs},
        "scoring_rows_per_second": {"ours": scoring, "reference": reference_scoring},
        "training_ratio": statistics.median(ours) / statistics.median(theirs),
        "scoring_ratio": statistics.median(scoring) / statistics.median(reference_scoring),
        "validation_auc": {"ours": our_auc, "reference": their_auc},
    }


def table(figures: dict[str, Any]) -> str:
    """Return the figures as a table to print."""
    training, scoring = figures["training_rows_per_second"], figures["scoring_rows_per_second"]
    quality = figures["validation_auc"]
    lines = [f"ARM-Net, {figures['rows']:,} rows, {figures['shape']}, {figures['threads']} threads"]
    lines += [f"{'':24}{'training rows/s':>18}{'scoring rows/s':>18}{'validation AUC':>18}"]
    for side, name in (("ours", "Crosslens"), ("reference", "plain reference")):
        figures_of = statistics.median(training[side]), statistics.median(scoring[side])
        lines.append(f"{name:24}{figures_of[0]:18,.0f}{figures_of[1]:18,.0f}{quality[side]:18.4f}")
    lines.append(f"{'ratio of medians':24}{figures['training_ratio']:17.1f}x{figures['scoring_ratio']:17.1f}x")
    return "\n".join(lines)


def planted_rows(rows: int, *, seed: int) -> EncodedDataset:
    """Return rows whose label depends on two pairs and one triple of ten fields with a thousand values each."""
    random = np.random.default_rng(seed)
    schema = EncodedSchema(
        tuple(EncodedField(f"field {i}", FieldKind.CATEGORICAL, VALUES) for i in range(FIELDS)), ("click",)
    )
    local = random.integers(2, VALUES, (rows, FIELDS))
    sides = np.where(np.random.default_rng(0).random((FIELDS, VALUES)) < 0.5, -1.0, 1.0)
    x = sides[np.arange(FIELDS), local]  # (N, F), each value on one of two sides
    logit = 1.5 * x[:, 0] * x[:, 1] + 1.0 * x[:, 2] * x[:, 3] + 0.7 * x[:, 4] * x[:, 5] * x[:, 6] + 0.5 * x[:, 7]
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

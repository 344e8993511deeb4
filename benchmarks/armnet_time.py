"""How long ARM-Net trains to the same validation AUC: ours and the plain reference on the same rows, over seeds.

Both have the shapes, optimiser, learning rate and initial spreads of `armnet` and train an epoch in turn. The AUC that
both have to reach is the lower of their two best ones; validation does not count.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch

from crosslens import FitContext, FitProgress, TrainingData
from plugins.armnet import ArmNetParameters, build
from plugins.neural.scoring import auc

from .armnet_reference import ReferenceArmNet, reference_epoch, reference_logits
from .armnet_shape import ALPHA, BATCH, FIELDS, LAYERS, NEURONS, RATE, SPREAD, VALUES, WIDTH, BatchClock, planted_rows

EPOCHS = 12
Curve = list[tuple[float, float]]
"""(seconds of training so far, validation AUC) after every epoch."""


def measure(rows: int = 32_768, seeds: int = 3) -> dict[str, Any]:
    """Train both on `rows` rows with every seed and return the seconds to the same AUC."""
    data = TrainingData(planted_rows(rows, seed=1), planted_rows(rows // 2, seed=2))
    found = [_compared(*_curves(data, seed)) for seed in range(seeds)]
    return {
        "rows": rows,
        "epochs": EPOCHS,
        "seeds": found,
        "times_faster": statistics.median(f["ratio"] for f in found),
    }


def _curves(data: TrainingData, seed: int) -> tuple[Curve, Curve]:
    torch.manual_seed(seed)
    reference = ReferenceArmNet(
        FIELDS * VALUES, FIELDS, heads=1, neurons=NEURONS, width=WIDTH, alpha=ALPHA, layers=LAYERS, spread=SPREAD
    )
    optimizer = torch.optim.Adam(reference.parameters(), lr=RATE)
    ours: Curve = []
    theirs: Curve = []
    rows, validation = len(data.train), data.validation

    def their_turn(progress: FitProgress) -> None:
        if not progress.metrics:
            return
        _add(ours, rows / progress.rows_per_second, progress.metrics["auc"])
        clock = BatchClock()
        reference_epoch(reference, optimizer, data.train, BATCH, clock.mark)
        clock.mark()
        _add(theirs, sum(clock.wall), auc(validation.target, reference_logits(reference, validation, BATCH)))

    parameters = ArmNetParameters(
        heads=1, neurons=NEURONS, embedding=WIDTH, alpha=ALPHA, layers=LAYERS, batch_size=BATCH, epochs=EPOCHS,
        patience=EPOCHS + 1, dropout=0.0, l2=0.0, field_dropout=0.0, learning_rate=RATE, initial_spread=SPREAD,
    )  # fmt: skip
    context = FitContext(seed=seed, threads=torch.get_num_threads(), progress=their_turn)
    build(parameters).fit(data, context)
    return ours, theirs


def _add(curve: Curve, seconds: float, area: float) -> None:
    curve.append((seconds + (curve[-1][0] if curve else 0.0), area))


def _compared(ours: Curve, theirs: Curve) -> dict[str, Any]:
    wanted = min(max(area for _, area in curve) for curve in (ours, theirs))
    seconds = [next(time for time, area in curve if area >= wanted) for curve in (ours, theirs)]
    return {
        "auc": wanted, "ours": seconds[0], "reference": seconds[1], "ratio": seconds[1] / seconds[0],
        "best_auc": {"ours": max(area for _, area in ours), "reference": max(area for _, area in theirs)},
    }  # fmt: skip


def table(figures: dict[str, Any]) -> str:
    """Return the figures as a table to print."""
    lines = [f"ARM-Net to the same validation AUC, {figures['rows']:,} rows, at most {figures['epochs']} epochs"]
    lines += [
        f"  AUC {found['auc']:.4f}: ours {found['ours']:.1f} s, reference {found['reference']:.1f} s: "
        f"{found['ratio']:.1f}x   (best {found['best_auc']['ours']:.4f} and {found['best_auc']['reference']:.4f})"
        for found in figures["seeds"]
    ]
    return "\n".join([*lines, f"  median {figures['times_faster']:.1f}x"])

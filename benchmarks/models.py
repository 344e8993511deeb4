"""Training and scoring of the models beside their peers, in turns, with the AUC reached beside the speed.

Peers run in an environment of their own: `python -m venv PEERS && PEERS/bin/pip install torch==2.13.0 deepctr-torch
fuxictr`, then `python -m benchmarks models --peers PEERS/bin/python`. Both sides have the same rows, shapes, batch,
optimiser, learning rate and threads; ours has its own initial values and order of rows.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from . import armnet
from .planted import planted_parts
from .turns import Side, SideSpec, take_turns

BATCH, WIDTH, RATE, SPREAD = 4096, 16, 5e-3, 0.05
TOWERS = (256, 128)
_PLAIN = {"dropout": 0.0, "l2": 0.0, "field_dropout": 0.0}
"""Switched off on both sides: the same work a step."""


def measure(
    rows: int = 131_072,
    repeats: int = 4,
    threads: int = 0,
    peers: Path | None = None,
    big_rows: int = 1_000_000,
    seeds: int = 3,
) -> dict[str, Any]:
    """Train every model `repeats` epochs in turn with its peers, score `big_rows` rows, and return the figures.

    `seeds` is how often ARM-Net and its reference train to the same AUC.
    """
    threads = threads or os.cpu_count() or 1
    shared = {
        "seed": 0, "threads": threads, "embedding": WIDTH, "l2": 0.0, "spread": SPREAD, "rate": RATE, "batch": BATCH,
        "score_batch": BATCH,
    }  # fmt: skip
    parts: dict[str, Any] = {}
    if peers is not None:
        clicks = planted_parts(rows, rows // 4)
        for name, head, program in (("DeepCTR-Torch", 8, "deepctr.py"), ("FuxiCTR", 16, "fuxi.py")):
            settings = shared | {"model": "autoint", "heads": 2, "head": head, "attention_layers": 3, "layers": []}
            sides = [_autoint(shared, head, repeats), SideSpec(name, program, settings, peers)]
            running = take_turns(clicks, sides, epochs=repeats, scorings=2, big_rows=big_rows)
            parts[f"AutoInt, 3 layers of 2 heads x {head}, E {WIDTH}"] = _figures(running)
        funnel = planted_parts(rows, rows // 4, labels=("click", "conversion"))
        sides = [
            _esmm(shared, repeats),
            SideSpec("DeepCTR-Torch", "deepctr.py", shared | {"model": "esmm", "layers": TOWERS}, peers),
        ]
        running = take_turns(funnel, sides, epochs=repeats, scorings=2, big_rows=big_rows)
        parts[f"ESMM, towers {TOWERS}, E {WIDTH}"] = _figures(running)
    return {
        "rows": rows,
        "batch": BATCH,
        "fields": 10,
        "threads": threads,
        "scored_rows": big_rows,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "peers": _versions(peers),
        "parts": parts,
        "ARM-Net": armnet.measure(repeats=3, threads=threads, seeds=seeds),
    }


def _autoint(shared: dict[str, Any], head: int, epochs: int) -> SideSpec:
    parameters = {
        "embedding": WIDTH, "attention_layers": 3, "heads": 2, "head_width": head, "batch_size": BATCH,
        "learning_rate": RATE, "initial_spread": SPREAD, "epochs": epochs, "patience": epochs + 1, **_PLAIN,
    }  # fmt: skip
    return SideSpec("Crosslens", "ours.py", shared | {"model": "autoint", "parameters": parameters})


def _esmm(shared: dict[str, Any], epochs: int) -> SideSpec:
    parameters = {
        "embedding": WIDTH, "layers": list(TOWERS), "batch_size": BATCH, "learning_rate": RATE,
        "initial_spread": SPREAD, "epochs": epochs, "patience": epochs + 1, **_PLAIN,
    }  # fmt: skip
    return SideSpec("Crosslens", "ours.py", shared | {"model": "esmm", "parameters": parameters})


def _figures(running: list[Side]) -> list[dict[str, Any]]:
    ours = running[0]
    return [
        {
            "side": side.spec.title,
            "training_rows_per_second": side.training_rate,
            "scoring_rows_per_second": side.scoring_rate,
            "auc": side.areas,
            "ours_times_faster_training": ours.training_rate / side.training_rate,
            "ours_times_faster_scoring": ours.scoring_rate / side.scoring_rate,
        }
        for side in running
    ]


def _versions(peers: Path | None) -> str:
    if peers is None:
        return "none: give --peers"
    listed = subprocess.run([str(peers), "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True).stdout
    wanted = ("deepctr-torch", "fuxictr", "torch", "numpy", "lightgbm")
    return ", ".join(sorted(line for line in listed.splitlines() if line.split("==")[0] in wanted))


def table(figures: dict[str, Any]) -> str:
    """Return the figures as tables to print."""
    lines = [f"{figures['rows']:,} training rows, batch {figures['batch']}, {figures['threads']} threads"]
    for title, sides in figures["parts"].items():
        lines += ["", title, f"{'':16}{'training rows/s':>18}{'scoring rows/s':>18}{'ours':>16}   AUC"]
        for side in sides:
            times = f"{side['ours_times_faster_training']:.1f}x / {side['ours_times_faster_scoring']:.1f}x"
            areas = ", ".join(f"{name} {value:.4f}" for name, value in side["auc"].items())
            lines.append(
                f"{side['side']:16}{side['training_rows_per_second']:18,.0f}{side['scoring_rows_per_second']:18,.0f}"
                f"{times:>16}   {areas}"
            )
    return "\n".join([*lines, "", armnet.table(figures["ARM-Net"])])

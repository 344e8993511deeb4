"""What ESMM gains and loses, on synthetic funnels whose truth is known: `python -m benchmarks funnel`.

Presets: p1 (shared taste, clicks chosen by what sells), p2 (nothing to gain), p3 (clicks convert often). Every variant
learns from the same training rows. The truth r of every impression, clicked or not, says how good pCVR is:

    AUC*     every row counts r as a positive and 1 - r as a negative: over all test rows, and over unclicked ones
    bias     mean pCVR / mean r             error    sqrt( mean (pCVR - r)^2 ) / mean r

Differences are paired by seed, which makes another shop each time; intervals are Student's, level 0.95.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import t as student

import main
from core.commands import MakeSample
from core.jobs import perform
from core.jobs.data import prepare_data
from core.recipe_toml import recipe_from_toml
from core.services import JobControl, Services
from crosslens import EncodedDataset, FitContext, ModelSpec, TrainingData, parameters_from_plain
from crosslens.data import Float64Array

ROWS = 40_000
PRESETS = ("p1", "p2", "p3")
MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "clicked-only": ("esmm", {"variant": "clicked-only"}),
    "shared+clicked": ("esmm", {"variant": "shared+clicked"}),
    "esmm": ("esmm", {}),
    "esmm, lambda 1": ("esmm", {"lambda_cvr": 1.0}),
    "esmm-ns": ("esmm", {"variant": "esmm-ns"}),
    "escm2-ips": ("esmm", {"variant": "escm2-ips"}),
    "lightgbm": ("lightgbm-funnel", {}),
}
COMPARED = (
    ("p1", "esmm", "clicked-only"),
    ("p1", "esmm", "shared+clicked"),
    ("p2", "esmm", "clicked-only"),
    ("p2", "esmm", "shared+clicked"),
    ("p3", "esmm", "shared+clicked"),
    ("p3", "esmm, lambda 1", "esmm"),
    ("p3", "esmm, lambda 1", "shared+clicked"),
)
"""Preset, first and second model of the differences that are shown."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownFunnel:
    """Encoded rows of a shop, and of its test rows the truth: r, (T,)."""

    training: TrainingData
    test: EncodedDataset
    chance: Float64Array


def known_funnel(preset: str, rows: int, seed: int, services: Services, folder: Path) -> KnownFunnel:
    """Return a shop as the app would read it, and the truth about its test rows."""
    control = JobControl()
    made = perform(MakeSample(folder / "shop.db", rows, seed, preset), services, control)
    recipe = recipe_from_toml(made.recipe, folder=folder)
    project = services.projects.open(folder / "project", create=True)
    try:
        data = prepare_data(recipe, project, services, control)
        truth = pq.read_table(made.truth.with_suffix(".parquet"), columns=["impression_id", "conversion_probability"])
        chance = dict(zip(*(truth.column(place).to_pylist() for place in (0, 1)), strict=True))
        ids = data.table.column(0).take(data.keys[data.split.test]).to_pylist()
        return KnownFunnel(data.training, data.test, np.array([chance[number] for number in ids]))
    finally:
        project.close()


def soft_auc(scores: Float64Array, chances: Float64Array) -> float:
    """Return the AUC where row i is a positive of weight r_i and a negative of weight 1 - r_i; ties count half."""
    order = np.argsort(scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits, misses = (np.diff(np.cumsum(each[order])[ends], prepend=0.0) for each in (chances, 1 - chances))
    below = np.cumsum(misses) - misses / 2
    return float(hits @ below / (hits.sum() * misses.sum()))


def judged(known: KnownFunnel, pcvr: Float64Array) -> dict[str, float]:
    """Return how near pCVR (T,) comes to the truth."""
    unclicked = np.asarray(known.test.labels["click"]) < 0.5
    mean = float(known.chance.mean())
    return {
        "auc": soft_auc(pcvr, known.chance),
        "auc_unclicked": soft_auc(pcvr[unclicked], known.chance[unclicked]),
        "bias": float(pcvr.mean()) / mean,
        "error": float(np.sqrt(np.mean((pcvr - known.chance) ** 2))) / mean,
    }


def trained(
    spec: ModelSpec, parameters: Mapping[str, Any], known: KnownFunnel, *, seed: int, threads: int
) -> dict[str, float]:
    """Train one model and return how near its pCVR comes to the truth."""
    built = spec.build(parameters_from_plain(spec.parameters, parameters))
    model = built.fit(known.training, FitContext(seed=seed, threads=threads))
    return judged(known, model.predict(known.test).probability("conversion"))


def measure(
    *,
    rows: int = ROWS,
    seeds: int = 5,
    threads: int = 0,
    presets: Sequence[str] = PRESETS,
    models: Mapping[str, tuple[str, Mapping[str, Any]]] = MODELS,
) -> dict[str, Any]:
    """Train every model on every preset and seed; return the figures of each, and the paired differences."""
    services = main.services(threads=threads)
    figures: dict[str, dict[str, list[dict[str, float]]]] = {
        preset: {name: [] for name in models} for preset in presets
    }
    for preset in presets:
        for seed in range(1, seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                known = known_funnel(preset, rows, seed, services, Path(folder))
            for name, (model, parameters) in models.items():
                spec = services.host.model(model)
                found = trained(spec, parameters, known, seed=seed, threads=services.threads)
                figures[preset][name].append(found)
    return {"rows": rows, "seeds": seeds, "figures": figures, "differences": _differences(figures)}


def paired(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean difference with its interval; of a single pair the interval is everything."""
    gaps = np.asarray(first) - np.asarray(second)
    if len(gaps) < 2:
        return float(gaps.mean()), float("-inf"), float("inf")
    half = float(student.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps)))
    return float(gaps.mean()), float(gaps.mean()) - half, float(gaps.mean()) + half


def _differences(figures: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> list[dict[str, Any]]:
    found = []
    for preset, first, second in COMPARED:
        if preset in figures and first in figures[preset] and second in figures[preset]:
            sides = [[each["auc"] for each in figures[preset][name]] for name in (first, second)]
            mean, low, high = paired(*sides)
            found.append({"preset": preset, "first": first, "second": second, "auc": mean, "low": low, "high": high})
    return found


def table(figures: dict[str, Any]) -> str:
    """Return the figures as text: means over seeds, then the differences."""
    lines = [f"{figures['rows']:,} impressions, {figures['seeds']} seeds", ""]
    lines.append(f"{'preset':8}{'model':18}{'AUC*':>8}{'unclicked':>11}{'bias':>8}{'error':>8}")
    for preset, models in figures["figures"].items():
        for name, runs in models.items():
            means = [float(np.mean([run[key] for run in runs])) for key in ("auc", "auc_unclicked", "bias", "error")]
            lines.append(f"{preset:8}{name:18}{means[0]:8.4f}{means[1]:11.4f}{means[2]:8.3f}{means[3]:8.3f}")
    lines += ["", "Difference of AUC*, paired by seed"]
    for each in figures["differences"]:
        words = f"{each['first']} - {each['second']}"
        lines.append(f"{each['preset']:8}{words:34}{each['auc']:+.4f} [{each['low']:+.4f}, {each['high']:+.4f}]")
    return "\n".join(lines)

"""What ESMM gains and loses, on synthetic funnels whose truth is known: `python -m benchmarks funnel`.

Presets: p1 (shared taste, clicks chosen by what sells), p2 (nothing to gain), p3 (clicks convert often). The variants
of a preset learn from the same training rows. The truth r of every impression, clicked or not, says how good pCVR is:

    AUC*     every row counts r as a positive and 1 - r as a negative: over all test rows, and over unclicked ones
    bias     mean pCVR / mean r             error    sqrt( mean (pCVR - r)^2 ) / mean r

Differences are paired by seed, which makes another shop each time; intervals are Student's, level 0.95. What a preset
is made to show is held against its interval: it holds, it does not, or so many shops cannot tell.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
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

ROWS: Mapping[str, int] = {"p1": 400_000, "p2": 400_000, "p3": 200_000}
BATCH = 4096
MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "clicked-only": ("esmm", {"variant": "clicked-only"}),
    "shared+clicked": ("esmm", {"variant": "shared+clicked"}),
    "esmm": ("esmm", {}),
    "esmm, lambda 1": ("esmm", {"lambda_cvr": 1.0}),
    "esmm-ns": ("esmm", {"variant": "esmm-ns"}),
    "escm2-ips": ("esmm", {"variant": "escm2-ips"}),
    "lightgbm": ("lightgbm-funnel", {}),
}
PRESETS: Mapping[str, tuple[str, ...]] = {
    "p1": ("clicked-only", "shared+clicked", "esmm", "lightgbm"),
    "p2": ("clicked-only", "esmm-ns", "esmm", "lightgbm"),
    "p3": ("shared+clicked", "esmm", "esmm, lambda 1"),
}
"""What is trained on the shops of each preset."""
NEAR = 0.01
"""Differences of AUC* below this are none."""


class Claim(StrEnum):
    """What a preset is made to show about a difference of AUC*."""

    MORE = "above 0"
    SAME = f"within {NEAR}"
    OPEN = ""


class Verdict(StrEnum):
    """What an interval says of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNTOLD = "cannot be told"


COMPARED = (
    ("p1", "esmm", "clicked-only", Claim.MORE),
    ("p1", "esmm", "shared+clicked", Claim.OPEN),
    ("p2", "esmm", "clicked-only", Claim.SAME),
    ("p2", "esmm", "esmm-ns", Claim.SAME),
    ("p3", "esmm", "shared+clicked", Claim.OPEN),
    ("p3", "esmm, lambda 1", "esmm", Claim.MORE),
    ("p3", "esmm, lambda 1", "shared+clicked", Claim.OPEN),
)
"""Preset, first and second model of the differences that are shown, and what is claimed of them."""


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
    rows: int = 0,
    seeds: int = 5,
    threads: int = 0,
    batch: int = BATCH,
    presets: Sequence[str] = tuple(PRESETS),
) -> dict[str, Any]:
    """Train the models of every preset on every seed; return the figures of each, and the paired differences.

    `rows` are the impressions of every shop; 0: `ROWS`.
    """
    services = main.services(threads=threads)
    figures: dict[str, dict[str, list[dict[str, float]]]] = {
        preset: {name: [] for name in PRESETS[preset]} for preset in presets
    }
    counts = {preset: rows or ROWS[preset] for preset in presets}
    for preset in presets:
        for seed in range(1, seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                known = known_funnel(preset, counts[preset], seed, services, Path(folder))
            for name in PRESETS[preset]:
                model, parameters = MODELS[name]
                spec = services.host.model(model)
                size = {"batch_size": batch} if hasattr(spec.parameters, "batch_size") else {}
                found = trained(spec, {**parameters, **size}, known, seed=seed, threads=services.threads)
                figures[preset][name].append(found)
    about = {"rows": counts, "batch": batch, "seeds": seeds, "machine": _machine()}
    return {**about, "figures": figures, "differences": differences(figures)}


def _machine() -> str:
    numbers = ", ".join(f"{package} {version(package)}" for package in ("torch", "lightgbm", "numpy"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {numbers}"


def paired(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean difference with its interval; of a single pair the interval is everything."""
    gaps = np.asarray(first) - np.asarray(second)
    if len(gaps) < 2:
        return float(gaps.mean()), float("-inf"), float("inf")
    half = float(student.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps)))
    return float(gaps.mean()), float(gaps.mean()) - half, float(gaps.mean()) + half


def verdict(claim: Claim, low: float, high: float) -> Verdict | None:
    """Return what an interval of a difference says of a claim; None where nothing is claimed."""
    if claim is Claim.OPEN:
        return None
    least, most = (0.0, float("inf")) if claim is Claim.MORE else (-NEAR, NEAR)
    if least < low and high < most:
        return Verdict.HOLDS
    return Verdict.FAILS if high <= least or low >= most else Verdict.UNTOLD


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean difference of AUC* between two models on one preset, with its interval and what it says of a claim."""

    preset: str
    first: str
    second: str
    auc: float
    low: float
    high: float
    claim: Claim
    verdict: Verdict | None


def differences(figures: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> list[dict[str, Any]]:
    """Return the `COMPARED` differences of which both sides were trained."""
    found = []
    for preset, first, second, claim in COMPARED:
        if preset in figures:
            mean, low, high = paired(*([each["auc"] for each in figures[preset][name]] for name in (first, second)))
            said = verdict(claim, low, high)
            found.append(asdict(Difference(preset, first, second, mean, low, high, claim, said)))
    return found


def table(figures: dict[str, Any]) -> str:
    """Return the figures as text: means over seeds, then the differences."""
    counts = ", ".join(f"{preset} {rows:,}" for preset, rows in figures["rows"].items())
    lines = [f"impressions: {counts}; batches of {figures['batch']:,}; {figures['seeds']} seeds", ""]
    lines.append(f"{'preset':8}{'model':18}{'AUC*':>8}{'unclicked':>11}{'bias':>8}{'error':>8}")
    for preset, models in figures["figures"].items():
        for name, runs in models.items():
            means = [float(np.mean([run[key] for run in runs])) for key in ("auc", "auc_unclicked", "bias", "error")]
            lines.append(f"{preset:8}{name:18}{means[0]:8.4f}{means[1]:11.4f}{means[2]:8.3f}{means[3]:8.3f}")
    lines += ["", "Difference of AUC*, paired by seed"]
    for each in figures["differences"]:
        words = f"{each['first']} - {each['second']}"
        claimed = f"  {each['claim']}: {each['verdict']}" if each["verdict"] else ""
        lines.append(
            f"{each['preset']:8}{words:34}{each['auc']:+.4f} [{each['low']:+.4f}, {each['high']:+.4f}]{claimed}"
        )
    return "\n".join(lines)

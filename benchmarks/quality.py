"""Test AUC on real rows over seeds: every model as the app trains it, beside its peer on the same inputs.

`--folder` holds bank-marketing/bank-full.csv (UCI, CC BY 4.0) and movietweetings-100k (MIT). A peer trains up to 30
epochs with its own defaults and Adam at 1e-3; the epoch with the best validation AUC is kept, after two without a
better one it ends, and the same rule chooses ours by its own early stopping. Intervals are those of Student's t.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from crosslens import EncodedDataset, FitContext, TrainingData, parameters_from_plain
from plugins import builtin_plugins

from .quality_data import Question, questions
from .sides.protocol import area
from .turns import SideSpec, running_sides

_EPOCHS, _PATIENCE = 30, 2
_T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
_PEER = {
    "embedding": 16, "spread": 1e-4, "rate": 1e-3, "batch": 1024, "score_batch": 8192, "heads": 2, "head": 8,
    "attention_layers": 3, "layers": [], "l2": 1e-5,
}  # fmt: skip


def measure(
    folder: Path, seeds: int = 5, threads: int = 0, peers: Path | None = None, keep: Path | None = None
) -> dict[str, Any]:
    """Train everything `seeds` times on every question and return test AUCs by title and question.

    `keep` is a file to which every training that has ended is added: it takes hours, and goes on from there.
    """
    threads = threads or os.cpu_count() or 1
    found: dict[str, dict[str, list[float]]] = {}
    for question in questions(folder):
        found[question.title] = {
            title: [_kept(keep, question, title, train, seed) for seed in range(seeds)]
            for title, train in _trainings(threads, peers)
        }
    return {"seeds": seeds, "threads": threads, "test_auc": found}


def _kept(
    keep: Path | None, question: Question, title: str, train: Callable[[Question, int], float], seed: int
) -> float:
    """Return a test AUC that was measured before, or measure it and add it to the file."""
    training = [question.title, title, seed]
    lines = keep.read_text(encoding="utf-8").splitlines() if keep is not None and keep.exists() else []
    for line in map(json.loads, lines):
        if line[:3] == training:
            return float(line[3])
    started = time.monotonic()
    area_found = train(question, seed)
    line = json.dumps([*training, area_found, round(time.monotonic() - started)])
    print(line, file=sys.stderr, flush=True)
    if keep is not None:
        with keep.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    return area_found


def _trainings(threads: int, peers: Path | None) -> Iterator[tuple[str, Callable[[Question, int], float]]]:
    for model in ("logistic", "arm-net", "arm-net-plus", "autoint", "autoint-plus", "lightgbm"):
        yield f"Crosslens {model}", lambda question, seed, model=model: _ours(model, question, seed, threads)
    plain = _PEER | {"threads": threads, "spread": 0.05, "arm_heads": 4, "neurons": 32, "alpha": 1.7}
    arm = plain | {"embedding": 10, "layers": [300, 300]}
    yield "plain ARM-Net", lambda question, seed: _peer(SideSpec("ARM-Net", "armnet_plain.py", arm), question, seed)
    yield "plain LightGBM", lambda question, seed: _plain_lightgbm(question, seed, threads)
    if peers is not None:
        settings = _PEER | {"threads": threads, "model": "autoint"}
        for title, extra in (("AutoInt", {}), ("AutoInt+", {"layers": [256, 128]})):
            for name, program in (("DeepCTR-Torch", "deepctr.py"), ("FuxiCTR", "fuxi.py")):
                spec = SideSpec(name, program, settings | {"head": 16 if name == "FuxiCTR" else 8} | extra, peers)
                yield f"{name} {title}", lambda question, seed, spec=spec: _peer(spec, question, seed)


def _ours(model: str, question: Question, seed: int, threads: int) -> float:
    spec = next(
        spec for _, module in builtin_plugins() for spec in module.crosslens_register_models() if spec.id == model
    )
    fitted = spec.build(parameters_from_plain(spec.parameters, {})).fit(
        question.data, FitContext(seed=seed, threads=threads)
    )
    return area(question.test.target, fitted.predict(question.test).logit())


def _peer(spec: SideSpec, question: Question, seed: int) -> float:
    """Return the test AUC at the epoch of the best validation AUC."""
    seeded = SideSpec(spec.title, spec.program, {**spec.settings, "seed": seed}, spec.python)
    best, chosen, stale = -np.inf, float("nan"), 0
    with running_sides(question.data, [seeded], epochs=_EPOCHS, test=question.test) as (side,):
        for _ in range(_EPOCHS):
            side.ask(do="train")
            validation = side.ask(do="score")["auc"]["click"]
            stale = stale + 1 if validation <= best else 0
            if not stale:
                best, chosen = validation, side.ask(do="score", part="test")["auc"]["click"]
            if stale >= _PATIENCE:
                break
    return chosen


def _plain_lightgbm(question: Question, seed: int, threads: int) -> float:
    """Return the test AUC of LightGBM as its own page shows it: defaults, categories, early stopping on validation."""
    import lightgbm

    def rows(data: EncodedDataset, reference: Any = None) -> Any:
        table, names = data.local_ids(), list(range(data.ids.shape[1]))
        return lightgbm.Dataset(table, data.target, categorical_feature=names, reference=reference)

    data: TrainingData = question.data
    train = rows(data.train)
    settings = {"objective": "binary", "metric": "auc", "seed": seed, "num_threads": threads, "verbose": -1}
    booster = lightgbm.train(
        settings | {"bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8}, train, 1000,
        valid_sets=[rows(data.validation, train)], callbacks=[lightgbm.early_stopping(50, verbose=False)],
    )  # fmt: skip
    scores = booster.predict(question.test.local_ids())
    return area(question.test.target, np.asarray(scores))


def table(figures: dict[str, Any]) -> str:
    """Return means over seeds with intervals as a table to print."""
    lines = []
    for title, models in figures["test_auc"].items():
        lines += ["", f"{title}: test AUC over {figures['seeds']} seeds"]
        for name, values in models.items():
            mean = statistics.fmean(values)
            half = _half(values)
            lines.append(f"  {name:26}{mean:.4f}  [{mean - half:.4f}, {mean + half:.4f}]")
    return "\n".join(lines[1:])


def _half(values: list[float]) -> float:
    if len(values) < 2:
        return float("nan")
    return _T95.get(len(values), 2.0) * statistics.stdev(values) / len(values) ** 0.5

"""What every side understands: one JSON line in, one JSON line out.

    {"do": "train"}   one epoch on the training rows        -> {"seconds", "processor", "rows"}
    {"do": "score"}   the validation rows, another "part",
                      or with "big" many rows               -> {"seconds", "rows", "auc": {output: AUC}}
    {"do": "end"}

Called as `SIDE.py DATA.npz SETTINGS.json`. DATA holds sizes (C,), and for the parts "train_", "validation_" and perhaps
"test_" local ids (N, C), values (N, M) and one array a label. Only numpy is needed here: peers run it in an environment
of their own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MARK = "@ "
"""Begins the lines that are answers."""


class Rows:
    """One part of the data as plain arrays: ids (N, C) int32 counted from 0 in each field, values (N, M), labels."""

    def __init__(self, arrays: dict[str, np.ndarray], part: str) -> None:
        self.ids = arrays[f"{part}_ids"]
        self.values = arrays[f"{part}_values"]
        names = [name for name in arrays if name.startswith(f"{part}_label_")]
        self.labels = {name.removeprefix(f"{part}_label_"): arrays[name] for name in names}

    def __len__(self) -> int:
        return len(self.ids)


Parts = dict[str, Rows]


def read_arguments() -> tuple[Parts, np.ndarray, dict[str, Any]]:
    """Return the rows by part, the sizes of the fields (C,) and the settings."""
    with np.load(sys.argv[1]) as file:
        arrays = {name: file[name] for name in file.files}
    settings = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    parts = [name for name in ("train", "validation", "test") if f"{name}_ids" in arrays]
    return {name: Rows(arrays, name) for name in parts}, arrays["sizes"], settings


class Turns:
    """The conversation with the one who asks. Libraries print what they like: only marked lines are answers."""

    def next(self) -> dict[str, Any]:
        """Wait for the next question; one that never comes is the end."""
        line = sys.stdin.readline()
        return json.loads(line) if line else {"do": "end"}

    def answer(self, **facts: Any) -> None:
        """Answer the last question."""
        print(MARK + json.dumps(facts), flush=True)


def serve(train: Callable[[], int], score: Callable[[Rows, bool], dict[str, np.ndarray]], parts: Parts) -> None:
    """Answer until the end. `train` makes one epoch and returns its rows; `score(rows, big)` logits or chances."""
    turns = Turns()
    turns.answer(ready=True)
    while (question := turns.next())["do"] != "end":
        started, processor = time.perf_counter(), time.process_time()
        if question["do"] == "train":
            rows = train()
            turns.answer(seconds=time.perf_counter() - started, processor=time.process_time() - processor, rows=rows)
        else:
            rows = parts[question.get("part", "validation")]
            scores = score(rows, question.get("big", False))
            seconds = time.perf_counter() - started
            turns.answer(seconds=seconds, rows=len(next(iter(scores.values()))), auc=areas(scores, rows))


def areas(scores: dict[str, np.ndarray], rows: Rows) -> dict[str, float]:
    """Return the AUC by output; conversions among clicked rows for "conversion", among all for their product."""
    found = {}
    for output, score in scores.items():
        if len(score) != len(rows):
            continue
        click = rows.labels["click"]
        if output == "conversion":
            chosen = click > 0
            found[output] = area(rows.labels["conversion"][chosen], score[chosen])
        else:
            label = click if output == "click" else click * rows.labels["conversion"]
            found[output] = area(label, score)
    return found


def area(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve by mid-ranks."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = label.sum()
    negatives = len(label) - positives
    if not positives or not negatives:
        return float("nan")
    return float((ranks[label > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def big(rows: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Return the rows repeated to as many as the settings ask for: what scoring is measured on."""
    return np.resize(rows, (settings["big_rows"], rows.shape[1]))

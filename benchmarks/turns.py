"""Sides that take turns: each trains or scores while the other waits, so that load and heat meet both alike."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crosslens import EncodedDataset, TrainingData

from .sides.protocol import MARK

_SIDES = Path(__file__).parent / "sides"
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class SideSpec:
    """A program of `benchmarks.sides`, the interpreter it runs in, and the settings it is given."""

    title: str
    program: str
    settings: Mapping[str, Any]
    python: Path = Path(sys.executable)


@dataclass(eq=False)
class Side:
    """A running side and what it has answered. `areas`: AUC of every output on validation rows after the last epoch."""

    spec: SideSpec
    process: subprocess.Popen[str]
    training: list[dict[str, Any]] = field(default_factory=list)
    scoring: list[dict[str, Any]] = field(default_factory=list)
    areas: dict[str, float] = field(default_factory=dict)
    errors: Any = None

    def ask(self, **question: Any) -> dict[str, Any]:
        """Return the answer to one question; RuntimeError with its last words if it has died."""
        assert self.process.stdin is not None
        if question:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        return self.listen()

    def listen(self) -> dict[str, Any]:
        """Return the next line it says."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(MARK):
                answer: dict[str, Any] = json.loads(line.removeprefix(MARK))
                return answer
        self.errors.seek(0)
        raise RuntimeError(f"{self.spec.title} ended:\n{self.errors.read()[-3000:]}")

    @property
    def training_rate(self) -> float:
        """Return training rows per second, the median over epochs but the first."""
        return statistics.median(each["rows"] / each["seconds"] for each in self.training[1:] or self.training)

    @property
    def scoring_rate(self) -> float:
        """Return scored rows per second, the median over all turns."""
        return statistics.median(each["rows"] / each["seconds"] for each in self.scoring)


def take_turns(
    data: TrainingData, sides: Sequence[SideSpec], *, epochs: int, scorings: int = 0, big_rows: int = 0
) -> list[Side]:
    """Let every side train `epochs` epochs in turn, score validation rows, then `scorings` times `big_rows` rows."""
    with running_sides(data, sides, epochs=epochs, big_rows=big_rows) as running:
        for _ in range(epochs):
            for side in running:
                side.training.append(side.ask(do="train"))
        for side in running:
            side.areas = side.ask(do="score")["auc"]
        for _ in range(scorings):
            for side in running:
                side.scoring.append(side.ask(do="score", big=True))
        return running


@contextmanager
def running_sides(
    data: TrainingData,
    sides: Sequence[SideSpec],
    *,
    epochs: int,
    big_rows: int = 0,
    test: EncodedDataset | None = None,
) -> Iterator[list[Side]]:
    """Start every side and wait until all of them are ready; they end with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_data(folder / "data.npz", data, test)
        running = []
        for place, spec in enumerate(sides):
            settings = {**spec.settings, "epochs": epochs, "big_rows": big_rows}
            (folder / f"{place}.json").write_text(json.dumps(settings), encoding="utf-8")
            errors = stack.enter_context((folder / f"{place}.log").open("w+", encoding="utf-8"))
            process = stack.enter_context(_started(spec, folder / "data.npz", folder / f"{place}.json", errors))
            running.append(Side(spec, process, errors=errors))
        for side in running:
            side.listen()
        yield running


@contextmanager
def _started(spec: SideSpec, data: Path, settings: Path, errors: Any) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)} if spec.python == Path(sys.executable) else dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(
        [str(spec.python), str(_SIDES / spec.program), str(data), str(settings)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def write_data(path: Path, data: TrainingData, test: EncodedDataset | None = None) -> None:
    """Write all parts as plain arrays that need nothing of Crosslens to be read."""
    arrays: dict[str, Any] = {"sizes": np.array([each.cardinality for each in data.schema.categorical], np.int64)}
    parts = {"train": data.train, "validation": data.validation} | ({} if test is None else {"test": test})
    for part, rows in parts.items():
        arrays |= {f"{part}_ids": rows.local_ids(), f"{part}_values": np.asarray(rows.values)}
        arrays |= {f"{part}_label_{name}": np.asarray(label) for name, label in rows.labels.items()}
    np.savez(path, **arrays)

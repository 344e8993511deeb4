"""The real worker as a process: what the window relies on when things go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import main
from core.recipe import ModelChoice
from core.recipe_toml import recipe_to_toml
from crosslens.runs import RunRecord, RunStatus

from .conftest import Trip


class Worker:
    """`python main.py worker`, spoken to in lines."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(main.ENTRY), "worker", "--threads", "1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip

    def send(self, number: int, command: str, **arguments: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": number, "command": command, "arguments": arguments}) + "\n")
        self.process.stdin.flush()

    def events(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield json.loads(line)

    def answer(self) -> dict[str, Any]:
        return next(event for event in self.events() if event["event"] != "progress")


@contextmanager
def running_worker() -> Iterator[Worker]:
    worker = Worker()
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()
        for stream in (worker.process.stdin, worker.process.stdout, worker.process.stderr):
            assert stream is not None
            stream.close()


def runs(trip: Trip, project: Path) -> tuple[RunRecord, ...]:
    store = trip.services.projects.open(project)
    try:
        return store.runs()
    finally:
        store.close()


def slow_recipe(trip: Trip) -> str:
    choice = ModelChoice("arm-net", {"epochs": 4, "patience": 4, "neurons": 8, "heads": 2})
    return recipe_to_toml(replace(trip.recipe, models=(choice,)))


def first_epoch(worker: Worker) -> None:
    next(event for event in worker.events() if event.get("progress", {}).get("fit", {}).get("metrics"))


def test_a_killed_training_shows_as_interrupted_and_goes_on_from_its_checkpoint(trip: Trip, tmp_path: Path) -> None:
    project = tmp_path / "p"
    with running_worker() as worker:
        worker.send(1, "train", project=str(project), recipe=slow_recipe(trip))
        first_epoch(worker)
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
    (interrupted,) = runs(trip, project)
    assert interrupted.status is RunStatus.INTERRUPTED
    assert (project / "runs" / interrupted.id / "checkpoint").exists()
    with running_worker() as worker:
        worker.send(1, "train", project=str(project), recipe="", resume=interrupted.id)
        assert worker.answer()["result"] == {"runs": [interrupted.id]}
    (finished,) = runs(trip, project)
    assert finished.status is RunStatus.FINISHED
    assert finished.metrics["auc"].value > 0.5


def test_a_worker_whose_window_is_gone_ends_at_once(trip: Trip, tmp_path: Path) -> None:
    with running_worker() as worker:
        worker.send(1, "train", project=str(tmp_path / "p"), recipe=slow_recipe(trip))
        first_epoch(worker)
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.process.wait(timeout=10) != 0
    assert runs(trip, tmp_path / "p")[0].status is RunStatus.INTERRUPTED


def test_an_idle_worker_ends_quietly_when_its_input_closes() -> None:
    with running_worker() as worker:
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.process.wait(timeout=20) == 0


def test_tables_and_pages_come_as_plain_json(trip: Trip) -> None:
    connection = {"dialect": "sqlite", "database": str(trip.sample.database)}
    with running_worker() as worker:
        worker.send(1, "open-source", connection=connection)
        overview = worker.answer()["result"]
        assert {"impressions", "clicks", "users"} <= {table["ref"]["name"] for table in overview["tables"]}
        worker.send(2, "read-page", connection=connection, table={"name": "users"}, rows=3)
        page = worker.answer()["result"]
        assert len(page["rows"]) == 3
        assert page["anchor"]


def test_the_worker_imports_no_qt_and_no_model_library_before_it_must(trip: Trip) -> None:
    heavy = ("torch", "lightgbm", "sklearn", "PySide6")
    code = f"import main, sys; main.services(); print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=main.ENTRY.parent, check=True,
        env={**os.environ, "PYTHONPATH": str(main.ENTRY.parent)},
    )  # fmt: skip
    assert found.stdout.strip() == "[]"

"""The device somebody asked for reaches the models, and runs say where they were trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.jobs.train import _fit, device_of
from core.plugins.processes import WorkerOf
from core.run_folder import RunFolder
from core.services import JobControl, Services
from crosslens import FitContext
from ui.terminal import cli

SERVICES = Services(None, None, None, threads=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["cpu", "cuda", "auto"])
def test_a_model_trains_where_it_is_told_to(device: str, tmp_path: Path) -> None:
    lent: list[FitContext] = []

    def build(_: Any) -> Any:
        return SimpleNamespace(fit=lambda _, context: lent.append(context))

    plan: Any = SimpleNamespace(
        spec=SimpleNamespace(title="A model", build=build),
        recipe=SimpleNamespace(seed=3),
        record=SimpleNamespace(id="run"),
        parameters=None,
        folder=RunFolder(tmp_path),
    )
    _fit(plan, None, replace(SERVICES, device=device), JobControl())
    assert (lent[0].device, lent[0].threads, lent[0].seed) == (device, 2, 3)


@pytest.mark.parametrize(
    ("model", "device"),
    [
        (SimpleNamespace(facts={"device": "cuda"}), "cuda"),
        (SimpleNamespace(facts={"epochs": 3}), ""),
        (SimpleNamespace(facts=dict), ""),
        (SimpleNamespace(), ""),
    ],
)
def test_the_device_is_what_the_model_says(model: Any, device: str) -> None:
    assert device_of(model) == device


def test_a_worker_of_a_plugin_is_told_the_device() -> None:
    worker = WorkerOf("id", "A plugin", ("crosslens",), Path("plugins"), 2, "cuda")
    assert worker.command[1:] == ("worker", "--plugins", "id", "--threads", "2", "--device", "cuda")


@pytest.mark.parametrize("command", [["train", "shop.toml"], ["tune", "shop.toml"], ["demo"], ["worker"]])
def test_the_command_line_takes_a_card_if_there_is_one_unless_told(command: list[str]) -> None:
    assert cli._parser().parse_args(command).device == "auto"
    assert cli._parser().parse_args([*command, "--device", "mps"]).device == "mps"


def test_the_command_line_knows_four_devices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["train", "shop.toml", "--device", "abacus"])
    assert "'auto', 'cpu', 'cuda', 'mps'" in capsys.readouterr().err

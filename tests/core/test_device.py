"""The device somebody asked for reaches the models, and runs say where they were trained."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import main
from core.commands import MakeSample, SampleMade, Train, Tune
from core.jobs import perform
from core.jobs.devices import check_device
from core.jobs.train import _fit, device_of
from core.plugins.processes import WorkerOf
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.run_folder import RunFolder
from core.services import JobControl, Services
from crosslens import FitContext, ParameterError
from crosslens.runs import RunStatus
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


# --- a device this machine does not have ------------------------------------------------------------------------------

ABSENT = "cuda" if sys.platform == "darwin" else "mps"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleMade:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    made: SampleMade = perform(MakeSample(path, rows=300, seed=1), main.services(threads=1), JobControl())
    return made


def recipe_of(sample: SampleMade, *models: str) -> str:
    recipe = recipe_from_toml(sample.recipe, folder=sample.database.parent)
    return recipe_to_toml(replace(recipe, models=tuple(ModelChoice(model) for model in models)))


def rows_read(project: Path) -> list[Path]:
    return [path for path in (project / "data").rglob("*") if path.is_file()]


@pytest.mark.parametrize("models", [("arm-net",), ("lightgbm", "autoint"), ("esmm",), ("sasrec-ce",)])
def test_a_training_on_a_device_that_is_not_there_is_refused_before_a_row_is_read(
    models: tuple[str, ...], sample: SampleMade, tmp_path: Path
) -> None:
    services = main.services(threads=1, device=ABSENT)
    with pytest.raises(ParameterError, match=f"This machine has no device '{ABSENT}'.*Choose one of: .*cpu"):
        perform(Train(tmp_path / "project", recipe_of(sample, *models)), services, JobControl())
    assert rows_read(tmp_path / "project") == []
    project = services.projects.open(tmp_path / "project")
    try:
        found = {(run.status, run.error.partition(" ")[0]) for run in project.runs()}
        assert found == {(RunStatus.FAILED, "This")}
    finally:
        project.close()


def test_a_search_on_a_device_that_is_not_there_is_refused_before_a_row_is_read(
    sample: SampleMade, tmp_path: Path
) -> None:
    asked = Tune(tmp_path / "project", recipe=recipe_of(sample, "arm-net"), model="arm-net", trials=1)
    with pytest.raises(ParameterError, match="no device"):
        perform(asked, main.services(threads=1, device=ABSENT), JobControl())
    assert rows_read(tmp_path / "project") == []


def test_models_that_know_the_processor_alone_pass_over_the_device(sample: SampleMade, tmp_path: Path) -> None:
    services = main.services(threads=1, device=ABSENT)
    trained = perform(Train(tmp_path / "project", recipe_of(sample, "logistic")), services, JobControl())
    assert len(trained.runs) == 1
    assert rows_read(tmp_path / "project")


def test_a_model_that_cannot_be_built_is_left_to_fail_in_its_turn() -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("a stranger's fault")

    def choosy(_: Any) -> Any:
        return SimpleNamespace(check_device=asked.append)

    asked: list[str] = []
    models: Any = [(SimpleNamespace(build=each), None) for each in (broken, choosy)]
    check_device(models, "cuda")
    assert asked == ["cuda"]


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_what_every_machine_has_is_not_asked_about(device: str) -> None:
    models: Any = [(SimpleNamespace(build=lambda _: pytest.fail("built before its time")), None)]
    check_device(models, device)

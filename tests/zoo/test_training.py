"""Strangers' models in real processes: trained, asked and stopped; what goes wrong costs that model alone."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import main
from core.commands import (
    EstimateTraining,
    ExplainRow,
    MakeReport,
    MakeSample,
    MakeValueTable,
    ModelEstimate,
    Progress,
    Score,
    Train,
)
from core.jobs import estimate_elsewhere, perform
from core.plugins.workers import KeptWorkers
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.services import JobControl, Services
from crosslens.errors import PluginError, Stopped, UserError
from crosslens.runs import RunRecord, RunStatus

from .wheels import ESTIMATOR, make_bundle, make_plugin, make_wheel, plugin_id

FIT = "        mean = float"


def fitting(line: str) -> str:
    """Return an estimator that does something before it learns the mean."""
    return ESTIMATOR.replace(FIT, f"        {line}\n{FIT}", 1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the recipe of a small shop."""
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    made = perform(MakeSample(path, 1_500), main.services(threads=1), JobControl())
    return str(made.recipe)


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    monkeypatch.setenv("CROSSLENS_DATA", str(tmp_path / "data"))
    return main.services(threads=1)


class World:
    def __init__(self, shop: str, services: Services, folder: Path) -> None:
        self.shop, self.services, self.folder = shop, services, folder
        self.project = folder / "project"
        self.progress: list[Progress] = []
        self.control = JobControl(self.progress.append)

    def install(self, *wheels: Path) -> None:
        assert self.services.plugins is not None
        for wheel in wheels:
            self.services.plugins.install(wheel)

    def train(self, *models: str, runs: Sequence[str] = ()) -> Any:
        recipe = replace(recipe_from_toml(self.shop), models=tuple(map(ModelChoice, models)))
        return self.ask(Train(self.project, recipe_to_toml(recipe), tuple(runs)))

    def ask(self, request: Any) -> Any:
        return perform(request, self.services, self.control)

    def runs(self) -> dict[str, RunRecord]:
        project = self.services.projects.open(self.project)
        try:
            return {record.model: record for record in project.runs()}
        finally:
            project.close()


@pytest.fixture
def world(shop: str, services: Services, tmp_path: Path) -> World:
    return World(shop, services, tmp_path)


@pytest.mark.slow
def test_a_strangers_model_is_trained_asked_and_reported_like_any_other(world: World, tmp_path: Path) -> None:
    world.install(make_plugin(tmp_path, "plush"))
    trained = world.train("plush", "logistic", runs=("p-1", "l-1"))
    assert sorted(trained.runs) == ["l-1", "p-1"]
    assert {run.status for run in world.runs().values()} == {RunStatus.FINISHED}
    assert {progress.run for progress in world.progress if progress.fit} >= {"p-1", "l-1"}
    assert world.ask(ExplainRow(world.project, "p-1", 3)).fields
    names = [field.name for field in world.ask(ExplainRow(world.project, "p-1", 0)).fields][:2]
    assert world.ask(MakeValueTable(world.project, "p-1", *names)).predicted
    assert world.ask(Score(world.project, "p-1", tmp_path / "scores.csv")).rows == 1_500
    assert world.ask(MakeReport(world.project, ("p-1",), tmp_path / "report.html")).html.exists()
    assert not [name for name in sys.modules if name.startswith("plush")]


@pytest.mark.slow
def test_strangers_models_are_tried_in_their_workers_before_they_are_trained(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate_elsewhere, "SECONDS", 4.0)
    world.install(
        make_plugin(tmp_path, "plush"),
        make_plugin(tmp_path, "crashes", estimator=fitting("import os; os.kill(os.getpid(), 11)")),
        make_plugin(tmp_path, "deaf", estimator=fitting("import time; time.sleep(600)")),
    )
    recipe = replace(recipe_from_toml(world.shop), models=tuple(map(ModelChoice, ("deaf", "plush", "crashes"))))
    deaf, plush, crashes = world.ask(EstimateTraining(recipe_to_toml(recipe), 100_000)).models
    assert (plush.model, plush.epochs, plush.tried) == ("plush", 1, 32_000)
    assert plush.seconds > 0
    assert (deaf, crashes) == (ModelEstimate("deaf"), ModelEstimate("crashes"))


def test_what_goes_wrong_in_one_plugin_leaves_the_other_models_alone(world: World, tmp_path: Path) -> None:
    world.install(
        make_plugin(tmp_path, "crashes", estimator=fitting("import os; os.kill(os.getpid(), 11)")),
        make_plugin(tmp_path, "raises", estimator=fitting("raise ValueError('too few rows for me')")),
        make_plugin(tmp_path, "prints", estimator=fitting('print(\'{"id": 1, "event": "result"}\', flush=True)')),
    )
    with pytest.raises(PluginError, match=r"The plugin crashes crashed \(SIGSEGV\)"):
        world.train("crashes", "raises", "prints", "logistic")
    runs = world.runs()
    assert {model: run.status for model, run in runs.items()} == {
        "crashes": RunStatus.FAILED,
        "raises": RunStatus.FAILED,
        "prints": RunStatus.FINISHED,
        "logistic": RunStatus.FINISHED,
    }
    assert runs["crashes"].error.startswith("The plugin crashes crashed (SIGSEGV).")
    assert "too few rows for me" in runs["raises"].error


def test_two_plugins_with_two_versions_of_one_package_train_side_by_side(world: World, tmp_path: Path) -> None:
    for name, version in (("left", "1.0"), ("right", "2.0")):
        fluff = make_wheel(tmp_path / version, "fluff", {"fluff.py": f"VERSION = '{version}'"}, version=version)
        estimator = fitting(f"import fluff; assert fluff.VERSION == '{version}', fluff.VERSION")
        plugin = make_plugin(tmp_path, name, estimator=estimator, requires=[f"fluff=={version}"])
        world.install(make_bundle(tmp_path / f"{name}.crosslens-plugin", plugin, [fluff]))
    world.train("left", "right")
    assert {model: run.status for model, run in world.runs().items()} == dict.fromkeys(
        ("left", "right"), RunStatus.FINISHED
    )


@pytest.mark.parametrize(
    ("name", "line", "status"),
    [
        ("polite", "import time\n        while not context.should_stop(): time.sleep(0.01)", RunStatus.STOPPED),
        ("deaf", "import time; time.sleep(600)", RunStatus.STOPPED),
    ],
)
def test_stop_reaches_a_plugin_that_listens_and_ends_one_that_does_not(
    world: World, tmp_path: Path, name: str, line: str, status: RunStatus
) -> None:
    world.install(make_plugin(tmp_path, name, estimator=fitting(line)))

    def stop_when_training() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and not any(each.phase == "training" for each in world.progress):
            time.sleep(0.05)
        world.control.stop.set()

    threading.Thread(target=stop_when_training, daemon=True).start()
    with pytest.raises(Stopped):
        world.train(name, runs=("r-1",))
    assert world.runs()[name].status is status


def test_a_kept_worker_answers_the_next_question_and_is_left_when_the_plugin_changes(
    world: World, tmp_path: Path
) -> None:
    world.install(make_plugin(tmp_path, "plush"))
    world.train("plush", runs=("p-1",))
    plugins = world.services.plugins
    assert plugins is not None
    kept = plugins.kept = KeptWorkers()
    worker = plugins.worker(plugin_id("plush"), 1, world.services.device)
    processes = []
    for row in (0, 1):
        assert world.ask(ExplainRow(world.project, "p-1", row)).row == row
        conversation = kept.take(worker)
        assert conversation is not None
        processes.append(conversation._process.pid)
        kept.give(worker, conversation)
    with pytest.raises(UserError, match="There is no test row"):
        world.ask(ExplainRow(world.project, "p-1", 999_999))
    assert processes[0] == processes[1]
    world.install(make_plugin(tmp_path, "plush", version="1.1"))
    assert kept.take(plugins.worker(plugin_id("plush"), 1, world.services.device)) is None
    kept.close()


def test_a_plugin_that_is_gone_is_a_sentence(world: World, tmp_path: Path) -> None:
    world.install(make_plugin(tmp_path, "plush"))
    world.train("plush", runs=("p-1",))
    assert world.services.plugins is not None
    world.services.plugins.remove("plush")
    world.services.host.refresh()
    with pytest.raises(PluginError, match="There is no model 'plush'"):
        world.ask(ExplainRow(world.project, "p-1", 0))

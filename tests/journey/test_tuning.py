"""A search over a model's parameters: from the command line, resumed, and on real trainings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import main
from core.commands import Tune
from core.jobs import perform
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.services import JobControl, Services
from core.tuning import TrialState, load_tuning, save_tuning, tuning_folder, tunings
from crosslens.errors import Stopped, UserError


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("tuning")
    assert main.main(["sample", str(folder / "shop.db"), "--rows", "1500"]) == 0
    recipe = recipe_from_toml((folder / "shop.toml").read_text(encoding="utf-8"))
    quick = [choice for choice in recipe.models if choice.id == "lightgbm"]
    assert quick
    (folder / "shop.toml").write_text(recipe_to_toml(recipe.only(quick[0])), encoding="utf-8")
    yield folder


def search(project: Path, services: Services, toml: str, **request: Any) -> tuple[Any, Path]:
    done = perform(Tune(project, toml, "lightgbm", **request), services, JobControl())
    folder = tuning_folder(project, done.tuning)
    return load_tuning(folder), folder


def test_a_search_goes_on_as_if_it_had_not_been_stopped(shop: Path, tmp_path: Path, services: Services) -> None:
    toml = (shop / "shop.toml").read_text(encoding="utf-8")
    whole, _ = search(tmp_path / "whole", services, toml, trials=5)
    half, _ = search(tmp_path / "parted", services, toml, trials=2)
    done = perform(Tune(tmp_path / "parted", resume=half.id, trials=3), services, JobControl())
    parted = load_tuning(tuning_folder(tmp_path / "parted", done.tuning))
    assert [trial.parameters for trial in parted.trials] == [trial.parameters for trial in whole.trials]
    assert [trial.value for trial in parted.trials] == [trial.value for trial in whole.trials]


def test_the_first_trial_is_the_recipes_own(shop: Path, tmp_path: Path, services: Services) -> None:
    toml = (shop / "shop.toml").read_text(encoding="utf-8")
    recipe = recipe_from_toml(toml)
    own = recipe.models[0]
    recipe = recipe.only(type(own)(own.id, {**own.parameters, "num_leaves": 200, "num_trees": 5}))
    found, _ = search(tmp_path, services, recipe_to_toml(recipe), trials=1)
    assert found.trials[0].parameters["num_leaves"] == 200
    assert found.trials[0].state is TrialState.FINISHED
    assert found.trials[0].epochs <= 5


def test_values_are_tried_as_they_are_shown(shop: Path, tmp_path: Path, services: Services) -> None:
    found, _ = search(tmp_path, services, (shop / "shop.toml").read_text(encoding="utf-8"), trials=3)
    numbers = [value for trial in found.trials for value in trial.parameters.values() if isinstance(value, float)]
    assert numbers
    assert all(value == float(f"{value:.4g}") for value in numbers)


def test_stop_keeps_the_trials_that_are_done(shop: Path, tmp_path: Path, services: Services) -> None:
    control = JobControl()

    def watch(progress: Any) -> None:
        if "trial 1 of 9 done" in progress.message:
            control.stop.set()

    control = JobControl(watch)
    with pytest.raises(Stopped):
        perform(Tune(tmp_path, (shop / "shop.toml").read_text(encoding="utf-8"), "lightgbm", 9), services, control)
    (kept,) = tunings(tmp_path)
    assert len(kept.trials) == 1


def test_parameters_that_cannot_be_trained_are_failed_trials_with_a_sentence(
    shop: Path, tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.lightgbm_model import estimator

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no trees today")

    monkeypatch.setattr(estimator.LightGBMEstimator, "fit", broken)
    with pytest.raises(UserError, match="No trial came to an end"):
        search(tmp_path, services, (shop / "shop.toml").read_text(encoding="utf-8"), trials=2)
    (kept,) = tunings(tmp_path)
    assert [trial.state for trial in kept.trials] == [TrialState.FAILED] * 2
    assert "no trees today" in kept.trials[0].error


def test_a_model_that_the_recipe_does_not_name_cannot_be_searched(
    shop: Path, tmp_path: Path, services: Services
) -> None:
    with pytest.raises(UserError, match="does not name the model 'arm-net'"):
        perform(Tune(tmp_path, (shop / "shop.toml").read_text(encoding="utf-8"), "arm-net"), services, JobControl())


def test_the_command_line_writes_a_recipe_with_the_best_values(
    shop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    best = tmp_path / "best.toml"
    asked = ["tune", str(shop / "shop.toml"), "--trials", "2", "--threads", "1", "--json", "--out", str(best)]
    assert main.main([*asked, "--project", str(tmp_path / "project")]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["best"]["number"] in (0, 1)
    written = recipe_from_toml(best.read_text(encoding="utf-8")).models[0].parameters
    assert written == {**written, **told["best"]["parameters"]}
    assert main.main(["train", str(best), "--project", str(tmp_path / "project"), "--threads", "1"]) == 0


def test_the_command_line_says_that_a_search_was_begun_anew(
    shop: Path, tmp_path: Path, services: Services, capfd: pytest.CaptureFixture[str]
) -> None:
    toml = (shop / "shop.toml").read_text(encoding="utf-8")
    former, folder = search(tmp_path, services, toml, trials=1)
    save_tuning(folder, replace(former, data="rows that are gone"))
    asked = ["tune", "--resume", former.id, "--trials", "1", "--threads", "1", "--project", str(tmp_path)]
    assert main.main(asked) == 0
    told = capfd.readouterr().out
    assert "Begun anew" in told
    assert f"--resume {former.id}" not in told

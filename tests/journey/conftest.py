"""One small shop and one trained project, shared by every journey."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import main
from core.commands import MakeSample, SampleMade, Train, Trained
from core.jobs import perform
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.services import JobControl, Services


@dataclass(frozen=True)
class Trip:
    """A sample database, its recipe, and a project in which two quick models were trained."""

    services: Services
    sample: SampleMade
    recipe: Recipe
    project: Path
    runs: tuple[str, ...]

    def ask(self, request: Any, control: JobControl | None = None) -> Any:
        return perform(request, self.services, control or JobControl())


QUICK = (ModelChoice("lightgbm", {"num_trees": 60}), ModelChoice("logistic"))


@pytest.fixture(scope="session")
def services() -> Services:
    return main.services(threads=1)


@pytest.fixture(scope="session")
def sample(services: Services, tmp_path_factory: pytest.TempPathFactory) -> SampleMade:
    path = tmp_path_factory.mktemp("shop") / "größe & co.db"
    made: SampleMade = perform(MakeSample(path, rows=6_000, seed=3), services, JobControl())
    return made


@pytest.fixture(scope="session")
def trip(services: Services, sample: SampleMade, tmp_path_factory: pytest.TempPathFactory) -> Trip:
    project = tmp_path_factory.mktemp("projects") / "first"
    recipe = replace(recipe_from_toml(sample.recipe, folder=sample.database.parent), models=QUICK)
    trained: Trained = perform(Train(project, recipe_to_toml(recipe)), services, JobControl())
    return Trip(services, sample, recipe, project, trained.runs)


def plain_json(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{path.name} holds {constant}, which JSON does not know")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)

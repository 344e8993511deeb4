"""A model that will never fit: said beforehand, and refused in the same words by the training itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.commands import EstimateTraining, SampleMade, Train
from core.jobs import perform
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.services import JobControl, Services
from crosslens.errors import DataError
from crosslens.runs import RunStatus

ENDLESS = ModelChoice("arm-net", {"layers": [4096] * 1000})


def test_an_endless_network_is_refused_before_it_is_allocated(
    sample: SampleMade, services: Services, tmp_path: Path
) -> None:
    recipe = recipe_to_toml(replace(recipe_from_toml(sample.recipe, folder=sample.database.parent), models=(ENDLESS,)))
    (told,) = perform(EstimateTraining(recipe, 6_000, {}), services, JobControl()).models
    with pytest.raises(DataError) as refused:
        perform(Train(tmp_path, recipe), services, JobControl())
    assert refused.value.what.startswith("Training needs about")
    assert refused.value.why in told.obstacle
    assert refused.value.do == "Lower the widths of the layers."
    project = services.projects.open(tmp_path)
    (run,) = project.runs()
    project.close()
    assert run.status is RunStatus.FAILED
    assert run.error.startswith("Training needs about")

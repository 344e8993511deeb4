"""Before a training: what it would take, told by every network, and refused where it would never fit."""

from __future__ import annotations

import pytest

from core.commands import EstimateTraining, ModelEstimate
from core.jobs.estimate import estimate_training
from core.plugin_host import load_plugins
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_to_toml
from core.services import JobControl, Services
from crosslens import FieldKind, FieldRole
from crosslens.relational import ColumnRef, ConnectionSpec, QuerySpec, TableRef
from crosslens.schema import Field, FieldSchema
from plugins import builtin_plugins

HOST = load_plugins(builtin_plugins())
NETWORKS = ("arm-net", "arm-net-plus", "autoint", "autoint-plus", "esmm")
ROLES = {"clicked": FieldRole.CLICK, "bought": FieldRole.CONVERSION}
KINDS = {"price": FieldKind.NUMERICAL}


def asked(model: str, rows: int, cities: int) -> ModelEstimate:
    fields = tuple(
        Field(ColumnRef("t", name), name, KINDS.get(name, FieldKind.CATEGORICAL), ROLES.get(name, FieldRole.FEATURE))
        for name in ("clicked", "bought", "city", "price")
    )
    recipe = Recipe(
        ConnectionSpec("sqlite", "shop.db"),
        QuerySpec(TableRef("t"), tuple(each.column for each in fields)),
        FieldSchema(fields),
        models=(ModelChoice(model),),
    )
    services = Services(sources=None, projects=None, host=HOST)  # type: ignore[arg-type]
    request = EstimateTraining(recipe_to_toml(recipe), rows, {"city": cities})
    return estimate_training(request, services, JobControl()).models[0]


def test_networks_estimate_and_no_other_model_claims_to() -> None:
    assert {spec.id for spec in HOST.models() if spec.estimates} == set(NETWORKS)


@pytest.mark.parametrize("model", NETWORKS)
def test_more_rows_take_longer_and_more_values_more_memory(model: str) -> None:
    small, long, large = asked(model, 20_000, 50), asked(model, 2_000_000, 50), asked(model, 20_000, 300_000)
    assert small.seconds is not None and long.seconds is not None
    assert long.seconds > 5 * small.seconds > 0
    assert small.memory is not None and large.memory is not None
    assert large.memory > small.memory + 300_000 * 10 * 4


@pytest.mark.parametrize("model", ["lightgbm", "logistic"])
def test_models_that_cannot_say_are_tried(model: str) -> None:
    found = asked(model, 3_000, 50)
    assert found.seconds is not None
    assert 0 < found.seconds < 60
    assert found.epochs is not None and found.epochs > 1
    assert found.tried == 2_100


@pytest.mark.parametrize("model", NETWORKS)
def test_what_never_fits_is_refused_with_what_to_change(model: str) -> None:
    found = asked(model, 20_000, 2_000_000_000)
    assert found.memory is None
    assert found.obstacle.startswith("Training needs about")
    assert "Hash city" in found.obstacle

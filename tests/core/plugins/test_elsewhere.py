"""Which worker a model goes to, with a host made up for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from core.commands import EstimateTraining, ModelEstimate, Train, Trained, TrainingEstimated
from core.jobs import elsewhere, estimate_elsewhere
from core.plugin_host import Host, LoadedEncoder, LoadedModel
from core.plugins.library import Library
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.sample import shop_recipe
from core.services import JobControl, Services
from crosslens import ModelSpec, PluginError, Stopped, Task, TextEncoderSpec, parameter


@dataclass(frozen=True, slots=True)
class Parameters:
    encoder: str = parameter("own", label="Encoder", source="text-encoders")


def model(name: str) -> ModelSpec:
    return ModelSpec(name, name.title(), "", Task.CTR, Parameters, print, print)


def encoder(name: str, key: str) -> LoadedEncoder:
    return LoadedEncoder(f"plugin of {name}", TextEncoderSpec(name, name.title(), "", Parameters, print), key)


HOST = Host(
    [LoadedModel("own", model("own-a")), LoadedModel("own", model("own-b")), LoadedModel("x", model("theirs"), "X")],
    (),
    [encoder("own", ""), encoder("x-words", "X"), encoder("y-words", "Y")],
)


class Asked:
    """Stands for the library and remembers what each worker was asked."""

    kept = None

    def __init__(self) -> None:
        self.trained: dict[str, tuple[str, ...]] = {}

    def worker(self, key: str, *_: Any) -> str:
        return key

    def describe_pending(self) -> None:
        return None

    def note(self, key: str, request: Train) -> Trained:
        self.trained[key] = tuple(choice.id for choice in recipe_from_toml(request.recipe).models)
        assert len(request.run_ids) == len(self.trained[key])
        return Trained(request.run_ids)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(elsewhere, "ask", lambda worker, request, *_, **__: asked.note(worker, request))
    return asked


def train(asked: Asked, *choices: ModelChoice, runs: tuple[str, ...] = ()) -> Trained:
    recipe = replace(shop_recipe(Path("shop.db")), models=choices)
    services = Services(cast("Any", None), cast("Any", None), HOST, plugins=cast("Library", asked))
    request = Train(Path("project"), recipe_to_toml(recipe), runs)
    return cast(
        "Trained",
        elsewhere.perform_in_place(request, services, JobControl(), lambda request, *_: asked.note("", request)),
    )


def test_models_go_to_the_workers_of_their_plugins_and_built_in_ones_stay(asked: Asked) -> None:
    trained = train(asked, ModelChoice("theirs"), ModelChoice("own-a"), ModelChoice("own-b"), runs=("1", "2", "3"))
    assert asked.trained == {"": ("own-a", "own-b"), "X": ("theirs",)}
    assert trained.runs == ("1", "2", "3")


def test_a_built_in_model_follows_a_strangers_text_encoder(asked: Asked) -> None:
    train(asked, ModelChoice("own-a", {"encoder": "y-words"}), ModelChoice("own-b", {"encoder": "own"}))
    assert asked.trained == {"Y": ("own-a",), "": ("own-b",)}


def test_a_strangers_model_may_use_an_encoder_of_its_own_plugin(asked: Asked) -> None:
    train(asked, ModelChoice("theirs", {"encoder": "x-words"}))
    assert asked.trained == {"X": ("theirs",)}


def test_model_and_encoder_of_two_strangers_are_refused(asked: Asked) -> None:
    with pytest.raises(PluginError, match="They come from two plugins"):
        train(asked, ModelChoice("theirs", {"encoder": "y-words"}))


def estimated(request: EstimateTraining, seconds: float) -> TrainingEstimated:
    models = recipe_from_toml(request.recipe).models
    return TrainingEstimated(tuple(ModelEstimate(choice.id, 1, seconds, 1) for choice in models))


def estimate(asked: Asked, control: JobControl, *choices: ModelChoice) -> list[tuple[str, float | None, bool]]:
    """Return model, seconds and whether there is an obstacle; built-in models take a second, others what `ask` says."""
    recipe = replace(shop_recipe(Path("shop.db")), models=choices)
    services = Services(cast("Any", None), cast("Any", None), HOST, plugins=cast("Library", asked))
    request = EstimateTraining(recipe_to_toml(recipe), 1_000)
    found = elsewhere.perform_in_place(request, services, control, lambda request, *_: estimated(request, 1.0))
    return [(each.model, each.seconds, bool(each.obstacle)) for each in found.models]


THREE = (ModelChoice("own-a"), ModelChoice("theirs"), ModelChoice("own-b"))


def test_estimates_come_from_the_workers_of_the_models_in_the_order_of_the_recipe(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "ask", lambda worker, request, *_, **__: estimated(request, 2.0))
    assert estimate(asked, JobControl(), *THREE) == [
        ("own-a", 1.0, False),
        ("theirs", 2.0, False),
        ("own-b", 1.0, False),
    ]


def test_a_plugin_that_fails_costs_its_own_estimate(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise PluginError("It crashed.")

    monkeypatch.setattr(elsewhere, "ask", fail)
    mixed = (*THREE, ModelChoice("theirs", {"encoder": "y-words"}))
    assert estimate(asked, JobControl(), *mixed) == [
        ("own-a", 1.0, False), ("theirs", None, False), ("own-b", 1.0, False), ("theirs", None, True),
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_plugin_that_takes_too_long_is_given_up_and_a_stop_is_passed_on(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    control = JobControl()

    def stopped(_: Any, __: Any, lent: JobControl, **___: Any) -> Any:
        if seconds:
            control.stop.set()
        assert lent.stop.is_set()
        raise Stopped

    monkeypatch.setattr(elsewhere, "ask", stopped)
    monkeypatch.setattr(estimate_elsewhere, "SECONDS", seconds)
    if seconds:
        with pytest.raises(Stopped):
            estimate(asked, control, ModelChoice("theirs"))
    else:
        assert estimate(asked, control, ModelChoice("theirs")) == [("theirs", None, False)]

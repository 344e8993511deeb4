"""What a training would take, estimated on rows made up for it: nothing is read, nothing large is allocated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from core.commands import EstimateTraining, ModelEstimate
from core.jobs import trying
from core.jobs.estimate import estimate_training
from core.made_up_rows import made_up_rows, made_up_schema
from core.recipe import ModelChoice, Recipe, SplitMethod, SplitSpec
from core.recipe_toml import recipe_to_toml
from core.services import JobControl, Services
from crosslens import (
    DataError,
    FieldKind,
    FieldRole,
    FitContext,
    FitProgress,
    ModelSpec,
    Stopped,
    Task,
    TrainingData,
    TrainingEstimate,
)
from crosslens import parameter as declared
from crosslens.relational import ColumnRef, ConnectionSpec, QuerySpec, TableRef
from crosslens.schema import Field, FieldSchema, TimePart


def column(name: str, kind: FieldKind, role: FieldRole = FieldRole.FEATURE, **more: Any) -> Field:
    return Field(ColumnRef("t", name), name, kind, role, **more)


FIELDS = FieldSchema(
    (
        column("clicked", FieldKind.NUMERICAL, FieldRole.CLICK),
        column("bought", FieldKind.NUMERICAL, FieldRole.CONVERSION),
        column("price", FieldKind.NUMERICAL),
        column("age", FieldKind.NUMERICAL, bins=5),
        column("city", FieldKind.CATEGORICAL),
        column("seen", FieldKind.TIMESTAMP, parts=(TimePart.HOUR, TimePart.AGE)),
        column("tags", FieldKind.MULTI_VALUED),
        column("note", FieldKind.TEXT, FieldRole.IGNORE),
    )
)


@dataclass(frozen=True, slots=True)
class Parameters:
    batch_size: int = declared(100, label="Batch size", minimum=1)
    epochs: int = declared(7, label="Epochs", minimum=1)


class Telling:
    """Says that an epoch takes a millisecond a row, and remembers what it was shown."""

    shown: TrainingData | None = None

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def estimate(self, data: TrainingData, context: FitContext) -> TrainingEstimate:
        Telling.shown = data
        return TrainingEstimate(1_000_000, len(data.train) / 1000, self.parameters.epochs)


class TooLarge(Telling):
    def estimate(self, data: TrainingData, context: FitContext) -> TrainingEstimate:
        raise DataError("It needs 9 GB of memory.", why="8 are free.", do="Hash city.")


class Broken(Telling):
    def estimate(self, data: TrainingData, context: FitContext) -> TrainingEstimate:
        raise RuntimeError("a stranger's mistake")


class Counted:
    """Says nothing beforehand; an epoch takes so many seconds, and a thousandth of one for every row."""

    shown: ClassVar[list[int]] = []

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def fit(self, data: TrainingData, context: FitContext) -> None:
        Counted.shown.append(len(data.train))
        for epoch in range(1, self.parameters.epochs + 1):
            CLOCK.now += 0.5 + len(data.train) / 1000
            context.progress(FitProgress(epoch, self.parameters.epochs, 1, 1, metrics={"loss": 1.0}))
            if context.should_stop():
                raise Stopped


class Users(Counted):
    """A model of next items that is counted, with one report at its end."""

    def fit(self, data: Any, context: FitContext) -> None:
        Counted.shown.append(len(data.train))
        CLOCK.now += len(data.train.items) / 1000
        context.progress(FitProgress(1, 1, 1, 1, metrics={"ndcg@10": 0.1}))


class Silent(Counted):
    def fit(self, data: Any, context: FitContext) -> None:
        return None


class Refusing(Counted):
    def fit(self, data: Any, context: FitContext) -> None:
        raise DataError("These rows are made up.")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying.time, "perf_counter", CLOCK)
    Counted.shown.clear()


def never(_: Any) -> Any:
    raise AssertionError("an estimate loads nothing")


def spec(name: str, build: Any, *, task: Task = Task.CTR, estimates: bool = True) -> ModelSpec:
    return ModelSpec(name, name, "", task, Parameters, build, never, estimates=estimates)


MODELS = {
    each.id: each
    for each in (
        spec("telling", Telling), spec("funnel", Telling, task=Task.FUNNEL), spec("too-large", TooLarge),
        spec("broken", Broken), spec("silent", Silent, estimates=False), spec("counted", Counted, estimates=False),
        spec("refusing", Refusing, estimates=False), spec("next", Users, task=Task.NEXT_ITEM),
    )
}  # fmt: skip


class Host:
    def model(self, name: str) -> ModelSpec:
        return MODELS[name]

    def text_encoders(self) -> tuple[()]:
        return ()


RECIPE = Recipe(
    ConnectionSpec("sqlite", "shop.db"), QuerySpec(TableRef("t"), tuple(each.column for each in FIELDS)), FIELDS,
    SplitSpec(SplitMethod.RANDOM, validation=0.1, test=0.2), (ModelChoice("counted"),),
)  # fmt: skip


def asked(*models: ModelChoice, rows: int = 10_000, **distinct: int) -> tuple[ModelEstimate, ...]:
    recipe = replace(RECIPE, models=models)
    services = Services(sources=None, projects=None, host=Host())  # type: ignore[arg-type]
    request = EstimateTraining(recipe_to_toml(recipe), rows, distinct)
    return estimate_training(request, services, JobControl()).models


def test_fields_are_made_up_as_they_would_be_encoded() -> None:
    schema = made_up_schema(FIELDS, {"city": 90, "tags": 2})
    sizes = {each.name: each.cardinality for each in schema.fields}
    assert sizes == {
        "age": 7, "city": 92, "seen hour": 26, "tags 0": 4, "tags 1": 4, "price": 0, "seen age": 0, "tags count": 0,
    }  # fmt: skip
    assert [each.name for each in schema.fields if each.group == "tags"] == ["tags 0", "tags 1"]
    assert len(made_up_schema(FIELDS, {"tags": 10_000}).fields) == 64 + 6
    assert schema.labels == ("click", "conversion")
    assert made_up_schema(FIELDS, {"city": 90}, hash_buckets=50).categorical[1].cardinality == 52


@pytest.mark.parametrize("rows", [4, 5, 1000])
def test_made_up_rows_can_be_learned_from(rows: int) -> None:
    data = made_up_rows(made_up_schema(FIELDS, {"city": 90}), rows).train
    clicked = np.asarray(data.labels["click"]) > 0.5
    assert len(data) == rows
    assert 0 < clicked.sum() < rows
    assert set(np.asarray(data.labels["conversion"])[clicked]) == {0.0, 1.0}
    assert data.local_ids().min() >= 0
    assert (data.local_ids() < [each.cardinality for each in data.schema.categorical]).all()


def test_seconds_are_those_of_all_training_rows_and_memory_holds_the_rows_too() -> None:
    (found,) = asked(ModelChoice("telling", {"epochs": 3}), city=90)
    assert Telling.shown is not None
    assert len(Telling.shown.train) == 400
    assert found == ModelEstimate("telling", 1_000_000 + 10_000 * 4 * 8, pytest.approx(7.0), 3)


def test_a_model_of_one_label_is_shown_one() -> None:
    asked(ModelChoice("telling"))
    assert Telling.shown is not None
    assert Telling.shown.schema.labels == ("click",)
    asked(ModelChoice("funnel"))
    assert Telling.shown.schema.labels == ("click", "conversion")


def test_few_rows_are_enough_to_estimate() -> None:
    (found,) = asked(ModelChoice("telling"), rows=1)
    assert found.seconds == pytest.approx(0.004)


def test_what_does_not_fit_is_told_as_an_obstacle_and_the_others_keep_their_figures() -> None:
    large, broken, silent, refusing, telling = asked(
        *map(ModelChoice, ("too-large", "broken", "silent", "refusing", "telling"))
    )
    assert large == ModelEstimate("too-large", obstacle="It needs 9 GB of memory. 8 are free. Hash city.")
    assert [broken, silent, refusing] == [ModelEstimate(name) for name in ("broken", "silent", "refusing")]
    assert telling.seconds is not None


@pytest.mark.parametrize("model", ["telling", "counted"])
def test_parameters_out_of_range_are_an_obstacle(model: str) -> None:
    (found,) = asked(ModelChoice(model, {"epochs": 0}))
    assert "Epochs cannot be 0" in found.obstacle


def test_a_model_that_cannot_say_is_tried_on_a_first_part_of_the_rows() -> None:
    (found,) = asked(ModelChoice("counted", {"epochs": 9}), rows=1_000_000, city=90)
    assert Counted.shown == [400, 4_000, 32_000]
    assert found == ModelEstimate("counted", 1_000_000 * 4 * 8, pytest.approx(0.5 + 700.0), 9, tried=32_000)


def test_with_few_rows_a_model_is_tried_on_all_of_them() -> None:
    (found,) = asked(ModelChoice("counted"), rows=1_000)
    assert Counted.shown == [400, 700]
    assert (found.seconds, found.epochs, found.tried) == (pytest.approx(0.5 + 0.7), 7, 700)


def test_a_model_is_not_tried_with_more_values_than_memory_may_hold() -> None:
    assert asked(ModelChoice("counted"), city=6_000_000) == (ModelEstimate("counted"),)
    assert Counted.shown == []


def sequences(rows: int, **distinct: int) -> ModelEstimate:
    fields = FieldSchema(
        (
            column("who", FieldKind.CATEGORICAL, FieldRole.USER),
            column("what", FieldKind.CATEGORICAL, FieldRole.ITEM),
        )
    )
    query = QuerySpec(TableRef("t"), tuple(each.column for each in fields), time=ColumnRef("t", "seen"))
    recipe = Recipe(ConnectionSpec("sqlite", "shop.db"), query, fields, models=(ModelChoice("next"),))
    services = Services(sources=None, projects=None, host=Host())  # type: ignore[arg-type]
    return estimate_training(EstimateTraining(recipe_to_toml(recipe), rows, distinct), services, JobControl()).models[0]


def test_a_next_item_model_is_tried_on_sequences_as_long_as_the_real_ones() -> None:
    found = sequences(1_000_000, who=50_000, what=300)
    assert Counted.shown == [20, 200, 1_600]  # users of 20 events each
    assert found.seconds == pytest.approx(1_000.0, rel=0.1)
    assert (found.epochs, found.memory, found.tried) == (1, 4_000_000, 32_000)


def test_a_next_item_model_is_not_tried_where_nobody_knows_how_many_items_there_are() -> None:
    assert sequences(1_000_000, who=50_000) == ModelEstimate("next")


def test_a_stop_ends_the_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    control = JobControl()
    monkeypatch.setattr(Counted, "fit", lambda *_: control.stop.set())
    services = Services(sources=None, projects=None, host=Host())  # type: ignore[arg-type]
    with pytest.raises(Stopped):
        estimate_training(EstimateTraining(recipe_to_toml(RECIPE), 1000), services, control)

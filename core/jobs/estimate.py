"""What trainings would take, before any of them starts: each model is asked or tried on rows made up for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crosslens.data import EncodedSchema
from crosslens.errors import Stopped, UserError
from crosslens.models import FitContext, ModelSpec, Task
from crosslens.parameters import parameters_from_plain

from ..commands import EstimateTraining, ModelEstimate, TrainingEstimated
from ..made_up_rows import made_up_rows, made_up_schema
from ..next_item.made_up import SequenceCounts, made_up_encoders, made_up_sequences
from ..outputs import training_for
from ..recipe import ModelChoice, Recipe
from ..recipe_toml import recipe_from_toml
from ..services import JobControl, Services
from .data import used_fields
from .next_item_data import sequence_columns
from .trying import MOST_ROWS, Pace, tried_pace

_BATCHES = 4
_BATCH = 1024
_MOST_NUMBERS = 2**26
_MOST_VALUES = 5_000_000
"""A model that cannot say what it takes is not tried with more values than that: it might fill the memory."""
_NUMBER = 4
_ID_BYTES = 4


def estimate_training(request: EstimateTraining, services: Services, control: JobControl) -> TrainingEstimated:
    """Return what training each model of the recipe would take; without figures where that cannot be found out."""
    recipe = recipe_from_toml(request.recipe)
    found = []
    for choice in recipe.models:
        control.check()
        found.append(_estimate(_Asked(services.host.model(choice.id), choice, recipe, request, services, control)))
    return TrainingEstimated(tuple(found))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A model with its parameters, and the training that is asked about."""

    spec: ModelSpec
    choice: ModelChoice
    recipe: Recipe
    request: EstimateTraining
    services: Services
    control: JobControl

    @property
    def rows(self) -> int:
        """Return how many rows would be trained on."""
        shares = self.recipe.split
        return max(round(self.request.rows * (1.0 - shares.validation - shares.test)), _BATCHES)

    def build(self) -> object:
        """Return the estimator; ParameterError for values it cannot have."""
        return self.spec.build(parameters_from_plain(self.spec.parameters, self.choice.parameters))

    def context(self) -> FitContext:
        """Return what a model is lent for a try."""
        encoders = tuple(spec.id for spec in self.services.host.text_encoders())
        return FitContext(
            seed=self.recipe.seed,
            threads=self.services.threads,
            device=self.services.device,
            should_stop=self.control.should_stop,
            log=self.control.log,
            text_encoders=made_up_encoders(encoders),
        )


def _estimate(asked: _Asked) -> ModelEstimate:
    try:
        return _way(asked.spec)(asked)
    except UserError as error:
        return ModelEstimate(asked.choice.id, obstacle=" ".join(filter(None, (error.what, error.why, error.do))))
    except Stopped:
        raise
    except Exception:  # a stranger's model may raise anything: there is no figure then, and training can still be tried
        asked.control.log.exception("%s could not estimate its training", asked.spec.title)
        return ModelEstimate(asked.choice.id)


def _way(spec: ModelSpec) -> Callable[[_Asked], ModelEstimate]:
    if spec.task is Task.NEXT_ITEM:
        return _try_sequences
    return _ask if spec.estimates else _try_rows


def _ask(asked: _Asked) -> ModelEstimate:
    """Ask a model that can say what its training takes."""
    parameters = parameters_from_plain(asked.spec.parameters, asked.choice.parameters)
    schema = _schema(asked)
    batch = getattr(parameters, "batch_size", _BATCH)
    tried = min(asked.rows, max(_BATCHES * batch, _BATCHES), _most(schema))
    data = training_for(asked.spec.task, made_up_rows(schema, tried, seed=asked.recipe.seed))
    told = asked.spec.build(parameters).estimate(data, asked.context())
    return ModelEstimate(
        asked.choice.id,
        memory=told.memory + asked.request.rows * _row_bytes(schema),
        seconds=told.epoch_seconds * asked.rows / tried,
        epochs=told.epochs,
    )


def _try_rows(asked: _Asked) -> ModelEstimate:
    """Try a model of clicks or a funnel."""
    schema = _schema(asked)

    def fit(rows: int, context: FitContext) -> object:
        data = made_up_rows(schema, max(rows, _BATCHES), seed=asked.recipe.seed)
        return _fit(asked, training_for(asked.spec.task, data), context)

    memory = asked.request.rows * _row_bytes(schema)
    return _tried(asked, fit, memory, asked.rows, schema.table_size, min(MOST_ROWS, _most(schema)))


def _try_sequences(asked: _Asked) -> ModelEstimate:
    """Try a model of next items, where it is known how many users and items there are."""
    columns, distinct = sequence_columns(asked.recipe), asked.request.distinct
    users, items = distinct.get(columns.user.name, 0), distinct.get(columns.item.name, 0)
    if not users or not items:
        return ModelEstimate(asked.choice.id)
    counts = SequenceCounts(users, items, asked.request.rows)

    def fit(events: int, context: FitContext) -> object:
        return _fit(asked, made_up_sequences(counts, events, seed=asked.recipe.seed), context)

    return _tried(asked, fit, asked.request.rows * _ID_BYTES, asked.request.rows, items, MOST_ROWS)


def _fit(asked: _Asked, data: object, context: FitContext) -> object:
    return asked.build().fit(data, context)  # type: ignore[attr-defined]


def _tried(
    asked: _Asked, fit: Callable[[int, FitContext], object], memory: int, rows: int, values: int, most: int
) -> ModelEstimate:
    """Return what a try says. What a model says against made-up rows stands in the way of nothing."""
    asked.build()  # parameters that it cannot have are an obstacle
    if values > _MOST_VALUES:
        return ModelEstimate(asked.choice.id)
    try:
        pace: Pace | None = tried_pace(fit, rows, asked.context(), most=most)
    except UserError as error:
        asked.control.log.info("%s could not be tried: %s", asked.spec.title, error)
        return ModelEstimate(asked.choice.id)
    if pace is None:
        return ModelEstimate(asked.choice.id)
    return ModelEstimate(asked.choice.id, memory, pace.seconds, pace.epochs, tried=pace.tried)


def _schema(asked: _Asked) -> EncodedSchema:
    distinct = asked.request.distinct
    return made_up_schema(used_fields(asked.recipe), distinct, hash_buckets=asked.recipe.hash_buckets)


def _most(schema: EncodedSchema) -> int:
    """Return how many rows may be made up."""
    return max(_MOST_NUMBERS // max(len(schema.fields), 1), _BATCHES)


def _row_bytes(schema: EncodedSchema) -> int:
    """Return what a row takes in memory while a model trains on it."""
    return _NUMBER * (len(schema.fields) + len(schema.labels))

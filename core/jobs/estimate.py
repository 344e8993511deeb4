"""What trainings would take, before any of them starts: each model tries a few steps on rows made up for it."""

from __future__ import annotations

from crosslens.data import EncodedSchema
from crosslens.errors import UserError
from crosslens.models import FitContext, ModelSpec, Task
from crosslens.parameters import parameters_from_plain

from ..commands import EstimateTraining, ModelEstimate, TrainingEstimated
from ..made_up_rows import made_up_rows, made_up_schema
from ..outputs import training_for
from ..recipe import ModelChoice, Recipe
from ..recipe_toml import recipe_from_toml
from ..services import JobControl, Services
from .data import used_fields

_BATCHES = 4
_BATCH = 1024
_MOST_NUMBERS = 2**26
_NUMBER = 4


def estimate_training(request: EstimateTraining, services: Services, control: JobControl) -> TrainingEstimated:
    """Return what training each model of the recipe would take; a model that cannot say is told without figures."""
    recipe = recipe_from_toml(request.recipe)
    found = []
    for choice in recipe.models:
        control.check()
        spec = services.host.model(choice.id)
        known = spec.estimates and spec.task is not Task.NEXT_ITEM
        found.append(_estimate(spec, choice, recipe, request, services, control) if known else ModelEstimate(choice.id))
    return TrainingEstimated(tuple(found))


def _estimate(
    spec: ModelSpec,
    choice: ModelChoice,
    recipe: Recipe,
    request: EstimateTraining,
    services: Services,
    control: JobControl,
) -> ModelEstimate:
    rows = max(round(request.rows * (1.0 - recipe.split.validation - recipe.split.test)), _BATCHES)
    try:
        parameters = parameters_from_plain(spec.parameters, choice.parameters)
        schema = made_up_schema(used_fields(recipe), request.distinct, hash_buckets=recipe.hash_buckets)
        batch = getattr(parameters, "batch_size", _BATCH)
        tried = min(rows, max(_BATCHES * batch, _BATCHES), max(_MOST_NUMBERS // max(len(schema.fields), 1), _BATCHES))
        data = training_for(spec.task, made_up_rows(schema, tried, seed=recipe.seed))
        context = FitContext(
            seed=recipe.seed,
            threads=services.threads,
            device=services.device,
            should_stop=control.should_stop,
            log=control.log,
        )
        told = spec.build(parameters).estimate(data, context)
    except UserError as error:
        return ModelEstimate(choice.id, obstacle=" ".join(filter(None, (error.what, error.why, error.do))))
    except Exception:  # a stranger's model may raise anything: there is no figure then, and training can still be tried
        control.log.exception("%s could not estimate its training", spec.title)
        return ModelEstimate(choice.id)
    return ModelEstimate(
        choice.id,
        memory=told.memory + request.rows * _row_bytes(schema),
        seconds=told.epoch_seconds * rows / tried,
        epochs=told.epochs,
    )


def _row_bytes(schema: EncodedSchema) -> int:
    """Return what a row takes in memory while a model trains on it."""
    return _NUMBER * (len(schema.fields) + len(schema.labels))

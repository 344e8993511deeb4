"""What a search of parameters asks: the rows to learn from, and the one figure on validation rows that it improves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crosslens.data import TrainingData
from crosslens.models import ModelSpec, Task
from crosslens.sequences import SequenceTrainingData, TextEncoders

from ..metrics import log_losses
from ..next_item.ranking import gains, rank_targets
from ..outputs import CONVERSION, labelled_for, logits, measured_rows, outputs_of, training_for
from ..ports import ProjectStore
from ..recipe import Recipe
from ..services import JobControl, Services
from .data import prepare_data
from .next_item import lent_encoders
from .next_item_data import prepare_sequences

_CUT = 10


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Training data of a task with its fingerprint, and the figure on its validation part that a search improves."""

    training: Any
    data: str
    metric: str
    rises: bool
    value: Callable[[Any], float]
    encoders: TextEncoders = field(default_factory=TextEncoders)


def ask(spec: ModelSpec, recipe: Recipe, project: ProjectStore, services: Services, control: JobControl) -> Question:
    """Return the question of a recipe with one model, its rows read, split and encoded as for a training."""
    if spec.task is Task.NEXT_ITEM:
        prepared = prepare_sequences(recipe, project, services, control)
        sequences = prepared.split.training
        return Question(
            training=sequences,
            data=prepared.test_fingerprint,
            metric=f"NDCG@{_CUT}",
            rises=True,
            value=lambda model: _ranking_value(model, sequences, exclude_seen=recipe.next_item.exclude_seen),
            encoders=lent_encoders(project, services, control, seed=recipe.seed),
        )
    encoded = prepare_data(recipe, project, services, control)
    rows = training_for(spec.task, encoded.training)
    metric = "log loss" if spec.task is Task.CTR else "log loss of pCTR and pCTCVR"
    return Question(
        rows, encoded.encoded_folder.name, metric, rises=False, value=lambda model: _loss(model, spec, rows)
    )


def _loss(model: Any, spec: ModelSpec, training: TrainingData) -> float:
    """Return the mean log loss per validation row, summed over the outputs that are measured on all rows.

    A model of conversions alone is measured on clicked rows.
    """
    validation = training.validation
    outputs = outputs_of(spec, model, validation)
    predictions = model.predict(validation)
    chosen = tuple(output for output in outputs if output != CONVERSION) or outputs
    return sum(_mean_loss(labelled_for(output, validation), logits(predictions, output), output) for output in chosen)


def _mean_loss(data: Any, predicted: Any, output: str) -> float:
    rows = measured_rows(output, data)
    losses = log_losses(np.asarray(data.target[rows], np.float64), np.asarray(predicted)[rows])
    weights = None if data.weights is None else np.asarray(data.weights[rows], np.float64)
    return float(np.average(losses, weights=weights))


def _ranking_value(model: Any, data: SequenceTrainingData, *, exclude_seen: bool) -> float:
    """Return the mean NDCG among validation users."""
    ranks = rank_targets(model, data.validation, exclude_seen=exclude_seen, top=_CUT)
    return float(gains(ranks, (_CUT,))[f"ndcg@{_CUT}"].mean())

"""After training: how good the model is on rows it has not seen, and what drives it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from crosslens.data import EncodedDataset, Float64Array, Int64Array
from crosslens.explanations import Contributions
from crosslens.models import ExplainContext, FittedModel, ModelSpec, Predictions

from ..commands import Phase
from ..encoders import made_values
from ..evidence import prove_interactions
from ..faithfulness import measure_faithfulness
from ..metrics import evaluate
from ..quality import Quality
from ..run_folder import RunFolder
from ..services import JobControl, Services
from ..suspects import name_suspects
from .data import PreparedData, column_of

EXPLAINED_ROWS = 1_000
"""Test rows that get contributions, pair interactions and terms."""
SCREENED_ROWS = 300
"""Test rows on which every pair of fields is looked at first."""
PROOF_ROWS = 4_000
"""Test rows on which the strongest pairs are proved."""
_PROVED_PAIRS = 10
_MOST_SECONDS = 120.0
"""A model slower than this is asked about fewer rows; any other gets the same rows, however busy the machine is."""


def assess(
    model: FittedModel,
    spec: ModelSpec,
    data: PreparedData,
    folder: RunFolder,
    *,
    seed: int,
    services: Services,
    control: JobControl,
) -> None:
    """Measure and explain a model, and keep everything in the run folder. Stopped: what was measured so far is kept."""
    control.say(Phase.EVALUATING, f"{spec.title}: measuring on {len(data.split.test):,} test rows")
    test = data.test
    for part, rows in (("validation", data.split.validation), ("test", data.split.test)):
        folder.save_quality(part, _quality(model, data, rows))
    folder.save_predictions(_prediction_table(data, test, model.predict(test)))
    control.check()
    _explain(model, spec, test, folder, seed=seed, services=services, control=control)
    _prove(model, spec, test, folder, seed=seed, control=control)


def _quality(model: FittedModel, data: PreparedData, rows: Int64Array) -> Quality:
    part = data.part(rows)
    users = data.users
    quality = evaluate(
        part.target,
        model.predict(part).logit(),
        weights=part.weights,
        clusters=None if users is None else users[rows],
        task=part.schema.labels[0],
    )
    return name_suspects(quality, part)


def _prediction_table(data: PreparedData, test: EncodedDataset, predictions: Predictions) -> pa.Table:
    columns = {
        "row": pa.array(data.split.test),
        "label": pa.array(np.asarray(test.target)),
        "probability": pa.array(predictions.probability()),
    }
    return pa.table(columns | _shown_fields(data, test))


def _shown_fields(data: PreparedData, test: EncodedDataset) -> dict[str, pa.ChunkedArray]:
    """Return the values of every field: as the source has them, or what was made of them (the hour of a time)."""
    table, rows = data.table, pa.array(test.row_keys)
    made = {name: made_values(data.encoders, test, name) for name in test.schema.names}
    return {
        field.name: column_of(table, data.snapshot.columns, field.column).take(rows) if values is None else values
        for field in data.encoders.fields
        for values in (made[field.name],)
    }


def _explain(
    model: FittedModel,
    spec: ModelSpec,
    test: EncodedDataset,
    folder: RunFolder,
    *,
    seed: int,
    services: Services,
    control: JobControl,
) -> None:
    rows = test.take(slice(0, EXPLAINED_ROWS))
    context = ExplainContext(
        seed=seed,
        threads=services.threads,
        progress=lambda done: control.say(Phase.EXPLAINING, f"{spec.title}: asking the model", done),
        should_stop=control.should_stop,
    )
    for explanation in model.explain(rows, spec.explains, context):
        control.check()
        folder.save_explanation(explanation)
        if isinstance(explanation, Contributions):
            control.say(Phase.EXPLAINING, f"{spec.title}: checking that the contributions are faithful")
            folder.save_faithfulness(
                measure_faithfulness(logits_of(model), rows, explanation, background=test, seed=seed)
            )


def _prove(
    model: FittedModel, spec: ModelSpec, test: EncodedDataset, folder: RunFolder, *, seed: int, control: JobControl
) -> None:
    evidence, effects = prove_interactions(
        logits_of(model),
        test,
        seed=seed,
        rows=SCREENED_ROWS,
        confirm=_PROVED_PAIRS,
        confirm_rows=PROOF_ROWS,
        seconds=_MOST_SECONDS,
        progress=lambda done: control.say(Phase.EXPLAINING, f"{spec.title}: proving interactions", done),
        should_stop=control.should_stop,
    )
    folder.save_evidence(evidence, effects)


def logits_of(model: FittedModel) -> Callable[[EncodedDataset], Float64Array]:
    """Return the logits of a model's only task as a function, as the measuring functions want them."""
    return lambda data: model.predict(data).logit()

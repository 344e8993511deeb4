"""After training: how good the model is on rows it has not seen, and what drives each thing it predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crosslens.data import EncodedDataset, Float64Array, Int64Array
from crosslens.explanations import Contributions
from crosslens.models import ExplainContext, FittedModel, ModelSpec, Predictions, Task
from crosslens.schema import FieldRole

from ..commands import Phase
from ..encoders import made_values
from ..evidence import prove_interactions
from ..faithfulness import measure_faithfulness
from ..funnel import FunnelReport, FunnelTimes, funnel_report
from ..metrics import evaluate
from ..outputs import (
    label_column,
    labelled_for,
    logits,
    logits_of,
    measured_rows,
    output_title,
    probability_column,
)
from ..quality import Quality
from ..recipe import Recipe
from ..run_folder import OutputFolder, RunFolder
from ..services import JobControl, Services
from ..snapshots import snapshot_rows
from ..suspects import name_suspects
from .data import PreparedData, column_of
from .funnel import moments_of, seconds_of

EXPLAINED_ROWS = 1_000
"""Test rows that get contributions, pair interactions and terms."""
SCREENED_ROWS = 300
"""Test rows on which every pair of fields is looked at first."""
PROOF_ROWS = 4_000
"""Test rows on which the strongest pairs are proved."""
_PROVED_PAIRS = 10
_MOST_SECONDS = 120.0
"""A model slower than this is asked about fewer rows; any other gets the same rows, however busy the machine is."""


@dataclass(frozen=True, slots=True, eq=False)
class Assessed:
    """The model that is asked, what it predicts (the first output is kept in the run folder itself), and of what.

    `times` are those of a funnel's clicks and conversions; None where the model is of no funnel.
    """

    model: FittedModel
    spec: ModelSpec
    outputs: Sequence[str]
    recipe: Recipe
    data: PreparedData
    times: FunnelTimes | None = None

    def title(self, output: str) -> str:
        """Return how the model is called in a message about one of its outputs."""
        return f"{self.spec.title} ({output_title(output)})" if len(self.outputs) > 1 else self.spec.title


def assess(asked: Assessed, folder: RunFolder, services: Services, control: JobControl) -> None:
    """Measure and explain every output on the rows it can be checked on, and keep everything in the run folder.

    Stopped: what was measured so far is kept.
    """
    data = asked.data
    control.say(Phase.EVALUATING, f"{asked.spec.title}: measuring on {len(data.split.test):,} test rows")
    folders: dict[str, OutputFolder] = {
        output: folder.new_output(output) if place else folder for place, output in enumerate(asked.outputs)
    }
    predictions = _measure(asked, folders)
    test = data.test
    if asked.spec.task is Task.FUNNEL:
        folder.save_funnel(_funnel(asked, test, predictions))
    control.check()
    for output, kept in folders.items():
        rows = labelled_for(output, test.take(measured_rows(output, test)))
        if len(rows):
            _explain(asked, output, rows, kept, services, control)
            _prove(asked, output, rows, kept, control)


# ---- how good


def _measure(asked: Assessed, folders: Mapping[str, OutputFolder]) -> Predictions:
    """Keep quality and predictions of every output; return what is predicted for the test rows."""
    data, users, predictions = asked.data, asked.data.users, Predictions({})
    for part, places in (("validation", data.split.validation), ("test", data.split.test)):
        rows = data.part(places)
        predictions = asked.model.predict(rows)
        for output, folder in folders.items():
            kept = measured_rows(output, rows)
            clusters = None if users is None else users[places][kept]
            folder.save_quality(part, _quality(output, rows.take(kept), logits(predictions, output)[kept], clusters))
    test = data.test
    shown = _shown_fields(data, test)
    for output, folder in folders.items():
        table = pa.table(_predicted(data, test, predictions, output, tuple(folders)) | shown)
        folder.save_predictions(table.take(pa.array(measured_rows(output, test))))
    return predictions


def _quality(output: str, rows: EncodedDataset, scores: Float64Array, clusters: Int64Array | None) -> Quality:
    part = labelled_for(output, rows)
    quality = evaluate(part.target, scores, weights=part.weights, clusters=clusters, task=output)
    return name_suspects(quality, part)


def _predicted(
    data: PreparedData, test: EncodedDataset, predictions: Predictions, output: str, outputs: Sequence[str]
) -> dict[str, pa.Array]:
    """Return row, label and probability of an output, and beside them what else a funnel has."""

    def chance(name: str) -> pa.Array:
        return pa.array(Predictions({name: logits(predictions, name)}).probability())

    target = labelled_for(output, test).target
    columns = {"row": pa.array(data.split.test), "label": pa.array(np.asarray(target)), "probability": chance(output)}
    if len(outputs) == 1:
        return columns
    others = {probability_column(other): chance(other) for other in outputs if other != output}
    labels = {label_column(name): pa.array(np.asarray(array)) for name, array in test.labels.items() if name != output}
    return columns | others | labels


def _shown_fields(data: PreparedData, test: EncodedDataset) -> dict[str, pa.ChunkedArray]:
    """Return the values of every field: as the source has them, or what was made of them (the hour of a time)."""
    table, rows = data.table, pa.array(test.row_keys)
    made = {name: made_values(data.encoders, test, name) for name in test.schema.names}
    return {
        field.name: column_of(table, data.snapshot.columns, field.column).take(rows) if values is None else values
        for field in data.encoders.fields
        for values in (made[field.name],)
    }


# ---- the funnel


def _funnel(asked: Assessed, test: EncodedDataset, predictions: Predictions) -> FunnelReport:
    names = {"impressions": asked.recipe.query.base.name}
    names |= {role.value: asked.recipe.fields.with_role(role)[0].name for role in _STAGES}
    return funnel_report(
        names,
        asked.data.encoded.labels,
        test,
        {name: predictions.probability(name) for name in asked.outputs},
        times=asked.times or FunnelTimes(),
        shown_at=_shown_at(asked, test),
    )


_STAGES = (FieldRole.CLICK, FieldRole.CONVERSION)


def _shown_at(asked: Assessed, test: EncodedDataset) -> Float64Array | None:
    """Return the time of each test row in seconds since 1970, (T,); None where rows have none, or some of them."""
    time = asked.recipe.query.time
    if time is None or test.row_keys is None:
        return None
    moments = moments_of(snapshot_rows(asked.data.snapshot), time)[test.row_keys]
    return None if np.isnat(moments).any() else seconds_of(moments)


# ---- why


def _explain(
    asked: Assessed, output: str, test: EncodedDataset, folder: OutputFolder, services: Services, control: JobControl
) -> None:
    rows, title = test.take(slice(0, EXPLAINED_ROWS)), asked.title(output)
    context = ExplainContext(
        seed=asked.recipe.seed,
        threads=services.threads,
        progress=lambda done: control.say(Phase.EXPLAINING, f"{title}: asking the model", done),
        should_stop=control.should_stop,
        output=output if len(asked.outputs) > 1 else "",
    )
    for explanation in asked.model.explain(rows, asked.spec.explains, context):
        control.check()
        if len(asked.outputs) > 1 and explanation.task != output:
            continue
        folder.save_explanation(explanation)
        if isinstance(explanation, Contributions):
            control.say(Phase.EXPLAINING, f"{title}: checking that the contributions are faithful")
            predict = logits_of(asked.model, output)
            folder.save_faithfulness(
                measure_faithfulness(predict, rows, explanation, background=test, seed=asked.recipe.seed)
            )


def _prove(asked: Assessed, output: str, test: EncodedDataset, folder: OutputFolder, control: JobControl) -> None:
    title = asked.title(output)
    evidence, effects = prove_interactions(
        logits_of(asked.model, output),
        test,
        seed=asked.recipe.seed,
        rows=SCREENED_ROWS,
        confirm=_PROVED_PAIRS,
        confirm_rows=PROOF_ROWS,
        seconds=_MOST_SECONDS,
        progress=lambda done: control.say(Phase.EXPLAINING, f"{title}: proving interactions", done),
        should_stop=control.should_stop,
    )
    folder.save_evidence(evidence, effects)

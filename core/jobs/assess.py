"""After training: how good the model is on rows it has not seen, and what drives it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from crosslens.data import EncodedDataset, Float64Array
from crosslens.explanations import Contributions
from crosslens.models import ExplainContext, FittedModel, ModelSpec, Predictions

from ..commands import Finding, Phase
from ..evidence import prove_interactions
from ..faithfulness import measure_faithfulness
from ..metrics import evaluate
from ..quality import Quality
from ..run_folder import RunFolder
from ..services import JobControl, Services
from .data import PreparedData, column_of

EXPLAINED_ROWS = 2_000
"""Test rows that get contributions, pair interactions and terms."""
EVIDENCE_SECONDS = 10.0
"""Time the proof of interactions may take before it looks at fewer rows."""
_SUSPICIOUS_AUC = 0.98


def assess(
    model: FittedModel,
    spec: ModelSpec,
    data: PreparedData,
    folder: RunFolder,
    *,
    seed: int,
    services: Services,
    control: JobControl,
) -> tuple[Finding, ...]:
    """Measure and explain a model, keep everything in the run folder, return what the user should know."""
    control.say(Phase.EVALUATING, f"{spec.title}: measuring on {len(data.split.test):,} test rows")
    test = data.test
    predictions = model.predict(test)
    folder.save_quality("validation", _quality(model.predict(data.training.validation), data.training.validation))
    quality = _quality(predictions, test)
    folder.save_quality("test", quality)
    folder.save_predictions(_prediction_table(data, test, predictions))
    control.check()
    _explain(model, spec, test, folder, seed=seed, services=services, control=control)
    _prove(model, spec, test, folder, seed=seed, control=control)
    return _findings(quality)


def _quality(predictions: Predictions, data: EncodedDataset) -> Quality:
    task = data.schema.labels[0]
    return evaluate(data.labels[task], predictions.logit(), weights=data.weights, task=task)


def _prediction_table(data: PreparedData, test: EncodedDataset, predictions: Predictions) -> pa.Table:
    columns = {
        "row": pa.array(data.split.test),
        "label": pa.array(np.asarray(test.target)),
        "probability": pa.array(predictions.probability()),
    }
    return pa.table(columns | _raw_fields(data))


def _raw_fields(data: PreparedData) -> dict[str, pa.ChunkedArray]:
    rows = pa.array(data.split.test)
    return {
        field.name: column_of(data.table, data.snapshot.columns, field.column).take(rows)
        for field in data.encoders.fields
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
        seconds=EVIDENCE_SECONDS,
        progress=lambda done: control.say(Phase.EXPLAINING, f"{spec.title}: proving interactions", done),
        should_stop=control.should_stop,
    )
    folder.save_evidence(evidence, effects)


def logits_of(model: FittedModel) -> Callable[[EncodedDataset], Float64Array]:
    """Return the logits of a model's only task as a function, as the measuring functions want them."""
    return lambda data: model.predict(data).logit()


def _findings(quality: Quality) -> tuple[Finding, ...]:
    auc = quality.metric("auc").value
    if auc > _SUSPICIOUS_AUC:
        return (
            Finding(
                "stop",
                f"AUC {auc:.3f} on the test rows is too good to be true: some column probably gives the label away. "
                "Look at the strongest field and ask whether it is known before the event.",
            ),
        )
    return ()

"""What a model predicts of a row, and on which rows each prediction can be checked.

A funnel says three things of an impression. They are never pooled: each has a label and rows of its own.

    output                 title    measured on             label
    click                  pCTR     all rows                y
    conversion             pCVR     clicked rows, y = 1     z
    click_and_conversion   pCTCVR   all rows                y z

A model of one label has one output, which bears the label's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crosslens.data import EncodedDataset, Float32Array, Float64Array, Int64Array, TrainingData
from crosslens.errors import PluginError
from crosslens.models import FittedModel, ModelSpec, Output, Predictions, Task

CLICK, CONVERSION, BOTH = Output.CLICK.value, Output.CONVERSION.value, Output.CLICK_AND_CONVERSION.value


@dataclass(frozen=True, slots=True)
class OutputText:
    """How an output is called in a table, what it says, and the rows it is measured on."""

    title: str
    meaning: str
    rows: str


OUTPUTS: Mapping[str, OutputText] = {
    CLICK: OutputText("pCTR", "the chance of a click", "all rows"),
    CONVERSION: OutputText("pCVR", "the chance of a conversion once clicked", "clicked rows"),
    BOTH: OutputText("pCTCVR", "the chance of a click that converts", "all rows"),
}


def output_title(output: str) -> str:
    """Return how an output is called; one of an unknown name by that name."""
    return OUTPUTS[output].title if output in OUTPUTS else output.replace("_", " ")


def probability_column(output: str) -> str:
    """Return how the column with the probabilities of an output is called in files."""
    return f"probability_{output}"


def label_column(label: str) -> str:
    """Return how the column with a label is called beside the label that an output is checked by."""
    return f"label_{label}"


def exported(rows: pa.Table, output: str) -> pa.Table:
    """Return predictions of test rows as they leave the app: of a funnel, every column says what it is about."""
    if not any(name.startswith(probability_column("")) for name in rows.column_names):
        return rows
    names = {"probability": probability_column(output), "label": label_column(output)}
    return rows.rename_columns([names.get(name, name) for name in rows.column_names])


def metric_key(output: str, metric: str, outputs: Sequence[str]) -> str:
    """Return the name under which a run remembers a metric: the plain one for its first output."""
    return metric if not outputs or output == outputs[0] else f"{output}.{metric}"


def outputs_of(spec: ModelSpec, model: FittedModel, data: EncodedDataset) -> tuple[str, ...]:
    """Return the outputs of a trained model, clicks first; PluginError if a funnel model names none that there are."""
    if spec.task is not Task.FUNNEL:
        return (data.schema.labels[0],)
    given = model.predict(data.take(slice(0, 0))).logits
    known = tuple(output.value for output in Output if output.value in given)
    if not known or len(known) < len(given):
        strange = sorted(set(given) - set(known)) or ["nothing"]
        raise PluginError(
            f"{spec.title} predicts {', '.join(strange)}, which is not a part of a funnel.",
            why=f"A funnel model names its logits {', '.join(OUTPUTS)}.",
            do="Tell the author of the plugin.",
        )
    return known


def logits(predictions: Predictions, output: str) -> Float64Array:
    """Return the logits of an output, (N,); those of a model of one label whatever it calls them."""
    return predictions.logit(output if output in predictions.logits else None)


def logits_of(model: FittedModel, output: str) -> Callable[[EncodedDataset], Float64Array]:
    """Return the logits of one output as a function, as the measuring functions want them."""
    return lambda data: logits(model.predict(data), output)


def measured_rows(output: str, data: EncodedDataset) -> Int64Array:
    """Return the places of the rows of `data` on which an output can be checked, ascending."""
    if output == CONVERSION and CLICK in data.labels:
        return np.flatnonzero(np.asarray(data.labels[CLICK]) > 0.5).astype(np.int64)
    return np.arange(len(data), dtype=np.int64)


def labelled_for(output: str, data: EncodedDataset) -> EncodedDataset:
    """Return the same rows with one label, that of the output."""
    return data.with_labels({output: _label(output, data.labels)})


def training_for(task: Task, data: TrainingData) -> TrainingData:
    """Return the rows as a model of a task gets them: a model of one label does not see the other."""
    if task is not Task.CTR:
        return data
    first = data.schema.labels[0]
    kept = [part.with_labels({first: part.labels[first]}) for part in (data.train, data.validation)]
    return TrainingData(*kept)


def _label(output: str, labels: Mapping[str, Float32Array]) -> Float32Array:
    if output == BOTH:
        return np.asarray(labels[CLICK]) * np.asarray(labels[CONVERSION])
    return labels[output]

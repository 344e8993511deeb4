"""Questions about a finished run: why this row, what if, and how two fields go together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crosslens.data import UNKNOWN_ID, EncodedDataset
from crosslens.errors import DataError, ParameterError
from crosslens.explanations import Contributions, ExplanationKind
from crosslens.models import ExplainContext, Predictions

from ..commands import ExplainRow, MakeValueTable, Phase, RowExplained, RowField, ValueTableMade
from ..outputs import logits_of
from ..present import waterfall
from ..services import JobControl, Services
from ..value_table import value_table
from .runs import OpenRun, opened_run

_CHOICES = 50


def explain_row(request: ExplainRow, services: Services, control: JobControl) -> RowExplained:
    """Explain one test row, after setting some of its fields to other values."""
    with opened_run(request.project, request.run, services) as run:
        control.say(Phase.EXPLAINING, f"Explaining row {request.row + 1:,}")
        output = run.output(request.output)
        original = _row(run, output, request.row)
        changed = run.encoders.with_values(original, request.changes) if request.changes else original
        contributions = _contributions(run, output, changed, services)
        texts = _texts(run, output, request.row, request.changes)
        unknown = _unknown(changed)
        fields = tuple(
            RowField(name, texts[name], float(value), run.encoders.choices(name, _CHOICES), name in unknown)
            for name, value in zip(contributions.fields, contributions.values[0], strict=True)
        )
        return RowExplained(
            row=request.row,
            probability=_probability(run, output, changed),
            original_probability=_probability(run, output, original),
            label=float(original.target[0]),
            fields=fields,
            waterfall=waterfall(contributions, 0, texts),
        )


def make_value_table(request: MakeValueTable, services: Services, control: JobControl) -> ValueTableMade:
    """Cross two fields of the test rows."""
    with opened_run(request.project, request.run, services) as run:
        control.say(Phase.EXPLAINING, f"Crossing {request.first} with {request.second}")
        output = run.output(request.output)
        data = run.test_data(output)
        names = data.schema.names
        for name in (request.first, request.second):
            if name not in names:
                raise ParameterError(f"The run has no field {name!r}.", do=f"It has {', '.join(names)}.")
        return value_table(
            logits_of(run.model, output),
            data,
            (request.first, request.second),
            decode=run.encoders.decode,
        )


def _unknown(row: EncodedDataset) -> frozenset[str]:
    """Return the categorical fields whose value the model does not know."""
    ids = row.local_ids()[0]
    return frozenset(
        field.name for field, number in zip(row.schema.categorical, ids, strict=True) if number == UNKNOWN_ID
    )


def _probability(run: OpenRun, output: str, row: EncodedDataset) -> float:
    return float(Predictions({output: logits_of(run.model, output)(row)}).probability()[0])


def _row(run: OpenRun, output: str, row: int) -> EncodedDataset:
    data = run.test_data(output)
    if not 0 <= row < len(data):
        raise ParameterError(f"There is no test row {row}.", do=f"Rows go from 0 to {len(data) - 1}.", row=row)
    return data.take(np.array([row]))


def _contributions(run: OpenRun, output: str, data: EncodedDataset, services: Services) -> Contributions:
    several = len(run.facts.predicted) > 1
    context = ExplainContext(threads=services.threads, output=output if several else "")
    for explanation in run.model.explain(data, {ExplanationKind.CONTRIBUTIONS}, context):
        if isinstance(explanation, Contributions) and (not several or explanation.task == output):
            return explanation
    raise DataError(
        f"{run.facts.model_title} cannot explain single rows.", do="Choose a model that offers contributions."
    )


def _texts(run: OpenRun, output: str, row: int, changes: Mapping[str, str]) -> dict[str, str | None]:
    table = run.folder.output(output).predictions()
    assert table is not None, "a run with test data has predictions"
    raw = table.slice(row, 1).to_pylist()[0]
    texts = {name: None if raw[name] is None else str(raw[name]) for name in run.facts.fields}
    return texts | {name: value or None for name, value in changes.items()}

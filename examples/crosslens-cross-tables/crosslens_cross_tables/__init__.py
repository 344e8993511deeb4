"""Cross tables: one table per field and per chosen pair of fields. This module describes the model, model.py is it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens import Estimator, ExplanationKind, FittedModel, ModelSpec, Task, hookimpl, parameter


@dataclass(frozen=True, slots=True)
class CrossTablesParameters:
    """What a person may choose."""

    pairs: int = parameter(
        5, label="Pairs of fields", help="At most so many pairs get a table.", minimum=0, maximum=100
    )
    smoothing: float = parameter(
        10.0, label="Smoothing", help="Entries with little support stay near 0.", minimum=0.01, maximum=10_000.0
    )
    bins: int = parameter(8, label="Bins", help="Quantile bins per numerical field.", minimum=2, maximum=256)
    rounds: int = parameter(40, label="Rounds at most", minimum=1, maximum=1000, advanced=True)
    rate: float = parameter(0.5, label="Step size", minimum=0.01, maximum=1.0, advanced=True)


def build(parameters: CrossTablesParameters) -> Estimator:
    """Return an untrained model."""
    from .model import CrossTablesEstimator

    return CrossTablesEstimator(parameters)


def load(folder: Path) -> FittedModel:
    """Return the model saved in `folder`."""
    from .model import CrossTablesModel

    return CrossTablesModel.load(folder)


SPEC = ModelSpec(
    id="cross-tables",
    title="Cross tables",
    summary="An additive model of fields and of the few pairs that earn a table.",
    task=Task.CTR,
    parameters=CrossTablesParameters,
    build=build,
    load=load,
    explains=frozenset(
        {ExplanationKind.CONTRIBUTIONS, ExplanationKind.FIELD_IMPORTANCE, ExplanationKind.PAIR_INTERACTIONS}
    ),
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return the one model of this plugin."""
    return [SPEC]

"""Logistic regression: the linear baseline every other model has to beat.

    logit(x) = b + sum_c w_c[id_c] + sum_m ( w_m v_m  or  u_m where v_m is missing )

One weight per id of each categorical field, a slope and a weight for "missing" per numerical field, L2 on all of them.
There is no product of fields in it: what it cannot learn is interactions. This module imports scikit-learn only when a
model is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens import Estimator, ExplanationKind, FittedModel, ModelSpec, Task, hookimpl, parameter


@dataclass(frozen=True, slots=True)
class LogisticParameters:
    """How strongly weights are pulled towards 0, and how long to search."""

    strongest: float = parameter(
        100.0, label="Strongest L2", help="The first, most cautious fit; validation picks among this and weaker ones.",
        minimum=1e-4, maximum=1e6, logarithmic=True,
    )  # fmt: skip
    weakest: float = parameter(
        0.1, label="Weakest L2", help="The last, boldest fit.", minimum=1e-4, maximum=1e6, logarithmic=True
    )
    fits: int = parameter(
        5, label="Fits", help="How many strengths are tried, evenly by factors.", minimum=1, maximum=50
    )
    iterations: int = parameter(
        300, label="Iterations at most", help="Per fit.", minimum=1, maximum=10_000, advanced=True
    )
    tolerance: float = parameter(
        1e-4, label="Tolerance", help="A fit ends when its gradient is smaller.",
        minimum=1e-9, maximum=0.1, logarithmic=True, advanced=True,
    )  # fmt: skip


def build(parameters: LogisticParameters) -> Estimator:
    """Return an untrained model."""
    from .logistic_model import LogisticEstimator

    return LogisticEstimator(parameters)


def load(folder: Path) -> FittedModel:
    """Return the model that `FittedModel.save` wrote into `folder`; StorageError if it is not one."""
    from .logistic_model import LogisticModel

    return LogisticModel.load(folder)


SPEC = ModelSpec(
    id="logistic",
    title="Logistic regression",
    summary="Linear baseline without interactions: what every other model has to beat.",
    task=Task.CTR,
    parameters=LogisticParameters,
    build=build,
    load=load,
    explains=frozenset({ExplanationKind.CONTRIBUTIONS, ExplanationKind.FIELD_IMPORTANCE}),
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return the logistic regression."""
    return [SPEC]

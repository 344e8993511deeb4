"""DCN-V2 (Wang et al., WWW 2021): what the app shows of the model. model.py, which needs torch, is imported later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens import Estimator, ExplanationKind, FittedModel, ModelSpec, Task, hookimpl, parameter


@dataclass(frozen=True, slots=True)
class DcnParameters:
    """What a person may choose."""

    embedding: int = parameter(8, label="Embedding width", minimum=1, maximum=256, search=(4, 32), logarithmic=True)
    cross_layers: int = parameter(
        2, label="Cross layers", help="Fields meet in groups of up to one more.", minimum=1, maximum=8, search=(1, 4)
    )
    deep_layers: tuple[int, ...] = parameter(
        (64, 32), label="Deep layers", help="Width of each layer of the network beside.", minimum=1, maximum=4096
    )
    learning_rate: float = parameter(
        0.005, label="Learning rate", minimum=1e-5, maximum=1.0, logarithmic=True, search=(0.0005, 0.02)
    )
    l2: float = parameter(
        1e-5, label="L2", help="Pulls weights to 0.", minimum=0.0, maximum=1.0, logarithmic=True, search=(1e-7, 1e-3)
    )
    epochs: int = parameter(20, label="Epochs at most", minimum=1, maximum=1000)
    patience: int = parameter(3, label="Patience", help="Epochs without a gain before it ends.", minimum=1, maximum=100)
    batch_size: int = parameter(256, label="Batch size", minimum=1, maximum=1_000_000, advanced=True)


def build(parameters: DcnParameters) -> Estimator:
    """Return an untrained model."""
    from .model import DcnEstimator

    return DcnEstimator(parameters)


def load(folder: Path) -> FittedModel:
    """Return the model saved in `folder`."""
    from .model import DcnModel

    return DcnModel.load(folder)


SPEC = ModelSpec(
    id="dcn-v2",
    title="DCN-V2",
    summary="Explicit crosses of fields beside a deep network.",
    task=Task.CTR,
    parameters=DcnParameters,
    build=build,
    load=load,
    explains=frozenset({ExplanationKind.CONTRIBUTIONS, ExplanationKind.PAIR_INTERACTIONS}),
    paper="Wang et al., DCN V2: Improved Deep & Cross Network and Practical Lessons, WWW 2021",
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return the one model of this plugin."""
    return [SPEC]

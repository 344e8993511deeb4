"""ARM-Net and ARM-Net+: adaptive relation modelling networks (Cai et al., SIGMOD 2021).

Exponential neurons multiply the fields that a sparse gate picks for each row. This module holds the descriptions only;
torch is imported when a model is built or loaded. The equations stand in `module`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens import Estimator, ExplanationKind, FittedModel, ModelSpec, Task, hookimpl, parameter

from ..neural import recipe

ARM_NET = "arm-net"
ARM_NET_PLUS = "arm-net-plus"


@dataclass(frozen=True, slots=True)
class ArmNetParameters:
    """Parameters of ARM-Net under the paper's names."""

    heads: int = parameter(
        4, label="Heads", help="Groups of neurons; each head compares fields in its own way.", minimum=1, maximum=64,
        search=(1, 8),
    )  # fmt: skip
    neurons: int = parameter(
        8, label="Neurons per head", help="Each neuron looks for one combination of fields.", minimum=1, maximum=512,
        search=(2, 32),
    )  # fmt: skip
    embedding: int = recipe.embedding(10)
    alpha: float = parameter(
        1.7, label="Sparsity of the gates",
        help="1 lets every field in (softmax), 1.7 suits most data, 2 shuts most out; above 2 is slower.",
        minimum=1.0, maximum=2.5, step=0.1, search=(1.0, 2.0),
    )  # fmt: skip
    layers: tuple[int, ...] = recipe.layers((64,), help="Widths of the layers behind the neurons.")
    dropout: float = recipe.dropout(0.1)
    l2: float = recipe.l2(100.0)
    learning_rate: float = recipe.learning_rate(0.002)
    batch_size: int = recipe.batch_size(1024)
    epochs: int = recipe.epochs(30)
    patience: int = recipe.patience(2)
    field_dropout: float = recipe.field_dropout(0.02)
    initial_spread: float = recipe.initial_spread(0.05)
    gradient_clip: float = recipe.gradient_clip(0.0)
    positive_weight: float = recipe.positive_weight()
    negative_rate: float = recipe.negative_rate()


@dataclass(frozen=True, slots=True)
class ArmNetPlusParameters(ArmNetParameters):
    """Parameters of ARM-Net+: those of ARM-Net and of the network beside it."""

    deep_embedding: int = parameter(
        10, label="Deep embedding width", help="Embedding width of the plain network beside the neurons.",
        minimum=2, maximum=256,
    )  # fmt: skip
    deep_layers: tuple[int, ...] = recipe.layers(
        (128, 128), label="Deep layers", help="Widths of the layers of the plain network.",
        search=((64,), (128,), (128, 128), (256, 128)),
    )  # fmt: skip


def build(parameters: ArmNetParameters) -> Estimator:
    """Return an untrained model: ARM-Net+ for `ArmNetPlusParameters`, ARM-Net otherwise."""
    from ..neural.click import ClickEstimator
    from .fitted import ArmNetModel

    return ClickEstimator(parameters, ArmNetModel)


def load(folder: Path) -> FittedModel:
    """Return the model that `FittedModel.save` wrote into `folder`; StorageError if it is not one."""
    from .fitted import ArmNetModel

    return ArmNetModel.load(folder)


_EXPLAINS = frozenset(
    {ExplanationKind.CONTRIBUTIONS, ExplanationKind.FIELD_IMPORTANCE, ExplanationKind.INTERACTION_TERMS}
)
_PAPER = "Cai et al., ARM-Net: Adaptive Relation Modeling Network for Structured Data, SIGMOD 2021"

SPECS = (
    ModelSpec(
        id=ARM_NET,
        title="ARM-Net",
        summary="Multiplies the fields that a sparse gate picks for each row; says which it picked.",
        task=Task.CTR,
        parameters=ArmNetParameters,
        build=build,
        load=load,
        explains=_EXPLAINS,
        paper=_PAPER,
        estimates=True,
    ),
    ModelSpec(
        id=ARM_NET_PLUS,
        title="ARM-Net+",
        summary="ARM-Net with a plain deep network beside it: often a little stronger, less to read.",
        task=Task.CTR,
        parameters=ArmNetPlusParameters,
        build=build,
        load=load,
        explains=_EXPLAINS,
        paper=_PAPER,
        estimates=True,
    ),
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return ARM-Net and ARM-Net+."""
    return SPECS

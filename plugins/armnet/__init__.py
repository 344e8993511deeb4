"""ARM-Net and ARM-Net+: adaptive relation modelling networks (Cai et al., SIGMOD 2021).

Exponential neurons multiply the fields that a sparse gate picks for each row. This module holds the descriptions only;
torch is imported when a model is built or loaded. The equations stand in `module`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens import Estimator, ExplanationKind, FittedModel, ModelSpec, Task, hookimpl, parameter

ARM_NET = "arm-net"
ARM_NET_PLUS = "arm-net-plus"


@dataclass(frozen=True, slots=True)
class ArmNetParameters:
    """Parameters of ARM-Net under the paper's names."""

    heads: int = parameter(
        4, label="Heads", help="Groups of neurons; each head compares fields in its own way.", minimum=1, maximum=64
    )
    neurons: int = parameter(
        8, label="Neurons per head", help="Each neuron looks for one combination of fields.", minimum=1, maximum=512
    )
    embedding: int = parameter(
        10, label="Embedding width", help="Numbers that describe one value of a field.", minimum=2, maximum=256
    )
    alpha: float = parameter(
        1.7, label="Sparsity of the gates", help="1 lets every field in; 2 shuts most out.",
        minimum=1.0, maximum=2.5, step=0.1,
    )  # fmt: skip
    layers: tuple[int, ...] = parameter(
        (64,), label="Hidden layers", help="Widths of the layers behind the neurons.", minimum=1, maximum=4096
    )
    dropout: float = parameter(
        0.1, label="Dropout", help="Share of hidden units left out at random while training.",
        minimum=0.0, maximum=0.9, step=0.05,
    )  # fmt: skip
    l2: float = parameter(
        100.0, label="Embedding L2", help="Holds back the vectors of values with few rows; higher is more cautious.",
        minimum=0.0, maximum=1e6, logarithmic=True,
    )  # fmt: skip
    learning_rate: float = parameter(
        0.002, label="Learning rate", help="Size of each step. Lower needs more epochs.",
        minimum=1e-6, maximum=1.0, logarithmic=True,
    )  # fmt: skip
    batch_size: int = parameter(
        1024, label="Batch size", help="Rows per step.", minimum=1, maximum=1_000_000, logarithmic=True
    )
    epochs: int = parameter(
        30,
        label="Epochs at most",
        help="Training ends sooner when validation stops improving.",
        minimum=1,
        maximum=10_000,
    )
    patience: int = parameter(
        2, label="Patience", help="Epochs without a better validation log loss before the learning rate falls tenfold.",
        minimum=1, maximum=1000, advanced=True,
    )  # fmt: skip
    field_dropout: float = parameter(
        0.02, label="Field dropout", help="Share of values hidden while training, so that missing and unseen values "
        "are known when they come.", minimum=0.0, maximum=0.5, step=0.01, advanced=True,
    )  # fmt: skip
    initial_spread: float = parameter(
        0.05, label="Initial spread of embeddings", help="Standard deviation before training.",
        minimum=0.0001, maximum=1.0, logarithmic=True, advanced=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ArmNetPlusParameters(ArmNetParameters):
    """Parameters of ARM-Net+: those of ARM-Net and of the network beside it."""

    deep_embedding: int = parameter(
        10, label="Deep embedding width", help="Embedding width of the plain network beside the neurons.",
        minimum=2, maximum=256,
    )  # fmt: skip
    deep_layers: tuple[int, ...] = parameter(
        (128, 128), label="Deep layers", help="Widths of the layers of the plain network.", minimum=1, maximum=4096
    )


def build(parameters: ArmNetParameters) -> Estimator:
    """Return an untrained model: ARM-Net+ for `ArmNetPlusParameters`, ARM-Net otherwise."""
    from .estimator import ArmNetEstimator

    return ArmNetEstimator(parameters)


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
    ),
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return ARM-Net and ARM-Net+."""
    return SPECS

"""AutoInt and AutoInt+: fields attend to each other (Song et al., CIKM 2019).

This module holds the descriptions only; torch is imported when a model is built or loaded. The equations stand in
`module`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens import Estimator, ExplanationKind, FittedModel, ModelSpec, Task, hookimpl, parameter

from ..neural import recipe

AUTO_INT = "autoint"
AUTO_INT_PLUS = "autoint-plus"


@dataclass(frozen=True, slots=True)
class AutoIntParameters:
    """Parameters of AutoInt under the paper's names."""

    attention_layers: int = parameter(
        1, label="Attention layers", help="Each layer combines what the one before it found; more need more rows.",
        minimum=1, maximum=8, search=(1, 4),
    )  # fmt: skip
    heads: int = parameter(
        2, label="Heads", help="Ways in which a layer compares fields, side by side.", minimum=1, maximum=64,
        search=(1, 4),
    )  # fmt: skip
    head_width: int = parameter(
        16, label="Width per head", help="Numbers per field and head.", minimum=1, maximum=256, search=(8, 32)
    )
    embedding: int = recipe.embedding(16)
    dropout: float = recipe.dropout(0.1)
    l2: float = recipe.l2(100.0)
    learning_rate: float = recipe.learning_rate(0.015)
    batch_size: int = recipe.batch_size(1024)
    epochs: int = recipe.epochs(30)
    patience: int = recipe.patience(2)
    scaled: bool = parameter(
        False, label="Scale scores", help="Divides scores by the root of the width per head, unlike the paper: "
        "softer attention.", advanced=True,
    )  # fmt: skip
    layer_norm: bool = parameter(
        False, label="Normalise layers", help="Layer normalisation behind each attention layer; the paper has none.",
        advanced=True,
    )  # fmt: skip
    field_dropout: float = recipe.field_dropout(0.02)
    initial_spread: float = recipe.initial_spread(0.05)
    gradient_clip: float = recipe.gradient_clip(0.0)
    positive_weight: float = recipe.positive_weight()
    negative_rate: float = recipe.negative_rate()


@dataclass(frozen=True, slots=True)
class AutoIntPlusParameters(AutoIntParameters):
    """Parameters of AutoInt+: those of AutoInt and of the network beside it."""

    deep_layers: tuple[int, ...] = recipe.layers(
        (64,), label="Deep layers", help="Widths of the layers of the plain network on the same embeddings.",
        search=((64,), (128,), (128, 128), (256, 128)),
    )  # fmt: skip


def build(parameters: AutoIntParameters) -> Estimator:
    """Return an untrained model: AutoInt+ for `AutoIntPlusParameters`, AutoInt otherwise."""
    from ..neural.click import ClickEstimator
    from .fitted import AutoIntModel

    return ClickEstimator(parameters, AutoIntModel)


def load(folder: Path) -> FittedModel:
    """Return the model that `FittedModel.save` wrote into `folder`; StorageError if it is not one."""
    from .fitted import AutoIntModel

    return AutoIntModel.load(folder)


_EXPLAINS = frozenset(
    {ExplanationKind.CONTRIBUTIONS, ExplanationKind.FIELD_IMPORTANCE, ExplanationKind.PAIR_INTERACTIONS}
)
_PAPER = "Song et al., AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks, CIKM 2019"

SPECS = (
    ModelSpec(
        id=AUTO_INT,
        title="AutoInt",
        summary="Lets every field attend to every other, layer upon layer; shows where it looked.",
        task=Task.CTR,
        parameters=AutoIntParameters,
        build=build,
        load=load,
        explains=_EXPLAINS,
        paper=_PAPER,
        estimates=True,
    ),
    ModelSpec(
        id=AUTO_INT_PLUS,
        title="AutoInt+",
        summary="AutoInt with a plain deep network on the same embeddings: often a little stronger, less to read.",
        task=Task.CTR,
        parameters=AutoIntPlusParameters,
        build=build,
        load=load,
        explains=_EXPLAINS,
        paper=_PAPER,
        estimates=True,
    ),
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return AutoInt and AutoInt+."""
    return SPECS

"""ESMM: the entire space multi-task model of clicks and conversions (Ma et al., SIGIR 2018), and its relatives.

    pCTCVR = pCTR pCVR      two towers on one embedding; learned from all impressions, not from clicked ones alone

This module holds the description only; torch is imported when a model is built or loaded. The equations stand in
`module` and `losses`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from crosslens import Estimator, ExplanationKind, FieldRole, FittedModel, ModelSpec, Task, hookimpl, parameter

from ..neural import recipe


class Variant(StrEnum):
    """What is learned from, and whether both towers share an embedding.

    ESMM            BCE(y, a) + BCE(y z, ctcvr)            shared     the paper
    ESMM_NS         the same                               separate   the paper's ablation "no sharing"
    CLICKED_ONLY    BCE(y, a) + y BCE(z, b)                separate   two models side by side
    SHARED_CLICKED  the same                               shared
    ESCM2_IPS       ESMM + y / max(p, floor) BCE(z, b)     shared     inverse propensity (Wang et al., SIGIR 2022)
    """

    ESMM = "esmm"
    ESMM_NS = "esmm-ns"
    CLICKED_ONLY = "clicked-only"
    SHARED_CLICKED = "shared+clicked"
    ESCM2_IPS = "escm2-ips"

    @property
    def shares_embedding(self) -> bool:
        """Whether both towers stand on one embedding."""
        return self not in (Variant.ESMM_NS, Variant.CLICKED_ONLY)

    @property
    def learns_product(self) -> bool:
        """Whether conversions are learned through pCTCVR, on all rows."""
        return self not in (Variant.CLICKED_ONLY, Variant.SHARED_CLICKED)

    @property
    def clicked_weight(self) -> float:
        """Return what the log loss of conversions among clicked rows counts without `lambda_cvr`."""
        return 0.0 if self.learns_product else 1.0


@dataclass(frozen=True, slots=True)
class EsmmParameters:
    """Parameters of ESMM and its relatives."""

    variant: str = parameter(
        Variant.ESMM.value, label="Variant",
        help="esmm: the paper. esmm-ns: an embedding for each tower. clicked-only: conversions from clicked rows, "
        "apart. shared+clicked: the same on one embedding. escm2-ips: clicked rows weighed by 1 / pCTR.",
        choices=tuple(each.value for each in Variant),
    )  # fmt: skip
    lambda_cvr: float = parameter(
        0.0, label="Weight of clicked conversions",
        help="Adds the log loss of conversions among clicked rows, in nats per impression. 0 is the paper; helps where "
        "clicks convert often.", minimum=0.0, maximum=100.0, step=0.5, search=(0.0, 2.0),
    )  # fmt: skip
    embedding: int = recipe.embedding(10)
    layers: tuple[int, ...] = recipe.layers(
        (64,), label="Tower layers", help="Widths of the layers of each tower.",
        search=((32,), (64,), (128,), (64, 32), (128, 64)),
    )  # fmt: skip
    dropout: float = recipe.dropout(0.1)
    l2: float = recipe.l2(100.0)
    learning_rate: float = recipe.learning_rate(0.01)
    batch_size: int = recipe.batch_size(1024)
    epochs: int = recipe.epochs(30)
    patience: int = recipe.patience(2)
    propensity_floor: float = parameter(
        0.02, label="Smallest pCTR to divide by", help="Of escm2-ips: higher is steadier and more biased.",
        minimum=1e-6, maximum=1.0, logarithmic=True, advanced=True,
    )  # fmt: skip
    field_dropout: float = recipe.field_dropout(0.02)
    initial_spread: float = recipe.initial_spread(0.3)
    gradient_clip: float = recipe.gradient_clip(0.0)
    positive_weight: float = recipe.positive_weight()
    negative_rate: float = recipe.negative_rate()


def build(parameters: EsmmParameters) -> Estimator:
    """Return an untrained model."""
    from .estimator import EsmmEstimator

    return EsmmEstimator(parameters)


def load(folder: Path) -> FittedModel:
    """Return the model that `FittedModel.save` wrote into `folder`; StorageError if it is not one."""
    from .fitted import EsmmModel

    return EsmmModel.load(folder)


SPEC = ModelSpec(
    id="esmm",
    title="ESMM",
    summary="Clicks and conversions together: learns conversions from all impressions, not from clicked ones alone.",
    task=Task.FUNNEL,
    parameters=EsmmParameters,
    build=build,
    load=load,
    needs=frozenset({FieldRole.CLICK, FieldRole.CONVERSION}),
    explains=frozenset({ExplanationKind.CONTRIBUTIONS}),
    paper="Ma et al., Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click Conversion Rate, "
    "SIGIR 2018",
    estimates=True,
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return ESMM."""
    return [SPEC]

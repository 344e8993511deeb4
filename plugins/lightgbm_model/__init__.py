"""LightGBM: gradient boosted trees, the non-neural yardstick (Ke et al., NeurIPS 2017).

    logit(x) = sum_m tree_m(x)         each tree is fitted to the gradient of the log loss of the trees before it

Of a funnel, pCTR is learned on all rows, pCVR on clicked rows, each with trees of its own; pCTCVR is their product.

Categorical fields are LightGBM categories: a split parts the values of a field into two sets (Fisher, 1958), so nothing
is one-hot encoded. This module holds the description only; LightGBM is imported when a model is built or loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens import Estimator, ExplanationKind, FieldRole, FittedModel, ModelSpec, Task, hookimpl, parameter


@dataclass(frozen=True, slots=True)
class LightGBMParameters:
    """Parameters under LightGBM's own names."""

    learning_rate: float = parameter(
        0.1, label="Learning rate", help="Share of each new tree. Lower needs more trees.",
        minimum=0.001, maximum=1.0, search=(0.02, 0.3), logarithmic=True,
    )  # fmt: skip
    num_leaves: int = parameter(
        15, label="Leaves per tree", help="More leaves combine more fields.", minimum=2, maximum=4096, search=(4, 128)
    )
    num_trees: int = parameter(
        1000, label="Trees at most", help="Training ends sooner when validation stops improving.",
        minimum=1, maximum=20_000, step=50,
    )  # fmt: skip
    min_data_in_leaf: int = parameter(
        100,
        label="Rows per leaf at least",
        help="Higher is more cautious.",
        minimum=1,
        maximum=100_000,
        search=(10, 500),
    )
    lambda_l2: float = parameter(
        1.0,
        label="L2 regularisation",
        help="Pulls leaf values towards 0.",
        minimum=0.0,
        maximum=1000.0,
        search=(0.0, 100.0),
    )
    patience: int = parameter(
        50, label="Patience", help="Trees without a better validation log loss before training ends.",
        minimum=1, maximum=1000, advanced=True,
    )  # fmt: skip
    max_depth: int = parameter(
        0, label="Depth at most", help="0 leaves the depth free.", minimum=0, maximum=63, advanced=True
    )
    cat_smooth: float = parameter(
        20.0, label="Category smoothing",
        help="Pulls the rate of rare values towards the mean before a split sorts them.",
        minimum=0.0, maximum=10_000.0, search=(1.0, 200.0), advanced=True,
    )  # fmt: skip
    cat_l2: float = parameter(
        50.0, label="Category L2", help="Extra L2 regularisation of splits on categories.",
        minimum=0.0, maximum=10_000.0, search=(1.0, 200.0), advanced=True,
    )  # fmt: skip
    min_data_per_group: int = parameter(
        100, label="Rows per group of values", help="Fewest rows on either side when a split sorts values.",
        minimum=1, maximum=100_000, advanced=True,
    )  # fmt: skip
    max_cat_threshold: int = parameter(
        3, label="Values per split at most",
        help="Most values on the smaller side of one split. Fields with thousands of values overfit when this is high.",
        minimum=1, maximum=4096, search=(1, 64), advanced=True,
    )  # fmt: skip
    max_cat_to_onehot: int = parameter(
        4, label="One against the rest up to",
        help="Fields with no more values than this split off one value at a time.",
        minimum=1, maximum=4096, advanced=True,
    )  # fmt: skip
    feature_fraction: float = parameter(
        1.0, label="Share of fields per tree", minimum=0.05, maximum=1.0, search=(0.4, 1.0), step=0.05, advanced=True
    )
    bagging_fraction: float = parameter(
        1.0, label="Share of rows per tree", minimum=0.05, maximum=1.0, search=(0.5, 1.0), step=0.05, advanced=True
    )
    max_bin: int = parameter(
        255, label="Bins per numerical field", minimum=2, maximum=65_535, advanced=True
    )  # fmt: skip


def build(parameters: LightGBMParameters) -> Estimator:
    """Return an untrained model."""
    from .estimator import LightGBMEstimator

    return LightGBMEstimator(parameters)


def load(folder: Path) -> FittedModel:
    """Return the model that `FittedModel.save` wrote into `folder`; StorageError if it is not one."""
    from .fitted import LightGBMModel

    return LightGBMModel.load(folder)


def build_funnel(parameters: LightGBMParameters) -> Estimator:
    """Return an untrained model of clicks and conversions."""
    from .funnel_training import FunnelTreesEstimator

    return FunnelTreesEstimator(parameters)


def load_funnel(folder: Path) -> FittedModel:
    """Return the funnel model that `FittedModel.save` wrote into `folder`; StorageError if it is not one."""
    from .funnel_model import FunnelTrees

    return FunnelTrees.load(folder)


_PAPER = "Ke et al., LightGBM: A Highly Efficient Gradient Boosting Decision Tree, NeurIPS 2017"

SPEC = ModelSpec(
    id="lightgbm",
    title="LightGBM",
    summary="Gradient boosted trees: fast, strong, explained exactly by Shapley values.",
    task=Task.CTR,
    parameters=LightGBMParameters,
    build=build,
    load=load,
    explains=frozenset(ExplanationKind),
    paper=_PAPER,
)

FUNNEL_SPEC = ModelSpec(
    id="lightgbm-funnel",
    title="LightGBM (funnel)",
    summary="Trees of clicks and, on clicked rows, of conversions: the yardstick of every funnel model.",
    task=Task.FUNNEL,
    parameters=LightGBMParameters,
    build=build_funnel,
    load=load_funnel,
    needs=frozenset({FieldRole.CLICK, FieldRole.CONVERSION}),
    explains=frozenset(ExplanationKind),
    paper=_PAPER,
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return the LightGBM models: of clicks, and of a funnel."""
    return [SPEC, FUNNEL_SPEC]

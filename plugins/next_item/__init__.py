"""Popularity and item-kNN: the baselines every next-item model has to beat.

    popularity   score of item i = log of its share of the training events
    item-kNN     score of item i = sum over the history of 2^(-age / half_life) sim(i, j)

This module holds the descriptions only; SciPy is imported when a model is built or loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens import FieldRole, ModelSpec, NextItemEstimator, NextItemModel, Task, hookimpl, parameter


@dataclass(frozen=True, slots=True)
class PopularityParameters:
    """How much older events count."""

    half_life: float = parameter(
        0.0, search=(0.0, 0.5), label="Half-life",
        help="As a share of the time the training events span; 0 counts all events alike.",
        minimum=0.0, maximum=100.0, step=0.05,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ItemKnnParameters:
    """How similarity is measured and how the history is weighed."""

    neighbours: int = parameter(
        300, search=(20, 500), label="Neighbours", help="How many items alike are kept for each item.",
        minimum=1, maximum=10_000, logarithmic=True,
    )  # fmt: skip
    shrinkage: float = parameter(
        10.0, search=(0.0, 100.0), label="Shrinkage",
        help="Pulls the similarity of items that few users had towards 0.",
        minimum=0.0, maximum=10_000.0,
    )  # fmt: skip
    half_life: float = parameter(
        1.0, search=(0.5, 20.0), label="Half-life", help="An item so many events older counts half.",
        minimum=0.1, maximum=1e6, logarithmic=True,
    )  # fmt: skip
    longest: int = parameter(
        500, label="Events per user at most", help="Only the latest events of a user are counted together.",
        minimum=2, maximum=100_000, advanced=True, logarithmic=True,
    )  # fmt: skip


def build_popularity(parameters: PopularityParameters) -> NextItemEstimator:
    """Return the untrained baseline."""
    from .popularity import PopularityEstimator

    return PopularityEstimator(parameters)


def load_popularity(folder: Path) -> NextItemModel:
    """Return the model that `NextItemModel.save` wrote into `folder`; StorageError if it is not one."""
    from .popularity import PopularityModel

    return PopularityModel.load(folder)


def build_item_knn(parameters: ItemKnnParameters) -> NextItemEstimator:
    """Return the untrained baseline."""
    from .item_knn import ItemKnnEstimator

    return ItemKnnEstimator(parameters)


def load_item_knn(folder: Path) -> NextItemModel:
    """Return the model that `NextItemModel.save` wrote into `folder`; StorageError if it is not one."""
    from .item_knn import ItemKnnModel

    return ItemKnnModel.load(folder)


SPECS = (
    ModelSpec(
        id="popularity",
        title="Popularity",
        summary="Recommends what most users had: the least any other model has to beat.",
        task=Task.NEXT_ITEM,
        parameters=PopularityParameters,
        build=build_popularity,
        load=load_popularity,
        needs=frozenset({FieldRole.USER, FieldRole.ITEM}),
    ),
    ModelSpec(
        id="item-knn",
        title="Item neighbours",
        summary="Recommends what others had together with a user's latest items.",
        task=Task.NEXT_ITEM,
        parameters=ItemKnnParameters,
        build=build_item_knn,
        load=load_item_knn,
        needs=frozenset({FieldRole.USER, FieldRole.ITEM}),
        paper="Sarwar et al., Item-based Collaborative Filtering Recommendation Algorithms, WWW 2001",
    ),
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return the baselines."""
    return SPECS

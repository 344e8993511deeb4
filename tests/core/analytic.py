"""Rows and models whose truth is written down: what an explanation must find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from crosslens import EncodedDataset, EncodedField, EncodedSchema, FieldKind
from crosslens.data import Float64Array

Model = Callable[[EncodedDataset], Float64Array]


def rows(count: int, *, cardinalities: tuple[int, ...] = (8, 6, 10), numbers: int = 1, seed: int = 0) -> EncodedDataset:
    """Independent uniform categories c0, c1, ... and normal numbers n0, ...; labels all 0."""
    rng = np.random.default_rng(seed)
    fields = [EncodedField(f"c{place}", FieldKind.CATEGORICAL, size) for place, size in enumerate(cardinalities)]
    fields += [EncodedField(f"n{place}", FieldKind.NUMERICAL) for place in range(numbers)]
    schema = EncodedSchema(tuple(fields), ("click",))
    local = np.stack([rng.integers(2, size, count) for size in cardinalities], axis=1)
    return EncodedDataset(
        schema,
        (local + schema.offsets).astype(np.int32),
        rng.normal(size=(count, numbers)).astype(np.float32),
        {"click": np.zeros(count, np.float32)},
    )


def labelled(data: EncodedDataset, truth: Model, *, seed: int = 1) -> EncodedDataset:
    """The same rows with labels drawn from the probabilities of `truth`."""
    chance = 1 / (1 + np.exp(-truth(data)))
    drawn = np.random.default_rng(seed).random(len(data)) < chance
    return replace(data, labels={"click": drawn.astype(np.float32)})


def additive(data: EncodedDataset) -> Float64Array:
    """A logit without any interaction."""
    local = data.local_ids()
    return -1.5 + 0.3 * (local[:, 0] - 4.5) + 0.2 * (local[:, 2] - 5.5) + 0.4 * data.values[:, 0].astype(np.float64)


def product(data: EncodedDataset) -> Float64Array:
    """An interaction of c0 and c1 alone: +1 where both are even or both are odd, else -1; no main effect."""
    local = data.local_ids()
    return np.where(local[:, 0] % 2 == local[:, 1] % 2, 1.0, -1.0)


def interacting(data: EncodedDataset) -> Float64Array:
    """The additive logit plus 0.8 times the interaction."""
    return additive(data) + 0.8 * product(data)

"""Small datasets with a known truth, made from a seed. Arrays are read-only, as they are in the app."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from crosslens.data import (
    MISSING_ID,
    RESERVED_IDS,
    UNKNOWN_ID,
    EncodedDataset,
    EncodedField,
    EncodedSchema,
    TrainingData,
)
from crosslens.schema import FieldKind

LABEL = "click"

_COLOUR = np.array([-1.2, -0.4, 0.0, 0.5, 1.1])
_SHAPE = np.array([-0.8, 0.0, 0.8])
_BASE_LOGIT = -1.0


def make_dataset(
    categorical: Mapping[str, tuple[NDArray[np.integer], int]],
    numerical: Mapping[str, NDArray[np.floating]],
    label: NDArray[np.integer] | NDArray[np.floating] | NDArray[np.bool_],
) -> EncodedDataset:
    """Return read-only rows. `categorical` maps a name to (local ids (N,), cardinality with the reserved ids)."""
    fields = [EncodedField(name, FieldKind.CATEGORICAL, size) for name, (_, size) in categorical.items()]
    fields += [EncodedField(name, FieldKind.NUMERICAL) for name in numerical]
    schema = EncodedSchema(tuple(fields), (LABEL,))
    rows = len(label)
    local = np.array([ids for ids, _ in categorical.values()], np.int64).reshape(len(categorical), rows).T
    values = np.array(list(numerical.values()), np.float32).reshape(len(numerical), rows).T
    ids = (local + schema.offsets).astype(np.int32)
    return frozen(
        EncodedDataset(
            schema, ids, np.ascontiguousarray(values), {LABEL: label.astype(np.float32)}, None, np.arange(rows)
        )
    )


def frozen(data: EncodedDataset) -> EncodedDataset:
    """Return the same rows with every array read-only: a model that writes into its input raises."""
    for array in (data.ids, data.values, *data.labels.values(), data.weights, data.row_keys):
        if array is not None:
            array.flags.writeable = False
    return data


def training_data(data: EncodedDataset, *, validation: float = 0.25) -> TrainingData:
    """Return the first rows for training and the last share for validation."""
    cut = round(len(data) * (1 - validation))
    return TrainingData(data.take(slice(0, cut)), data.take(slice(cut, None)))


def main_effects(rows: int = 3000, *, seed: int = 0) -> EncodedDataset:
    """Return rows whose logit is a sum of field effects: colour (5 values), shape (3), size (numerical).

    `region` (20 values) and `age` (numerical, a tenth missing) do nothing. About one row in three is positive.
    """
    random = np.random.default_rng(seed)
    colour, shape = random.integers(0, len(_COLOUR), rows), random.integers(0, len(_SHAPE), rows)
    region, size, age = random.integers(0, 20, rows), random.normal(size=rows), random.normal(size=rows)
    logit = _BASE_LOGIT + _COLOUR[colour] + _SHAPE[shape] + 0.8 * size
    label = random.random(rows) < 1 / (1 + np.exp(-logit))
    age[random.random(rows) < 0.1] = np.nan
    return make_dataset(
        {
            "colour": (colour + RESERVED_IDS, len(_COLOUR) + RESERVED_IDS),
            "shape": (shape + RESERVED_IDS, len(_SHAPE) + RESERVED_IDS),
            "region": (region + RESERVED_IDS, 20 + RESERVED_IDS),
        },
        {"size": size, "age": age},
        label,
    )


def xor(rows: int = 3000, *, seed: int = 0, noise: float = 0.05) -> EncodedDataset:
    """Return rows whose label is `left` xor `right`, flipped with probability `noise`; `other` does nothing.

    No field alone says anything about the label: the best AUC without an interaction is 0.5, with it 1 - noise.
    """
    random = np.random.default_rng(seed)
    left, right, other = (random.integers(0, 2, rows) for _ in range(3))
    label = (left ^ right) ^ (random.random(rows) < noise)
    fields = {"left": left, "right": right, "other": other}
    return make_dataset({name: (ids + RESERVED_IDS, 2 + RESERVED_IDS) for name, ids in fields.items()}, {}, label)


def many_categories(rows: int = 2000, *, categories: int = 10_000, seed: int = 0) -> EncodedDataset:
    """Return rows with a field of `categories` values, most of which training rows do not hold."""
    random = np.random.default_rng(seed)
    item, colour = random.integers(0, categories, rows), random.integers(0, len(_COLOUR), rows)
    label = random.random(rows) < 1 / (1 + np.exp(-_BASE_LOGIT - _COLOUR[colour]))
    return make_dataset(
        {
            "item": (item + RESERVED_IDS, categories + RESERVED_IDS),
            "colour": (colour + RESERVED_IDS, len(_COLOUR) + RESERVED_IDS),
        },
        {},
        label,
    )


def heavier_positives(data: EncodedDataset, *, weight: float = 4.0) -> EncodedDataset:
    """Return the same rows where each positive counts `weight` times."""
    weights = np.where(data.target > 0.5, weight, 1.0).astype(np.float32)
    return frozen(EncodedDataset(data.schema, data.ids, data.values, data.labels, weights, data.row_keys))


def one_class(data: EncodedDataset, *, label: float = 0.0) -> EncodedDataset:
    """Return the same rows with the same label everywhere."""
    same = np.full(len(data), label, np.float32)
    return frozen(EncodedDataset(data.schema, data.ids, data.values, {LABEL: same}, data.weights, data.row_keys))


def all_missing_column(data: EncodedDataset) -> EncodedDataset:
    """Return the same rows without a value in the first categorical and the first numerical field."""
    ids, values = data.ids.copy(), data.values.copy()
    if ids.shape[1]:
        ids[:, 0] = MISSING_ID
    if values.shape[1]:
        values[:, 0] = np.nan
    return frozen(EncodedDataset(data.schema, ids, values, data.labels, data.weights, data.row_keys))


def unseen_ids(data: EncodedDataset, *, rows: int = 3) -> EncodedDataset:
    """Return rows that are <unknown> in every categorical field and missing in every numerical one, without labels."""
    ids = np.tile(data.schema.offsets + UNKNOWN_ID, (rows, 1)).astype(np.int32)
    return frozen(data.with_features(ids, np.full((rows, data.values.shape[1]), np.nan, np.float32)))

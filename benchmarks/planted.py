"""Rows whose labels are known functions of their fields, of any shape: what speed and cost are measured on."""

from __future__ import annotations

import numpy as np

from crosslens import EncodedDataset, EncodedField, EncodedSchema, FieldKind, TrainingData


def planted(rows: int, *, fields: int = 10, values: int = 1000, seed: int, labels: tuple[str, ...] = ("click",)) -> (
    EncodedDataset
):  # fmt: skip
    """Return rows of which a click depends on two pairs, a triple and single fields; conversions on other pairs.

    Values of a field are Zipf-like, as ids of shops and users are. At least seven fields.
    """
    random = np.random.default_rng(seed)
    schema = EncodedSchema(
        tuple(EncodedField(f"field {place}", FieldKind.CATEGORICAL, values) for place in range(fields)), labels
    )
    share = 1.0 / np.arange(1, values - 1) ** 0.8
    local = random.choice(values - 2, (rows, fields), p=share / share.sum()) + 2
    sides = np.where(np.random.default_rng(0).random((fields, values)) < 0.5, -1.0, 1.0)
    x = sides[np.arange(fields), local]  # (N, F), each value on one of two sides
    click = 1.2 * x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] + 0.7 * x[:, 4] * x[:, 5] * x[:, 6] + 0.5 * x[:, 6:].sum(1) - 1
    clicked = (random.random(rows) < 1 / (1 + np.exp(-click))).astype(np.float32)
    found = {"click": clicked}
    if "conversion" in labels:
        convert = x[:, 1] * x[:, 2] + 0.8 * x[:, 3] - 0.5
        found["conversion"] = clicked * (random.random(rows) < 1 / (1 + np.exp(-convert))).astype(np.float32)
    ids = (local + schema.offsets).astype(np.int32)
    return EncodedDataset(schema, ids, np.zeros((rows, 0), np.float32), found)


def planted_parts(train: int, validation: int, **shape: object) -> TrainingData:
    """Return a training and a validation part of one shape."""
    return TrainingData(planted(train, seed=1, **shape), planted(validation, seed=2, **shape))  # type: ignore[arg-type]

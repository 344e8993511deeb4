"""Fields named when a model is too good to be true."""

from __future__ import annotations

import numpy as np
import pytest

from core.metrics import TOO_GOOD, evaluate
from core.suspects import name_suspects, strongest_fields
from crosslens import EncodedDataset, EncodedField, EncodedSchema, FieldKind

N = 2000
RNG = np.random.default_rng(4)
Y = (RNG.random(N) < 0.3).astype(np.float32)
COIN = RNG.integers(0, 2, N)
SCHEMA = EncodedSchema(
    (
        EncodedField("colour", FieldKind.CATEGORICAL, 5),
        EncodedField("status", FieldKind.CATEGORICAL, 5),
        EncodedField("price", FieldKind.NUMERICAL),
    ),
    ("click",),
)


def data(status: np.ndarray, price: np.ndarray) -> EncodedDataset:
    """Return a dataset of three fields, the first of them noise."""
    local = np.stack([RNG.integers(2, 5, N), status], axis=1)
    ids = (local + SCHEMA.offsets).astype(np.int32)
    return EncodedDataset(SCHEMA, ids, price.astype(np.float32)[:, None], {"click": Y})


def warned(rows: EncodedDataset, logits: np.ndarray) -> str:
    (warning,) = name_suspects(evaluate(Y, logits), rows).warnings
    return warning


NOISE = np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N))
SURE = 4 * Y - 2 + 0.1 * RNG.normal(size=N)


def test_the_field_that_gives_the_label_away_is_named() -> None:
    assert warned(data(2 + Y, NOISE), SURE) == f"{TOO_GOOD} Look first at status (AUC 1.00 alone)."


def test_several_such_fields_are_named_strongest_first() -> None:
    flipped = np.where(RNG.random(N) < 0.05, 1 - Y, Y)
    assert "status (AUC 1.00 alone) and price (AUC 0.9" in warned(data(2 + Y, flipped + 0.01 * NOISE), SURE)


def test_fields_that_only_do_so_together_are_looked_for() -> None:
    rows = data(2 + (COIN ^ Y.astype(int)), COIN + 0.0)
    assert "look for two that do together" in warned(rows, SURE)


def test_an_honest_model_raises_no_alarm() -> None:
    quality = evaluate(Y, 0.5 * Y + RNG.normal(size=N))
    assert name_suspects(quality, data(2 + Y, NOISE)) is quality


def test_every_field_has_its_auc() -> None:
    assert dict(strongest_fields(data(2 + Y, NOISE))) == pytest.approx(
        {"status": 1.0, "colour": 0.5, "price": 0.5}, abs=0.06
    )

"""Rows with some fields taken from the background, whatever kinds of fields there are."""

from __future__ import annotations

import numpy as np
import pytest

from core.evidence import prove_interactions
from crosslens import EncodedDataset, EncodedField, EncodedSchema, FieldKind


def rows_of(categorical: int, numerical: int) -> EncodedDataset:
    rng = np.random.default_rng(0)
    fields = [EncodedField(f"c{place}", FieldKind.CATEGORICAL, 6) for place in range(categorical)]
    fields += [EncodedField(f"n{place}", FieldKind.NUMERICAL) for place in range(numerical)]
    schema = EncodedSchema(tuple(fields), ("click",))
    ids = (rng.integers(0, 6, (400, categorical)) + schema.offsets).astype(np.int32)
    values = rng.normal(size=(400, numerical)).astype(np.float32)
    return EncodedDataset(schema, ids, values, {"click": (rng.random(400) < 0.5).astype(np.float32)})


def additive(data: EncodedDataset) -> np.ndarray:
    return data.local_ids().sum(1) * 0.1 + data.values.astype(np.float64).sum(1) * 0.1


@pytest.mark.parametrize(("categorical", "numerical"), [(3, 0), (0, 3), (2, 1), (1, 0), (0, 1)])
def test_any_mix_of_kinds_is_answered(categorical: int, numerical: int) -> None:
    evidence, effects = prove_interactions(additive, rows_of(categorical, numerical), rows=200, confirm_rows=300)
    fields = categorical + numerical
    assert len(effects) == fields
    assert len(evidence.pairs) == fields * (fields - 1) // 2
    assert all(pair.effect < 1e-6 and not pair.supported for pair in evidence.pairs)

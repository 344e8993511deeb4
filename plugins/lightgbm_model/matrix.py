"""The one array LightGBM reads: local ids and numerical values side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosslens import EncodedDataset

_EXACT_IN_FLOAT32 = 1 << 24


def feature_matrix(data: EncodedDataset) -> NDArray[np.floating]:
    """Return (N, F): local ids of the categorical fields, then numerical values with NaN where missing.

    The missing id stays a category like any other, so a split may put it on either side; LightGBM would always send
    NaN the same way. float32 unless a field has more ids than float32 can tell apart.
    """
    schema = data.schema
    largest = max((field.cardinality for field in schema.categorical), default=0)
    dtype = np.float32 if largest <= _EXACT_IN_FLOAT32 else np.float64
    matrix = np.empty((len(data), len(schema.fields)), dtype)
    count = len(schema.categorical)
    np.subtract(data.ids, schema.offsets, out=matrix[:, :count], casting="unsafe")
    matrix[:, count:] = data.values
    return matrix

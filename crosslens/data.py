"""What a model trains on: encoded fields as plain arrays.

Axes: N rows, C categorical fields, M numerical fields, F = C + M fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .schema import FieldKind, FieldRole

MISSING_ID = 0
"""Local id of a missing value in every categorical field."""
UNKNOWN_ID = 1
"""Local id of a value the vocabulary does not hold (unseen or rare)."""
RESERVED_IDS = 2
"""Local ids of values start here."""
ABSENT_ID = RESERVED_IDS
"""Local id of "no" in a field that is a member of a group."""
PRESENT_ID = RESERVED_IDS + 1
"""Local id of "yes" in a field that is a member of a group."""

Int32Array: TypeAlias = NDArray[np.int32]
Int64Array: TypeAlias = NDArray[np.int64]
Float32Array: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EncodedField:
    """A field as models see it. `cardinality` counts its ids, the two reserved ones included; 0 for numerical.

    `group` names the multi-valued field whose value this is: whether a row has it (`ABSENT_ID`, `PRESENT_ID`). Models
    may read the members of a group one by one or together; "" for any other field.
    """

    name: str
    kind: FieldKind
    cardinality: int = 0
    role: FieldRole = FieldRole.FEATURE
    group: str = ""


@dataclass(frozen=True, slots=True)
class EncodedSchema:
    """The fields of an encoded dataset, categorical ones first, and the names of its labels.

    Labels of a one-label task: a single name, `labels[0]`.
    """

    fields: tuple[EncodedField, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        kinds = [field.kind is FieldKind.NUMERICAL for field in self.fields]
        if kinds != sorted(kinds):
            raise ValueError("categorical fields must come before numerical fields")
        if len({field.name for field in self.fields}) != len(self.fields):
            raise ValueError("field names must be unique")
        if any(field.group for field in self.numerical):
            raise ValueError("members of a group must be categorical")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the field names, (F,)."""
        return tuple(field.name for field in self.fields)

    @property
    def categorical(self) -> tuple[EncodedField, ...]:
        """Return the categorical fields, (C,): the columns of `ids`."""
        return tuple(field for field in self.fields if field.kind is not FieldKind.NUMERICAL)

    @property
    def numerical(self) -> tuple[EncodedField, ...]:
        """Return the numerical fields, (M,): the columns of `values`."""
        return tuple(field for field in self.fields if field.kind is FieldKind.NUMERICAL)

    @property
    def offsets(self) -> Int64Array:
        """Return the first id of each categorical field, (C,), in one table shared by all of them."""
        sizes = [field.cardinality for field in self.categorical]
        return np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64) if sizes else np.zeros(0, np.int64)

    @property
    def table_size(self) -> int:
        """Return how many ids all categorical fields have together."""
        return sum(field.cardinality for field in self.categorical)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedDataset:
    """Rows ready for a model. Arrays are read-only and may be memory-mapped; never write into them.

    ids      int32 (N, C)    ids of all categorical fields in one shared table: `schema.offsets[c] + local id`
    values   float32 (N, M)  standardised on the training rows; NaN where missing
    labels   float32 (N,) per label name, 0 or 1
    weights  float32 (N,) or None
    row_keys int64 (N,)      row numbers in the snapshot, to find the raw values again
    """

    schema: EncodedSchema
    ids: Int32Array
    values: Float32Array
    labels: Mapping[str, Float32Array] = field(default_factory=dict)
    weights: Float32Array | None = None
    row_keys: Int64Array | None = None

    def __post_init__(self) -> None:
        rows = len(self.ids)
        if self.ids.shape != (rows, len(self.schema.categorical)):
            raise ValueError(f"ids have shape {self.ids.shape}, expected (N, {len(self.schema.categorical)})")
        if self.values.shape != (rows, len(self.schema.numerical)):
            raise ValueError(f"values have shape {self.values.shape}, expected ({rows}, {len(self.schema.numerical)})")
        for name, array in self.labels.items():
            if array.shape != (rows,):
                raise ValueError(f"label {name!r} has shape {array.shape}, expected ({rows},)")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def target(self) -> Float32Array:
        """Return the label of a one-label task, (N,)."""
        return self.labels[self.schema.labels[0]]

    def local_ids(self) -> Int32Array:
        """Return ids counted from 0 within each field, (N, C)."""
        return (self.ids - self.schema.offsets.astype(np.int32)).astype(np.int32)

    def take(self, rows: Int64Array | slice) -> EncodedDataset:
        """Return the given rows, in the given order; a slice makes views, an index array makes copies."""
        return EncodedDataset(
            schema=self.schema,
            ids=self.ids[rows],
            values=self.values[rows],
            labels={name: array[rows] for name, array in self.labels.items()},
            weights=None if self.weights is None else self.weights[rows],
            row_keys=None if self.row_keys is None else self.row_keys[rows],
        )

    def with_labels(self, labels: Mapping[str, Float32Array]) -> EncodedDataset:
        """Return the same rows with these labels (N,) and no others; the first one is the target."""
        return replace(self, schema=EncodedSchema(self.schema.fields, tuple(labels)), labels=labels)

    def with_features(self, ids: Int32Array, values: Float32Array) -> EncodedDataset:
        """Return the same schema over other features, without labels: for questions of the kind "what if"."""
        return EncodedDataset(schema=self.schema, ids=ids, values=values)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What `fit` gets. The validation rows choose (early stopping, best epoch); test rows are never passed."""

    train: EncodedDataset
    validation: EncodedDataset

    @property
    def schema(self) -> EncodedSchema:
        """Return the schema both parts share."""
        return self.train.schema

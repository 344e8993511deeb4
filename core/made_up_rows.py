"""Rows made up to find out how long a training would take: as many fields and values as the real ones, none of theirs.

What is measured on them depends on how many rows, fields and values there are, not on what they say.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crosslens.data import PRESENT_ID, RESERVED_IDS, EncodedDataset, EncodedField, EncodedSchema, TrainingData
from crosslens.schema import Field, FieldKind, FieldSchema, TimePart

from .labels import label_fields
from .multi_values import MOST_VALUES

_PARTS = {TimePart.HOUR: 24, TimePart.WEEKDAY: 7, TimePart.DAY: 31, TimePart.MONTH: 12, TimePart.YEAR: 10}
_RATE = 0.3
_FIRST = ((0, 0, 1, 1), (0, 1, 0, 1))
"""Clicks and conversions of the first rows: each label has both values, the second one among clicked rows too."""


def made_up_schema(fields: FieldSchema, distinct: Mapping[str, int], *, hash_buckets: int = 0) -> EncodedSchema:
    """Return how fields would be encoded if they had so many `distinct` values (by name) and no rare ones.

    DataError without a label. A field of unknown size counts as having none but the reserved values.
    """
    encoded = [each for about in fields.features for each in _encoded(about, distinct.get(about.name, 0), hash_buckets)]
    ordered = sorted(encoded, key=lambda each: each.kind is FieldKind.NUMERICAL)
    return EncodedSchema(tuple(ordered), tuple(each.role.value for each in label_fields(fields)))


def _encoded(about: Field, distinct: int, hash_buckets: int) -> list[EncodedField]:
    if about.kind is FieldKind.NUMERICAL and not about.bins:
        return [EncodedField(about.name, FieldKind.NUMERICAL, role=about.role)]
    if about.kind is FieldKind.MULTI_VALUED:
        return _members(about, min(distinct, MOST_VALUES))
    if about.kind is FieldKind.TIMESTAMP:
        return [_part(about, part) for part in about.parts]
    values = about.bins if about.kind is FieldKind.NUMERICAL else distinct
    if hash_buckets:
        values = min(values, hash_buckets)
    return [EncodedField(about.name, FieldKind.CATEGORICAL, values + RESERVED_IDS, about.role)]


def _members(about: Field, values: int) -> list[EncodedField]:
    size = PRESENT_ID + 1
    flags = [
        EncodedField(f"{about.name} {value}", FieldKind.CATEGORICAL, size, about.role, about.name)
        for value in range(values)
    ]
    return [*flags, EncodedField(f"{about.name} count", FieldKind.NUMERICAL, role=about.role)]


def _part(about: Field, part: TimePart) -> EncodedField:
    name = f"{about.name} {part}"
    if part is TimePart.AGE:
        return EncodedField(name, FieldKind.NUMERICAL, role=about.role)
    return EncodedField(name, FieldKind.CATEGORICAL, _PARTS[part] + RESERVED_IDS, about.role)


def made_up_rows(schema: EncodedSchema, rows: int, *, seed: int = 0) -> TrainingData:
    """Return `rows` (4 or more) training rows of evenly drawn values, as many to validate; labels have both values."""
    draw = np.random.default_rng(seed)
    sizes = np.array([field.cardinality for field in schema.categorical], np.int64)
    ids = schema.offsets + draw.integers(0, np.maximum(sizes, 1), (rows, len(sizes)))
    values = draw.standard_normal((rows, len(schema.numerical)), np.float32)
    labels = {}
    for name, first in zip(schema.labels, _FIRST, strict=False):
        drawn = draw.random(rows) < _RATE
        drawn[: len(first)] = first[:rows]
        labels[name] = drawn.astype(np.float32)
    data = EncodedDataset(schema, ids.astype(np.int32), values, labels)
    return TrainingData(data, data)

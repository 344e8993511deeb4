"""Labels and weights: which values of a column count as a click, and which columns cannot be labels at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens import DataError, Field, FieldRole, FieldSchema
from crosslens.data import Float32Array
from crosslens.relational import ColumnRef

from .columns import Column, column_at, keys, numbers, plain
from .vocabulary import truth_of, value_text

LABEL_ROLES = (FieldRole.CLICK, FieldRole.CONVERSION)


@dataclass(frozen=True, slots=True)
class LabelRule:
    """The values of `column` that mean 1 and 0, as text. `name` is the role's name: "click" or "conversion".

    `note` says which of two unlike words was taken as the positive one, where that had to be guessed.
    """

    name: str
    field: str
    column: ColumnRef
    positive: str
    negative: str
    note: str = ""

    def read(self, column: Column) -> Float32Array:
        """Return 1 and 0 for every row, (N,). DataError for missing and for other values."""
        column = plain(column)
        _refuse_missing(column, self.field)
        positions, values = keys(column)
        texts = [_as_text(value) for value in values]
        strange = [text for text in texts if self._meaning(text) is None]
        if strange:
            raise DataError(
                f"The label {self.field} holds {_listed(strange)}, beside {self.positive} and {self.negative}.",
                do="Correct these rows, or filter them out.",
                column=self.column,
            )
        return np.array([self._meaning(text) or 0.0 for text in texts], dtype=np.float32)[positions]

    def _meaning(self, text: str) -> float | None:
        if text in (self.positive, self.negative):
            return float(text == self.positive)
        truth, positive = truth_of(text), truth_of(self.positive)
        return None if truth is None or positive is None else float(truth == positive)


def label_fields(schema: FieldSchema) -> tuple[Field, ...]:
    """Return the label fields, clicks before conversions. DataError if there is none, or two of one role."""
    found = tuple(field for role in LABEL_ROLES for field in schema.with_role(role))
    if not found:
        raise DataError("No field is the label.", do="Give one field the role click: what is to be predicted.")
    for role in LABEL_ROLES:
        rivals = [field.name for field in schema.with_role(role)]
        if len(rivals) > 1:
            raise DataError(
                f"{len(rivals)} fields have the role {role}: {', '.join(rivals)}.",
                do="Keep the role for one of them, and set the others to ignore.",
            )
    return found


def label_rule(column: Column, field: Field) -> LabelRule:
    """Return how the label `field` is read from `column`. DataError says why it cannot be a label."""
    column = plain(column)
    _refuse_missing(column, field.name)
    counts = _counts(column)
    if len(counts) != 2:
        raise _not_two(field, counts)
    positive, negative, note = _order(counts, field)
    return LabelRule(
        name=field.role.value, field=field.name, column=field.column, positive=positive, negative=negative, note=note
    )


def read_labels(table: pa.Table, columns: Sequence[ColumnRef], schema: FieldSchema) -> dict[str, Float32Array]:
    """Return 0/1 labels (N,) by role name, "click" before "conversion". DataError for what cannot be a label.

    0/1 may come as truth values, numbers or words (yes/no, true/false, y/n); of two other words the one that reads
    like yes is 1, else the rarer.
    """
    found = {}
    for field in label_fields(schema):
        column = column_at(table, columns, field.column)
        found[field.role.value] = label_rule(column, field).read(column)
    return found


def read_weights(column: Column, name: str) -> Float32Array:
    """Return weights (N,). DataError unless every one is a finite number of at least 0 and some are above 0."""
    values = numbers(plain(column))
    bad = int((~(values >= 0)).sum())
    if bad or not (values > 0).any():
        raise DataError(
            f"The weight {name} is missing, negative or not a number in {bad:,} rows."
            if bad
            else f"The weight {name} is 0 in every row.",
            why="A weight says how much a row counts, so it must be 0 or more.",
            do="Correct the column, or set its role to ignore.",
        )
    return values.astype(np.float32)


def _refuse_missing(column: Column, name: str) -> None:
    missing = column.null_count
    if pa.types.is_floating(column.type):
        missing = int(np.isnan(numbers(column)).sum())
    if missing:
        raise DataError(
            f"The label {name} is missing in {missing:,} of {len(column):,} rows.",
            why="A row without a label cannot be learned from.",
            do=f"Add a filter '{name} is not null', or choose another label.",
            rows=missing,
        )


def _counts(column: Column) -> dict[str, int]:
    """Return how often each value occurs, most frequent first."""
    counted = pc.value_counts(column)
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    found: dict[str, int] = {}
    for value, count in pairs:
        found[_as_text(value)] = found.get(_as_text(value), 0) + count
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _as_text(value: object) -> str:
    return value_text(value) if isinstance(value, (str, bool, int, float)) else str(value)


def _not_two(field: Field, counts: dict[str, int]) -> DataError:
    if len(counts) > 2:
        return DataError(
            f"The label {field.name} has {len(counts):,} different values: {_listed(list(counts))}.",
            why="A label says yes or no, so it has two values.",
            do="Choose a label with two values, or filter the rows to two of these.",
            column=field.column,
        )
    only = next(iter(counts), "nothing")
    return DataError(
        f"The label {field.name} is {only} in every row.",
        why="Where nothing differs there is nothing to learn.",
        do="Remove filters on the label, add rows of the other kind, or choose another label.",
        column=field.column,
    )


def _order(counts: dict[str, int], field: Field) -> tuple[str, str, str]:
    """Return the positive value, the negative one, and a note where the choice is a guess."""
    frequent, rare = counts
    truths = {truth_of(text): text for text in (frequent, rare)}
    if True in truths or False in truths:
        positive = truths.get(True) or (rare if truths.get(False) == frequent else frequent)
        return positive, rare if positive == frequent else frequent, ""
    note = f"{field.name}: '{rare}' counts as {field.role}, being the rarer of '{rare}' and '{frequent}'."
    return rare, frequent, note


def _listed(texts: list[str], most: int = 5) -> str:
    shown = ", ".join(f"'{text[:40]}'" for text in texts[:most])
    return shown + (f" and {len(texts) - most:,} more" if len(texts) > most else "")

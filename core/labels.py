"""Labels and weights: which values of a column count as a click, and which columns cannot be labels at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens import DataError, Field, FieldRole, FieldSchema
from crosslens.data import Float32Array
from crosslens.relational import ColumnRef

from .columns import Column, column_at, keys, numbers, plain
from .counting import ValueCounter
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
        if missing := _missing(column):
            raise _gaps(missing, len(column), self.field)
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
    counts = LabelCounts()
    counts.add(plain(column))
    return counts.rule(field)


class LabelCounts:
    """What the values of a label column are, counted block by block."""

    def __init__(self) -> None:
        self._values = ValueCounter()
        self._train = ValueCounter()
        self._missing = self._rows = 0

    def add(self, column: Column, train: NDArray[np.bool_] | None = None) -> None:
        """Count some rows (N,), of which `train` (N,) are those to learn from: all of them by default."""
        self._missing += _missing(column)
        self._rows += len(column)
        self._values.add(column)
        self._train.add(column if train is None or train.all() else column.filter(pa.array(train)))

    def rule(self, field: Field) -> LabelRule:
        """Return how the label is read. DataError says why it cannot be a label."""
        if self._missing:
            raise _gaps(self._missing, self._rows, field.name)
        counts = _by_frequency(self._values.table())
        if len(counts) != 2:
            raise _not_two(field, counts)
        positive, negative, note = _order(counts, field)
        return LabelRule(
            name=field.role.value,
            field=field.name,
            column=field.column,
            positive=positive,
            negative=negative,
            note=note,
        )

    def check_training(self, rule: LabelRule) -> None:
        """Raise DataError if the training rows are all of one class."""
        found = _by_frequency(self._train.table())
        if len(found) < 2:
            raise DataError(
                f"The label {rule.field} is {next(iter(found), 'nothing')} in every training row.",
                why="Where nothing differs there is nothing to learn.",
                do="Use more rows, or split in another way.",
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
    check = WeightCheck(name)
    values = check.add(column)
    check.finish()
    return values


class WeightCheck:
    """Reads the weights of a column block by block and says at the end what is wrong with them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bad = 0
        self._heavy = False

    def add(self, column: Column) -> Float32Array:
        """Return the weights of some rows, float32 (N,)."""
        values = numbers(plain(column))
        self._bad += int((~(values >= 0)).sum())
        self._heavy = self._heavy or bool((values > 0).any())
        return values.astype(np.float32)

    def finish(self) -> None:
        """Raise DataError unless every weight was a finite number of at least 0 and some were above 0."""
        if self._bad or not self._heavy:
            raise DataError(
                f"The weight {self._name} is missing, negative or not a number in {self._bad:,} rows."
                if self._bad
                else f"The weight {self._name} is 0 in every row.",
                why="A weight says how much a row counts, so it must be 0 or more.",
                do="Correct the column, or set its role to ignore.",
            )


def _missing(column: Column) -> int:
    if pa.types.is_floating(column.type):
        return int(np.isnan(numbers(column)).sum())
    return int(column.null_count)


def _gaps(missing: int, rows: int, name: str) -> DataError:
    return DataError(
        f"The label {name} is missing in {missing:,} of {rows:,} rows.",
        why="A row without a label cannot be learned from.",
        do=f"Add a filter '{name} is not null', or choose another label.",
        rows=missing,
    )


def _by_frequency(counted: pa.Table) -> dict[str, int]:
    """Return how often each value occurs, most frequent first."""
    found: dict[str, int] = {}
    for value, count in zip(counted["value"].to_pylist(), counted["count"].to_pylist(), strict=True):
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

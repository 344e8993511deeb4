"""Features that give a label away: alone, in pairs, by their gaps, or because they were made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens.data import Float32Array, Int64Array
from crosslens.schema import Field, FieldKind

from ..columns import numbers
from ..commands import Finding
from ..lists import guess_delimiter, lists
from .fields import ignore
from .labels import Label
from .rows import BoolArray, Rows, groups
from .strength import auc, shown, strength

LEAK_AUC = 0.95
_EXPECTED_OTHERS = 20
"""So many negatives must be expected among rows that are all positive before chance is ruled out."""
_FEW_VALUES = 20
_ENOUGH_POSITIVES = 50
_PAIR_ROWS = 20_000
_PAIR_FIELDS = 25
_MOST_CELLS = 50_000
_ENCODED_NOISE = 0.25
"""A rate per value taken from elsewhere differs from the one in these rows by chance: by 1 in these units."""
_FEWEST_GROUPS = 5
_ADVICE = "It was probably written after the event. Ignore it unless it is known beforehand."


class SingleFields:
    """The groups of every feature and how well they tell one label, each worked out once."""

    def __init__(self, rows: Rows, label: Label) -> None:
        self.rows, self.label = rows, label
        self._groups: dict[str, Int64Array] = {}
        self._strengths: dict[str, float] = {}

    def groups(self, field: Field) -> Int64Array:
        """Return the group of every row, (N,)."""
        if field.name not in self._groups:
            self._groups[field.name] = groups(self.rows.column(field.column), field)
        return self._groups[field.name]

    def strength(self, field: Field) -> float:
        """Return the out-of-fold AUC of the field alone."""
        if field.name not in self._strengths:
            self._strengths[field.name] = strength(self.groups(field), self.label.values)
        return self._strengths[field.name]

    def strengths(self) -> Mapping[str, float]:
        """Return the AUC of every feature by name."""
        return {field.name: self.strength(field) for field in self.rows.features}


def leaks(single: SingleFields) -> Iterator[Finding]:
    """Yield a warning for every feature that alone tells the label, and for pairs and encodings that do."""
    certain: set[str] = set()
    for field in single.rows.features:
        finding = _about(single, field)
        if finding is not None:
            certain.add(field.name)
            yield finding
    honest = [field for field in single.rows.features if field.name not in certain]
    yield from _encodings(single, honest)
    yield from _pairs(single, honest)


# --- one field --------------------------------------------------------------------------------------------------------


def _about(single: SingleFields, field: Field) -> Finding | None:
    labels, name = single.label.values, single.label.field.name
    gap = _gap_leak(single.groups(field) == 0, field, name, labels)
    if gap is None and field.kind is FieldKind.MULTI_VALUED:
        gap = _value_leak(single, field)
    if gap is not None:
        return gap
    alone = single.strength(field)
    if alone <= LEAK_AUC:
        return None
    said = f"{field.name} alone tells {name} with an AUC of {shown(alone)}"
    if _is_own_identifier(single.groups(field), labels):
        return _leak(field, "positive-ids", f"{said}: rows with {name} each have a value of their own.")
    values = _pure_values(single.groups(field), labels)
    if values and field.kind is not FieldKind.NUMERICAL:
        return _leak(field, "function-of-label", f"{said}: each of its {values} values goes with one value of {name}.")
    return _leak(field, "leak", f"{said}.")


def _leak(field: Field, check: str, message: str, rows: int | None = None) -> Finding:
    return Finding("warn", f"{message} {_ADVICE}", (field.name,), check, rows, repairs=ignore(field))


def _gap_leak(missing: BoolArray, field: Field, name: str, labels: Float32Array) -> Finding | None:
    """Return how the gaps of a field give the label away, if they do."""
    if not missing.any() or missing.all():
        return None
    alone = auc(labels, missing.astype(np.float64))
    if max(alone, 1 - alone) > LEAK_AUC:
        message = f"Whether {field.name} is missing gives {name} away (AUC {shown(alone)})."
        return _leak(field, "missing-leak", message, int(missing.sum()))
    for rows, which in ((~missing, "with"), (missing, "without")):
        if _is_certain(labels[rows], labels):
            message = f"All {rows.sum():,} rows {which} {field.name} have {name}."
            return _leak(field, "missing-leak", message, int(rows.sum()))
    return None


def _value_leak(single: SingleFields, field: Field) -> Finding | None:
    """Return which one of several values gives the label away, if one of the frequent ones does."""
    column, labels, name = single.rows.column(field.column), single.label.values, single.label.field.name
    found = lists(column, field.delimiter or guess_delimiter(column))
    values, parents = found.flatten(), np.asarray(pc.list_parent_indices(found).to_numpy())
    counts = pc.value_counts(values)
    order = np.argsort(-np.asarray(counts.field("counts").to_numpy()), kind="stable")[:_FEW_VALUES]
    for value in counts.field("values").take(pa.array(order)):
        has = np.zeros(len(labels), np.bool_)
        has[parents[np.asarray(pc.equal(values, value).to_numpy(zero_copy_only=False))]] = True
        alone = auc(labels, has.astype(np.float64))
        if max(alone, 1 - alone) > LEAK_AUC:
            return _leak(field, "leak", f"Whether {field.name} holds '{value}' tells {name} (AUC {shown(alone)}).")
        if _is_certain(labels[has], labels):
            return _leak(field, "leak", f"All {has.sum():,} rows with '{value}' in {field.name} have {name}.")
    return None


def _is_certain(part: Float32Array, labels: Float32Array) -> bool:
    """Whether a part of the rows is all positive where chance would have left many negatives."""
    return len(part) < len(labels) and bool(part.all()) and len(part) * (1 - labels.mean()) >= _EXPECTED_OTHERS


def _pure_values(codes: Int64Array, labels: Float32Array) -> int:
    """Return how many values there are if each goes with one label value and there are few of them; else 0."""
    counts = np.bincount(codes)
    positives = np.bincount(codes, weights=labels)
    used = counts > 0
    pure = bool(((positives == 0) | (positives == counts))[used].all())
    return int(used.sum()) if pure and used.sum() <= _FEW_VALUES else 0


def _is_own_identifier(codes: Int64Array, labels: Float32Array) -> bool:
    """Whether positive rows have values of their own while the others share few."""
    positive, negative = codes[labels > 0], codes[labels == 0]
    own = len(np.unique(positive)) >= 0.9 * len(positive)
    return bool(own and len(np.unique(negative)) <= 0.1 * len(negative))


# --- rates of the label, kept as a number -----------------------------------------------------------------------------


def _encodings(single: SingleFields, fields: list[Field]) -> Iterator[Finding]:
    """Yield warnings about numbers that are the mean label of another field's values (target encodings)."""
    labels = single.label.values
    for field in fields:
        if field.kind is not FieldKind.NUMERICAL:
            continue
        values = numbers(single.rows.column(field.column))
        if not _are_rates(values):
            continue
        for other in fields:
            if other.kind is FieldKind.CATEGORICAL and _is_mean_label(values, single.groups(other), labels):
                message = f"{field.name} is the mean of {single.label.field.name} for each {other.name}."
                advice = "It was made from the label of these very rows. Ignore it, or make it from earlier rows only."
                yield Finding("warn", f"{message} {advice}", (field.name,), "target-encoding", repairs=ignore(field))
                break


def _are_rates(values: np.ndarray) -> bool:
    known = values[~np.isnan(values)]
    return bool(len(known) and known.min() >= 0 and known.max() <= 1 and len(np.unique(known[:10_000])) > 2)


def _is_mean_label(values: np.ndarray, codes: Int64Array, labels: Float32Array) -> bool:
    """Whether each group has one value, nearer to its own positive rate than chance would bring a rate from elsewhere.

    The differences are measured in units of a rate's sampling variance p (1 - p) / n; an independent estimate from as
    many rows would differ by 1 or more.
    """
    known = ~np.isnan(values)
    codes, values, labels = codes[known], values[known], labels[known]
    counts = np.bincount(codes)
    enough = counts >= 5
    if enough.sum() < _FEWEST_GROUPS or enough.sum() == 0:
        return False
    sizes = np.where(enough, counts, 1)
    means = np.bincount(codes, weights=values, minlength=len(counts)) / sizes
    spread = np.bincount(codes, weights=np.abs(values - means[codes]), minlength=len(counts)) / sizes
    if spread[enough].max() > 1e-3:
        return False
    rates = np.bincount(codes, weights=labels, minlength=len(counts)) / sizes
    overall = float(labels.mean())
    unit = overall * (1 - overall) / sizes
    if np.mean((rates - overall)[enough] ** 2 / unit[enough]) < _ENCODED_NOISE:
        return False  # all groups alike: a constant would do
    return bool(np.mean(((means - rates) ** 2 / unit)[enough]) < _ENCODED_NOISE)


# --- two fields -------------------------------------------------------------------------------------------------------


def _pairs(single: SingleFields, fields: list[Field]) -> Iterator[Finding]:
    """Yield a warning for pairs of fields whose values together tell the label, though neither does alone.

    Looked for on at most 20,000 rows, among the 25 features with the fewest values.
    """
    rows = np.sort(np.random.default_rng(2).permutation(len(single.rows))[:_PAIR_ROWS])
    labels = single.label.values[rows]
    if min(labels.sum(), len(labels) - labels.sum()) < _ENOUGH_POSITIVES:
        return
    coded = sorted(((field, _dense(single.groups(field)[rows])) for field in fields), key=lambda each: each[1].max())
    for (first, left), (second, right) in combinations(coded[:_PAIR_FIELDS], 2):
        together = left * (right.max() + 1) + right
        together = together if together.max(initial=0) < _MOST_CELLS else _dense(together)
        if strength(together, labels) > LEAK_AUC:
            yield _pair_leak(single, first, second)


def _dense(codes: Int64Array) -> Int64Array:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _pair_leak(single: SingleFields, first: Field, second: Field) -> Finding:
    name = single.label.field.name
    message = f"{first.name} and {second.name} together tell {name} almost for certain, though neither does alone."
    advice = "Perhaps one of them was written after the event. Ignore it unless both are known beforehand."
    repairs = (*ignore(first), *ignore(second))
    return Finding("warn", f"{message} {advice}", (first.name, second.name), "pair-leak", repairs=repairs)

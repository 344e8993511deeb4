"""What to look out for before training: leaks, useless fields, and labels that cannot be learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crosslens import DataError, Field, FieldKind, FieldRole, FieldSchema
from crosslens.data import Float32Array, Float64Array
from crosslens.relational import ColumnProfile, ColumnRef, ColumnType

from .columns import Column, column_at, keys, numbers
from .commands import Finding
from .labels import label_fields, label_rule, read_weights

LEAK_AUC = 0.95
FEW_POSITIVES = 50
NEAR_UNIQUE = 0.9
ENOUGH_ROWS = 20
MOST_ROWS = 200_000
"""More rows than this are looked at as a sample."""
_EXPECTED_OTHERS = 20
"""So many negatives must be expected among rows that are all positive before chance is ruled out."""
_FOLDS = 2
_BINS = 200


def check(table: pa.Table, columns: Sequence[ColumnRef], schema: FieldSchema) -> tuple[Finding, ...]:
    """Return what the user should know before training on a snapshot, worst first; column i of `table` is `columns[i]`.

    "stop": training cannot work (no label, one class, missing labels). "warn": a field that alone gives the label away
    (AUC above 0.95, by its values or by where they are missing), fewer than 50 positives, fields that say nothing.
    At most 200,000 rows are looked at for leaks.
    """
    found: list[Finding] = []
    for field in schema.features:
        found += _about_feature(column_at(table, columns, field.column), field)
    try:
        fields = label_fields(schema)
    except DataError as error:
        return _sorted([*found, Finding("stop", str(error))])
    for field in fields:
        found += _about_label(table, columns, schema, field)
    return _sorted([*found, *_about_weights(table, columns, schema)])


def check_profiles(schema: FieldSchema, profiles: Sequence[ColumnProfile]) -> tuple[Finding, ...]:
    """Return what profiles already tell, worst first, without reading rows: for the Prepare page."""
    known = {profile.column: profile for profile in profiles}
    found: list[Finding] = []
    try:
        for field in label_fields(schema):
            if field.column in known:
                found += _label_profile(field, known[field.column])
    except DataError as error:
        found.append(Finding("stop", str(error)))
    for field in schema.features:
        if field.column in known:
            found += _feature_profile(field, known[field.column])
    if not schema.features:
        found.append(Finding("stop", "No field is left to learn from. Give at least one field the role feature."))
    return _sorted(found)


def _sorted(found: Sequence[Finding]) -> tuple[Finding, ...]:
    order = ("stop", "warn", "note")
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


# --- features ---------------------------------------------------------------------------------------------------------


def _about_feature(column: Column, field: Field) -> list[Finding]:
    """Return what is wrong with a feature whatever the label."""
    nulls = column.null_count
    distinct = int(pc.count_distinct(column).as_py()) if nulls < len(column) else 0
    profile = ColumnProfile(field.column, ColumnType.OTHER, rows=len(column), nulls=nulls, distinct=distinct)
    return _feature_profile(field, profile)


def _feature_profile(field: Field, profile: ColumnProfile) -> list[Finding]:
    present = profile.rows - profile.nulls
    if field.kind not in (FieldKind.CATEGORICAL, FieldKind.NUMERICAL):
        message = (
            f"Models cannot read {field.name} as {field.kind} yet. Ignore it, or make it categorical or numerical."
        )
        return [Finding("stop", message, (field.name,))]
    if not profile.rows:
        return []
    if not present:
        return [Finding("warn", f"{field.name} has no value in any row and will be left out.", (field.name,))]
    if profile.distinct == 1 and not profile.nulls:
        return [Finding("warn", f"{field.name} has the same value in every row and says nothing.", (field.name,))]
    near_unique = present >= ENOUGH_ROWS and profile.distinct >= NEAR_UNIQUE * present
    if near_unique and field.kind is FieldKind.CATEGORICAL:
        return [Finding("warn", f"{field.name} is different in almost every row and says nothing.", (field.name,))]
    return []


# --- labels and weights -----------------------------------------------------------------------------------------------


def _about_label(table: pa.Table, columns: Sequence[ColumnRef], schema: FieldSchema, field: Field) -> Iterator[Finding]:
    column = column_at(table, columns, field.column)
    try:
        rule = label_rule(column, field)
        labels = rule.read(column)
    except DataError as error:
        yield Finding("stop", str(error), (field.name,))
        return
    if rule.note:
        yield Finding("note", rule.note, (field.name,))
    yield from _few(int(labels.sum()), len(labels), field)
    yield from _leaks(table, columns, schema, field, labels)


def _few(positives: int, rows: int, field: Field) -> Iterator[Finding]:
    rarer, word = (positives, "positive") if positives <= rows - positives else (rows - positives, "negative")
    if rarer < FEW_POSITIVES:
        message = f"Only {rarer:,} of {rows:,} rows are {word} for {field.name}: too few for firm conclusions."
        yield Finding("warn", message, (field.name,))


def _label_profile(field: Field, profile: ColumnProfile) -> Iterator[Finding]:
    if profile.nulls:
        message = f"The label {field.name} is missing in {profile.nulls:,} of {profile.rows:,} rows. Filter these out."
        yield Finding("stop", message, (field.name,))
    if profile.rows and profile.distinct != 2 and profile.nulls < profile.rows:
        message = f"The label {field.name} has {profile.distinct:,} different values{_seen(profile)}; it needs two."
        # a sample may by chance hold only one of two values
        yield Finding("warn" if profile.sampled and profile.distinct < 2 else "stop", message, (field.name,))


def _seen(profile: ColumnProfile) -> str:
    return f" in a sample of {profile.rows:,} rows" if profile.sampled else ""


def _about_weights(table: pa.Table, columns: Sequence[ColumnRef], schema: FieldSchema) -> Iterator[Finding]:
    for field in schema.with_role(FieldRole.WEIGHT):
        try:
            read_weights(column_at(table, columns, field.column), field.name)
        except DataError as error:
            yield Finding("stop", str(error), (field.name,))


# --- leaks ------------------------------------------------------------------------------------------------------------


def _leaks(
    table: pa.Table, columns: Sequence[ColumnRef], schema: FieldSchema, label: Field, labels: Float32Array
) -> Iterator[Finding]:
    """Yield a warning for every feature that alone tells the label.

    How well a feature tells it is measured out of fold: rates per value are learned on one half of the rows, and the
    AUC is taken on the other, so that values that occur once tell nothing.
    """
    rows = _sample(len(labels))
    sampled, target = table.take(pa.array(rows)) if len(rows) < len(labels) else table, labels[rows]
    for field in schema.features:
        column = column_at(sampled, columns, field.column)
        message = _gap_leak(np.asarray(column.is_null().to_numpy()), field, label, target)
        if not message and (strength := _strength(column, field, target)) > LEAK_AUC:
            message = f"{field.name} alone tells {label.name} with an AUC of {_shown(strength)}."
        if message:
            advice = "It was probably written after the event. Ignore it unless it is known beforehand."
            yield Finding("warn", f"{message} {advice}", (field.name,))


def _gap_leak(missing: NDArray[np.bool_], field: Field, label: Field, labels: Float32Array) -> str:
    """Return how the gaps of a field give the label away, or an empty text."""
    strength = auc(labels, missing.astype(np.float64))
    if max(strength, 1 - strength) > LEAK_AUC:
        return f"Whether {field.name} is missing gives {label.name} away (AUC {_shown(strength)})."
    for rows, which in ((~missing, "with"), (missing, "without")):
        if _is_certain(labels[rows], labels):
            return f"All {rows.sum():,} rows {which} {field.name} have {label.name}."
    return ""


def _is_certain(part: Float32Array, labels: Float32Array) -> bool:
    """Whether a part of the rows is all positive where chance would have left many negatives."""
    return len(part) < len(labels) and bool(part.all()) and len(part) * (1 - labels.mean()) >= _EXPECTED_OTHERS


def _sample(rows: int) -> NDArray[np.int64]:
    if rows <= MOST_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False))


def _shown(value: float) -> str:
    return f"{max(value, 1 - value):.3f}"


def _strength(column: Column, field: Field, labels: Float32Array) -> float:
    """Return the AUC a single feature reaches by the rates of its values (or bins of them)."""
    groups = _groups(column, field)
    folds = np.random.default_rng(1).integers(0, _FOLDS, len(labels))
    scores = np.empty(len(labels))
    for fold in range(_FOLDS):
        learn = folds != fold
        scores[~learn] = _rates(groups[learn], labels[learn], int(groups.max(initial=0)) + 1)[groups[~learn]]
    return float(np.mean([auc(labels[folds == fold], scores[folds == fold]) for fold in range(_FOLDS)]))


def _groups(column: Column, field: Field) -> NDArray[np.int64]:
    """Return a group number per row: its value, or its bin; 0 for missing."""
    if field.kind is FieldKind.NUMERICAL:
        values = numbers(column)
        missing = np.isnan(values)
        edges = np.unique(np.quantile(values[~missing], np.linspace(0, 1, _BINS))) if not missing.all() else values[:0]
        return np.where(missing, 0, np.searchsorted(edges, values, side="right") + 1).astype(np.int64)
    return keys(column)[0] + 1


def _rates(groups: NDArray[np.int64], labels: Float32Array, count: int) -> Float64Array:
    """Return the share of positives per group, drawn towards the overall share by one row's worth."""
    overall = float(labels.mean()) if len(labels) else 0.5
    positives = np.bincount(groups, weights=labels, minlength=count)
    return (positives + overall) / (np.bincount(groups, minlength=count) + 1.0)


def auc(labels: Float32Array, scores: Float64Array) -> float:
    """Return the probability that a positive row scores above a negative one, ties counting half; 0.5 for one class."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    positives = np.bincount(places, weights=labels, minlength=len(counts))
    negatives = counts - positives
    below = np.cumsum(negatives) - negatives
    pairs = positives.sum() * negatives.sum()
    return float(np.sum(positives * (below + negatives / 2)) / pairs) if pairs else 0.5

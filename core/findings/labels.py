"""Labels and weights that cannot be learned from, and labels that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from crosslens.data import Float32Array
from crosslens.errors import DataError
from crosslens.relational import ColumnProfile
from crosslens.schema import Field, FieldRole

from ..commands import Finding
from ..labels import label_fields, label_rule, read_weights
from ..recipe import Repair, RepairKind
from ..repairs import missing
from .rows import Rows, distinct

FEW_POSITIVES = 50


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """A label that could be read: 0/1 `values` (N,), float32."""

    field: Field
    values: Float32Array


def missing_labels(rows: Rows) -> Iterator[Finding]:
    """Yield a finding for every label that is missing in some rows."""
    for field in rows.schema:
        if field.role.is_label and rows.has(field.column):
            column = rows.column(field.column)
            gaps = missing(column)
            if gaps.any() and not gaps.all():
                yield _label_missing(field, rows.share(int(gaps.sum())), int(gaps.sum()), distinct(column))


def _label_missing(field: Field, share: str, count: int, different: int) -> Finding:
    """Only where both values remain do rows without a label say nothing; else missing seems to mean no."""
    said = f"The label {field.name} is missing in {share}."
    if different < 2:
        advice = "If a missing label means no, write so: in the table, or with COALESCE in a SELECT of your own."
        return Finding("stop", f"{said} {advice}", (field.name,), check="label-missing", rows=count)
    repairs = (Repair(RepairKind.DROP_MISSING, (field.name,)),)
    advice = "Leave these rows out: nothing can be learned from them."
    return Finding("stop", f"{said} {advice}", (field.name,), check="label-missing", rows=count, repairs=repairs)


def read(rows: Rows) -> tuple[dict[FieldRole, Label], tuple[Finding, ...]]:
    """Return the labels that can be read by role, and what is wrong with labels or to be known about them."""
    labels: dict[FieldRole, Label] = {}
    found: list[Finding] = []
    try:
        fields = label_fields(rows.schema)
    except DataError as error:
        return {}, (Finding("stop", str(error), check="no-label"),)
    for field in fields:
        try:
            column = rows.column(field.column)
            rule = label_rule(column, field)
            labels[field.role] = Label(field, rule.read(column))
        except DataError as error:
            found.append(Finding("stop", str(error), (field.name,), check="label"))
            continue
        if rule.note:
            found.append(Finding("note", rule.note, (field.name,), check="guessed-label"))
    return labels, tuple(found)


def few(label: Label) -> Iterator[Finding]:
    """Yield a warning when there are too few rows of one kind."""
    positives, rows = int(label.values.sum()), len(label.values)
    rarer, word = (positives, "positive") if positives <= rows - positives else (rows - positives, "negative")
    if rarer < FEW_POSITIVES:
        message = f"Only {rarer:,} of {rows:,} rows are {word} for {label.field.name}: too few for firm conclusions."
        yield Finding("warn", message, (label.field.name,), check="few-positives", rows=rarer)


def unclicked_conversions(rows: Rows, labels: Mapping[FieldRole, Label]) -> Iterator[Finding]:
    """Yield a warning when rows have a conversion without a click."""
    if FieldRole.CLICK not in labels or FieldRole.CONVERSION not in labels:
        return
    click, conversion = labels[FieldRole.CLICK], labels[FieldRole.CONVERSION]
    wrong = np.flatnonzero((conversion.values > 0) & (click.values == 0))
    if not len(wrong):
        return
    names = (click.field.name, conversion.field.name)
    converted = int(conversion.values.sum())
    message = (
        f"{len(wrong):,} of {converted:,} rows with {names[1]} have no {names[0]}. "
        f"Perhaps {names[0]} were not all recorded, or {names[1]} came about without."
    )
    kinds = (RepairKind.CLICK_IF_CONVERTED, RepairKind.NO_CONVERSION_WITHOUT_CLICK)
    yield Finding(
        "warn",
        message,
        names,
        check="conversion-without-click",
        rows=len(wrong),
        examples=rows.examples(wrong, rows.telling(click.field, conversion.field)),
        repairs=tuple(Repair(kind, names) for kind in kinds),
    )


def bad_weights(rows: Rows) -> Iterator[Finding]:
    """Yield what is wrong with weights."""
    for field in rows.schema.with_role(FieldRole.WEIGHT):
        try:
            read_weights(rows.column(field.column), field.name)
        except DataError as error:
            yield Finding("stop", str(error), (field.name,), check="weights")


def label_profile(field: Field, profile: ColumnProfile) -> Iterator[Finding]:
    """Yield what a profile tells about a label."""
    if profile.nulls and profile.nulls < profile.rows:
        yield _label_missing(field, f"{profile.nulls:,} of {profile.rows:,} rows", profile.nulls, profile.distinct)
    if profile.rows and profile.distinct != 2:
        seen = f" in a sample of {profile.rows:,} rows" if profile.sampled else ""
        message = f"The label {field.name} has {profile.distinct:,} different values{seen}; it needs two."
        # a sample may by chance hold only one of two values
        severity = "warn" if profile.sampled and profile.distinct < 2 else "stop"
        yield Finding(severity, message, (field.name,), check="label")

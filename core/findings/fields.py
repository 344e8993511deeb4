"""Features that say nothing, or that models cannot read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens.relational import ColumnProfile, ColumnType
from crosslens.schema import Field, FieldKind

from ..columns import Column, is_text, numbers
from ..commands import Finding
from ..moments import moments
from ..recipe import Repair, RepairKind
from .rows import Rows, distinct

NEAR_UNIQUE = 0.9
ENOUGH_ROWS = 20


def useless_fields(rows: Rows) -> Iterator[Finding]:
    """Yield what is wrong with features whatever the label; check "unreadable" says that models cannot read one."""
    for field in rows.features:
        column = rows.column(field.column)
        problem = _unreadable(column, field) if column.null_count < len(column) else ""
        if problem:
            yield Finding("stop", f"{field.name} {problem}", (field.name,), check="unreadable", repairs=ignore(field))
        else:
            different = distinct(column) if field.kind is not FieldKind.TEXT else 0
            gaps = column.is_null(nan_is_null=field.kind is FieldKind.NUMERICAL)
            nulls = len(column) - int(pc.sum(pc.invert(gaps)).as_py() or 0)
            profile = ColumnProfile(field.column, ColumnType.OTHER, len(column), nulls, different)
            yield from feature_profile(field, profile)


def _unreadable(column: Column, field: Field) -> str:
    """Return why models cannot read a column as the kind of its field, as the end of a sentence; else an empty text."""
    several = pa.types.is_nested(column.type)
    if several and field.kind not in (FieldKind.MULTI_VALUED, FieldKind.TEXT):
        return "holds several values in a row. Make it multi-valued, or ignore it."
    if field.kind is FieldKind.TIMESTAMP and np.isnat(moments(column)).all():
        return "holds nothing that reads like a date or time. Make it categorical, or ignore it."
    if field.kind is FieldKind.NUMERICAL and is_text(column.type):
        read = int((~np.isnan(numbers(column))).sum())
        if read < len(column) - column.null_count - read:
            return "is set to numerical, but most of its values are text. Make it categorical, or ignore it."
    if field.kind is FieldKind.MULTI_VALUED and not several and not is_text(column.type):
        return "holds one value in a row, not several. Make it categorical or numerical, or ignore it."
    return ""


def feature_profile(field: Field, profile: ColumnProfile) -> Iterator[Finding]:
    """Yield what a profile tells about a feature."""
    about = _said(field, profile)
    if about:
        severity, check, message = about
        yield Finding(severity, message, (field.name,), check=check, repairs=ignore(field))


def _said(field: Field, profile: ColumnProfile) -> tuple[str, str, str] | None:
    """Return severity, check and message; None if there is nothing to say."""
    present = profile.rows - profile.nulls
    if field.kind is FieldKind.TEXT:
        return "stop", "unreadable", f"Models cannot read {field.name}, which is free text. Ignore it."
    if not profile.rows:
        return None
    if not present:
        return "warn", "empty", f"{field.name} has no value in any row and will be left out."
    if profile.distinct == 1 and not profile.nulls:
        return "warn", "constant", f"{field.name} has the same value in every row and says nothing."
    if field.kind is FieldKind.CATEGORICAL and present >= ENOUGH_ROWS and profile.distinct >= NEAR_UNIQUE * present:
        return "warn", "unique", f"{field.name} is different in almost every row and says nothing."
    return None


def ignore(field: Field) -> tuple[Repair, ...]:
    """Return the repair that leaves a field out."""
    return (Repair(RepairKind.IGNORE_FIELD, (field.name,)),)

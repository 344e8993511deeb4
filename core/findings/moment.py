"""Fields that are known only after the moment of prediction: by their names, and by the shape of their values.

Looked for only when the recipe says when the prediction is made. Neither sign is proof: a field with both gets a
warning, a field with one a note. Fields about earlier events ("previous outcome") are left in peace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from crosslens.data import Float32Array
from crosslens.schema import Field, FieldKind

from .. import words
from ..columns import numbers
from ..commands import Finding
from .fields import ignore
from .leaks import SingleFields

_EXPECTED = 10
"""So many positives must be expected among rows without any before chance is ruled out."""
_STRONG = 0.7
_ENOUGH_POSITIVES = 200
_BY_FAR = 1.5
"""So many times further from a guess than the next best field."""


def known_later(single: SingleFields, moment: str) -> Iterator[Finding]:
    """Yield findings about features that are probably known only after `moment` ("before the call")."""
    if not moment.strip():
        return
    strengths = single.strengths()
    for field in single.rows.features:
        if words.says(field.column.column, words.EARLIER):
            continue
        named = words.said(field.column.column, words.LATER)
        shapes = _shapes(single, field, strengths)
        reasons = [*([f"its name speaks of what comes later ('{named}')"] if named else []), *shapes]
        if reasons:
            yield _later(field, moment, reasons, sure=bool(named))


def _later(field: Field, moment: str, reasons: list[str], *, sure: bool) -> Finding:
    severity, doubt = ("warn", "is probably") if sure else ("note", "may be")
    message = f"{field.name} {doubt} known only later than “{moment.strip()}”: {'; '.join(reasons)}."
    advice = "Ignore it unless it is known by then."
    return Finding(severity, f"{message} {advice}", (field.name,), "known-later", repairs=ignore(field))


def _shapes(single: SingleFields, field: Field, strengths: Mapping[str, float]) -> list[str]:
    label = single.label
    found = []
    impossible = _impossible(single, field)
    if impossible:
        found.append(f"{impossible} {label.field.name}")
    enough = min(label.values.sum(), (label.values == 0).sum()) >= _ENOUGH_POSITIVES
    if enough and _is_strongest_by_far(field.name, strengths):
        found.append(f"no other field tells {label.field.name} nearly as well (AUC {strengths[field.name]:.2f} alone)")
    return found


def _is_strongest_by_far(name: str, strengths: Mapping[str, float]) -> bool:
    others = [value for other, value in strengths.items() if other != name]
    if not others or strengths[name] < _STRONG:
        return False
    return strengths[name] - 0.5 >= _BY_FAR * max(max(others) - 0.5, 0.0)


def _impossible(single: SingleFields, field: Field) -> str:
    """Return which values never go with a positive label, as the begin of a phrase; empty if there are none."""
    if field.kind is not FieldKind.NUMERICAL:
        return ""
    values = numbers(single.rows.column(field.column))
    return _never_below(values, single.label.values)


def _never_below(values: np.ndarray, labels: Float32Array) -> str:
    """Return how many rows lie below the smallest value of a positive one, in words; empty if chance may do that."""
    known = ~np.isnan(values)
    values, labels = values[known], labels[known]
    if not labels.any() or labels.all():
        return ""
    least = float(values[labels > 0].min())
    below = values < least
    if below.sum() * float(labels.mean()) < _EXPECTED:
        return ""
    return f"none of the {below.sum():,} rows below {least:g} has"

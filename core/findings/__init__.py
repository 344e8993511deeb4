"""What to look out for before training: leaks, useless fields, labels that cannot be learned from, untidy rows.

fields      features that say nothing, or cannot be read
labels      labels and weights that cannot be learned from or contradict each other
integrity   rows that are there twice, keys that lead nowhere
times       what a row could not know yet
leaks       fields that give the label away
moment      fields known only after the moment of prediction
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from crosslens.errors import DataError
from crosslens.relational import ColumnProfile, ColumnRef, QuerySpec
from crosslens.schema import FieldRole, FieldSchema

from ..commands import Finding
from ..labels import label_fields
from ..recipe import Repair, RepairKind
from ..repairs import LABEL_REPAIRS, Repairing, missing, repaired_fields
from . import integrity, leaks, times
from . import moment as moments
from .fields import feature_profile, useless_fields
from .labels import Label, bad_weights, few, label_profile, missing_labels, read, unclicked_conversions
from .leaks import LEAK_AUC, SingleFields
from .rows import MOST_ROWS, BoolArray, Rows, sampled
from .spellings import spellings
from .strength import auc

LEAKS = frozenset(
    ("leak", "function-of-label", "positive-ids", "missing-leak", "pair-leak", "target-encoding", "known-later")
)
"""The checks whose findings are told once, for the first label that a field gives away."""

__all__ = ["LEAK_AUC", "MOST_ROWS", "auc", "check", "check_preparation", "check_profiles"]


def check(
    table: pa.Table,
    columns: Sequence[ColumnRef],
    schema: FieldSchema,
    *,
    query: QuerySpec | None = None,
    moment: str = "",
    repairs: Sequence[Repair] = (),
    rows: int | None = None,
) -> tuple[Finding, ...]:
    """Return what the user should know before training, worst first; column i of `table` is `columns[i]`.

    `table` holds rows as they were read, all or a sample of the `rows` there are; at most 200,000 are looked at. What
    `repairs` settle comes back as notes. `moment`: when the prediction is made, in words.

    "stop": training cannot work (no label, one class, missing labels). "warn": something gives the label away or is
    untidy. "note": worth knowing.
    """
    meaning = repaired_fields(schema, repairs)
    raw = sampled(Rows(table, tuple(columns), meaning, query, total=rows or table.num_rows))
    untidy = [*missing_labels(raw), *integrity.duplicates(raw), *integrity.keys_without_partner(raw)]
    untidy += [*times.later_times(raw), *times.unlimited_joins(raw)]
    repairing, found = _repairing(raw, schema, repairs)
    kept = raw.where(repairing.kept(raw.table, raw.columns))
    useless = tuple(useless_fields(kept))
    found += [*useless, *spellings(kept)]
    silent = [
        Repair(RepairKind.IGNORE_FIELD, each.columns) for each in useless if each.check in ("unreadable", "empty")
    ]
    kept = replace(kept, schema=repaired_fields(meaning, silent))
    labelled = kept.where(_has_labels(kept))
    labels, problems = read(labelled)
    untidy += unclicked_conversions(labelled, labels)
    found += [each for each in untidy if not is_settled(each, repairs)]
    found += [each for each in problems if not _is_said(each, found)]
    for label in repaired_labels(labels, repairing):
        told = {each.columns for each in found if each.check in LEAKS}
        found += [*few(label), *(each for each in _leaks(labelled, label, moment) if each.columns not in told)]
    return _sorted([*found, *bad_weights(kept), *_notes(repairing, raw)])


def _repairing(raw: Rows, schema: FieldSchema, repairs: Sequence[Repair]) -> tuple[Repairing, list[Finding]]:
    """Return the repairs that can be tried on these rows, and what to say about the others."""
    usable: list[Repair] = []
    problems: list[Finding] = []
    for repair in repairs:
        try:
            needed = Repairing((repair,), schema, raw.query).columns
        except DataError as error:
            problems.append(Finding("stop", str(error), check="repair"))
            continue
        if all(raw.has(ref) for ref in needed):
            usable.append(repair)
        else:
            problems += Repairing((repair,), schema, raw.query).notes()
    return Repairing(usable, schema, raw.query), problems


def _notes(repairing: Repairing, raw: Rows) -> tuple[Finding, ...]:
    notes = repairing.notes()
    if raw.total == len(raw):
        return notes
    return tuple(
        note if note.rows is None else replace(note, message=f"{note.message} (Counted in {len(raw):,} rows.)")
        for note in notes
    )


def _has_labels(rows: Rows) -> BoolArray:
    """Return the rows that have every label that some rows have; the rest is told of as missing."""
    whole = np.ones(len(rows), np.bool_)
    for field in rows.schema:
        if field.role.is_label and rows.has(field.column):
            gaps = missing(rows.column(field.column))
            whole &= ~gaps if not gaps.all() else True
    return whole


def _leaks(rows: Rows, label: Label, moment: str) -> Iterator[Finding]:
    single = SingleFields(rows, label)
    found = tuple(leaks.leaks(single))
    yield from found
    known = {name for finding in found for name in finding.columns}
    yield from (each for each in moments.known_later(single, moment) if known.isdisjoint(each.columns))


def repaired_labels(labels: Mapping[FieldRole, Label], repairing: Repairing) -> tuple[Label, ...]:
    """Return the labels as the repairs leave them."""
    values = repairing.labels({role.value: label.values for role, label in labels.items()})
    return tuple(Label(label.field, values[role.value]) for role, label in labels.items())


def is_settled(finding: Finding, repairs: Sequence[Repair]) -> bool:
    """Whether the chosen repairs take care of a finding."""
    return any(_settles(chosen, wanted) for chosen in repairs for wanted in finding.repairs)


def _settles(chosen: Repair, wanted: Repair) -> bool:
    if chosen.kind is not wanted.kind:
        return False
    have, need = set(chosen.fields), set(wanted.fields)
    if chosen.kind is RepairKind.DROP_DUPLICATES:
        return have <= need
    if chosen.kind is RepairKind.DROP_ORPHANS:
        return have == need
    return chosen.kind in LABEL_REPAIRS or need <= have


def _is_said(problem: Finding, found: Sequence[Finding]) -> bool:
    """Whether something stops the same label already."""
    return any(each.severity == "stop" and each.columns == problem.columns != () for each in found)


def check_preparation(
    schema: FieldSchema,
    profiles: Sequence[ColumnProfile],
    *,
    table: pa.Table | None = None,
    columns: Sequence[ColumnRef] = (),
    query: QuerySpec | None = None,
    moment: str = "",
    repairs: Sequence[Repair] = (),
    rows: int | None = None,
) -> tuple[Finding, ...]:
    """Return what the Prepare page should say, worst first: from profiles alone, or from a sample of rows as `check`.

    `schema` holds all fields of the query, ignored ones too. Without a `table`, or without rows in it, profiles tell.
    """
    if table is None or not table.num_rows:
        return check_profiles(schema, profiles)
    found = check(table, columns, schema, query=query, moment=moment, repairs=repairs, rows=rows)
    return _sorted([*found, *_no_features(repaired_fields(schema, repairs))])


def check_profiles(schema: FieldSchema, profiles: Sequence[ColumnProfile]) -> tuple[Finding, ...]:
    """Return what profiles already tell, worst first, without reading rows."""
    known = {profile.column: profile for profile in profiles}
    found: list[Finding] = []
    try:
        for field in label_fields(schema):
            if field.column in known:
                found += label_profile(field, known[field.column])
    except DataError as error:
        found.append(Finding("stop", str(error), check="no-label"))
    for field in schema.features:
        if field.column in known:
            found += feature_profile(field, known[field.column])
    return _sorted([*found, *_no_features(schema)])


def _no_features(schema: FieldSchema) -> Iterator[Finding]:
    if not schema.features:
        message = "No field is left to learn from. Give at least one field the role feature."
        yield Finding("stop", message, check="no-features")


def _sorted(found: Sequence[Finding]) -> tuple[Finding, ...]:
    order = ("stop", "warn", "note")
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))

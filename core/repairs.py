"""The repairs a user has chosen, applied to rows as they stream by: fields ignored, rows left out, labels put right.

One `Repairing` sees the rows of a snapshot once, batch by batch and in order:

    repairing = Repairing(recipe.repairs, recipe.fields, recipe.query)
    for batch in batches:
        mask = repairing.kept(batch, columns)                   bool (N,): which rows stay
        labels = repairing.labels({"click": clicks[mask], "conversion": conversions[mask]})
    repairing.notes()                                           what was done, with counts

Rows are left out in the order of the repairs, so that a row counts for the first one that drops it. Duplicates are
found by 64-bit hashes of the chosen fields: 8 bytes of memory per row, and a chance of one in two million that any
two of 4 million different rows are taken for the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens import DataError, Field, FieldRole, FieldSchema
from crosslens.data import Float32Array
from crosslens.relational import ColumnRef, JoinKind, JoinSpec, QuerySpec

from .columns import Column, column_at
from .commands import Finding
from .hashing import UInt64Array, hash_rows
from .moments import is_after, moments
from .recipe import Repair, RepairKind

BoolArray = NDArray[np.bool_]

LABEL_REPAIRS = (RepairKind.CLICK_IF_CONVERTED, RepairKind.NO_CONVERSION_WITHOUT_CLICK)


def repaired_fields(schema: FieldSchema, repairs: Sequence[Repair]) -> FieldSchema:
    """Return the schema with the fields of IGNORE_FIELD repairs ignored."""
    ignored = {name for repair in repairs if repair.kind is RepairKind.IGNORE_FIELD for name in repair.fields}
    return FieldSchema(
        tuple(replace(field, role=FieldRole.IGNORE) if field.name in ignored else field for field in schema)
    )


def note_check(repair: Repair) -> str:
    """Return the check id under which a repair is noted."""
    return f"repaired-{repair.kind}"


def with_counts(findings: Sequence[Finding], notes: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return `findings` with the notes of repairs, which a check made from a sample, replaced by exact `notes`."""
    exact = {(note.check, note.columns) for note in notes}
    return (*(each for each in findings if (each.check, each.columns) not in exact), *notes)


class Repairing:
    """Applies repairs to one pass over the rows. Stateful: use a new one for every pass.

    DataError if a repair names a field that `schema` does not have, or if it cannot work: without a time column, or
    without a join whose key the fields are.
    """

    def __init__(self, repairs: Sequence[Repair], schema: FieldSchema, query: QuerySpec | None = None) -> None:
        repairs = tuple(dict.fromkeys(repairs))
        self._rules = tuple(_RULES[repair.kind](repair, schema, query) for repair in repairs if repair.kind in _RULES)
        self._repairs = repairs
        self._dropped = [0] * len(self._rules)
        self._begun = False
        self._changed = dict.fromkeys((repair.kind for repair in repairs if repair.kind in LABEL_REPAIRS), 0)

    @property
    def columns(self) -> tuple[ColumnRef, ...]:
        """Return the columns `kept` reads: they must be among those of the batches."""
        return tuple(dict.fromkeys(ref for rule in self._rules for ref in rule.columns))

    def kept(self, batch: pa.Table | pa.RecordBatch, columns: Sequence[ColumnRef]) -> BoolArray:
        """Return which rows of the next batch stay, bool (N,); column i of `batch` is `columns[i]`."""
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        kept = np.ones(table.num_rows, np.bool_)
        self._begun = True
        for number, rule in enumerate(self._rules):
            stays = rule.kept([column_at(table, columns, ref) for ref in rule.columns], kept)
            self._dropped[number] += int((kept & ~stays).sum())
            kept &= stays
        return kept

    def labels(self, labels: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        """Return the labels (N,) by role name put right; without both a click and a conversion nothing changes."""
        found = dict(labels)
        self._begun = True
        if FieldRole.CLICK not in found or FieldRole.CONVERSION not in found:
            return found
        for kind in self._changed:
            click, conversion = found[FieldRole.CLICK], found[FieldRole.CONVERSION]
            wrong = (conversion > 0) & (click == 0)
            self._changed[kind] += int(wrong.sum())
            if kind is RepairKind.CLICK_IF_CONVERTED:
                found[FieldRole.CLICK] = np.where(wrong, np.float32(1), click)
            else:
                found[FieldRole.CONVERSION] = np.where(wrong, np.float32(0), conversion)
        return found

    def notes(self) -> tuple[Finding, ...]:
        """Return what was done to the rows seen so far, one note per repair; without counts if none were seen."""
        return tuple(note for repair in self._repairs if (note := self._note(repair)) is not None)

    def _note(self, repair: Repair) -> Finding | None:
        if repair.kind is RepairKind.IGNORE_FIELD:
            return _said(repair, f"{_listed(repair.fields)} {_is(repair.fields)} left out, as chosen.")
        if repair.kind in self._changed:
            count = self._changed[repair.kind] if self._begun else None
            return _said(repair, _LABEL_WORDS[repair.kind].format(rows=_rows(count, "conversion")), count)
        for rule, dropped in zip(self._rules, self._dropped, strict=True):
            if rule.repair == repair:
                count = dropped if self._begun else None
                return _said(repair, rule.words(count), count)
        return None


def _said(repair: Repair, message: str, rows: int | None = None) -> Finding:
    return Finding("note", message, repair.fields, check=note_check(repair), rows=rows)


# --- one rule per kind ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Rule:
    """Which rows one repair keeps; reads `columns`, in this order."""

    repair: Repair
    columns: tuple[ColumnRef, ...]

    def kept(self, columns: list[Column], so_far: BoolArray) -> BoolArray:
        raise NotImplementedError

    def words(self, count: int | None) -> str:
        raise NotImplementedError


class _Missing(_Rule):
    """Rows in which none of the fields is missing stay."""

    def kept(self, columns: list[Column], so_far: BoolArray) -> BoolArray:
        gaps = np.zeros(len(so_far), np.bool_)
        for column in columns:
            gaps |= missing(column)
        return ~gaps

    def words(self, count: int | None) -> str:
        return f"{_rows(count)} without {_listed(self.repair.fields, 'or')} {_were(count)} left out, as chosen."


@dataclass(slots=True)
class _Orphans(_Rule):
    """Rows whose key finds a partner, or that have no key at all, stay: the first `keys` columns are the key."""

    keys: int

    def kept(self, columns: list[Column], so_far: BoolArray) -> BoolArray:
        return ~orphans(columns[: self.keys], columns[self.keys :])

    def words(self, count: int | None) -> str:
        finds = _is(self.repair.fields, "finds", "find")
        whose = f"{_rows(count)} whose {_listed(self.repair.fields)} {finds} no partner"
        return f"{whose} {_were(count)} left out, as chosen."


@dataclass(slots=True)
class _Late(_Rule):
    """Rows in which no field holds a time after that of the row, the last column, stay."""

    def kept(self, columns: list[Column], so_far: BoolArray) -> BoolArray:
        *others, own = (moments(column) for column in columns)
        late = np.zeros(len(so_far), np.bool_)
        for other in others:
            late |= is_after(other, own)
        return ~late

    def words(self, count: int | None) -> str:
        names = _listed(self.repair.fields, "or")
        return f"{_rows(count)} with {names} after the row's own time {_were(count)} left out, as chosen."


class _Duplicates(_Rule):
    """The first of rows alike in all columns stays, across all batches."""

    __slots__ = ("_runs",)

    def __init__(self, repair: Repair, columns: tuple[ColumnRef, ...]) -> None:
        super().__init__(repair, columns)
        self._runs: list[UInt64Array] = []

    def kept(self, columns: list[Column], so_far: BoolArray) -> BoolArray:
        hashes = hash_rows(columns)
        candidates = np.flatnonzero(so_far)
        distinct, first = np.unique(hashes[candidates], return_index=True)
        new = np.ones(len(distinct), np.bool_)
        for run in self._runs:
            new &= ~_contains(run, distinct)
        self._remember(distinct[new])
        stays = ~so_far
        stays[candidates[first[new]]] = True
        return stays

    def _remember(self, hashes: UInt64Array) -> None:
        """Keep sorted runs of growing size, merged so that there are few: log n of them."""
        while self._runs and len(self._runs[-1]) <= 2 * len(hashes):
            hashes = np.concatenate([self._runs.pop(), hashes])
            hashes.sort(kind="stable")  # merges two sorted runs in linear time
        self._runs.append(hashes)

    def words(self, count: int | None) -> str:
        return f"{_rows(count, 'duplicate row')} {_were(count)} left out, as chosen."


def _contains(run: UInt64Array, wanted: UInt64Array) -> BoolArray:
    places = np.searchsorted(run, wanted)
    return np.asarray(run[np.minimum(places, len(run) - 1)] == wanted) if len(run) else np.zeros(len(wanted), np.bool_)


def missing(column: Column) -> BoolArray:
    """Return which values are missing, bool (N,): NULL, or a number that is not one."""
    gaps = np.asarray(column.is_null().to_numpy())
    if pa.types.is_floating(column.type):
        values = np.asarray(column.cast(pa.float64()).fill_null(0.0).to_numpy())
        gaps = gaps | np.isnan(values)
    return gaps


def orphans(keys: Sequence[Column], partners: Sequence[Column]) -> BoolArray:
    """Return rows whose key is whole while every column of the partner is missing, bool (N,)."""
    alone = np.ones(len(keys[0]), np.bool_)
    for key in keys:
        alone &= ~np.asarray(key.is_null().to_numpy())
    for partner in partners:
        alone &= np.asarray(partner.is_null().to_numpy())
    return alone


# --- making the rules -------------------------------------------------------------------------------------------------


def _missing_rule(repair: Repair, schema: FieldSchema, _query: QuerySpec | None) -> _Rule:
    return _Missing(repair, tuple(_field(name, schema, repair).column for name in repair.fields))


def _duplicates_rule(repair: Repair, schema: FieldSchema, _query: QuerySpec | None) -> _Rule:
    used = tuple(field.name for field in schema if field.role is not FieldRole.IGNORE)
    names = repair.fields or used
    return _Duplicates(repair, tuple(_field(name, schema, repair).column for name in names))


def _orphans_rule(repair: Repair, schema: FieldSchema, query: QuerySpec | None) -> _Rule:
    key = tuple(_field(name, schema, repair).column for name in repair.fields)
    join = lookup_by(key, query)
    if join is None:
        raise DataError(
            f"No join looks up {_listed(repair.fields)}, so there are no partners to find.",
            do="Take this repair out, or add the join again on the Prepare page.",
        )
    partners = tuple(ColumnRef(join.name, right) for _, right in join.on)
    return _Orphans(repair, (*key, *partners), len(key))


def lookup_by(key: Sequence[ColumnRef], query: QuerySpec | None) -> JoinSpec | None:
    """Return the lookup that the columns of `key` make, in any order, or None."""
    for join in query.joins if query else ():
        if join.kind is JoinKind.LOOKUP and {left for left, _ in join.on} == set(key):
            return join
    return None


def _late_rule(repair: Repair, schema: FieldSchema, query: QuerySpec | None) -> _Rule:
    if query is None or query.time is None:
        raise DataError(
            f"Whether {_listed(repair.fields)} came later cannot be told: the rows have no time of their own.",
            do="Choose the column that says when a row happened, or take this repair out.",
        )
    return _Late(repair, (*(_field(name, schema, repair).column for name in repair.fields), query.time))


_RULES: Mapping[RepairKind, Callable[[Repair, FieldSchema, QuerySpec | None], _Rule]] = {
    RepairKind.DROP_MISSING: _missing_rule,
    RepairKind.DROP_DUPLICATES: _duplicates_rule,
    RepairKind.DROP_ORPHANS: _orphans_rule,
    RepairKind.DROP_LATER_THAN_EVENT: _late_rule,
}
_LABEL_WORDS = {
    RepairKind.CLICK_IF_CONVERTED: "{rows} without a click: the click was added, as chosen.",
    RepairKind.NO_CONVERSION_WITHOUT_CLICK: "{rows} without a click: not counted, as chosen.",
}


def _field(name: str, schema: FieldSchema, repair: Repair) -> Field:
    try:
        return schema.field(name)
    except KeyError:
        raise DataError(
            f"The repair {repair.kind} names a field {name}, which does not exist.",
            do="Correct the name in the recipe, or choose the repair again on the Prepare page.",
            field=name,
        ) from None


# --- words ------------------------------------------------------------------------------------------------------------


def _rows(count: int | None, what: str = "row") -> str:
    if count is None:
        return f"{what.capitalize()}s"
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _were(count: int | None) -> str:
    return "is" if count == 1 else "are"


def _is(names: Sequence[str], one: str = "is", many: str = "are") -> str:
    return one if len(names) == 1 else many


def _listed(names: Sequence[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}" if names else "no field"

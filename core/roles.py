"""Guesses what columns mean: a kind, a role, a name, and the reason for them in a sentence.

Identifiers are categories and never numbers; what happened after the event is a label or nothing; what tells rows apart
one by one, is the same everywhere, or repeats another column is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crosslens import Field, FieldKind, FieldRole, FieldSchema
from crosslens.relational import (
    ColumnInfo,
    ColumnProfile,
    ColumnRef,
    ColumnType,
    JoinKind,
    QuerySpec,
    TableInfo,
    TableRef,
)

from . import words

FEW_VALUES = 20
"""Whole numbers with at most so many different values are categories."""
LONG_TEXT = 60
"""Text longer than this on average, in characters, is free text."""
NEAR_UNIQUE = 0.9
"""From this share of different values on, a column tells rows apart instead of describing them."""
_ENOUGH_ROWS = 20
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?")
_FIRST_EPOCH = 100_000_000
"""Smaller whole numbers are no seconds since 1970: they would lie before 1973."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A kind, a role, and why."""

    kind: FieldKind
    role: FieldRole
    reason: str


@dataclass(frozen=True, slots=True)
class _Column:
    """A column with everything a guess may rest on. `target`: the table a foreign key of this column alone leads to."""

    ref: ColumnRef
    type: ColumnType
    profile: ColumnProfile
    in_base: bool
    is_key: bool = False
    target: TableRef | None = None

    @property
    def name(self) -> str:
        return self.ref.column

    @property
    def is_flag(self) -> bool:
        return self.ref.column == ColumnRef.EXISTS

    @property
    def present(self) -> int:
        return self.profile.rows - self.profile.nulls

    @property
    def is_near_unique(self) -> bool:
        return self.present >= _ENOUGH_ROWS and self.profile.distinct >= NEAR_UNIQUE * self.present

    @property
    def is_binary(self) -> bool:
        return self.type is ColumnType.BOOLEAN or self.profile.distinct == 2

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(text for text, _ in self.profile.examples)


def suggest_fields(
    columns: Sequence[tuple[ColumnRef, ColumnInfo]],
    profiles: Sequence[ColumnProfile],
    query: QuerySpec,
    tables: Sequence[TableInfo],
) -> FieldSchema:
    """Return one field per column, in their order, each with a suggested kind, role and reason.

    Names are the column's own for the base and `source.column` for joined tables; they are unique. At most one field
    each is user, item, click and conversion.
    """
    described = _described(columns, profiles, query, tables)
    fixed = {**_repeats(described, query), **_labels(described)}
    fixed = {**_identities(described, fixed), **fixed}
    guesses = [fixed.get(column.ref) or _guess(column, query) for column in described]
    names = _names(described)
    return FieldSchema(
        tuple(
            Field(column=column.ref, name=name, kind=guess.kind, role=guess.role, reason=guess.reason)
            for column, name, guess in zip(described, names, guesses, strict=True)
        )
    )


def _described(
    columns: Sequence[tuple[ColumnRef, ColumnInfo]],
    profiles: Sequence[ColumnProfile],
    query: QuerySpec,
    tables: Sequence[TableInfo],
) -> list[_Column]:
    by_column = {profile.column: profile for profile in profiles}
    by_source = {query.base.name: _table(query.base, tables)}
    by_source |= {join.name: _table(join.table, tables) for join in query.joins}
    return [
        _describe(ref, info, by_column.get(ref) or ColumnProfile(ref, info.type, 0, 0, 0), by_source, query.base.name)
        for ref, info in columns
    ]


def _table(ref: TableRef, tables: Sequence[TableInfo]) -> TableInfo:
    return next((table for table in tables if table.ref == ref), TableInfo(ref, ()))


def _describe(
    ref: ColumnRef, info: ColumnInfo, profile: ColumnProfile, by_source: Mapping[str, TableInfo], base: str
) -> _Column:
    table = by_source.get(ref.source, TableInfo(TableRef(ref.source), ()))
    alone = (ref.column,)
    return _Column(
        ref=ref,
        type=profile.type if info.type is ColumnType.OTHER else info.type,
        profile=profile,
        in_base=ref.source == base,
        is_key=table.primary_key == alone or alone in table.unique_keys,
        target=next((key.target for key in table.foreign_keys if key.columns == alone), None),
    )


def _names(columns: Iterable[_Column]) -> list[str]:
    taken: list[str] = []
    for column in columns:
        wanted = column.name if column.in_base and not column.is_flag else str(column.ref)
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted} ({number})", number + 1
        taken.append(name)
    return taken


# --- what happened afterwards ----------------------------------------------------------------------------------------


def _labels(columns: Sequence[_Column]) -> dict[ColumnRef, Guess]:
    """Return guesses for every column that tells what came of a row: the labels, and outcomes to leave out."""
    outcomes = [column for column in columns if _is_outcome(column)]
    click = _first(outcomes, words.CLICK) or _first(outcomes, words.LABEL)
    conversion = _first((column for column in outcomes if column is not click), words.CONVERSION)
    click = click or next((each for each in outcomes if each.is_flag and each is not conversion), None)
    if click is None:
        click, conversion = conversion, None
    found = {column.ref: _outcome(column) for column in outcomes}
    if click is not None:
        found[click.ref] = _label(click, FieldRole.CLICK, "what models learn to predict")
    if conversion is not None:
        found[conversion.ref] = _label(conversion, FieldRole.CONVERSION, "what may follow a click")
    return found


def _is_outcome(column: _Column) -> bool:
    if column.is_flag:
        return True
    named = words.says(column.name, words.CLICK | words.CONVERSION) or words.words(column.name)[-1:] in _LABEL_ENDS
    return column.in_base and column.is_binary and named and not words.is_id(column.name)


_LABEL_ENDS = {(word,) for word in words.LABEL}


def _first(columns: Iterable[_Column], vocabulary: frozenset[str]) -> _Column | None:
    """Return the first column named so, flags before others."""
    named = [column for column in columns if words.says(_title(column), vocabulary)]
    return min(named, key=lambda column: not column.is_flag, default=None)


def _title(column: _Column) -> str:
    return column.ref.source if column.is_flag else column.name


def _label(column: _Column, role: FieldRole, meaning: str) -> Guess:
    how = f"Says whether {column.ref.source} has a row" if column.is_flag else f"'{column.name}' has two values"
    return Guess(FieldKind.CATEGORICAL, role, f"{how}: {meaning}.")


def _outcome(column: _Column) -> Guess:
    reason = "Tells what came of a row, which is not known beforehand and would give the label away."
    return Guess(FieldKind.CATEGORICAL, FieldRole.IGNORE, reason)


# --- who and what -----------------------------------------------------------------------------------------------------


def _identities(columns: Sequence[_Column], fixed: Mapping[ColumnRef, Guess]) -> dict[ColumnRef, Guess]:
    """Return guesses for the column that says who the user is, and the one that says what the item is."""
    free = [column for column in columns if column.ref not in fixed and _describes(column)]
    found = {}
    for role, vocabulary in ((FieldRole.USER, words.USER), (FieldRole.ITEM, words.ITEM)):
        column = _identity([column for column in free if column.ref not in found], vocabulary)
        if column is not None:
            reason = f"{_key_phrase(column)}, so a category: it says which {role} a row is about."
            found[column.ref] = Guess(FieldKind.CATEGORICAL, role, reason)
    return found


def _describes(column: _Column) -> bool:
    """Whether a column has values that repeat."""
    return column.profile.distinct > 1 and not (column.is_key and column.in_base) and not column.is_near_unique


def _identity(columns: Sequence[_Column], vocabulary: frozenset[str]) -> _Column | None:
    for column in columns:
        if column.target is not None and words.says(column.target.name, vocabulary):
            return column
    named = (each for each in columns if words.is_id(each.name) and words.names_one_of(each.name, vocabulary))
    return next(named, None)


def _key_phrase(column: _Column) -> str:
    return f"Refers to {column.target.name}" if column.target is not None else "Named like an identifier"


# --- what repeats another column --------------------------------------------------------------------------------------


def _repeats(columns: Sequence[_Column], query: QuerySpec) -> dict[ColumnRef, Guess]:
    """Return guesses for one of any two columns that say the same: a joined key and the column that refers to it."""
    known = {column.ref: column for column in columns}
    found: dict[ColumnRef, Guess] = {}
    for left, right in _lookups(query):
        if left in known and right in known:
            found[right] = _repeated(left)
        if left in known:
            found |= _spelt_out(known[left], [each for each in columns if each.ref.source == right.source])
    return found


def _lookups(query: QuerySpec) -> Iterator[tuple[ColumnRef, ColumnRef]]:
    for join in query.joins:
        if join.kind is JoinKind.LOOKUP:
            for left, right in join.on:
                yield left, ColumnRef(join.name, right)


def _spelt_out(key: _Column, joined: Sequence[_Column]) -> dict[ColumnRef, Guess]:
    """Return which of a key and the texts that name the same things in words to leave out.

    A lookup gives each key one text; as many texts as keys mean one key per text. Users and items keep their key.
    """
    texts = [column for column in joined if column.type is ColumnType.TEXT]
    target = key.target.name if key.target is not None else key.name
    if words.names_one_of(target, words.USER | words.ITEM):
        return {column.ref: _repeated(key.ref) for column in texts if _nearly_same_partition(key, column)}
    same = [column for column in texts if _same_partition(key, column)]
    if not same:
        return {}
    best = same[0].ref
    return {key.ref: _repeated(best), **{column.ref: _repeated(best) for column in same[1:]}}


def _same_partition(key: _Column, column: _Column) -> bool:
    a, b = key.profile, column.profile
    return a.rows == b.rows and a.nulls == b.nulls and a.distinct == b.distinct > 1


def _nearly_same_partition(key: _Column, column: _Column) -> bool:
    many = key.profile.distinct > FEW_VALUES and column.profile.distinct >= NEAR_UNIQUE * key.profile.distinct
    return many or _same_partition(key, column)


def _repeated(other: ColumnRef) -> Guess:
    return Guess(FieldKind.CATEGORICAL, FieldRole.IGNORE, f"Says the same as {other}.")


# --- one column by itself ---------------------------------------------------------------------------------------------


def _guess(column: _Column, query: QuerySpec) -> Guess:
    found = (rule(column, query) for rule in _RULES)
    return next(guess for guess in found if guess is not None)


def _ignore(kind: FieldKind, reason: str) -> Guess:
    return Guess(kind, FieldRole.IGNORE, reason)


def _feature(kind: FieldKind, reason: str) -> Guess:
    return Guess(kind, FieldRole.FEATURE, reason)


def _empty(column: _Column, _query: QuerySpec) -> Guess | None:
    profile = column.profile
    if profile.rows and not column.present:
        return _ignore(FieldKind.CATEGORICAL, "Has no value in any row.")
    if profile.rows and profile.distinct == 1 and not profile.nulls:
        return _ignore(FieldKind.CATEGORICAL, "Has the same value in every row.")
    return None


def _time(column: _Column, query: QuerySpec) -> Guess | None:
    if column.ref == query.time:
        return _ignore(FieldKind.TIMESTAMP, "Puts the rows in order of time; models do not read times yet.")
    if _is_time(column):
        return _ignore(FieldKind.TIMESTAMP, "A date or time; models do not read these yet.")
    return None


def _is_time(column: _Column) -> bool:
    if column.type in (ColumnType.DATE, ColumnType.TIMESTAMP):
        return True
    if column.type is ColumnType.TEXT:
        return bool(column.texts) and all(_ISO_TIME.fullmatch(text) for text in column.texts)
    named = words.words(column.name)[-1:] in {(word,) for word in words.TIME}
    smallest = column.profile.minimum
    epoch = isinstance(smallest, (int, float)) and smallest >= _FIRST_EPOCH
    return column.type is ColumnType.INTEGER and named and epoch


def _unreadable(column: _Column, _query: QuerySpec) -> Guess | None:
    if column.type is ColumnType.BINARY:
        return _ignore(FieldKind.TEXT, "Binary data, which models cannot read.")
    if column.type not in (ColumnType.TEXT, ColumnType.OTHER):
        return None
    if column.texts and all(text.lstrip()[:1] in ("{", "[") for text in column.texts):
        return _ignore(FieldKind.TEXT, "Looks like JSON, which models cannot read.")
    if (column.profile.mean_length or 0) > LONG_TEXT:
        return _ignore(FieldKind.TEXT, "Long free text, which models cannot read yet.")
    return None


def _row_key(column: _Column, query: QuerySpec) -> Guess | None:
    if column.in_base and column.is_key:
        return _ignore(FieldKind.CATEGORICAL, f"The key of {query.base.name}: different in every row.")
    if column.is_near_unique and column.type in (ColumnType.INTEGER, ColumnType.TEXT, ColumnType.OTHER):
        return _ignore(FieldKind.CATEGORICAL, "Different in almost every row, so nothing can be learned from it.")
    return None


def _identifier(column: _Column, _query: QuerySpec) -> Guess | None:
    if column.target is None and not column.is_key and not words.is_id(column.name):
        return None
    about = column.target.name if column.target is not None else column.name
    if words.names_one_of(about, words.SESSION):
        reason = "Names one visit: a new one has never been seen before, so nothing can be learned from it."
        return _ignore(FieldKind.CATEGORICAL, reason)
    return _feature(FieldKind.CATEGORICAL, f"{_key_phrase(column)}, so a category and not a number.")


def _weight(column: _Column, _query: QuerySpec) -> Guess | None:
    if " ".join(words.words(column.name)) in words.WEIGHT and column.type in _NUMBERS and column.in_base:
        return Guess(FieldKind.NUMERICAL, FieldRole.WEIGHT, "Named like a weight: how much a row counts.")
    return None


def _boolean(column: _Column, _query: QuerySpec) -> Guess | None:
    return _feature(FieldKind.CATEGORICAL, "True or false.") if column.type is ColumnType.BOOLEAN else None


def _number(column: _Column, _query: QuerySpec) -> Guess | None:
    if column.type not in _NUMBERS:
        return None
    if column.type is ColumnType.INTEGER and column.profile.distinct <= FEW_VALUES:
        return _feature(FieldKind.CATEGORICAL, f"Whole numbers with {_values(column)}.")
    if column.type is ColumnType.INTEGER and words.says(column.name, words.CODE):
        return _feature(FieldKind.CATEGORICAL, "Named like a code, so a category and not a number.")
    return _feature(FieldKind.NUMERICAL, f"Numbers with {_values(column)}.")


def _text(column: _Column, _query: QuerySpec) -> Guess | None:
    if column.profile.distinct > FEW_VALUES and column.texts and all(_reads_as_number(text) for text in column.texts):
        return _feature(FieldKind.NUMERICAL, "Numbers stored as text.")
    return _feature(FieldKind.CATEGORICAL, f"Text with {_values(column)}.")


def _reads_as_number(text: str) -> bool:
    """Whether a text is a number and not a code: leading zeros would be lost."""
    return bool(re.fullmatch(r"[+-]?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text.strip()))


def _values(column: _Column) -> str:
    return f"{column.profile.distinct:,} different values{' in the sample' if column.profile.sampled else ''}"


_NUMBERS = (ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.DECIMAL)
_RULES = (_empty, _time, _unreadable, _row_key, _weight, _identifier, _boolean, _number, _text)

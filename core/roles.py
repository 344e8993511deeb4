"""Guesses what columns mean: a kind, a role, a name, and the reason for them in a sentence.

What a column is by itself, `core.guesses` tells. Here they are seen together: what happened after the event is a label
or nothing, one column says who the user is and one what the item is, and what repeats another column is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from crosslens import Field, FieldKind, FieldRole, FieldSchema
from crosslens.relational import (
    ColumnInfo,
    ColumnProfile,
    ColumnRef,
    ColumnType,
    JoinKind,
    JoinSpec,
    QuerySpec,
    TableInfo,
    TableRef,
)

from . import words
from .guesses import FEW_VALUES, NEAR_UNIQUE, DescribedColumn, Guess, Setting, guess, is_time, key_phrase


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
    setting = Setting(query, _own_time(described, query))
    guesses = [fixed.get(column.ref) or guess(column, setting) for column in described]
    names = _names(described)
    return FieldSchema(
        tuple(
            Field(
                column=column.ref,
                name=name,
                kind=found.kind,
                role=found.role,
                reason=found.reason,
                delimiter=found.delimiter,
                parts=found.parts,
            )
            for column, name, found in zip(described, names, guesses, strict=True)
        )
    )


def _described(
    columns: Sequence[tuple[ColumnRef, ColumnInfo]],
    profiles: Sequence[ColumnProfile],
    query: QuerySpec,
    tables: Sequence[TableInfo],
) -> list[DescribedColumn]:
    by_column = {profile.column: profile for profile in profiles}
    by_source = {query.base.name: _table(query.base, tables)}
    by_source |= {join.name: _table(join.table, tables) for join in query.joins}
    joins = {join.name: join for join in query.joins}
    return [
        _describe(
            ref,
            info,
            by_column.get(ref) or ColumnProfile(ref, info.type, 0, 0, 0),
            by_source.get(ref.source, TableInfo(TableRef(ref.source), ())),
            joins.get(ref.source) if ref.source != query.base.name else None,
        )
        for ref, info in columns
    ]


def _table(ref: TableRef, tables: Sequence[TableInfo]) -> TableInfo:
    return next((table for table in tables if table.ref == ref), TableInfo(ref, ()))


def _describe(
    ref: ColumnRef, info: ColumnInfo, profile: ColumnProfile, table: TableInfo, join: JoinSpec | None
) -> DescribedColumn:
    alone = (ref.column,)
    return DescribedColumn(
        ref=ref,
        type=profile.type if info.type is ColumnType.OTHER else info.type,
        profile=profile,
        join=join,
        is_key=table.primary_key == alone or alone in table.unique_keys,
        target=next((key.target for key in table.foreign_keys if key.columns == alone), None),
        choices=info.choices,
    )


def _own_time(columns: Sequence[DescribedColumn], query: QuerySpec) -> DescribedColumn | None:
    """Return the column that says when a row happened: the query's, or else the first time of the base."""
    chosen = next((column for column in columns if column.ref == query.time), None)
    times = [column for column in columns if column.in_base and is_time(column)]
    return chosen or next((column for column in times if not words.says(column.name, words.BIRTH)), None)


def _names(columns: Iterable[DescribedColumn]) -> list[str]:
    taken: list[str] = []
    for column in columns:
        wanted = column.name if column.in_base and not column.is_flag else str(column.ref)
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted} ({number})", number + 1
        taken.append(name)
    return taken


# --- what happened afterwards ----------------------------------------------------------------------------------------


def _labels(columns: Sequence[DescribedColumn]) -> dict[ColumnRef, Guess]:
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


def _is_outcome(column: DescribedColumn) -> bool:
    if column.is_flag:
        return True
    named = words.says(column.name, words.CLICK | words.CONVERSION) or words.words(column.name)[-1:] in _LABEL_ENDS
    return column.in_base and column.is_binary and named and not words.is_id(column.name)


_LABEL_ENDS = {(word,) for word in words.LABEL}


def _first(columns: Iterable[DescribedColumn], vocabulary: frozenset[str]) -> DescribedColumn | None:
    """Return the first column named so, flags before others."""
    named = [column for column in columns if words.says(_title(column), vocabulary)]
    return min(named, key=lambda column: not column.is_flag, default=None)


def _title(column: DescribedColumn) -> str:
    return column.ref.source if column.is_flag else column.name


def _label(column: DescribedColumn, role: FieldRole, meaning: str) -> Guess:
    how = f"Says whether {column.ref.source} has a row" if column.is_flag else f"'{column.name}' has two values"
    return Guess(FieldKind.CATEGORICAL, role, f"{how}: {meaning}.")


def _outcome(column: DescribedColumn) -> Guess:
    reason = "Tells what came of a row, which is not known beforehand and would give the label away."
    return Guess(FieldKind.CATEGORICAL, FieldRole.IGNORE, reason)


# --- who and what -----------------------------------------------------------------------------------------------------


def _identities(columns: Sequence[DescribedColumn], fixed: Mapping[ColumnRef, Guess]) -> dict[ColumnRef, Guess]:
    """Return guesses for the column that says who the user is, and the one that says what the item is."""
    free = [column for column in columns if column.ref not in fixed and _describes(column)]
    found = {}
    for role, vocabulary in ((FieldRole.USER, words.USER), (FieldRole.ITEM, words.ITEM)):
        column = _identity([column for column in free if column.ref not in found], vocabulary)
        if column is not None:
            said = key_phrase(column) if _is_key_like(column) else f"Named like a {role}"
            reason = f"{said}, so a category: it says which {role} a row is about."
            found[column.ref] = Guess(FieldKind.CATEGORICAL, role, reason)
    return found


def _describes(column: DescribedColumn) -> bool:
    """Whether a column has values that repeat, and one for each row."""
    if column.join is not None and column.join.kind.is_to_many:
        return False
    return column.profile.distinct > 1 and not (column.is_key and column.in_base) and not column.is_near_unique


def _identity(columns: Sequence[DescribedColumn], vocabulary: frozenset[str]) -> DescribedColumn | None:
    for column in columns:
        if column.target is not None and words.says(column.target.name, vocabulary):
            return column
    named = (each for each in columns if words.is_id(each.name) and words.names_one_of(each.name, vocabulary))
    return next(named, None) or next((each for each in columns if _is_just_named(each, vocabulary)), None)


def _is_key_like(column: DescribedColumn) -> bool:
    return column.target is not None or words.is_id(column.name)


def _is_just_named(column: DescribedColumn, vocabulary: frozenset[str]) -> bool:
    """Whether a column of the base is called "user", and has values as users have."""
    many = column.profile.distinct > FEW_VALUES and column.type in (ColumnType.INTEGER, ColumnType.TEXT)
    return column.in_base and many and len(words.words(column.name)) == 1 and words.says(column.name, vocabulary)


# --- what repeats another column --------------------------------------------------------------------------------------


def _repeats(columns: Sequence[DescribedColumn], query: QuerySpec) -> dict[ColumnRef, Guess]:
    """Return guesses for one of any two columns that say the same: a joined key and the column that refers to it."""
    known = {column.ref: column for column in columns}
    found: dict[ColumnRef, Guess] = {}
    for left, right in _lookups(query):
        if left in known and right in known:
            found[right] = _repeated(left)
        if left in known:
            beside = [each for each in columns if each.ref.source == right.source and each.ref != right]
            found |= _spelt_out(known[left], beside)
    return found


def _lookups(query: QuerySpec) -> Iterator[tuple[ColumnRef, ColumnRef]]:
    for join in query.joins:
        if join.kind is JoinKind.LOOKUP:
            for left, right in join.on:
                yield left, ColumnRef(join.name, right)


def _spelt_out(key: DescribedColumn, joined: Sequence[DescribedColumn]) -> dict[ColumnRef, Guess]:
    """Return which of a key and the texts beside it that name the same things in words to leave out.

    A lookup gives each key one text; as many texts as keys mean one key per text. Users and items keep their key.
    """
    texts = [column for column in joined if column.type is ColumnType.TEXT]
    names = (key.name, key.target.name) if key.target is not None else (key.name,)
    if any(words.names_one_of(name, words.USER | words.ITEM) for name in names):
        return {column.ref: _repeated(key.ref) for column in texts if _nearly_same_partition(key, column)}
    same = [column for column in texts if _same_partition(key, column)]
    if not same:
        return {}
    best = same[0].ref
    return {key.ref: _repeated(best), **{column.ref: _repeated(best) for column in same[1:]}}


def _same_partition(key: DescribedColumn, column: DescribedColumn) -> bool:
    a, b = key.profile, column.profile
    return a.rows == b.rows and a.nulls == b.nulls and a.distinct == b.distinct > 1


def _nearly_same_partition(key: DescribedColumn, column: DescribedColumn) -> bool:
    many = key.profile.distinct > FEW_VALUES and column.profile.distinct >= NEAR_UNIQUE * key.profile.distinct
    return many or _same_partition(key, column)


def _repeated(other: ColumnRef) -> Guess:
    return Guess(FieldKind.CATEGORICAL, FieldRole.IGNORE, f"Says the same as {other}.")

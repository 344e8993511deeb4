"""Is a source still what a recipe was written for? Says every table and column that is gone or reads differently."""

from __future__ import annotations

from collections.abc import Iterator

from crosslens.errors import QueryError
from crosslens.relational import ColumnInfo, ColumnRef, ColumnType, QuerySpec, TableInfo, TableRef
from crosslens.schema import Field, FieldKind, FieldRole

from .ports import RowSource
from .recipe import Recipe

_NOT_NUMBERS = frozenset({ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.BINARY, ColumnType.JSON, ColumnType.ARRAY})
_NOT_CATEGORIES = frozenset({ColumnType.ARRAY, ColumnType.BINARY})
_NOT_TIMES = frozenset({ColumnType.BOOLEAN, ColumnType.BINARY, ColumnType.JSON, ColumnType.ARRAY})
_UNFIT = {
    FieldKind.NUMERICAL: (_NOT_NUMBERS, "numbers"),
    FieldKind.CATEGORICAL: (_NOT_CATEGORIES, "single values"),
    FieldKind.TIMESTAMP: (_NOT_TIMES, "times"),
}
_MOST_TOLD = 5


def base_key(query: QuerySpec, source: RowSource) -> tuple[ColumnRef, ...]:
    """Return the primary key of the base; nothing where the user's own SELECT takes its place."""
    if query.select:
        return ()
    return tuple(ColumnRef(query.base.name, name) for name in source.table(query.base).primary_key)


def check_source(recipe: Recipe, source: RowSource, query: QuerySpec) -> None:
    """Raise QueryError that names what `query`, made from `recipe`, needs and the source has no longer."""
    problems = list(_gone(query, source))
    if not problems:
        problems = list(_changed(recipe, source, query))
    if problems:
        more = f" and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        raise QueryError(
            f"The source has changed since the recipe was written: {'; '.join(problems[:_MOST_TOLD])}{more}.",
            do="Correct the recipe, or prepare it anew from the source as it is now.",
            problems=problems,
        )


def _gone(query: QuerySpec, source: RowSource) -> Iterator[str]:
    needed = _needed(query)
    if query.select:
        needed.pop(query.base.name, None)  # a SELECT that fails says so itself
    tables = {query.base.name: query.base, **{join.name: join.table for join in query.joins}}
    told: set[TableRef] = set()
    for name, columns in needed.items():
        table = _table(source, tables[name])
        if table is None:
            if tables[name] not in told:
                yield f"the table “{tables[name].name}” is gone"
            told.add(tables[name])
            continue
        known = {column.name for column in table.columns}
        for column in columns:
            if column not in known:
                yield f"the column “{table.ref.name}.{column}” is gone"


def _needed(query: QuerySpec) -> dict[str, list[str]]:
    """Return the columns a query needs of each source's table, sources without columns included."""
    refs = [*query.columns, *(item.column for item in query.filters)]
    refs += [ref for ref in (query.time, query.sample.column if query.sample else None) if ref is not None]
    found: dict[str, dict[str, None]] = {query.base.name: {}}
    for join in query.joins:
        found[join.name] = dict.fromkeys(column for _, column in join.on)
        if join.time is not None:
            found[join.name][join.time] = None
        refs += [ref for ref, _ in join.on] + ([join.up_to] if join.up_to is not None else [])
    for ref in refs:
        if ref.source in found and ref.column not in (ColumnRef.EXISTS, ColumnRef.COUNT):
            found[ref.source][ref.column] = None
    return {name: list(columns) for name, columns in found.items()}


def _table(source: RowSource, ref: TableRef) -> TableInfo | None:
    try:
        return source.table(ref)
    except QueryError:
        return None


def _changed(recipe: Recipe, source: RowSource, query: QuerySpec) -> Iterator[str]:
    infos = dict(source.columns(query))
    wanted = set(query.columns)
    used = [field for field in recipe.fields if field.role is not FieldRole.IGNORE and field.column in wanted]
    for field in used:
        info = infos.get(field.column)
        if info is None:
            yield f"“{field.column}” is not offered any longer"
        elif (problem := _unfit(field, info)) is not None:
            yield problem


def _unfit(field: Field, info: ColumnInfo) -> str | None:
    kinds, words = _UNFIT.get(field.kind, (frozenset(), ""))
    if info.type not in kinds:
        return None
    return f"the column “{field.column}” is now {info.database_type or info.type}, and the recipe reads {words}"

"""Tables of a server as SQLAlchemy's inspector sees them: a handful of questions a schema, however many tables."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Inspector, ObjectKind

from crosslens.relational import ColumnInfo, ForeignKey, TableInfo, TableRef

from ..types import choices_of, sqlalchemy_type

Key = tuple[str | None, str]


def reflect_schema(inspector: Inspector, schema: str | None) -> tuple[TableInfo, ...]:
    """Return the tables and views of one schema by name; views that cannot be read come without columns."""
    views = set(_views(inspector, schema))
    names = (*inspector.get_table_names(schema), *sorted(views))
    with warnings.catch_warnings():
        # A type the dialect does not know is no warning to us: the column comes as OTHER, read as text.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        columns = inspector.get_multi_columns(schema, kind=ObjectKind.ANY)
        primary = _optional(inspector, "get_multi_pk_constraint", schema)
        foreign = _optional(inspector, "get_multi_foreign_keys", schema)
        unique = _optional(inspector, "get_multi_unique_constraints", schema)
        indexes = _optional(inspector, "get_multi_indexes", schema)
    return tuple(
        TableInfo(
            TableRef(name, schema),
            column_infos(columns.get((schema, name), ()), inspector.dialect),
            primary_key=tuple((primary.get((schema, name)) or {}).get("constrained_columns", ())),
            foreign_keys=tuple(_foreign_key(key) for key in foreign.get((schema, name), ())),
            unique_keys=_unique_keys(unique.get((schema, name), ()), indexes.get((schema, name), ())),
            is_view=name in views,
        )
        for name in sorted(set(names))
    )


def column_infos(columns: Iterable[Mapping[str, Any]], dialect: sa.Dialect) -> tuple[ColumnInfo, ...]:
    """Return reflected columns as ours."""
    return tuple(
        ColumnInfo(
            str(column["name"]),
            sqlalchemy_type(column["type"]),
            type_name(column["type"], dialect),
            bool(column.get("nullable", True)),
            choices_of(column["type"]),
        )
        for column in columns
    )


def type_name(kind: Any, dialect: sa.Dialect) -> str:
    """Return the database's word for a type; an empty string where SQLAlchemy has none."""
    if isinstance(kind, sa.types.NullType):
        return ""
    try:
        return str(kind.compile(dialect=dialect))
    except sa.exc.CompileError:
        return str(kind)


def _views(inspector: Inspector, schema: str | None) -> list[str]:
    views = list(inspector.get_view_names(schema))
    try:
        return [*views, *inspector.get_materialized_view_names(schema)]
    except NotImplementedError:
        return views


def _optional(inspector: Inspector, question: str, schema: str | None) -> Mapping[Key, Any]:
    try:
        found: Mapping[Key, Any] = getattr(inspector, question)(schema)
    except NotImplementedError:  # a dialect without keys; names and types still make proposals
        return {}
    return found


def _foreign_key(key: Mapping[str, Any]) -> ForeignKey:
    target = TableRef(key["referred_table"], key["referred_schema"])
    return ForeignKey(tuple(key["constrained_columns"]), target, tuple(key["referred_columns"]))


def _unique_keys(
    constraints: Sequence[Mapping[str, Any]], indexes: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, ...], ...]:
    keys = [tuple(constraint["column_names"]) for constraint in constraints]
    for index in indexes:
        names = index["column_names"]
        is_partial = any(str(option).endswith("_where") for option in index.get("dialect_options", {}))
        if index.get("unique") and not is_partial and None not in names:  # None: an expression
            keys.append(tuple(names))
    return tuple(sorted(set(keys)))

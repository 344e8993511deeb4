"""A recipe for a database nobody has described yet: joins, roles, label and split from what keys and columns say."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crosslens.errors import DataError, QueryError
from crosslens.models import Task
from crosslens.relational import ColumnType, ConnectionSpec, QuerySpec, TableInfo
from crosslens.schema import Field, FieldKind, FieldRole, FieldSchema

from .. import words
from ..commands import Finding, PrepareFields
from ..empty import no_rows
from ..recipe import ModelChoice, Recipe, SplitMethod, SplitSpec
from ..services import JobControl, Services
from .browse import prepare_fields, propose
from .next_item_data import sequence_columns

_TIMES = (ColumnType.TIMESTAMP, ColumnType.DATE)

NO_LABEL = "no-label"
"""The check that next-item models need not pass."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A recipe and what to look out for."""

    recipe: Recipe
    findings: tuple[Finding, ...]


def suggest_recipe(
    connection: ConnectionSpec,
    *,
    base: str,
    label: str,
    models: tuple[ModelChoice, ...],
    services: Services,
    control: JobControl,
    guesses: bool = False,
    moment: str = "",
) -> Suggestion:
    """Return a recipe for the rows of `base` (the largest table that refers to others when empty).

    `guesses` takes joins that only names suggest as well: files declare no keys. `moment` says when the prediction is
    made; what is known only later is then looked for.
    """
    with services.sources.open(connection) as source:
        tables = source.tables()
        table = _base(tables, base)
        query = with_time(propose(source, table.ref, control, guesses=guesses).query, table)
    prepared = prepare_fields(PrepareFields(connection, query, moment=moment), services, control)
    if not prepared.rows:
        raise no_rows(prepared.query)
    fields = with_label(prepared.fields, label) if label else prepared.fields
    query = ordered(prepared.query, fields)
    if (query, fields) != (prepared.query, prepared.fields):  # checks are about label and time, so they look again
        asked = PrepareFields(connection, query, fields=fields, moment=moment)
        prepared = prepare_fields(asked, services, control)
    of_items = all(services.host.model(choice.id).task is Task.NEXT_ITEM for choice in models)
    if not any(field.role.is_label for field in fields) and not of_items:
        raise DataError(
            "No column looks like a label.",
            why="A label says what happened to a row: clicked or not, bought or not.",
            do="Name one with --label, for example --label clicks.",
        )
    method = SplitMethod.TIME if prepared.query.time else SplitMethod.RANDOM
    recipe = Recipe(connection, prepared.query, fields, SplitSpec(method), models, title=table.ref.name, moment=moment)
    if of_items:
        sequence_columns(recipe)
        return Suggestion(recipe, tuple(each for each in prepared.findings if each.check != NO_LABEL))
    return Suggestion(recipe, prepared.findings)


def with_time(query: QuerySpec, table: TableInfo) -> QuerySpec:
    """Return the query with the base's first time column as its time, if it has one."""
    times = [ref for ref in query.columns if ref.source == table.ref.name and _is_time(table, ref.column)]
    return replace(query, time=times[0]) if times else query


def ordered(query: QuerySpec, fields: FieldSchema) -> QuerySpec:
    """Return the query with a time if it has none: the first column of the base whose values turned out to be times."""
    times = [
        field.column
        for field in fields.fields
        if field.kind is FieldKind.TIMESTAMP
        and field.column.source == query.base.name
        and not words.says(field.column.column, words.BIRTH)
    ]
    return replace(query, time=times[0]) if times and query.time is None else query


def with_label(fields: FieldSchema, wanted: str) -> FieldSchema:
    """Return the fields with `wanted` (a field name or a column as source.column) as the only click label."""
    matches = [field for field in fields if wanted in (field.name, str(field.column))]
    if not matches:
        names = ", ".join(field.name for field in fields)
        raise QueryError(f"There is no column {wanted!r} to be the label.", do=f"There are: {names}.")
    return FieldSchema(tuple(_labelled(field, matches[0]) for field in fields))


def _labelled(field: Field, wanted: Field) -> Field:
    if field is wanted:
        return replace(field, role=FieldRole.CLICK, reason="")
    return replace(field, role=FieldRole.IGNORE, reason="another label") if field.role is FieldRole.CLICK else field


def _base(tables: tuple[TableInfo, ...], wanted: str) -> TableInfo:
    if wanted:
        for table in tables:
            if table.ref.name == wanted:
                return table
        raise QueryError(
            f"There is no table {wanted!r}.", do=f"There are: {', '.join(table.ref.name for table in tables)}."
        )
    return max(tables, key=lambda table: (len(table.foreign_keys), table.rows or 0))


def _is_time(table: TableInfo, column: str) -> bool:
    info = table.column(column)
    return info.type in _TIMES or info.name.lower().endswith(("_at", "_time", "timestamp", "_date"))

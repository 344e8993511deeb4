"""Tables of MySQL and MariaDB from their information schema: a handful of questions, however many tables."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from crosslens.relational import ColumnInfo, ColumnType, ForeignKey, TableInfo, TableRef

SYSTEM_SCHEMAS = ("information_schema", "mysql", "performance_schema", "sys")
Key = tuple[str, str]

_TYPES = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"), ColumnType.INTEGER),
    "decimal": ColumnType.DECIMAL,
    **dict.fromkeys(("float", "double"), ColumnType.FLOAT),
    "date": ColumnType.DATE,
    **dict.fromkeys(("datetime", "timestamp"), ColumnType.TIMESTAMP),
    "json": ColumnType.JSON,
    **dict.fromkeys(
        (
            "char",
            "varchar",
            "tinytext",
            "text",
            "mediumtext",
            "longtext",
            "enum",
            "set",
            "time",
            "uuid",
            "inet4",
            "inet6",
        ),
        ColumnType.TEXT,
    ),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), ColumnType.BINARY),
}
_BOOLEANS = {"tinyint(1)", "bit(1)"}
_CHOICE = re.compile(r"'((?:[^']|'')*)'")
_JSON_CHECK = re.compile(r"json_valid\(`((?:[^`]|``)*)`\)", re.IGNORECASE)


def reflect_tables(connection: sa.Connection) -> tuple[TableInfo, ...]:
    """Return the tables and views of every schema the user sees, by schema and name; schemas are always named."""
    columns = _columns(connection, _json_columns(connection))
    primary, foreign = _keys(connection)
    unique = _unique_keys(connection)
    listed = _ask(connection, "tables", "table_schema", "table_name", "table_type")
    return tuple(
        TableInfo(
            TableRef(name, schema),
            tuple(columns.get((schema, name), ())),
            primary_key=tuple(primary.get((schema, name), ())),
            foreign_keys=tuple(foreign.get((schema, name), ())),
            unique_keys=tuple(sorted(unique.get((schema, name), ()))),
            is_view="VIEW" in kind.upper(),
        )
        for schema, name, kind in sorted(listed)
        if kind.upper() != "SEQUENCE"
    )


def mysql_type(word: str, written: str) -> ColumnType:
    """Return the logical type of a declared type: its word, and the whole of it as written."""
    if written.lower().split(" ")[0] in _BOOLEANS:
        return ColumnType.BOOLEAN
    return _TYPES.get(word.lower(), ColumnType.OTHER)


def _columns(connection: sa.Connection, json: set[tuple[str, str, str]]) -> Mapping[Key, list[ColumnInfo]]:
    rows = _ask(
        connection, "columns",
        "table_schema", "table_name", "column_name", "data_type", "column_type", "is_nullable",
        order="ordinal_position",
    )  # fmt: skip
    found: defaultdict[Key, list[ColumnInfo]] = defaultdict(list)
    for schema, table, name, word, written, nullable in rows:
        kind = ColumnType.JSON if (schema, table, name) in json else mysql_type(word, written)
        choices = _choices(written) if word.lower() == "enum" else ()
        found[schema, table].append(ColumnInfo(name, kind, written, nullable.upper() == "YES", choices))
    return found


def _choices(written: str) -> tuple[str, ...]:
    return tuple(choice.replace("''", "'") for choice in _CHOICE.findall(written))


def _keys(connection: sa.Connection) -> tuple[Mapping[Key, list[str]], Mapping[Key, list[ForeignKey]]]:
    rows = _ask(
        connection, "key_column_usage",
        "table_schema", "table_name", "constraint_name", "column_name",
        "referenced_table_schema", "referenced_table_name", "referenced_column_name",
        order="ordinal_position",
    )  # fmt: skip
    primary: defaultdict[Key, list[str]] = defaultdict(list)
    parts: defaultdict[tuple[str, str, str], list[tuple[str, TableRef, str]]] = defaultdict(list)
    for schema, table, constraint, column, other_schema, other, target in rows:
        if constraint == "PRIMARY":
            primary[schema, table].append(column)
        elif other is not None:
            parts[schema, table, constraint].append((column, TableRef(other, other_schema), target))
    foreign: defaultdict[Key, list[ForeignKey]] = defaultdict(list)
    for (schema, table, _), pairs in sorted(parts.items(), key=lambda item: item[0]):
        columns, targets = tuple(pair[0] for pair in pairs), tuple(pair[2] for pair in pairs)
        foreign[schema, table].append(ForeignKey(columns, pairs[0][1], targets))
    return primary, foreign


def _unique_keys(connection: sa.Connection) -> Mapping[Key, list[tuple[str, ...]]]:
    rows = _ask(
        connection, "statistics",
        "table_schema", "table_name", "index_name", "non_unique", "column_name",
        order="seq_in_index",
    )  # fmt: skip
    indexes: defaultdict[tuple[str, str, str], list[str | None]] = defaultdict(list)
    for schema, table, index, repeats, column in rows:
        if not int(repeats) and index != "PRIMARY":
            indexes[schema, table, index].append(column)
    found: defaultdict[Key, list[tuple[str, ...]]] = defaultdict(list)
    for (schema, table, _), columns in indexes.items():
        if None not in columns:  # None: an expression
            found[schema, table].append(tuple(str(column) for column in columns))
    return found


def _json_columns(connection: sa.Connection) -> set[tuple[str, str, str]]:
    """Return MariaDB's JSON columns: a long text with a check that it is JSON."""
    if not getattr(connection.dialect, "is_mariadb", False):
        return set()
    rows = _ask(
        connection, "check_constraints", "constraint_schema", "table_name", "check_clause", schema="constraint_schema"
    )
    return {(schema, table, name) for schema, table, clause in rows for name in _JSON_CHECK.findall(clause)}


def _ask(
    connection: sa.Connection, name: str, *columns: str, order: str = "", schema: str = "table_schema"
) -> Iterable[Any]:
    names = dict.fromkeys((*columns, schema, *((order,) if order else ())))
    table = sa.table(name, *map(sa.column, names), schema="information_schema")
    statement = sa.select(*(table.c[column] for column in columns)).where(table.c[schema].not_in(SYSTEM_SCHEMAS))
    rows = connection.execute(statement.order_by(table.c[order]) if order else statement)
    return [tuple(_text(value) for value in row) for row in rows]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value

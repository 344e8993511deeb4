"""The tables that are read: users, items and impressions with a click, made by arithmetic so that they are the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from crosslens import Field, FieldKind, FieldRole, FieldSchema
from crosslens.relational import ColumnRef, JoinSpec, QuerySpec, TableRef

USERS, ITEMS = 50_000, 20_000
SCHEMA = "crosslens_benchmark"
TABLES = {
    "users": "id INTEGER PRIMARY KEY, country TEXT, age INTEGER, segment TEXT",
    "items": "id INTEGER PRIMARY KEY, brand TEXT, category TEXT, price REAL",
    "impressions": "id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), "
    "item_id INTEGER REFERENCES items(id), device TEXT, position INTEGER, hour INTEGER, shown_at TEXT, clicked INTEGER",
}
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1) "
_HASHED = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1), "
_HASHED += "h(i, a, b) AS (SELECT i, i * 2654435761 % 4294967296, i * 40503 % 1000003 FROM n) "
_ROWS = {
    "users": (_NUMBERS, "i, 'country ' || (i % 40), 18 + i * 7919 % 62, 'segment ' || (i % 7) FROM n"),
    "items": (_NUMBERS, "i, 'brand ' || (i % 300), 'category ' || (i % 25), (i * 7919 % 100000) / 100.0 FROM n"),
    "impressions": (
        _HASHED,
        "i, a % 50000, (b % 1000) * (b % 1000) / 50, CASE a % 4 WHEN 0 THEN 'phone' WHEN 1 THEN 'tablet' "
        "WHEN 2 THEN 'desktop' ELSE 'tv' END, 1 + b % 10, a % 24, "
        "datetime(1767225600 + i % 40320 * 60, 'unixepoch'), (a + b) % 10 = 0 FROM h",
    ),
}
_COLUMNS = (
    ("impressions", "id", FieldKind.CATEGORICAL, FieldRole.IGNORE),
    ("impressions", "user_id", FieldKind.CATEGORICAL, FieldRole.USER),
    ("impressions", "item_id", FieldKind.CATEGORICAL, FieldRole.ITEM),
    ("impressions", "device", FieldKind.CATEGORICAL, FieldRole.FEATURE),
    ("impressions", "position", FieldKind.CATEGORICAL, FieldRole.FEATURE),
    ("impressions", "hour", FieldKind.CATEGORICAL, FieldRole.FEATURE),
    ("impressions", "shown_at", FieldKind.CATEGORICAL, FieldRole.FEATURE),
    ("impressions", "clicked", FieldKind.CATEGORICAL, FieldRole.CLICK),
    ("users", "country", FieldKind.CATEGORICAL, FieldRole.FEATURE),
    ("users", "age", FieldKind.NUMERICAL, FieldRole.FEATURE),
    ("items", "brand", FieldKind.CATEGORICAL, FieldRole.FEATURE),
    ("items", "price", FieldKind.NUMERICAL, FieldRole.FEATURE),
)
FIELDS = FieldSchema(
    tuple(Field(ColumnRef(source, name), f"{source}.{name}", kind, role) for source, name, kind, role in _COLUMNS)
)


def make_sqlite(path: Path, rows: int) -> Path:
    """Write the database unless it is there."""
    if path.exists():
        return path
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        for (table, columns), count in zip(TABLES.items(), (USERS, ITEMS, rows), strict=True):
            head, body = _ROWS[table]
            connection.execute(f"CREATE TABLE {table}({columns})")
            connection.execute(f"{head}INSERT INTO {table} SELECT {body}", [count])
        connection.commit()
    partial.replace(path)
    return path


def copy_to_postgresql(path: Path, url: str) -> None:
    """Copy the database at `path` into a schema of its own, made anew."""
    import psycopg

    with closing(sqlite3.connect(path)) as source, psycopg.connect(url) as target, target.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        cursor.execute(f"SET search_path TO {SCHEMA}")
        for table, columns in TABLES.items():
            cursor.execute(f"CREATE TABLE {table}({columns.replace(' REAL', ' DOUBLE PRECISION')})")
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in source.execute(f"SELECT * FROM {table}"):  # noqa: S608 - constants of this file
                    copy.write_row(row)
        cursor.execute(f"ANALYZE {SCHEMA}.impressions")


def drop_from_postgresql(url: str) -> None:
    """Remove the copy."""
    import psycopg

    with psycopg.connect(url) as target:
        target.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def joined(schema: str | None) -> QuerySpec:
    """Return twelve columns of three tables."""
    base = "impressions"
    joins = tuple(
        JoinSpec(table, TableRef(table, schema), ((ColumnRef(base, key), "id"),))
        for table, key in (("users", "user_id"), ("items", "item_id"))
    )
    return QuerySpec(TableRef(base, schema), tuple(field.column for field in FIELDS), joins)


def joined_sql(schema: str | None) -> str:
    """Return the same as a person would write it."""
    prefix = f"{schema}." if schema else ""
    names = {"impressions": "i", "users": "u", "items": "t"}
    columns = ", ".join(
        f"{names[field.column.source]}.{field.column.column} AS c{number}" for number, field in enumerate(FIELDS)
    )
    return (
        f"SELECT {columns} FROM {prefix}impressions i LEFT JOIN {prefix}users u ON u.id = i.user_id "  # noqa: S608
        f"LEFT JOIN {prefix}items t ON t.id = i.item_id"
    )

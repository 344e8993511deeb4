"""Whether tables of PostgreSQL hold what they held before, told by the versions of their rows.

Every insert and update writes a new version of a row, with the number of its transaction (`xmin`) at a place of its own
(`ctid`); a delete takes one away. Two states of a table with the same versions are the same state, for no transaction
writes after it has ended. So a sum of hashes over places and numbers stays while nothing in these tables changes,
whatever happens elsewhere on the server. It costs a walk through the table without looking at its columns, about a
tenth of reading it. Statistics (`pg_stat`, n_tup_upd) would cost nothing, but arrive seconds late: a changed table
would look unchanged.

Nothing is said (None) of what this does not hold for: views, partitions, foreign tables, other ways of storing rows,
row-level security, servers before 14. Two servers that parted from each other may number their transactions alike, so
the timeline belongs to the state; so do the columns (one may be dropped and another of its name added without touching
a row) and the names of enum values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crosslens.relational import TableInfo

MOST_ROWS = 50_000_000
"""Tables that together have more rows are not walked through; then the whole server's state counts."""
_FIRST_VERSION = (14,)
_HEAP = 2
_CONTROL = ("pg_control_system()", "pg_control_checkpoint()")


def tables_state(
    connection: sa.Connection, tables: Sequence[TableInfo], default_schema: str | None
) -> Mapping[str, str | int] | None:
    """Return facts that change when these tables change; None where they cannot be had."""
    version = connection.dialect.server_version_info or ()
    if version < _FIRST_VERSION or any(table.is_view for table in tables):
        return None
    counted = [table.rows for table in tables]
    if None in counted or sum(rows or 0 for rows in counted) > MOST_ROWS or not _may_look(connection):
        return None
    found = [_table_state(connection, table, default_schema) for table in tables]
    known = [state for state in found if state is not None]
    if len(known) < len(found):
        return None
    return {**_server(connection), "tables": "; ".join(sorted(set(known)))}


def _may_look(connection: sa.Connection) -> bool:
    rights = [sa.func.has_function_privilege(name, "EXECUTE") for name in _CONTROL]
    return all(connection.execute(sa.select(*rights)).one())


def _server(connection: sa.Connection) -> dict[str, str | int]:
    system = sa.func.pg_control_system().table_valued("system_identifier").alias("system")
    checkpoint = sa.func.pg_control_checkpoint().table_valued("timeline_id").alias("checkpoint")
    enums = _catalogue("pg_enum", "enumtypid", "xmin")
    labels = sa.select(_sum(sa.func.hashint8extended(_number(enums.c.xmin), 0))).scalar_subquery()
    statement = sa.select(
        sa.cast(system.c.system_identifier, sa.Text),
        checkpoint.c.timeline_id,
        sa.cast(labels, sa.Text),
        sa.func.current_database(),
        sa.func.version(),
    ).select_from(system.join(checkpoint, sa.true()))
    names = ("system", "timeline", "enums", "database", "version")
    return dict(zip(names, connection.execute(statement).one(), strict=True))


def _table_state(connection: sa.Connection, table: TableInfo, default_schema: str | None) -> str | None:
    oid = _plain_table(connection, table.ref.schema or default_schema or "", table.ref.name)
    if oid is None:
        return None
    attributes = _catalogue("pg_attribute", "attrelid", "attnum", "xmin")
    columns = sa.select(_sum(sa.func.hashint8extended(_number(attributes.c.xmin), attributes.c.attnum))).where(
        attributes.c.attrelid == oid, attributes.c.attnum > 0
    )
    schema = None if table.ref.schema is None else sa.sql.quoted_name(table.ref.schema, True)
    rows = sa.table(sa.sql.quoted_name(table.ref.name, True), sa.column("ctid"), sa.column("xmin"), schema=schema)
    versions = _sum(sa.func.hashtidextended(rows.c.ctid, _number(rows.c.xmin)))
    count, total = connection.execute(sa.select(sa.func.count(), sa.cast(versions, sa.Text)).select_from(rows)).one()
    shape = connection.execute(sa.select(sa.cast(columns.scalar_subquery(), sa.Text))).scalar_one()
    return f"{oid} {shape} {count} {total}"


def _plain_table(connection: sa.Connection, schema: str, name: str) -> int | None:
    """Return the oid of a table whose rows are all in it, and all seen."""
    kept = ("oid", "relname", "relnamespace", "relkind", "relam", "relrowsecurity", "relhassubclass")
    classes, spaces = _catalogue("pg_class", *kept), _catalogue("pg_namespace", "oid", "nspname")
    statement = sa.select(classes.c.oid).where(
        classes.c.relnamespace == spaces.c.oid,
        spaces.c.nspname == schema,
        classes.c.relname == name,
        classes.c.relkind.in_(("r", "m")),
        classes.c.relam == _HEAP,
        ~classes.c.relrowsecurity,
        ~classes.c.relhassubclass,
        sa.func.has_table_privilege(classes.c.oid, "SELECT"),  # some columns alone would not do
    )
    found = connection.execute(statement).scalar()
    return None if found is None else int(found)


def _catalogue(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *map(sa.column, columns), schema="pg_catalog")


def _number(transaction: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.cast(sa.cast(transaction, sa.Text), sa.BigInteger)


def _sum(hashes: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(sa.func.sum(hashes), 0)

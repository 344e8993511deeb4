"""The synthetic shop, written to a server as its owner would have it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pyarrow as pa

from core.sample import generate_shop
from crosslens.relational import ColumnInfo, ColumnType, TableInfo

from .conftest import Server, connect

_POSTGRESQL = {ColumnType.INTEGER: "bigint", ColumnType.FLOAT: "double precision", ColumnType.TIMESTAMP: "timestamp"}
_MARIADB = {ColumnType.INTEGER: "bigint", ColumnType.FLOAT: "double", ColumnType.TIMESTAMP: "datetime"}


def write_shop(server: Server, rows: int) -> None:
    shop = generate_shop(rows=rows, seed=3, preset="default")
    for info in shop.infos:
        write_table(server, info, shop.tables[info.ref.name])


def write_table(server: Server, info: TableInfo, table: pa.Table) -> None:
    parts = [f"{server.quoted(column.name)} {_type(server, column)}" for column in info.columns]
    parts.append(f"PRIMARY KEY ({', '.join(map(server.quoted, info.primary_key))})")
    for key in info.foreign_keys:
        target = server.quoted(key.target.name)
        columns, others = (", ".join(map(server.quoted, names)) for names in (key.columns, key.target_columns))
        parts.append(f"FOREIGN KEY ({columns}) REFERENCES {target} ({others})")
    name = server.quoted(info.ref.name)
    server.run(f"CREATE TABLE {name} ({', '.join(parts)})")
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    with closing(connect(server.owner)) as connection, connection.cursor() as cursor:
        _insert(server, cursor, name, rows)


def _insert(server: Server, cursor: Any, name: str, rows: list[tuple[Any, ...]]) -> None:
    if server.is_postgresql:
        with cursor.copy(f"COPY {name} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        cursor.execute("SET foreign_key_checks = 0")
        marks = ", ".join(["%s"] * len(rows[0]))
        cursor.executemany(f"INSERT INTO {name.replace('%', '%%')} VALUES ({marks})", rows)


def _type(server: Server, column: ColumnInfo) -> str:
    kinds = _POSTGRESQL if server.is_postgresql else _MARIADB
    return kinds.get(column.type, "varchar(190)")

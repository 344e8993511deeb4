"""Small databases as files, and short ways to read them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from crosslens.relational import ColumnRef, ConnectionSpec, JoinKind, JoinSpec, QuerySpec, Snapshot, TableRef
from db.sources import SqlSource, SqlSources

ODD_NAMES = (
    'a"b', "a'b", "a`b", "select", "Größe", "имя", "x; drop", "%s", "%(x)s", ":name",
    "trailing ", "MiXed", "a.b", "[a]",
    "order by", "?", "a\\b", "c0", "k0", "rowid", "*exists", "x" * 63,
)  # fmt: skip

SHOP = """
CREATE TABLE users(id INTEGER PRIMARY KEY, age INTEGER, city TEXT);
CREATE TABLE brands(id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE items(id INTEGER PRIMARY KEY, brand_id INTEGER REFERENCES brands(id), price REAL);
CREATE TABLE impressions(
  id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), item_id INTEGER REFERENCES items(id), shown_at TIMESTAMP
);
CREATE TABLE clicks(id INTEGER PRIMARY KEY, impression_id INTEGER REFERENCES impressions(id));
CREATE TABLE conversions(id INTEGER PRIMARY KEY, click_id INTEGER REFERENCES clicks(id));
INSERT INTO users VALUES (1, 30, 'Bonn'), (2, NULL, 'Ulm');
INSERT INTO brands VALUES (1, 'Acme');
INSERT INTO items VALUES (1, 1, 9.5), (2, NULL, 20);
INSERT INTO impressions VALUES
  (1, 1, 1, '2024-01-03 10:00:00'), (2, 1, 2, '2024-01-01 10:00:00'), (3, 2, 1, '2024-01-02 10:00:00'),
  (4, 9, NULL, NULL);
INSERT INTO clicks VALUES (10, 1), (11, 1), (12, 3);
INSERT INTO conversions VALUES (100, 12), (101, 12);
"""


def make_database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


@contextmanager
def opened(path: Path) -> Iterator[SqlSource]:
    with SqlSources().open(ConnectionSpec("sqlite", str(path))) as source:
        yield source


def ref(source: str, column: str = ColumnRef.EXISTS) -> ColumnRef:
    return ColumnRef(source, column)


def query(base: str, *columns: tuple[str, str] | tuple[str], **rest: object) -> QuerySpec:
    return QuerySpec(TableRef(base), tuple(ref(*column) for column in columns), **rest)  # type: ignore[arg-type]


def lookup(name: str, table: str, *on: tuple[ColumnRef, str]) -> JoinSpec:
    return JoinSpec(name, TableRef(table), on)


def exists(name: str, table: str, *on: tuple[ColumnRef, str]) -> JoinSpec:
    return JoinSpec(name, TableRef(table), on, JoinKind.EXISTS)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def table_of(snapshot: Snapshot) -> pa.Table:
    with pa.memory_map(str(snapshot.path)) as file:
        return pa.ipc.open_file(file).read_all()


def rows_of(snapshot: Snapshot) -> list[tuple[object, ...]]:
    columns = [column.to_pylist() for column in table_of(snapshot).columns]
    return list(zip(*columns, strict=True))

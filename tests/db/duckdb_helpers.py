"""Small DuckDB files, and a session on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from crosslens.relational import ConnectionSpec
from db.sources import SqlSource, SqlSources


def make_duckdb(path: Path, script: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute(script)
    return path


@contextmanager
def opened_duckdb(path: Path) -> Iterator[SqlSource]:
    with SqlSources().open(ConnectionSpec("duckdb", str(path))) as source:
        yield source

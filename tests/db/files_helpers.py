"""Files as databases: write one, look at its columns, read its rows through a snapshot."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crosslens.relational import ColumnRef, ConnectionSpec, QuerySpec, TableRef
from db.sources import SqlSource, SqlSources

from .helpers import rows_of


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


@contextmanager
def opened_files(path: Path, **options: str) -> Iterator[SqlSource]:
    with SqlSources().open(ConnectionSpec("files", str(path), options=options)) as source:
        yield source


def columns_of(path: Path, **options: str) -> dict[str, str]:
    with opened_files(path, **options) as source:
        return {column.name: column.database_type for column in source.tables()[0].columns}


def rows_in(path: Path, *, table: TableRef | None = None, **options: str) -> list[tuple[Any, ...]]:
    """Every row of a file, the way it reaches a model."""
    with opened_files(path, **options) as source, TemporaryDirectory() as folder:
        info = source.table(table or source.tables()[0].ref)
        columns = tuple(ColumnRef(info.ref.name, column.name) for column in info.columns)
        return rows_of(source.extract(QuerySpec(info.ref, columns), Path(folder)))

"""A text file of the same rows: Crosslens beside pandas.read_csv, and pages of it. Run through `data_parts`."""

from __future__ import annotations

import csv
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from crosslens import FieldSchema
from crosslens.relational import ColumnRef, ConnectionSpec, QuerySpec, TableRef

from .data_tables import FIELDS, joined_sql


def make_csv(database: Path) -> Path:
    """Write the joined rows of a database of `make_sqlite` beside it, unless they are there."""
    path = database.with_suffix(".csv")
    if path.exists():
        return path
    partial = path.with_suffix(".partial")
    with closing(sqlite3.connect(database)) as connection, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(field.column.column for field in FIELDS)
        writer.writerows(connection.execute(joined_sql(None)))
    partial.replace(path)
    return path


def pandas_csv(*, path: str, **_: Any) -> dict[str, float]:
    """Read all rows with pandas and number the values of every column."""
    import pandas

    started = time.perf_counter()
    frame = pandas.read_csv(path)
    read = time.perf_counter()
    codes = [frame[name].factorize() for name in frame.columns]
    done = time.perf_counter()
    assert len(codes) == len(FIELDS)
    return {"rows": len(frame), "seconds": done - started, "read": read - started, "encode": done - read}


def crosslens_csv_extract(*, path: str, folder: str, **_: Any) -> dict[str, float]:
    """Open the file, find its types, and write the snapshot."""
    from db.sources import SqlSources

    started = time.perf_counter()
    with SqlSources().open(_connection(path)) as source:
        opened = time.perf_counter()
        snapshot = source.extract(_query(path), Path(folder))
    done = time.perf_counter()
    return {"rows": snapshot.rows, "seconds": done - started, "read": done - opened}


def crosslens_csv_prepare(*, path: str, folder: str, **_: Any) -> dict[str, float]:
    """Read, split, learn vocabularies and encode, as a training job does."""
    from core.jobs.data import prepare_data
    from core.recipe import Recipe
    from core.services import JobControl
    from main import services

    rooms, name = services(), Path(path).stem
    fields = FieldSchema(tuple(replace(field, column=ColumnRef(name, field.column.column)) for field in FIELDS))
    with closing(rooms.projects.open(Path(folder), create=True)) as project:
        started = time.perf_counter()
        data = prepare_data(Recipe(_connection(path), _query(path), fields), project, rooms, JobControl())
        seconds = time.perf_counter() - started
    return {
        "rows": data.snapshot.rows,
        "seconds": seconds,
        **{name: data.seconds[name] for name in ("extract", "encode")},
    }


def crosslens_csv_pages(*, path: str, **_: Any) -> dict[str, float]:
    """Open, show the first page, count, and jump to the middle."""
    from db.sources import SqlSources

    table = TableRef(Path(path).stem)
    started = time.perf_counter()
    with SqlSources().open(_connection(path)) as source:
        first = source.page(table)
        shown = time.perf_counter()
        source.count(QuerySpec(table, ()))
        counted = time.perf_counter()
        middle = source.page(table, near=0.5)
        done = time.perf_counter()
    assert len(first.rows) == len(middle.rows) == 200
    return {"first": shown - started, "count": counted - shown, "middle": done - counted}


def _connection(path: str) -> ConnectionSpec:
    return ConnectionSpec("files", path)


def _query(path: str) -> QuerySpec:
    name = Path(path).stem
    return QuerySpec(TableRef(name), tuple(ColumnRef(name, field.column.column) for field in FIELDS))


PARTS = {
    function.__name__: function
    for function in (pandas_csv, crosslens_csv_extract, crosslens_csv_prepare, crosslens_csv_pages)
}

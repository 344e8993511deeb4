"""One measurement in a process of its own, `python -m benchmarks.data_parts`: arguments on stdin, figures on stdout.

Both are JSON; a URL holds a password, which has no place among the arguments of a process.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from .data_tables import FIELDS, joined, joined_sql


def pandas_factorize(*, url: str, schema: str | None, **_: Any) -> dict[str, float]:
    """Read all rows with pandas and number the values of every column."""
    import pandas
    import sqlalchemy

    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    started = time.perf_counter()
    frame = pandas.read_sql(joined_sql(schema), engine)
    read = time.perf_counter()
    codes = [frame[name].factorize() for name in frame.columns]
    done = time.perf_counter()
    assert len(codes) == len(FIELDS)
    return {"rows": len(frame), "seconds": done - started, "read": read - started, "encode": done - read}


def crosslens_prepare(*, url: str, schema: str | None, folder: str, **_: Any) -> dict[str, float]:
    """Read, split, learn vocabularies and encode, as a training job does: snapshot and arrays lie in a project."""
    from core.jobs.data import prepare_data
    from core.recipe import Recipe
    from core.services import JobControl
    from main import services

    rooms = services()
    recipe = Recipe(_connection(url), joined(schema), FIELDS)
    with closing(rooms.projects.open(Path(folder), create=True)) as project:
        started = time.perf_counter()
        data = prepare_data(recipe, project, rooms, JobControl())
        seconds = time.perf_counter() - started
    return {
        "rows": data.snapshot.rows,
        "seconds": seconds,
        "read": data.seconds["extract"],
        "encode": data.seconds["encode"],
    }


def crosslens_extract(*, url: str, schema: str | None, folder: str, **_: Any) -> dict[str, float]:
    """Only read."""
    from db.sources import SqlSources

    started = time.perf_counter()
    with SqlSources().open(_connection(url)) as source:
        snapshot = source.extract(joined(schema), Path(folder))
    return {"rows": snapshot.rows, "seconds": time.perf_counter() - started}


def crosslens_pages(*, url: str, schema: str | None, **_: Any) -> dict[str, float]:
    """Open, show the first page, and jump to the middle."""
    from crosslens.relational import TableRef
    from db.sources import SqlSources

    table = TableRef("impressions", schema)
    started = time.perf_counter()
    with SqlSources().open(_connection(url)) as source:
        first = source.page(table)
        shown = time.perf_counter()
        middle = source.page(table, near=0.5)
        done = time.perf_counter()
    assert len(first.rows) == len(middle.rows) == 200
    return {"first": shown - started, "middle": done - shown, "at": float(middle.rows[0][0])}


def crosslens_cancel(*, url: str, schema: str | None, folder: str, **_: Any) -> dict[str, float]:
    """Stop an extraction when it has read some rows; how long until it has ended, and what is left of it."""
    from crosslens.errors import Stopped
    from db.sources import SqlSources

    stop, pressed = threading.Event(), []

    def press() -> None:
        pressed.append(time.perf_counter())
        stop.set()

    timer = threading.Timer(0.3, press)

    def begin(rows: int, total: int, seconds: float, size: int) -> None:
        if not timer.is_alive() and not pressed:
            timer.start()

    try:
        with SqlSources().open(_connection(url)) as source:
            source.extract(joined(schema), Path(folder), progress=begin, should_stop=stop.is_set)
    except Stopped:
        ended = time.perf_counter()
        return {"latency": ended - pressed[0], "left": float(len(list(Path(folder).iterdir())))}
    raise SystemExit("the extraction ended before it could be stopped: give more rows")


def _connection(url: str) -> Any:
    from core.connections import connection_from_text

    return connection_from_text(url)


PARTS: dict[str, Callable[..., dict[str, float]]] = {
    function.__name__: function
    for function in (pandas_factorize, crosslens_prepare, crosslens_extract, crosslens_pages, crosslens_cancel)
}


class _WithoutPandas(MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


if __name__ == "__main__":
    wanted = json.loads(sys.stdin.readline())
    part = wanted.pop("part")
    if part != pandas_factorize.__name__:
        # Crosslens does not depend on pandas; but pyarrow imports it for every list it is given, where it is installed.
        sys.meta_path.insert(0, _WithoutPandas())
        importlib.import_module("main")  # first, as when the program is started: it chooses how Arrow takes memory
    figures = PARTS[part](**wanted)
    print(json.dumps({**figures, "processor": sum(os.times()[:4])}))

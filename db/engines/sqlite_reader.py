"""A process of its own that reads ranges of one SELECT with ADBC's SQLite driver: `python -P sqlite_reader.py`.

Why a process: see docs/decisions/0007. It imports nothing of Crosslens, and of others only what it needs to read.

stdin, a JSON document a line:
    {"uri", "sql", "parameters", "types", "threads", "rows", "checked"}     types: bool, int64, double or string
    [first, last]                                                           row numbers of a range, as often as wanted
stdout, one Arrow IPC stream: an empty batch once every connection has begun its transaction; for each range, in the
order asked for, the batches of its rows and then an empty batch with the metadata "end" (empty, or why the rest of the
range was not read: a value did not fit its type exactly). `checked` says that the last column marks wrong types.

When standard input is closed, nobody listens any more, and the process ends at once.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from queue import Queue
from typing import Any

import adbc_driver_sqlite
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager import AdbcConnection, AdbcDatabase, AdbcStatement

_CACHE_KIB = 4_096
_AHEAD = 2
"""So many batches of one range wait to be written; more would only take memory."""
_EXACT = 2.0**53
_TYPES = {"bool": pa.bool_(), "int64": pa.int64(), "double": pa.float64(), "string": pa.string()}


class Misfit(Exception):
    """A value is not exactly of the type wanted; another path has to read it."""


class Connection:
    """One connection inside one transaction."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._types = [_TYPES[name] for name in job["types"]]
        database = AdbcDatabase(driver=adbc_driver_sqlite._driver_path(), uri=job["uri"])
        self._connection = AdbcConnection(database)
        self._run("PRAGMA query_only=1").read_all()
        self._run(f"PRAGMA cache_size=-{_CACHE_KIB}").read_all()
        self._connection.set_autocommit(False)
        self._run("SELECT count(*) FROM sqlite_schema").read_all()  # the first read: from here on one state is seen

    def batches(self, first: int, last: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a range; Misfit when they cannot be held as wanted."""
        try:
            for batch in self._run(self._job["sql"], {**self._job["parameters"], "first": first, "last": last}):
                if batch.num_rows:
                    yield self._fitted(batch)
        except OSError as error:
            if "Type mismatch" in str(error):
                raise Misfit(str(error)) from error
            raise

    def _run(self, sql: str, parameters: dict[str, Any] | None = None) -> pa.RecordBatchReader:
        statement = AdbcStatement(self._connection)
        # The driver takes the types from its first batch.
        statement.set_options(**{"adbc.sqlite.query.batch_rows": str(self._job["rows"])})
        statement.set_sql_query(sql)
        if parameters:  # to bind none would crash the driver
            statement.prepare()
            names = pa.schema(statement.get_parameter_schema()).names
            statement.bind(pa.record_batch([pa.array([parameters[name[1:]]]) for name in names], names=names))
        stream, _ = statement.execute_query()
        return pa.RecordBatchReader.from_stream(stream)

    def _fitted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = batch.columns
        if self._job["checked"] and pc.max(columns.pop()).as_py():
            raise Misfit("numbers among text")
        arrays = [_fit(column, wanted) for column, wanted in zip(columns, self._types, strict=True)]
        return pa.record_batch(arrays, names=[str(number) for number in range(len(arrays))])


def _fit(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Return the array as `wanted` where that loses nothing and hides nothing; Misfit otherwise."""
    if array.null_count == len(array):
        return pa.nulls(len(array), wanted)
    if array.type == pa.string() == wanted:
        return _valid_text(array)
    if array.type == pa.int64() and wanted in (pa.bool_(), pa.int64(), pa.float64()):
        limit = {pa.bool_(): 1.0, pa.int64(): 2.0**64, pa.float64(): _EXACT - 1}[wanted]
        lowest = 0 if wanted == pa.bool_() else -limit
        _check_limits(array, lowest, limit)
        return array if array.type == wanted else array.cast(wanted)
    if array.type == pa.float64() == wanted:
        _check_limits(array, 1 - _EXACT, _EXACT - 1)  # beyond, it may have been an integer that was rounded
        return array
    raise Misfit(f"{array.type} where {wanted} was expected")


def _valid_text(array: pa.Array) -> pa.Array:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise Misfit(str(error)) from error
    return array


def _check_limits(array: pa.Array, low: float, high: float) -> None:
    limits = pc.min_max(array)
    if limits["min"].as_py() < low or limits["max"].as_py() > high:
        raise Misfit(f"a value is not between {low:g} and {high:g}")


class Answer:
    """What comes of one range: batches as they are read, then how it ended."""

    def __init__(self, first: int, last: int) -> None:
        self._range = first, last
        self._parts: Queue[pa.RecordBatch | str | BaseException] = Queue(_AHEAD)

    def fill(self, connection: Connection) -> None:
        """Read the range."""
        try:
            for batch in connection.batches(*self._range):
                self._parts.put(batch)
            self._parts.put("")
        except Misfit as misfit:
            self._parts.put(str(misfit))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for the answer
            self._parts.put(error)

    def parts(self) -> Iterator[pa.RecordBatch | str]:
        """Yield the batches and at last why reading ended; raise what went wrong."""
        while True:
            part = self._parts.get()
            if isinstance(part, BaseException):
                raise part
            yield part
            if isinstance(part, str):
                return


class _WithoutPandas(MetaPathFinder):
    """Where pandas is installed, pyarrow imports it to look at the first list it is given, and doubles this process."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def main() -> None:
    """Read ranges until nobody asks any more."""
    sys.meta_path.insert(0, _WithoutPandas())
    job = json.loads(sys.stdin.readline())
    inboxes: list[Queue[Answer]] = []
    for connection in [Connection(job) for _ in range(job["threads"])]:
        inboxes.append(Queue())
        threading.Thread(target=_work, args=(connection, inboxes[-1]), daemon=True).start()
    answers: Queue[Answer] = Queue()
    threading.Thread(target=_write, args=(job["types"], answers), daemon=True).start()
    for number, line in enumerate(sys.stdin):
        first, last = json.loads(line)
        answer = Answer(first, last)
        answers.put(answer)
        inboxes[number % len(inboxes)].put(answer)
    os._exit(0)  # in the middle of whatever the threads are at


def _work(connection: Connection, inbox: Queue[Answer]) -> None:
    while True:
        inbox.get().fill(connection)


def _write(types: list[str], answers: Queue[Answer]) -> None:
    schema = pa.schema([(str(number), _TYPES[name]) for number, name in enumerate(types)])
    empty = pa.record_batch([pa.nulls(0, field.type) for field in schema], schema=schema)
    try:
        with pa.ipc.new_stream(sys.stdout.buffer, schema) as writer:
            writer.write_batch(empty)
            sys.stdout.buffer.flush()
            while True:
                for part in answers.get().parts():
                    if isinstance(part, str):
                        writer.write_batch(empty, custom_metadata={"end": part})
                        sys.stdout.buffer.flush()
                    else:
                        writer.write_batch(part)
    except BaseException as error:  # noqa: BLE001 - the last thing this process says
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()

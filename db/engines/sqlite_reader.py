"""A process of its own that reads ranges of one SELECT with ADBC's SQLite driver: `python -P sqlite_reader.py`.

Why a process: see docs/decisions/0007. It imports nothing of Crosslens, and of others only what it needs to read.

stdin, a JSON document a line:
    {"uri", "sql", "parameters", "types", "threads", "rows", "checked", "lean"}   types: bool, int64, double or string
    [first, last]                                                           row numbers of a range, as often as wanted
stdout, one Arrow IPC stream: an empty batch once every connection has begun its transaction; for each range, in the
order asked for, the batches of its rows and then an empty batch with the metadata "end" (empty, or why the rest of the
range was not read: a value did not fit its type exactly). `checked` says that the last column marks wrong types.
`lean`, where it is not null, is {"sql", "parameters", "types", "checked", "lookups", "places"}: a statement whose
columns and those of tables looked up in memory make the same rows; see `sqlite_lookups.py`.

When standard input is closed, nobody listens any more, and the process ends at once.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from array import array
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from queue import Queue
from typing import Any


class _WithoutExtras(MetaPathFinder):
    """Where these are installed, pyarrow imports them, though nothing here asks for them: half the time to start."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in ("numpy", "pandas", "cloudpickle"):
            raise ModuleNotFoundError(name)


if __name__ == "__main__":
    sys.meta_path.insert(0, _WithoutExtras())
    # Arrow's own allocator keeps twenty megabytes more, and is no faster here.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

import adbc_driver_sqlite  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
from adbc_driver_manager import AdbcConnection, AdbcDatabase, AdbcStatement  # noqa: E402

_CACHE_KIB = 4_096
_AHEAD = 2
"""So many batches of one range wait to be written; more would only take memory."""
_EXACT = 2.0**53
_MOST_LOOKED_UP = 1 << 24
"""So many bytes of all tables that are looked up are kept; where they have more, SQLite joins them."""
_TYPES = {"bool": pa.bool_(), "int64": pa.int64(), "double": pa.float64(), "string": pa.string()}


class Misfit(Exception):
    """A value is not exactly of the type wanted; another path has to read it."""


class Connection:
    """One connection inside one transaction."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._lookups: list[Lookup] | None = None
        database = AdbcDatabase(driver=adbc_driver_sqlite._driver_path(), uri=job["uri"])
        self._connection = AdbcConnection(database)
        self._run("PRAGMA query_only=1").read_all()
        self._run(f"PRAGMA cache_size=-{_CACHE_KIB}").read_all()
        self._connection.set_autocommit(False)
        self._run("SELECT count(*) FROM sqlite_schema").read_all()  # the first read: from here on one state is seen

    def lookups(self) -> list[Lookup] | None:
        """Return the tables to look up; None where there are none, or they are too large or not of their types."""
        if self._job.get("lean") is None:
            return None
        left = _MOST_LOOKED_UP
        found = []
        try:
            for about in self._job["lean"]["lookups"]:
                batches = []
                for batch in self._read(about["sql"], {}):
                    left -= batch.nbytes
                    if left < 0:
                        return None
                    batches.append(batch)
                found.append(Lookup(about, batches))
        except Misfit:
            return None
        return found

    def look_up(self, lookups: list[Lookup] | None) -> None:
        """Take what another connection has found in `lookups`."""
        self._lookups = lookups

    def batches(self, first: int, last: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a range; Misfit when they cannot be held as wanted."""
        given = False
        if self._lookups is not None:
            try:
                for batch in self._lean(self._lookups, first, last):
                    yield batch
                    given = True
                return
            except Misfit:
                if given:
                    raise
        for arrays in self._arrays(self._job, first, last):
            yield _batch(arrays)

    def _lean(self, lookups: list[Lookup], first: int, last: int) -> Iterator[pa.RecordBatch]:
        job = self._job["lean"]
        for arrays in self._arrays(job, first, last):
            sources = [arrays, *(table.found(arrays[table.key]) for table in lookups)]
            yield _batch([sources[source][place] for source, place in job["places"]])

    def _arrays(self, job: dict[str, Any], first: int, last: int) -> Iterator[list[pa.Array]]:
        for batch in self._read(job["sql"], {**job["parameters"], "first": first, "last": last}):
            columns = batch.columns
            if job["checked"] and pc.max(columns.pop()).as_py():
                raise Misfit("numbers among text")
            yield [_fit(column, _TYPES[wanted]) for column, wanted in zip(columns, job["types"], strict=True)]

    def _read(self, sql: str, parameters: dict[str, Any]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._run(sql, parameters):
                if batch.num_rows:
                    yield batch
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


class Lookup:
    """A table in memory, whose row numbers lie close together. Misfit when its columns cannot be held as wanted."""

    def __init__(self, about: dict[str, Any], batches: list[pa.RecordBatch]) -> None:
        self.key: int = about["key"]
        types = [_TYPES[name] for name in about["types"]]
        if not batches:
            self._low, self._places = 0, pa.array([], pa.int32())
            self._columns = [pa.array([], kind) for kind in types]
            return
        numbers, *columns = (_joined(parts) for parts in zip(*(batch.columns for batch in batches), strict=True))
        self._low, self._places = _by_number(_fit(numbers, pa.int64()).to_pylist())
        self._columns = [_fit(column, wanted) for column, wanted in zip(columns, types, strict=True)]

    def found(self, keys: pa.Array) -> list[pa.Array]:
        """Return the columns for row numbers int64 (N,), NULL where there is no such row."""
        inside = pc.and_(pc.greater_equal(keys, self._low), pc.less(keys, self._low + len(self._places)))
        known = pc.if_else(inside, keys, pa.scalar(None, pa.int64()))
        places = self._places.take(pc.subtract(known, self._low))
        return [column.take(places) for column in self._columns]


def _by_number(numbers: list[int]) -> tuple[int, pa.Array]:
    """Return the lowest of ascending numbers, and for each number from there on its place or NULL."""
    low, span = numbers[0], numbers[-1] - numbers[0] + 1
    if span == len(numbers):
        return low, pa.array(range(span), pa.int32())
    dense = array("i", [-1]) * span
    for place, number in enumerate(numbers):
        dense[number - low] = place
    places = pa.Array.from_buffers(pa.int32(), span, [None, pa.py_buffer(dense)])
    return low, pc.if_else(pc.less(places, 0), pa.scalar(None, pa.int32()), places)


def _joined(parts: Sequence[pa.Array]) -> pa.Array:
    kinds = {part.type for part in parts}
    if len(kinds) > 1:
        raise Misfit(f"{kinds} in one column")
    return pa.concat_arrays(parts)


def _batch(arrays: list[pa.Array]) -> pa.RecordBatch:
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


def main() -> None:
    """Read ranges until nobody asks any more."""
    job = json.loads(sys.stdin.readline())
    inboxes: list[Queue[Answer]] = []
    connections = [Connection(job) for _ in range(job["threads"])]
    lookups = connections[0].lookups()
    for connection in connections:
        connection.look_up(lookups)
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

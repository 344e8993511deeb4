"""A large SQLite table range by range: by a reader process where that is exact, by Python's own driver where not.

Ranges are of row numbers, each of so many rows as a batch has, and come in their order. The guarded connection has
prepared the statement, holds one state of the database and says where ranges begin; the reader process
(`sqlite_reader.py`) is only used while it sees the same state. Whatever it cannot read exactly, or at all, is read by
the guarded connection, so that it makes no difference but time.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, Protocol

import pyarrow as pa

from ..columns import Kind

LARGE_ROWS = 100_000
"""Fewer rows than these are read before another process has started."""
TYPES = {Kind.BOOLEAN: "bool", Kind.INTEGER: "int64", Kind.FLOAT: "double", Kind.TEXT: "string"}
"""The kinds a reader process can tell for sure, under Arrow's names."""
_READER = Path(__file__).with_name("sqlite_reader.py")
_FEW_ROWS = 4_096
"""So many rows are read by hand at a time while the reader starts, lest it wait for the rest of a range."""
_MOST_THREADS = 4
_MOST_MISFITS = 3
_POLL_SECONDS = 0.05
_END_SECONDS = 5.0

Arrays = list[pa.Array]
Rows = tuple[int, int]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LookupJob:
    """A statement that gives the row numbers of a table in order and columns of `kinds`; see `sqlite_lookups`."""

    sql: str
    key: int
    kinds: tuple[Kind, ...]

    def said(self) -> dict[str, Any]:
        """Return what the reader process is told."""
        return {"sql": self.sql, "key": self.key, "types": [TYPES[kind] for kind in self.kinds]}


@dataclass(frozen=True, slots=True)
class LeanJob:
    """The statement of a `RangeJob` without the tables that are looked up in memory."""

    sql: str
    parameters: Mapping[str, Any]
    kinds: tuple[Kind, ...]
    checked: bool
    lookups: tuple[LookupJob, ...]
    places: tuple[tuple[int, int], ...]

    def said(self) -> dict[str, Any]:
        """Return what the reader process is told."""
        return {
            "sql": self.sql,
            "parameters": dict(self.parameters),
            "types": [TYPES[kind] for kind in self.kinds],
            "checked": self.checked,
            "lookups": [each.said() for each in self.lookups],
            "places": self.places,
        }


@dataclass(frozen=True, slots=True)
class RangeJob:
    """A statement with the parameters `first` and `last`, the row numbers of a range; `rows` at most in each batch.

    `checked`: the statement has one column more, which is 0 where all texts are texts. `lean` gives the same rows and
    is tried first.
    """

    uri: str
    sql: str
    parameters: Mapping[str, Any]
    kinds: tuple[Kind, ...]
    rows: int
    checked: bool
    in_pieces: bool
    """Whether a range costs no more than its rows; else there is one range of all rows."""
    lean: LeanJob | None = None

    def said(self, threads: int) -> dict[str, Any]:
        """Return what the reader process is told."""
        return {
            "uri": self.uri,
            "sql": self.sql,
            "parameters": dict(self.parameters),
            "types": [TYPES[kind] for kind in self.kinds],
            "threads": threads,
            "rows": self.rows,
            "checked": self.checked,
            "lean": None if self.lean is None else self.lean.said(),
        }


class Guarded(Protocol):
    """What the guarded connection does for a reading by ranges."""

    def next_range(self, first: int, rows: int) -> Rows | None:
        """Return the range of the next `rows` row numbers from `first` on; None when there are none."""

    def has_more(self, first: int, rows: int) -> bool:
        """Whether there are more than `rows` row numbers from `first` on."""

    def read(self, rows: Rows, *, skip: int = 0) -> Generator[Arrays, None, None]:
        """Yield the rows of a range but the first `skip`; WiderKinds as `Session.batches`."""

    def sees_the_same(self) -> bool:
        """Whether whoever begins to read now sees what this connection sees."""

    def check(self) -> None:
        """Raise when the work is to stop."""


_LAST = 2**63 - 1


class RangeReading:
    """One pass over all rows."""

    def __init__(self, job: RangeJob, guarded: Guarded) -> None:
        self._job = job
        self._guarded = guarded
        self._next = -(2**63)

    def batches(self) -> Generator[Arrays, None, None]:
        """Yield every row in order; WiderKinds as `Session.batches`."""
        if self._guarded.has_more(self._next, LARGE_ROWS):
            yield from self._with_reader()
        yield from self._rest_by_hand()

    def _with_reader(self) -> Generator[Arrays, None, None]:
        try:
            reader = Reader(self._job)
        except OSError as error:
            _log.warning("No reader process: %s", error)
            return
        with closing(reader):
            try:
                yield from self._meanwhile(reader)
                if self._guarded.sees_the_same():
                    yield from (self._pieces(reader) if self._job.in_pieces else self._whole(reader))
            except ReaderFailed as failure:  # the rest is read by hand
                _log.warning("The reader process ended early: %s", failure)

    def _meanwhile(self, reader: Reader) -> Generator[Arrays, None, None]:
        while not reader.is_ready(wait=not self._job.in_pieces):
            self._guarded.check()
            if self._job.in_pieces:
                yield from self._next_by_hand()
                if self._next > _LAST:
                    return

    def _pieces(self, reader: Reader) -> Generator[Arrays, None, None]:
        asked: deque[Rows] = deque()
        misfits = 0
        while True:
            while len(asked) < reader.threads + 2 and (rows := self._take(self._job.rows)):
                asked.append(rows)
                reader.ask(rows)
            if not asked:
                return
            misfits += yield from self._one(reader, asked)
            if misfits > _MOST_MISFITS and asked:
                yield from self._guarded.read((asked[0][0], self._next - 1))
                return

    def _whole(self, reader: Reader) -> Generator[Arrays, None, None]:
        rows = (self._next, _LAST)
        reader.ask(rows)
        self._next = _LAST + 1
        yield from self._one(reader, deque([rows]))

    def _one(self, reader: Reader, asked: deque[Rows]) -> Generator[Arrays, None, int]:
        """Yield the rows of the first range asked for; what follows it is asked for again if the reader gives up."""
        done = 0
        try:
            while isinstance(part := self._answer(reader), list):
                yield part
                done += len(part[0])
        except ReaderFailed:
            yield from self._guarded.read((asked[0][0], self._next - 1), skip=done)
            raise
        if part:
            _log.info("Read again without the reader process: %s", part)
            yield from self._guarded.read(asked[0], skip=done)
        asked.popleft()
        return 1 if part else 0

    def _answer(self, reader: Reader) -> Arrays | str:
        while True:
            self._guarded.check()
            with suppress(Empty):
                return reader.answer(_POLL_SECONDS)

    def _take(self, most: int) -> Rows | None:
        rows = self._guarded.next_range(self._next, most) if self._next <= _LAST else None
        self._next = rows[1] + 1 if rows else _LAST + 1
        return rows

    def _next_by_hand(self) -> Generator[Arrays, None, None]:
        if rows := self._take(min(_FEW_ROWS, self._job.rows)):
            yield from self._guarded.read(rows)

    def _rest_by_hand(self) -> Generator[Arrays, None, None]:
        if self._next <= _LAST:
            yield from self._guarded.read((self._next, _LAST))


class ReaderFailed(Exception):
    """The reader process ended before it had answered; never leaves this module."""


class Reader:
    """A running reader process. Whatever happens, `close` ends it."""

    def __init__(self, job: RangeJob) -> None:
        self.threads = min(_MOST_THREADS, usable_threads()) if job.in_pieces else 1
        self._answers: Queue[Arrays | str | Exception] = Queue(2)
        self._ready = threading.Event()
        self._closed = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_READER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._say(job.said(self.threads))

    def is_ready(self, *, wait: bool) -> bool:
        """Whether all its transactions have begun; ReaderFailed if they never will."""
        ready = self._ready.wait(_POLL_SECONDS if wait else 0)
        if not ready and not self._listener.is_alive():
            self.answer(0)
        return ready

    def ask(self, rows: Rows) -> None:
        """Ask for a range; ranges are answered in the order asked for."""
        self._say(rows)

    def answer(self, seconds: float) -> Arrays | str:
        """Return the next rows, or how the range ended; Empty after `seconds`, ReaderFailed when it is gone."""
        part = self._answers.get(timeout=seconds) if seconds else self._answers.get_nowait()
        if isinstance(part, Exception):
            raise ReaderFailed(self._last_words() or str(part)) from part
        return part

    def close(self) -> None:
        """End the process, at work or not."""
        self._closed = True
        self._process.kill()
        self._listener.join(_END_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):  # what it was never told
                if pipe:
                    pipe.close()
        self._process.wait()

    def _say(self, document: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it is gone: the listener knows
            self._process.stdin.write(json.dumps(document).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        try:
            with pa.ipc.open_stream(self._process.stdout) as stream:
                stream.read_next_batch()
                self._ready.set()
                while True:
                    batch, metadata = stream.read_next_batch_with_custom_metadata()
                    self._put(batch.columns if metadata is None else metadata["end"].decode())
        except StopIteration as error:
            self._put(EOFError("it ended"), error)
        except (OSError, ValueError) as error:  # pa.ArrowInvalid is a ValueError
            self._put(error)

    def _put(self, part: Arrays | str | Exception, cause: Exception | None = None) -> None:
        while not self._closed:
            with suppress(Full):
                self._answers.put(part, timeout=_POLL_SECONDS)
                return

    def _last_words(self) -> str:
        assert self._process.stderr is not None
        self._process.kill()
        return self._process.stderr.read().decode(errors="replace").strip()


def usable_threads() -> int:
    """Return how many processors this process may use."""
    affinity: Callable[[int], Sequence[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1

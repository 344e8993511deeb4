"""Rows on their way into the project: streamed in batches to an Arrow file that is whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from crosslens._processes import is_alive
from crosslens.errors import DataError, QueryError, Stopped
from crosslens.plain import from_plain, to_plain
from crosslens.relational import ColumnInfo, ColumnRef, QuerySpec, Snapshot

from .columns import Kind, WiderKinds
from .engines import RowReader
from .errors import storage_error
from .fingerprint import DIGEST_BYTES, ContentFingerprint
from .flushing import Flushing

BATCH_ROWS = 16_384
FORMAT = 2
"""Part of every snapshot's key: a change of how values are kept makes old snapshots invisible."""

Progress = Callable[[int, int, float, int], None]
"""Told after each batch: rows so far, rows in all, seconds, and bytes so far."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What to read: the rendered rows, how many there must be, and what each column was declared as."""

    statement: Any
    rows: int
    columns: tuple[tuple[ColumnRef, ColumnInfo], ...]
    key: str
    sql: str


def snapshot_key(query: QuerySpec, identity: Mapping[str, str | int]) -> str:
    """Return the digest that names a query on a state of a database."""
    text = json.dumps([FORMAT, to_plain(query), dict(identity)], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()


def stored_snapshot(folder: Path, key: str) -> Snapshot | None:
    """Return the snapshot of that key if it is there and can be opened; None otherwise."""
    path = folder / f"{key}.arrow"
    try:
        kept = from_plain(Snapshot, json.loads(_sidecar(path).read_text(encoding="utf-8")))
        with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
            fits = len(reader.schema) == len(kept.columns)
    except (OSError, ValueError, DataError, pa.ArrowInvalid):  # missing or damaged: read the source again
        return None
    return replace(kept, path=path) if fits else None


def read_columns(
    session: RowReader, statement: sa.Select[*tuple[Any, ...]], columns: Sequence[ColumnInfo]
) -> list[pa.ChunkedArray]:
    """Return all rows of a small result, one array per column."""
    kinds = session.kinds(columns)
    while True:
        try:
            batches = list(session.batches(statement, kinds, rows=BATCH_ROWS))
        except WiderKinds as wider:
            kinds = wider.kinds
            continue
        parts = zip(*batches, strict=True) if batches else [()] * len(kinds)
        return [pa.chunked_array(part, kind.arrow) for part, kind in zip(parts, kinds, strict=True)]


def write_snapshot(
    session: RowReader,
    extraction: Extraction,
    folder: Path,
    *,
    progress: Progress,
    should_stop: Callable[[], bool],
    check: Callable[[], object],
) -> Snapshot:
    """Stream the rows to `<key>.arrow` and describe them in `<key>.json`; any failure leaves neither.

    `check` is called once all rows are read: it raises if the source is not what it was.
    """
    started = time.monotonic()
    path = folder / f"{extraction.key}.arrow"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    kinds = session.kinds([info for _, info in extraction.columns])
    with _whole_file(path, temporary, extraction):
        remove_leftovers(folder)
        while True:
            try:
                fingerprint = _Writing(extraction, kinds, temporary, progress, should_stop, check).run(session)
                break
            except WiderKinds as wider:
                kinds = wider.kinds
        check()
        snapshot = Snapshot(
            path=path,
            columns=tuple(ref for ref, _ in extraction.columns),
            rows=extraction.rows,
            fingerprint=fingerprint,
            key=extraction.key,
            sql=extraction.sql,
            source=session.name,
            seconds=round(time.monotonic() - started, 3),
        )
        _write_sidecar(_sidecar(path), snapshot)  # first: without its rows it counts as no snapshot
        temporary.replace(path)
    return snapshot


class _Writing:
    """One pass over the rows with columns of given kinds."""

    def __init__(
        self,
        extraction: Extraction,
        kinds: tuple[Kind, ...],
        path: Path,
        progress: Progress,
        should_stop: Callable[[], bool],
        check: Callable[[], object],
    ) -> None:
        self._extraction = extraction
        self._kinds = kinds
        self._path = path
        self._progress = progress
        self._should_stop = should_stop
        self._check = check
        self._started = time.monotonic()
        self._rows = 0
        self._bytes = 0

    def run(self, session: RowReader) -> str:
        """Write the file and return the fingerprint; WiderKinds asks for another pass."""
        schema = _schema(self._extraction.columns, self._kinds)
        fingerprint = ContentFingerprint(schema.types)
        with (
            self._path.open("wb") as file,
            Flushing(file) as flushing,
            pa.ipc.new_file(file, schema) as writer,
            closing(self._batches(session)) as batches,
        ):
            for arrays in batches:
                writer.write_batch(pa.record_batch(arrays, schema=schema))
                flushing.written()
                fingerprint.update(arrays)
        return fingerprint.hexdigest()

    def _batches(self, session: RowReader) -> Generator[list[pa.Array], None, None]:
        with closing(session.batches(self._extraction.statement, self._kinds, rows=BATCH_ROWS)) as batches:
            for arrays in batches:
                if self._should_stop():
                    raise Stopped("Stopped while reading rows.")
                yield arrays
                self._count(arrays)
        if self._rows != self._extraction.rows:
            raise self._wrong_count()

    def _count(self, arrays: Sequence[pa.Array]) -> None:
        self._rows += len(arrays[0])
        self._bytes += sum(array.nbytes for array in arrays)
        if self._rows > self._extraction.rows:
            raise self._wrong_count()
        self._progress(self._rows, self._extraction.rows, time.monotonic() - self._started, self._bytes)

    def _wrong_count(self) -> QueryError:
        self._check()  # a source that changed while it was read explains the count better than joins do
        expected = self._extraction.rows
        return QueryError(
            f"The query gave {self._rows:,} rows or more, but its base has {expected:,}.",
            why="A join found several rows for one row of the base, perhaps because its keys compare as equal "
            "without being written alike, or a view gave other rows when read again.",
            do="Remove the joins one by one to find the one that repeats rows, or join it as “exists”.",
            rows_before=expected,
            rows_after=self._rows,
        )


def _schema(columns: Sequence[tuple[ColumnRef, ColumnInfo]], kinds: Sequence[Kind]) -> pa.Schema:
    return pa.schema(
        [
            pa.field(f"c{number}", kind.arrow, metadata={"source": ref.source, "column": ref.column, "type": info.type})
            for number, ((ref, info), kind) in enumerate(zip(columns, kinds, strict=True))
        ]
    )


@contextmanager
def _whole_file(path: Path, temporary: Path, extraction: Extraction) -> Iterator[None]:
    """Make the folder, and on any failure remove what was written and say how much room is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield
        except OSError as error:
            raise storage_error(error, path, needed=_bytes_needed(temporary, extraction)) from error
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, path) from error


def _bytes_needed(temporary: Path, extraction: Extraction) -> int:
    """Guess the size of the whole file: eight bytes a value, which text and numbers come to on average."""
    written = temporary.stat().st_size if temporary.exists() else 0
    return max(written, extraction.rows * len(extraction.columns) * 8)


def remove_leftovers(folder: Path) -> None:
    """Remove what extractions into this folder wrote before their process was killed."""
    for path in folder.glob(".*.tmp"):
        pid = path.name.split(".")[-2]
        if pid.isdigit() and int(pid) != os.getpid() and not is_alive(int(pid)):
            path.unlink(missing_ok=True)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _write_sidecar(path: Path, snapshot: Snapshot) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            json.dump(to_plain(snapshot), file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

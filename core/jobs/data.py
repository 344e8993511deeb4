"""From a recipe to encoded parts: extract, check, repair, split, fit the encoders on training rows, encode.

What the project has already is not made again. Nothing here holds more of the rows than a few blocks and some bytes
per row: which are kept, and which part each belongs to.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens._sizes import format_bytes
from crosslens.data import EncodedDataset, Int64Array, TrainingData
from crosslens.errors import DataError, QueryError
from crosslens.plain import to_plain
from crosslens.relational import ColumnRef, QuerySpec, Snapshot
from crosslens.schema import FieldRole, FieldSchema

from ..columns import Column, ColumnStream
from ..commands import Finding, Phase, Progress
from ..empty import no_rows
from ..encoding import Encoders, encode, fit_encoders, open_encoded
from ..files import write_text
from ..findings import check
from ..hashing import hash64
from ..ports import ProjectStore, RowSource
from ..recipe import Recipe, SplitMethod
from ..repairs import Repairing, repaired_fields, with_counts
from ..services import JobControl, Services
from ..snapshots import Rows, snapshot_rows
from ..source_check import base_key, check_source
from ..splits import Split, split_rows

_ENCODERS = "encoders.json"
_FORMAT = 2
"""Part of the key of encoded arrays: a change of what they mean makes old ones invisible."""
_CHECKED_ROWS = 30_000
"""Fewer than on the Prepare page, where somebody waits for the answer to this very question."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedData:
    """Everything a model and its evaluation need of the data.

    Rows are those of the encoded arrays; `encoded.row_keys` are their numbers in the snapshot.
    """

    snapshot: Snapshot
    encoders: Encoders
    encoded: EncodedDataset
    encoded_folder: Path
    split: Split
    findings: tuple[Finding, ...]
    seconds: dict[str, float]
    user: ColumnRef | None = None

    @property
    def table(self) -> pa.Table:
        """Return all rows of the snapshot, memory-mapped: nothing is read before it is touched."""
        return read_snapshot(self.snapshot)

    @property
    def users(self) -> Int64Array | None:
        """Return which user each row belongs to, int64 (N,), where a column has that role; NULL stands for itself."""
        if self.user is None:
            return None
        found = np.empty(self.snapshot.rows, np.int64)
        start = 0
        for column in snapshot_rows(self.snapshot).stream(self.user)():
            found[start : start + len(column)] = _user_numbers(column, start)
            start += len(column)
        return found[self.keys]

    @property
    def keys(self) -> Int64Array:
        """Return the numbers of the encoded rows in the snapshot, int64 (N,)."""
        assert self.encoded.row_keys is not None, "rows of a snapshot are encoded with their numbers"
        return self.encoded.row_keys

    @property
    def test_fingerprint(self) -> str:
        """Return a digest of the test rows: runs with the same one may be compared."""
        digest = hashlib.blake2b(self.snapshot.fingerprint.encode(), digest_size=10)
        digest.update(np.ascontiguousarray(self.keys[self.split.test]).tobytes())
        return digest.hexdigest()

    def part(self, rows: Int64Array) -> EncodedDataset:
        """Return some rows in memory."""
        return self.encoded.take(rows)

    @property
    def training(self) -> TrainingData:
        """Return the rows a model may train and choose on."""
        return TrainingData(train=self.part(self.split.train), validation=self.part(self.split.validation))

    @property
    def test(self) -> EncodedDataset:
        """Return the rows nobody has looked at."""
        return self.part(self.split.test)


def _user_numbers(column: Column, start: int) -> Int64Array:
    numbers = hash64(column).view(np.int64)
    missing = np.asarray(column.is_null().to_numpy())
    return np.where(missing, np.arange(start, start + len(column)), numbers)


def prepare_data(recipe: Recipe, project: ProjectStore, services: Services, control: JobControl) -> PreparedData:
    """Return the encoded data of a recipe, extracting and encoding only what the project does not have yet."""
    started = time.perf_counter()
    snapshot = extract(recipe, project, services, control)
    read = time.perf_counter()
    control.check()
    if not snapshot.rows:
        raise no_rows(recipe.query)
    control.say(Phase.ENCODING, "Checking labels and columns")
    rows = snapshot_rows(snapshot)
    # what one step leaves unused in Arrow's hands would stay beside what the next one takes
    pa.default_memory_pool().release_unused()
    with ThreadPoolExecutor(1, "check") as beside:  # nothing waits for what a sample tells
        checking = beside.submit(_checked, recipe, rows)
        kept, repairing = _kept(recipe, rows, control)
        control.say(Phase.ENCODING, "Splitting rows")
        split = _split(recipe, rows, kept)
        work = _Work(recipe, snapshot, rows, kept, split, repairing)
        encoders, encoded, folder = _encoded(work, project, services, control)
        findings = checking.result()
    users = recipe.fields.with_role(FieldRole.USER)
    return PreparedData(
        snapshot=snapshot,
        encoders=encoders,
        encoded=encoded,
        encoded_folder=folder,
        split=split,
        findings=_all_findings(findings, encoders.findings),
        seconds={"extract": read - started, "encode": time.perf_counter() - read},
        user=users[0].column if users else None,
    )


def encode_again(
    snapshot: Snapshot, recipe: Recipe, encoders: Encoders, folder: Path, *, threads: int = 1
) -> EncodedDataset:
    """Write the arrays of a finished run once more, after they were deleted."""
    rows = snapshot_rows(snapshot)
    repairing = Repairing(recipe.repairs, recipe.fields, recipe.query)
    kept = _kept_rows(repairing, rows, JobControl())
    return encode(rows, encoders, folder, kept=kept, repair=repairing.labels, threads=threads)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What the arrays of a recipe are made of."""

    recipe: Recipe
    snapshot: Snapshot
    rows: Rows
    kept: BoolArray | None
    split: Split
    repairing: Repairing


def _checked(recipe: Recipe, rows: Rows) -> tuple[Finding, ...]:
    """Return what a sample of the rows, as they were read, tells."""
    return check(
        rows.sample(rows.columns, _CHECKED_ROWS),
        rows.columns,
        recipe.fields,
        query=recipe.query,
        moment=recipe.moment,
        repairs=recipe.repairs,
        rows=rows.count,
    )


def _all_findings(checked: tuple[Finding, ...], learned: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return findings of both, each message once; what repairs did is told by exact counts."""
    repaired = tuple(each for each in learned if each.check.startswith("repaired-"))
    both = (*with_counts(checked, repaired), *(each for each in learned if each not in repaired))
    return tuple({each.message: each for each in reversed(both)}.values())[::-1]


def _kept(recipe: Recipe, rows: Rows, control: JobControl) -> tuple[BoolArray | None, Repairing]:
    """Return which rows the repairs keep, bool (N,), or None for all, and what will repair the labels."""
    control.check()
    repairing = Repairing(recipe.repairs, recipe.fields, recipe.query)
    return _kept_rows(repairing, rows, control), repairing


def _kept_rows(repairing: Repairing, rows: Rows, control: JobControl) -> BoolArray | None:
    if not repairing.columns:
        return None
    control.say(Phase.ENCODING, "Repairing rows")
    kept = np.ones(rows.count, np.bool_)
    for block in rows.blocks(repairing.columns):
        control.check()
        kept[block.start : block.start + block.rows] = repairing.kept(block.table, block.columns)
    if not kept.any():
        raise DataError(
            "The chosen repairs leave no row.",
            why="Every row is left out by one of them.",
            do="Take a repair back on the Prepare page or in the recipe.",
        )
    return None if kept.all() else kept


def _encoded(
    work: _Work, project: ProjectStore, services: Services, control: JobControl
) -> tuple[Encoders, EncodedDataset, Path]:
    recipe, snapshot = work.recipe, work.snapshot
    fields = used_fields(recipe)
    folder = project.data_folder / f"encoded-{_encoding_key(recipe, fields, snapshot)}"
    known = folder / _ENCODERS
    if known.exists():
        return Encoders.from_json(known.read_text(encoding="utf-8")), open_encoded(folder), folder
    control.say(Phase.ENCODING, "Learning vocabularies")
    encoders = fit_encoders(
        work.rows,
        fields,
        work.split.is_training,
        kept=work.kept,
        time=recipe.query.time,
        minimum_count=recipe.minimum_count,
        hash_buckets=recipe.hash_buckets,
        threads=services.threads,
        check=control.check,
    )
    encoded = encode(
        work.rows,
        encoders,
        folder,
        kept=work.kept,
        repair=work.repairing.labels,
        threads=services.threads,
        progress=_encoding(control, snapshot.rows),
    )
    encoders = replace(encoders, findings=(*encoders.findings, *work.repairing.notes()))
    write_text(known, encoders.to_json())
    return encoders, encoded, folder


def _encoding(control: JobControl, rows: int) -> Callable[[float], None]:
    def report(done: float) -> None:
        control.check()
        control.say(Phase.ENCODING, f"Encoding {rows:,} rows", done)

    return report


def extract(recipe: Recipe, project: ProjectStore, services: Services, control: JobControl) -> Snapshot:
    """Return the snapshot of the recipe's rows."""
    control.say(Phase.CONNECTING, f"Opening {recipe.source.database}")
    with services.sources.open(recipe.source) as source:
        query = extraction_query(recipe, source)
        check_source(recipe, source, query)
        control.check()
        return source.extract(
            query, project.data_folder, progress=reading_progress(control), should_stop=control.should_stop
        )


def extraction_query(recipe: Recipe, source: RowSource) -> QuerySpec:
    """Return the recipe's query with the columns a job needs.

    These are the key of the base, the fields in use, what repairs look at, and the time.
    """
    key = base_key(recipe.query, source)
    used = tuple(field.column for field in used_fields(recipe))
    repaired = Repairing(recipe.repairs, recipe.fields, recipe.query).columns
    time_column = (recipe.query.time,) if recipe.query.time else ()
    return replace(recipe.query, columns=tuple(dict.fromkeys((*key, *used, *repaired, *time_column))))


def used_fields(recipe: Recipe) -> FieldSchema:
    """Return the fields a job trains on, without those that a repair ignores."""
    return trained_fields(repaired_fields(recipe.fields, recipe.repairs))


def trained_fields(schema: FieldSchema) -> FieldSchema:
    """Return the fields that are not ignored; DataError if there is no label or nothing to learn from."""
    fields = FieldSchema(tuple(field for field in schema if field.role is not FieldRole.IGNORE))
    if not any(field.role.is_label for field in fields):
        raise DataError(
            "No column is marked as the label.",
            why="A model needs a column that says what happened: clicked or not, bought or not.",
            do='Give one column the role "click" on the Prepare page or in the recipe.',
        )
    if not fields.features:
        raise DataError(
            "No column is left to learn from.",
            why="Every column is ignored or is a label.",
            do='Give at least one column the role "feature".',
        )
    return fields


def read_snapshot(snapshot: Snapshot) -> pa.Table:
    """Return the rows of a snapshot, memory-mapped."""
    try:
        with pa.memory_map(str(snapshot.path)) as file:
            return pa.ipc.open_file(file).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            "The extracted rows of this project cannot be read.",
            why=f"{snapshot.path.name} is missing or damaged ({error}).",
            do="Train again: the rows are then read anew from the database.",
        ) from error


def column_of(table: pa.Table, columns: tuple[ColumnRef, ...], wanted: ColumnRef) -> pa.ChunkedArray:
    """Return a column of a snapshot; QueryError if it was not extracted."""
    if wanted not in columns:
        raise QueryError(f"The column {wanted} was not extracted.", do="Train again with this column in use.")
    return table.column(columns.index(wanted))


def _split(recipe: Recipe, rows: Rows, kept: BoolArray | None) -> Split:
    method = recipe.split.method
    times = users = None
    if method is SplitMethod.TIME:
        if recipe.query.time is None:
            raise DataError(
                "A split by time needs a time column.",
                do="Choose the column that says when a row happened, or split at random.",
            )
        times = _kept_stream(rows, recipe.query.time, kept)
    if method is SplitMethod.USER:
        marked = recipe.fields.with_role(FieldRole.USER)
        if not marked:
            raise DataError(
                "A split by user needs a user column.", do='Give one column the role "user", or split at random.'
            )
        users = _kept_stream(rows, marked[0].column, kept)
    count = rows.count if kept is None else int(kept.sum())
    return split_rows(count, recipe.split, times=times, users=users)


def _kept_stream(rows: Rows, ref: ColumnRef, kept: BoolArray | None) -> ColumnStream:
    if kept is None:
        return rows.stream(ref)

    def stream() -> Iterator[Column]:
        for block in rows.blocks((ref,)):
            yield block.only(kept[block.start : block.start + block.rows]).column(ref)

    return stream


def _encoding_key(recipe: Recipe, fields: FieldSchema, snapshot: Snapshot) -> str:
    meaning = to_plain(
        (
            *(tuple(fields), recipe.split, recipe.minimum_count, recipe.hash_buckets),
            *(recipe.repairs, recipe.moment, recipe.query.time),
        )
    )
    text = json.dumps([_FORMAT, snapshot.fingerprint, meaning], ensure_ascii=True, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def reading_progress(control: JobControl) -> Callable[[int, int, float, int], None]:
    """Return what tells of an extraction: rows, bytes, rows per second and the time left."""

    def report(rows: int, total: int, seconds: float, size: int) -> None:
        speed = rows / seconds if seconds > 0 else None
        left = (total - rows) / speed if speed and total >= rows else None
        fraction = rows / total if total else None
        message = f"Reading rows: {rows:,} of {total:,} ({format_bytes(size)})"
        control.progress(Progress(Phase.READING, fraction, message, rows, speed, left))

    return report

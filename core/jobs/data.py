"""From a recipe to encoded parts: extract, split, fit the encoders on training rows, encode; reused when unchanged."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from crosslens.data import EncodedDataset, Int64Array, TrainingData
from crosslens.errors import DataError, QueryError
from crosslens.plain import to_plain
from crosslens.relational import ColumnRef, QuerySpec, Snapshot
from crosslens.schema import FieldRole, FieldSchema

from ..columns import keys
from ..commands import Finding, Phase, Progress
from ..encoding import Encoders, encode, fit_encoders, open_encoded
from ..files import write_text
from ..findings import check
from ..ports import ProjectStore, RowSource
from ..recipe import Recipe, SplitMethod
from ..services import JobControl, Services
from ..splits import Split, split_rows

_ENCODERS = "encoders.json"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedData:
    """Everything a model and its evaluation need of the data."""

    snapshot: Snapshot
    table: pa.Table
    encoders: Encoders
    encoded: EncodedDataset
    encoded_folder: Path
    split: Split
    findings: tuple[Finding, ...]
    seconds: dict[str, float]
    users: Int64Array | None = None
    """Which user each row of the snapshot belongs to, where a column has that role."""

    @property
    def test_fingerprint(self) -> str:
        """Return a digest of the test rows: runs with the same one may be compared."""
        digest = hashlib.blake2b(self.snapshot.fingerprint.encode(), digest_size=10)
        digest.update(np.ascontiguousarray(self.split.test).tobytes())
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


def prepare_data(recipe: Recipe, project: ProjectStore, services: Services, control: JobControl) -> PreparedData:
    """Return the encoded data of a recipe, extracting and encoding only what the project does not have yet."""
    started = time.perf_counter()
    snapshot = extract(recipe, project, services, control)
    read = time.perf_counter()
    table = read_snapshot(snapshot)
    fields = trained_fields(recipe.fields)
    control.check()
    control.say(Phase.ENCODING, "Checking labels and columns")
    findings = check(table, snapshot.columns, fields)
    split = _split(recipe, table, snapshot.columns)
    control.check()
    control.say(Phase.ENCODING, "Learning vocabularies")
    encoders, encoded, folder = _encoded(recipe, fields, snapshot, table, split, project, control)
    seconds = {"extract": read - started, "encode": time.perf_counter() - read}
    return PreparedData(snapshot, table, encoders, encoded, folder, split, (*findings, *encoders.findings), seconds)


def _encoded(
    recipe: Recipe,
    fields: FieldSchema,
    snapshot: Snapshot,
    table: pa.Table,
    split: Split,
    project: ProjectStore,
    control: JobControl,
) -> tuple[Encoders, EncodedDataset, Path]:
    folder = project.data_folder / f"encoded-{_encoding_key(recipe, fields, snapshot)}"
    known = folder / _ENCODERS
    if known.exists():
        return Encoders.from_json(known.read_text(encoding="utf-8")), open_encoded(folder), folder
    control.say(Phase.ENCODING, "Learning vocabularies")
    encoders = fit_encoders(table, snapshot.columns, fields, split.train, minimum_count=recipe.minimum_count)
    control.check()
    encoded = encode(
        table,
        encoders,
        folder,
        progress=lambda done: control.say(Phase.ENCODING, f"Encoding {snapshot.rows:,} rows", done),
    )
    write_text(known, encoders.to_json())
    return encoders, encoded, folder


def extract(recipe: Recipe, project: ProjectStore, services: Services, control: JobControl) -> Snapshot:
    """Return the snapshot of the recipe's rows."""
    control.say(Phase.CONNECTING, f"Opening {recipe.source.database}")
    with services.sources.open(recipe.source) as source:
        query = extraction_query(recipe, source)
        control.check()
        return source.extract(query, project.data_folder, progress=_reading(control), should_stop=control.should_stop)


def extraction_query(recipe: Recipe, source: RowSource) -> QuerySpec:
    """Return the recipe's query with the columns a job needs: fields in use, the time, and the key of the base."""
    base = recipe.query.base
    key = tuple(ColumnRef(base.name, name) for name in source.table(base).primary_key)
    used = tuple(field.column for field in trained_fields(recipe.fields))
    time_column = (recipe.query.time,) if recipe.query.time else ()
    return replace(recipe.query, columns=tuple(dict.fromkeys((*key, *used, *time_column))))


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


def _split(recipe: Recipe, table: pa.Table, columns: tuple[ColumnRef, ...]) -> Split:
    method = recipe.split.method
    times = users = None
    if method is SplitMethod.TIME:
        if recipe.query.time is None:
            raise DataError(
                "A split by time needs a time column.",
                do="Choose the column that says when a row happened, or split at random.",
            )
        times = column_of(table, columns, recipe.query.time)
    if method is SplitMethod.USER:
        marked = recipe.fields.with_role(FieldRole.USER)
        if not marked:
            raise DataError(
                "A split by user needs a user column.", do='Give one column the role "user", or split at random.'
            )
        users = column_of(table, columns, marked[0].column)
    return split_rows(table.num_rows, recipe.split, times=times, users=users)


def _users(recipe: Recipe, table: pa.Table, snapshot: Snapshot) -> Int64Array | None:
    marked = recipe.fields.with_role(FieldRole.USER)
    if not marked:
        return None
    positions, values = keys(column_of(table, snapshot.columns, marked[0].column))
    alone = len(values) + np.arange(len(positions))
    return np.where(positions < 0, alone, positions)


def _encoding_key(recipe: Recipe, fields: FieldSchema, snapshot: Snapshot) -> str:
    meaning = to_plain((tuple(fields), recipe.split, recipe.minimum_count))
    text = json.dumps([snapshot.fingerprint, meaning], ensure_ascii=True, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _reading(control: JobControl) -> Callable[[int, int, float], None]:
    def report(rows: int, total: int, seconds: float) -> None:
        speed = rows / seconds if seconds > 0 else None
        left = (total - rows) / speed if speed and total >= rows else None
        fraction = rows / total if total else None
        message = f"Reading rows: {rows:,} of {total:,}"
        control.progress(Progress(Phase.READING, fraction, message, rows, speed, left))

    return report

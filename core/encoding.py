"""From columns to what models read: encoders are learned from training rows, then applied to any rows.

Both passes read block by block. Fields are learned side by side, each by one thread, and blocks are encoded side by
side and written in their order: the results do not depend on the number of threads.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens import DataError, EncodedSchema, FieldRole, FieldSchema
from crosslens.data import EncodedDataset, Float32Array, Int32Array
from crosslens.plain import from_plain, to_plain
from crosslens.relational import ColumnRef

from .commands import Finding
from .encoded_files import ArrayWriter, open_arrays, replacing
from .encoders import Encoders, FieldEncoder, NumberEncoder, WeightRule
from .fitting import Learned, Learner, Names, learner
from .inputs import Inputs
from .labels import LabelCounts, LabelRule, WeightCheck, label_fields, read_labels
from .snapshots import Block, Rows, table_rows

__all__ = ["Encoders", "encode", "encode_blocks", "encode_rows", "fit_encoders", "open_encoded", "read_labels"]

BoolArray = NDArray[np.bool_]
Labels = dict[str, Float32Array]
T = TypeVar("T")


def _never() -> None:
    return None


# --- learning ---------------------------------------------------------------------------------------------------------


def fit_encoders(
    rows: Rows,
    schema: FieldSchema,
    train: BoolArray,
    *,
    kept: BoolArray | None = None,
    time: ColumnRef | None = None,
    minimum_count: int = 2,
    hash_buckets: int = 0,
    threads: int = 1,
    check: Callable[[], None] = _never,
) -> Encoders:
    """Learn vocabularies, scales, bins and parts from training rows, reading them once.

    `train` (N,) says which of the `kept` rows (all by default) train. `time` is the column that says when a row
    happened. `check` is called for every block and may raise. A field that is missing in all training rows is dropped,
    with a finding. DataError when no feature is left, a field's kind does not suit its values, or a label cannot be
    learned from.
    """
    names = Names([field.name for field in schema])
    choices = {"time": time, "names": names, "minimum_count": minimum_count, "hash_buckets": hash_buckets}
    learners = [learner(each, rows.type_of(each.column), **choices) for each in schema.features]  # type: ignore[arg-type]
    targets = _Targets(schema)
    work = [lambda: _learn_targets(targets, rows, _Masks(train, kept), check)]
    work += [
        lambda group=group: _learn(group, rows, _Masks(train, kept), check)  # type: ignore[misc]
        for group in _shared_out(learners, threads)
    ]
    _all_of(work, threads)
    labels, notes = targets.rules()
    learned = [each.finish() for each in learners]
    return _encoders(rows.columns, learned, labels, targets.weight, notes)


def _encoders(
    columns: tuple[ColumnRef, ...],
    learned: Sequence[Learned],
    labels: tuple[LabelRule, ...],
    weight: WeightRule | None,
    notes: Sequence[Finding],
) -> Encoders:
    encoders: list[FieldEncoder] = [encoder for each in learned for encoder in each.encoders]
    if not encoders:
        raise DataError("No field is left to learn from.", do="Give at least one field the role feature, user or item.")
    return Encoders(
        columns=columns,
        categorical=tuple(each for each in encoders if not isinstance(each, NumberEncoder)),
        numerical=tuple(each for each in encoders if isinstance(each, NumberEncoder)),
        labels=labels,
        weight=weight,
        findings=(*notes, *(finding for each in learned for finding in each.findings)),
    )


@dataclass(slots=True)
class _Masks:
    """Which rows are kept, and which of those train, block by block in order."""

    train: BoolArray
    kept: BoolArray | None
    _position: int = 0

    def of(self, block: Block) -> tuple[Block, BoolArray]:
        """Return the kept rows of the next block, and which of them train."""
        if self.kept is not None:
            block = block.only(self.kept[block.start : block.start + block.rows])
        train = self.train[self._position : self._position + block.rows]
        self._position += block.rows
        return block, train


class _Targets:
    """The labels and the weight of a schema."""

    def __init__(self, schema: FieldSchema) -> None:
        self._labels = {field: LabelCounts() for field in label_fields(schema)}
        found = schema.with_role(FieldRole.WEIGHT)
        if len(found) > 1:
            raise DataError(
                f"{len(found)} fields have the role weight: {', '.join(each.name for each in found)}.",
                do="Keep the role for one of them.",
            )
        self.weight = WeightRule(found[0].name, found[0].column) if found else None
        self._weights = WeightCheck(found[0].name) if found else None

    @property
    def sources(self) -> tuple[ColumnRef, ...]:
        """Return the columns they are read from."""
        weight = (self.weight.column,) if self.weight else ()
        return (*(field.column for field in self._labels), *weight)

    def add(self, block: Block, train: BoolArray) -> None:
        """Look at some rows."""
        for field, counts in self._labels.items():
            counts.add(block.column(field.column), train)
        if self.weight is not None and self._weights is not None:
            self._weights.add(block.column(self.weight.column))

    def rules(self) -> tuple[tuple[LabelRule, ...], tuple[Finding, ...]]:
        """Return how labels are read, and notes. DataError where they cannot be learned from."""
        rules = []
        for field, counts in self._labels.items():
            rules.append(rule := counts.rule(field))
            counts.check_training(rule)
        if self._weights is not None:
            self._weights.finish()
        return tuple(rules), tuple(Finding("note", rule.note, (rule.field,)) for rule in rules if rule.note)


def _learn_targets(targets: _Targets, rows: Rows, masks: _Masks, check: Callable[[], None]) -> None:
    for block in rows.blocks(targets.sources):
        check()
        targets.add(*masks.of(block))


def _learn(learners: Sequence[Learner], rows: Rows, masks: _Masks, check: Callable[[], None]) -> None:
    """Show every training row to some learners."""
    sources = tuple(dict.fromkeys(ref for each in learners for ref in each.sources))
    for block in rows.blocks(sources):
        check()
        kept, train = masks.of(block)
        if not train.any():
            continue
        inputs = Inputs(kept.only(train))
        for each in learners:
            each.add(inputs)


def _shared_out(learners: Sequence[Learner], groups: int) -> list[list[Learner]]:
    """Return learners in at most `groups` groups of about the same effort."""
    shared: list[list[Learner]] = [[] for _ in range(max(groups, 1))]
    for each in sorted(learners, key=lambda each: -each.effort):
        min(shared, key=lambda group: sum(other.effort for other in group)).append(each)
    return [group for group in shared if group]


def _all_of(work: Sequence[Callable[[], None]], threads: int) -> None:
    """Call everything, side by side where there are several threads; the first error is raised once all have ended."""
    if threads <= 1:
        for each in work:
            each()
        return
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(each) for each in work]
    for future in futures:
        future.result()


# --- encoding ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Encoded:
    """The arrays of one block."""

    rows: int
    end: int
    ids: Int32Array
    values: Float32Array
    labels: Labels
    weights: Float32Array | None
    row_keys: NDArray[np.int64]


class _BlockEncoder:
    """Encodes block after block; what can be worked out once is."""

    def __init__(self, encoders: Encoders, kept: BoolArray | None) -> None:
        self._encoders = encoders
        self._kept = kept
        self._readers = [encoder.reader() for encoder in encoders.categorical]
        self._offsets = encoders.schema.offsets.astype(np.int32)

    @property
    def sources(self) -> tuple[ColumnRef, ...]:
        """Return the columns it reads."""
        weight = (self._encoders.weight.column,) if self._encoders.weight else ()
        return (*self._encoders.sources, *(rule.column for rule in self._encoders.labels), *weight)

    def encode(self, block: Block) -> _Encoded:
        """Return the arrays of the kept rows of a block."""
        end = block.start + block.rows
        keys = np.arange(block.start, end, dtype=np.int64)
        if self._kept is not None:
            mask = self._kept[block.start : end]
            block, keys = block.only(mask), keys[mask]
        ids, values = self.features(Inputs(block))
        labels = {rule.name: rule.read(block.column(rule.column)) for rule in self._encoders.labels}
        weight = self._encoders.weight
        weights = None if weight is None else WeightCheck(weight.name).add(block.column(weight.column))
        pa.default_memory_pool().release_unused()  # of this thread
        return _Encoded(block.rows, end, ids, values, labels, weights, keys)

    def features(self, inputs: Inputs) -> tuple[Int32Array, Float32Array]:
        """Return ids int32 (N, C) and values float32 (N, M)."""
        ids = np.empty((inputs.rows, len(self._readers)), np.int32)
        values = np.empty((inputs.rows, len(self._encoders.numerical)), np.float32)
        for place, (read, offset) in enumerate(zip(self._readers, self._offsets, strict=True)):
            ids[:, place] = read(inputs) + offset
        for place, number in enumerate(self._encoders.numerical):
            values[:, place] = number.read(inputs)
        return ids, values


def encode(
    rows: Rows,
    encoders: Encoders,
    folder: Path,
    *,
    kept: BoolArray | None = None,
    labels: bool = True,
    repair: Callable[[Labels], Labels] = lambda labels: labels,
    threads: int = 1,
    progress: Callable[[float], None] = lambda _: None,
) -> EncodedDataset:
    """Write rows as arrays under `folder` and return them memory-mapped, read-only.

    Rows that `kept` (N,) leaves out have no place in the arrays; `row_keys` are the numbers of the others. `repair`
    may put labels right, block by block in order. Without `labels` neither labels nor weights are read: for rows to be
    scored. ids.npy, values.npy, label-<name>.npy, weights.npy, row_keys.npy and schema.json appear together or not at
    all; a folder that is there already is replaced. `progress` may raise. DataError for labels outside the rule;
    StorageError when the disk is full.
    """
    used = encoders if labels else replace(encoders, labels=(), weight=None)
    block_encoder = _BlockEncoder(used, kept)
    count = rows.count if kept is None else int(kept.sum())
    with replacing(folder) as temporary:
        (temporary / "schema.json").write_text(json.dumps(to_plain(used.schema)), encoding="utf-8")
        with _Arrays(temporary, used, count) as arrays:
            for done in _ahead(block_encoder.encode, rows.blocks(block_encoder.sources), threads):
                arrays.write(done, repair(done.labels) if done.labels else {})
                progress(done.end / rows.count)
    return open_encoded(folder)


class _Arrays:
    """The array files of one folder while they are written."""

    def __init__(self, folder: Path, encoders: Encoders, rows: int) -> None:
        self._open = ExitStack()
        self._folder = folder
        self._rows = rows
        self._ids = self._file("ids", np.int32, len(encoders.categorical))
        self._values = self._file("values", np.float32, len(encoders.numerical))
        self._labels = {rule.name: self._file(f"label-{rule.name}", np.float32) for rule in encoders.labels}
        self._weights = None if encoders.weight is None else self._file("weights", np.float32)
        self._keys = self._file("row_keys", np.int64)

    def _file(self, name: str, kind: type, *width: int) -> ArrayWriter:
        return self._open.enter_context(ArrayWriter(self._folder / f"{name}.npy", (self._rows, *width), kind))

    def write(self, part: _Encoded, labels: Labels) -> None:
        """Append the rows of one block."""
        self._ids.write(part.ids)
        self._values.write(part.values)
        for name, array in labels.items():
            self._labels[name].write(array)
        if self._weights is not None and part.weights is not None:
            self._weights.write(part.weights)
        self._keys.write(part.row_keys)

    def __enter__(self) -> _Arrays:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(*error)  # type: ignore[arg-type]


def _ahead(work: Callable[[Block], T], blocks: Iterable[Block], threads: int) -> Iterator[T]:
    """Yield what `work` makes of each block, in order, while the next ones are worked on."""
    if threads <= 1:
        yield from map(work, blocks)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for block in blocks:
            waiting.append(pool.submit(work, block))
            if len(waiting) >= threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def open_encoded(folder: Path) -> EncodedDataset:
    """Return what `encode` wrote, memory-mapped and read-only. DataError if it is not there or not whole."""
    arrays = open_arrays(folder)
    try:
        schema = from_plain(EncodedSchema, json.loads((folder / "schema.json").read_text(encoding="utf-8")))
        return EncodedDataset(
            schema=schema,
            ids=arrays["ids"],
            values=arrays["values"],
            labels={name: arrays[f"label-{name}"] for name in schema.labels},
            weights=arrays.get("weights"),
            row_keys=arrays["row_keys"] if "row_keys" in arrays else np.arange(len(arrays["ids"]), dtype=np.int64),
        )
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"The encoded rows in {folder} are incomplete.", do="Delete the folder; they are made again when needed."
        ) from error


def encode_blocks(rows: Rows, encoders: Encoders, *, threads: int = 1) -> Iterator[tuple[Block, EncodedDataset]]:
    """Yield all rows with all their columns, block by block, and their features in memory, without labels."""
    maker = _BlockEncoder(replace(encoders, labels=(), weight=None), None)
    schema = encoders.schema

    def encode_block(block: Block) -> tuple[Block, EncodedDataset]:
        ids, values = maker.features(Inputs(block))
        return block, EncodedDataset(schema=schema, ids=ids, values=values)

    yield from _ahead(encode_block, rows.blocks(rows.columns), threads)


def encode_rows(table: pa.Table, encoders: Encoders) -> EncodedDataset:
    """Return the features of a few rows in memory, without labels."""
    rows = table_rows(table, encoders.columns)
    maker = _BlockEncoder(replace(encoders, labels=(), weight=None), None)
    ids, values = maker.features(Inputs(Block(0, table, rows.columns)))
    return EncodedDataset(schema=encoders.schema, ids=ids, values=values)

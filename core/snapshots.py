"""Rows read block by block, a few columns at a time: what is learned from a snapshot needs no more memory than that.

Blocks are of one size whatever the batches of the file, so results depend on the rows alone. Files are read, not
mapped: pages that are mapped stay in memory until somebody needs the room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens.data import Int64Array
from crosslens.errors import DataError
from crosslens.relational import ColumnRef, Snapshot

from .columns import Column, column_at

BLOCK_ROWS = 1 << 16
_RELEASED_BLOCKS = 2

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some rows in a run: `rows` of them from row `start` of the snapshot on; column i of `table` is `columns[i]`."""

    start: int
    table: pa.Table
    columns: tuple[ColumnRef, ...]

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return int(self.table.num_rows)

    def column(self, ref: ColumnRef) -> Column:
        """Return a column, without dictionary encoding. DataError if it is not among those read."""
        return column_at(self.table, self.columns, ref)

    def only(self, mask: NDArray[np.bool_]) -> Block:
        """Return the rows that a mask (rows,) keeps; `start` stays that of the first one before."""
        if mask.all():
            return self
        return Block(self.start, self.table.filter(pa.array(mask)), self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """`count` rows that can be read again and again. `open` reads the columns of the given ascending positions."""

    columns: tuple[ColumnRef, ...]
    types: tuple[pa.DataType, ...]
    count: int
    open: Callable[[tuple[int, ...]], Batches]

    def blocks(self, wanted: Sequence[ColumnRef]) -> Iterator[Block]:
        """Yield all rows in order with the `wanted` columns, BLOCK_ROWS at a time; no block when there is no row.

        DataError if a column is not among `columns`, or the rows cannot be read.
        """
        places = tuple(sorted({self._place(ref) for ref in wanted})) or (0,)
        columns = tuple(self.columns[place] for place in places)
        start = 0
        for table in _of_one_size(self.open(places), BLOCK_ROWS):
            yield Block(start, table, columns)
            start += table.num_rows
            # What Arrow keeps for later would otherwise come to several blocks per thread; to give it back takes time.
            if start % (_RELEASED_BLOCKS * BLOCK_ROWS) == 0:
                pa.default_memory_pool().release_unused()

    def stream(self, ref: ColumnRef) -> Callable[[], Iterator[Column]]:
        """Return a function that reads one column from the start, block by block."""
        return lambda: (block.column(ref) for block in self.blocks((ref,)))

    def type_of(self, ref: ColumnRef) -> pa.DataType:
        """Return the Arrow type of a column, without dictionary encoding."""
        kind = self.types[self._place(ref)]
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    def sample(self, wanted: Sequence[ColumnRef], most: int, *, seed: int = 0) -> pa.Table:
        """Return at most `most` rows in order, one drawn from each of as many equal stretches of the whole.

        Column i of the table is `wanted[i]`.
        """
        chosen = _spread(self.count, most, seed)
        parts = []
        for block in self.blocks(wanted):
            first, last = np.searchsorted(chosen, (block.start, block.start + block.rows))
            inside = pa.array(chosen[first:last] - block.start)
            parts.append(block.table.take(inside).select([block.columns.index(ref) for ref in wanted]))
        if not parts:
            kinds = [self.types[self._place(ref)] for ref in wanted]
            return pa.table([pa.array([], kind) for kind in kinds], names=[f"c{place}" for place in range(len(kinds))])
        return pa.concat_tables(parts).rename_columns([f"c{place}" for place in range(len(wanted))])

    def _place(self, ref: ColumnRef) -> int:
        try:
            return self.columns.index(ref)
        except ValueError as error:
            raise DataError(
                f"The rows have no column {ref}.", do="Add the column to the query, or remove its field.", column=ref
            ) from error


def snapshot_rows(snapshot: Snapshot) -> Rows:
    """Return the rows of a snapshot's file (Arrow IPC). DataError if it is missing or damaged."""
    with _reading(snapshot.path), pa.OSFile(str(snapshot.path)) as file, pa.ipc.open_file(file) as reader:
        kinds = tuple(reader.schema.types)
    _check_width(len(kinds), len(snapshot.columns))
    return Rows(snapshot.columns, kinds, snapshot.rows, lambda places: _file_batches(snapshot.path, places))


def table_rows(table: pa.Table, columns: Sequence[ColumnRef]) -> Rows:
    """Return rows that are in memory already; column i of `table` is `columns[i]`."""
    _check_width(table.num_columns, len(columns))

    def batches(places: tuple[int, ...]) -> Batches:
        return iter(table.select(list(places)).to_batches(BLOCK_ROWS))

    return Rows(tuple(columns), tuple(table.schema.types), table.num_rows, batches)


def _file_batches(path: Path, places: tuple[int, ...]) -> Batches:
    options = pa.ipc.IpcReadOptions(included_fields=list(places), use_threads=False)
    with _reading(path):
        file = pa.OSFile(str(path))
    with file:
        with _reading(path):
            reader = pa.ipc.open_file(file, options=options)
        for number in range(reader.num_record_batches):
            with _reading(path):
                batch = reader.get_batch(number)
            yield batch


def _check_width(found: int, expected: int) -> None:
    if found != expected:
        raise DataError(
            f"The rows have {found} columns, but {expected} were expected.",
            do="Read the rows again with the query this preparation was made for.",
        )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what Arrow says about a broken file into a sentence."""
    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            "The extracted rows of this project cannot be read.",
            why=f"{path.name} is missing or damaged ({error}).",
            do="Train again: the rows are then read anew from the database.",
        ) from error


def _of_one_size(batches: Batches, size: int) -> Iterator[pa.Table]:
    """Yield tables of `size` rows, the last one of what is left."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while rows >= size:
            table = pa.Table.from_batches(held)
            yield table.slice(0, size)
            held, rows = table.slice(size).to_batches(), rows - size
    if rows:
        yield pa.Table.from_batches(held)


def _spread(count: int, most: int, seed: int) -> Int64Array:
    if count <= most:
        return np.arange(count, dtype=np.int64)
    draws = np.random.default_rng(seed).random(most)
    return np.asarray((np.arange(most) + draws) * (count / most), np.int64)

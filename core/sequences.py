"""Sequences of items per user, ordered by time, as arrays on disk, made from a snapshot in bounded memory.

    users.arrow    (U,)      the users, in the order of their hashes
    offsets.npy    (U + 1,)  int64: the events of user i are offsets[i] up to offsets[i + 1]
    items.npy      (E,)      int32: ids of a vocabulary of items (items.arrow), from 2 on, most frequent first
    times.npy      (E,)      int64 (microseconds since 1970, or the source's own whole numbers) or float64
    row_keys.npy   (E,)      int64: row numbers in the snapshot

An external sort: rows are dealt to files by the hash of their user, and each file is sorted by itself. Memory grows
with the number of items, and with the rows of one file: about 2^18, or those of a single user if there are more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens import RESERVED_IDS, DataError
from crosslens.data import Int32Array, Int64Array
from crosslens.relational import ColumnRef

from .columns import Column, distinct, is_text
from .encoded_files import ArrayWriter, open_arrays, replacing
from .hashing import UInt64Array, hash64, hash_rows
from .moments import moments
from .snapshots import Block, Rows
from .vocabulary import ValueType, Vocabulary, counted_vocabulary, value_counter

ROWS_PER_FILE = 1 << 18
_MOST_FILES = 256


@dataclass(frozen=True, slots=True)
class SequenceSpec:
    """What a sequence is made of, and which ones are kept.

    Events of one user at the same time stand in the order of a seeded hash of `key` (of the item where there is
    none), never in that of the file. `minimum_length`: shorter sequences are left out. `core` > 0 keeps the largest
    set of events in which every user and every item occurs so often. `latest`: no more than so many events per user,
    the last ones.
    """

    user: ColumnRef
    item: ColumnRef
    time: ColumnRef
    key: tuple[ColumnRef, ...] = ()
    minimum_length: int = 1
    core: int = 0
    latest: int | None = None
    seed: int = 0

    @property
    def columns(self) -> tuple[ColumnRef, ...]:
        """Return the columns it is made of, each once."""
        return tuple(dict.fromkeys((self.user, self.item, self.time, *self.key)))


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Sequences on disk, memory-mapped and read-only; U users, E events.

    offsets int64 (U + 1,), items int32 (E,), times int64 or float64 (E,), row_keys int64 (E,); `users` (U,) and the
    vocabulary's values are in memory. `left_out` rows had no user, no item or no time.
    """

    users: pa.Array
    vocabulary: Vocabulary
    offsets: Int64Array
    items: Int32Array
    times: NDArray[Any]
    row_keys: Int64Array
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, place: int) -> Int32Array:
        """Return the item ids of one user, in order of time."""
        return self.items[self.offsets[place] : self.offsets[place + 1]]


def build_sequences(
    rows: Rows,
    spec: SequenceSpec,
    folder: Path,
    *,
    kept: NDArray[np.bool_] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Sequences:
    """Write sequences of the `kept` rows (all by default) under `folder`, whole or not at all, and return them.

    `check` is called for every block and may raise. DataError if nothing is left; StorageError when the disk is full.
    """
    with replacing(folder) as temporary:
        vocabulary = _items(rows, spec, kept, check)
        deal = _Deal(rows, spec, vocabulary, temporary)
        with deal:
            for block in _kept_blocks(rows, spec.columns, kept):
                check()
                deal.add(block)
        lasting = _lasting(deal, spec, len(vocabulary.values), check)
        _write(deal, spec, vocabulary, lasting, temporary, check)
        deal.remove()
    return open_sequences(folder)


def open_sequences(folder: Path) -> Sequences:
    """Return what `build_sequences` wrote. DataError if it is not there or not whole."""
    arrays = open_arrays(folder)
    try:
        about = json.loads((folder / "sequences.json").read_text(encoding="utf-8"))
        return Sequences(
            users=_read_values(folder / "users.arrow"),
            vocabulary=Vocabulary(ValueType(about["items"]), _read_values(folder / "items.arrow")),
            offsets=arrays["offsets"],
            items=arrays["items"],
            times=arrays["times"],
            row_keys=arrays["row_keys"],
            left_out=about["left_out"],
        )
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"The sequences in {folder} are incomplete.", do="Delete the folder; they are made again when needed."
        ) from error


# --- dealing rows to files --------------------------------------------------------------------------------------------


def _items(rows: Rows, spec: SequenceSpec, kept: NDArray[np.bool_] | None, check: Callable[[], None]) -> Vocabulary:
    counter = value_counter()
    for block in _kept_blocks(rows, (spec.item,), kept):
        check()
        counter.add(block.column(spec.item))
    return counted_vocabulary(counter, rows.type_of(spec.item), minimum_count=1)


def _kept_blocks(rows: Rows, columns: Sequence[ColumnRef], kept: NDArray[np.bool_] | None) -> Iterator[Block]:
    """Yield blocks with a last column that numbers the rows."""
    number = ColumnRef("", "row number")
    for block in rows.blocks(columns):
        keys = pa.array(np.arange(block.start, block.start + block.rows))
        numbered = Block(block.start, block.table.append_column("row", keys), (*block.columns, number))
        yield numbered if kept is None else numbered.only(kept[block.start : block.start + block.rows])


class _Deal:
    """Events dealt to files by the hash of their user, and beside them the users' values."""

    def __init__(self, rows: Rows, spec: SequenceSpec, vocabulary: Vocabulary, folder: Path) -> None:
        self._spec = spec
        self._read_items = vocabulary.reader()
        self._salt = hash64(pa.array([f"order {spec.seed}"]))[0]
        wanted = max(1, -(-rows.count // ROWS_PER_FILE))
        self._bits = min((wanted - 1).bit_length(), _MOST_FILES.bit_length() - 1)
        self.time_type = _time_type(rows.type_of(spec.time))
        self.user_type = rows.type_of(spec.user)
        self._user_schema = pa.schema([("hash", pa.uint64()), ("user", self.user_type)])
        self._record = np.dtype(
            [("user", "u8"), ("time", self.time_type), ("tie", "u8"), ("item", "i4"), ("row", "i8")]
        )
        self._paths = [folder / f"events-{number}.bin" for number in range(1 << self._bits)]
        self._user_paths = [path.with_suffix(".arrow") for path in self._paths]
        self._open = ExitStack()
        self._files: list[Any] = []
        self._users: list[Any] = []
        self.left_out = 0

    def __enter__(self) -> _Deal:
        for path, users in zip(self._paths, self._user_paths, strict=True):
            self._files.append(self._open.enter_context(path.open("wb")))
            self._users.append(self._open.enter_context(pa.ipc.new_stream(str(users), self._user_schema)))
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(*error)  # type: ignore[arg-type]

    def add(self, block: Block) -> None:
        """Deal out the rows of a block."""
        spec = self._spec
        users, items = block.column(spec.user), block.column(spec.item)
        times, untimed = _times(block.column(spec.time))
        ids = self._read_items(items)
        usable = ~untimed & (ids >= RESERVED_IDS) & ~np.asarray(users.is_null().to_numpy())
        self.left_out += int((~usable).sum())
        events = np.empty(block.rows, self._record)
        events["user"], events["time"], events["item"] = hash64(users), times, ids
        events["tie"] = hash_rows([block.column(ref) for ref in spec.key or (spec.item,)]) ^ self._salt
        events["tie"] = hash64(pa.array(events["tie"].view(np.int64)))
        events["row"] = np.asarray(block.table.column(block.table.num_columns - 1).to_numpy())
        self._hand_out(events[usable])
        self._note_users(users)

    def _hand_out(self, events: NDArray[Any]) -> None:
        files = self._file_of(events["user"])
        order = np.argsort(files, kind="stable")
        starts = np.searchsorted(files[order], np.arange(len(self._files) + 1))
        for number, file in enumerate(self._files):
            file.write(events[order[starts[number] : starts[number + 1]]].tobytes())

    def _note_users(self, column: Column) -> None:
        _, values = distinct(column)
        hashes = hash64(values)
        files = self._file_of(hashes)
        for number, writer in enumerate(self._users):
            places = np.flatnonzero(files == number)
            if len(places):
                chosen = values.combine_chunks().take(pa.array(places))
                writer.write_batch(pa.record_batch([pa.array(hashes[places]), chosen], schema=self._user_schema))

    def _file_of(self, hashes: UInt64Array) -> Int64Array:
        return (
            (hashes >> np.uint64(64 - self._bits)).astype(np.int64) if self._bits else np.zeros(len(hashes), np.int64)
        )

    def parts(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the number and the events of every file."""
        for number, path in enumerate(self._paths):
            yield number, np.fromfile(path, self._record)

    def users(self, number: int) -> tuple[UInt64Array, pa.Array]:
        """Return the hashes of the users of a file, ascending, and their values."""
        with pa.OSFile(str(self._user_paths[number])) as file, pa.ipc.open_stream(file) as reader:
            table = reader.read_all()
        hashes, first = np.unique(np.asarray(table["hash"].to_numpy()), return_index=True)
        values = table["user"].combine_chunks()
        return hashes, values.take(pa.array(first))

    def remove(self) -> None:
        """Delete the files."""
        for path in (*self._paths, *self._user_paths):
            path.unlink()


def _time_type(kind: pa.DataType) -> str:
    return "f8" if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else "i8"


def _times(column: Column) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return times (N,) that order events, int64 or float64, and which rows have none."""
    if pa.types.is_temporal(column.type) or is_text(column.type):
        found = moments(column)
        return found.view(np.int64), np.isnat(found)
    missing = np.asarray(column.is_null().to_numpy())
    if pa.types.is_integer(column.type):
        return np.asarray(column.cast(pa.int64()).fill_null(0).to_numpy()), missing
    if _time_type(column.type) != "f8":
        raise DataError(f"Values of type {column.type} are no times.", do="Choose another time column.")
    numbers = np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy())
    return numbers, ~np.isfinite(numbers)


# --- keeping and sorting ----------------------------------------------------------------------------------------------


def _lasting(deal: _Deal, spec: SequenceSpec, items: int, check: Callable[[], None]) -> Int64Array:
    """Return how often each item occurs among the events that stay, int64 (V,); 0 for items that go.

    Users with too few events go, then items with too few, and so on until nothing changes.
    """
    fewest = max(spec.core, 1)
    stays = np.ones(items, np.bool_)
    while True:
        counts = np.zeros(items, np.int64)
        for _, events in deal.parts():
            check()
            found = events[_of_lasting(events, stays, spec)]
            counts += np.bincount(found["item"] - RESERVED_IDS, minlength=items)
        now = counts >= fewest
        if (now == stays).all():
            return counts
        stays = now


def _of_lasting(events: NDArray[Any], stays: NDArray[np.bool_], spec: SequenceSpec) -> NDArray[np.bool_]:
    """Return which events have an item that stays and a user with enough of them."""
    usable = stays[events["item"] - RESERVED_IDS]
    _, places, counts = np.unique(events["user"][usable], return_inverse=True, return_counts=True)
    enough = counts >= max(spec.core, spec.minimum_length, 1)
    usable[usable] = enough[places]
    return np.asarray(usable)


def _write(
    deal: _Deal,
    spec: SequenceSpec,
    vocabulary: Vocabulary,
    counts: Int64Array,
    folder: Path,
    check: Callable[[], None],
) -> None:
    stays = counts >= max(spec.core, 1)
    if not stays.any():
        raise DataError(
            "No sequence is left.",
            why="No user has enough events with a user, an item and a time.",
            do="Ask for shorter sequences, or a smaller core.",
        )
    order = np.argsort(-counts[stays], kind="stable")
    places = np.flatnonzero(stays)[order]
    ids = np.zeros(len(stays), np.int32)
    ids[places] = np.arange(len(places), dtype=np.int32) + np.int32(RESERVED_IDS)
    with _Files(folder, deal) as files:
        for number, events in deal.parts():
            check()
            found = events[_of_lasting(events, stays, spec)]
            files.write(_sorted(found, spec.latest), ids, *deal.users(number))
    _write_values(folder / "items.arrow", vocabulary.values.take(pa.array(places)))
    about = {"items": vocabulary.type.value, "left_out": deal.left_out}
    (folder / "sequences.json").write_text(json.dumps(about), encoding="utf-8")


def _sorted(events: NDArray[Any], latest: int | None) -> NDArray[Any]:
    """Return events by user, time and tie, only the last ones of each user."""
    events = events[np.lexsort((events["row"], events["tie"], events["time"], events["user"]))]
    if latest is None or not len(events):
        return events
    _, places, counts = np.unique(events["user"], return_inverse=True, return_counts=True)
    from_end = np.cumsum(counts)[places] - np.arange(len(events))
    return events[from_end <= latest]


class _Files:
    """The arrays of the sequences while they are written."""

    def __init__(self, folder: Path, deal: _Deal) -> None:
        self._open = ExitStack()
        self._deal = deal
        self._offsets = self._array(folder / "offsets.npy", np.int64)
        self._items = self._array(folder / "items.npy", np.int32)
        self._times = self._array(folder / "times.npy", np.dtype(deal.time_type))
        self._rows = self._array(folder / "row_keys.npy", np.int64)
        self._schema = pa.schema([("value", deal.user_type)])
        self._users = self._open.enter_context(pa.ipc.new_file(str(folder / "users.arrow"), self._schema))
        self._offsets.write(np.zeros(1, np.int64))

    def _array(self, path: Path, kind: Any) -> ArrayWriter:
        return self._open.enter_context(ArrayWriter(path, (None,), kind))

    def write(self, events: NDArray[Any], ids: Int32Array, hashes: UInt64Array, values: pa.Array) -> None:
        """Append the sequences of sorted events."""
        users, counts = np.unique(events["user"], return_counts=True)
        self._offsets.write(self._items.rows + np.cumsum(counts).astype(np.int64))
        self._items.write(ids[events["item"] - RESERVED_IDS])
        self._times.write(np.ascontiguousarray(events["time"]))
        self._rows.write(np.ascontiguousarray(events["row"]))
        chosen = values.take(pa.array(np.searchsorted(hashes, users)))
        self._users.write_batch(pa.record_batch([chosen], schema=self._schema))

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(*error)  # type: ignore[arg-type]


def _write_values(path: Path, values: pa.Array) -> None:
    with pa.ipc.new_file(str(path), pa.schema([("value", values.type)])) as writer:
        writer.write_batch(pa.record_batch([values], names=["value"]))


def _read_values(path: Path) -> pa.Array:
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
        column = reader.read_all()["value"]
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)

"""Text files read with Arrow block by block, from any row on, where every byte is in its place.

Plain is what DuckDB and Arrow understand alike (RFC 4180): fields are quoted wholly or not at all, all lines end alike,
none is empty. Walking through a file once finds where blocks of rows begin and whether all of it is plain. Whatever is
not, and every value that is not certainly of its column's type, is left to DuckDB, which also says what is wrong.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from io import FileIO
from itertools import count, product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from .csv_table import LINE_BYTES, CsvTable
from .csv_types import CsvType, Meaning, form_of
from .encoding import FileState
from .layout import Layout

BLOCK_BYTES = 1 << 21
"""About so much text is parsed at a time by each thread: it stays in the processor's cache."""
_LONGEST_LINE = LINE_BYTES - 1
_MOST_THREADS = 4
_MOST_INDEXES = 64
_EXACT_INTEGER = 10**18
_EXACT_FLOAT = 1e15
"""Numbers beyond these have more digits than `csv_types` lets a number have."""
_HOUR_ALONE = len("2024-01-31T10")
_BOM = b"\xef\xbb\xbf"
_LINE_FEED, _RETURN, _ZERO, _MINUS, _SPACE, _TAB, _X = b"\n\r0- \tx"

Places = NDArray[np.int64]


class NotPlain(Exception):
    """Something DuckDB should look at: not an error of its own, and never shown."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole rows of a file: where their bytes are, the number of the first one (from 0) and how many there are."""

    path: Path
    start: int
    size: int
    first: int
    rows: int


def plain_index(table: CsvTable) -> RowIndex | None:
    """Return where the rows of a table are, found out once per state of its files; None where they cannot be plain."""
    layout = table.layout
    one_byte = len(layout.delimiter.encode()) == 1 and layout.escape in ("", layout.quote)
    packed = any(path.suffix.lower() == ".gz" for path in table.paths)
    if not one_byte or packed or layout.skip or table.options.skip_bad_lines or len(layout.names) < 2:
        return None
    try:
        index = _index(tuple(FileState.of(path) for path in table.paths), layout)
    except OSError:  # gone: whoever reads it says so
        return None
    return index if index.suits(table.types) else None


@lru_cache(maxsize=_MOST_INDEXES)
def _index(states: tuple[FileState, ...], layout: Layout) -> RowIndex:
    return RowIndex([state.path for state in states], layout)


class RowIndex:
    """The blocks of a table's files, walked through only as far as somebody has asked."""

    def __init__(self, paths: Sequence[Path], layout: Layout) -> None:
        self._blocks: list[Block] = []
        self._walk = _walk(paths, layout)
        self._ended = False
        self._refused = False
        self._unfit: set[tuple[CsvType, ...]] = set()
        self._lock = threading.Lock()

    def rows(self, *, go_on: Callable[[], None]) -> int:
        """Return how many rows there are; NotPlain if the files are not. `go_on` is called now and then, and raises."""
        while self._next(len(self._blocks)) is not None:
            go_on()
        return self._blocks[-1].first + self._blocks[-1].rows if self._blocks else 0

    def blocks(self, first: int = 0, *, go_on: Callable[[], None]) -> Iterator[Block]:
        """Yield the blocks from the one that holds row `first` on; NotPlain where the files are not."""
        number = 0
        while (block := self._next(number)) is not None:
            go_on()
            number += 1
            if block.first + block.rows > first:
                yield block

    def suits(self, types: tuple[CsvType, ...]) -> bool:
        """Whether nothing is known yet against reading the files with these types."""
        return not self._refused and types not in self._unfit

    def refuse(self, types: tuple[CsvType, ...]) -> None:
        """Remember that the files cannot be read with these types."""
        self._unfit.add(types)

    def _next(self, number: int) -> Block | None:
        with self._lock:
            if self._refused:
                raise NotPlain
            if number == len(self._blocks) and not self._ended:
                self._step()
            return self._blocks[number] if number < len(self._blocks) else None

    def _step(self) -> None:
        try:
            self._blocks.append(next(self._walk))
        except StopIteration:
            self._ended = True
        except NotPlain:
            self._refused = True
            raise


def readable(table: CsvTable, columns: Sequence[str]) -> bool:
    """Whether columns of a table are of types that can be read here."""
    return all(table.types[table.layout.names.index(name)].meaning in _READ for name in columns)


def read_rows(
    table: CsvTable, index: RowIndex, columns: Sequence[str], *, go_on: Callable[[], None]
) -> Generator[list[pa.Array], None, None]:
    """Yield columns block by block in the order of the file, parsed side by side; NotPlain leaves it to DuckDB."""
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[list[pa.Array]]] = deque()
    with ThreadPoolExecutor(threads, "plain-text") as pool:
        try:
            for block in index.blocks(go_on=go_on):
                waiting.append(pool.submit(_parsed, table, block, columns))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except NotPlain:
            index.refuse(table.types)
            raise
        finally:
            for future in waiting:
                future.cancel()


def rows_from(
    table: CsvTable, index: RowIndex, columns: Sequence[str], first: int, rows: int, *, go_on: Callable[[], None]
) -> list[pa.Array]:
    """Return at most `rows` rows beginning with the row `first` (from 0); NotPlain leaves them to DuckDB."""
    parts: list[list[pa.Array]] = []
    try:
        for block in index.blocks(first, go_on=go_on):
            arrays = _parsed(table, block, columns)
            skipped = max(0, first - block.first)
            parts.append([array.slice(skipped, rows) for array in arrays])
            rows -= len(parts[-1][0])
            if rows <= 0:
                break
    except NotPlain:
        index.refuse(table.types)
        raise
    return [pa.concat_arrays(part) for part in zip(*parts, strict=True)]


# --- walking ----------------------------------------------------------------------------------------------------------


def _walk(paths: Sequence[Path], layout: Layout) -> Iterator[Block]:
    first = 0
    for path in paths:
        try:
            with path.open("rb", buffering=0) as file:
                for start, size, rows in _pieces(file, layout):
                    yield Block(path, start, size, first, rows)
                    first += rows
        except OSError as error:
            raise NotPlain from error


def _pieces(file: FileIO, layout: Layout) -> Iterator[tuple[int, int, int]]:
    """Yield where whole rows begin, their bytes and their number; the header row is left out."""
    whole = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
    header, returned = layout.header, False
    for number in count():
        data, ends = _some_rows(file, start, whole, 2 if header else 1, layout)
        if not data:
            return
        size = min(int(ends[-1]) + 1, whole - start)
        returns = _returns(data[:size], ends)
        if number and returns != returned:
            raise NotPlain  # lines that end one way here and another way there
        lengths = np.diff(ends, prepend=-1)
        if lengths.min() <= 1 + returns or lengths.max() > _LONGEST_LINE:
            raise NotPlain  # an empty line, or one that DuckDB refuses
        begin = int(ends[0]) + 1 if header else 0
        if begin < size:
            yield start + begin, size - begin, len(ends) - header
        start, header, returned = start + size, False, returns


def _some_rows(file: FileIO, start: int, whole: int, least: int, layout: Layout) -> tuple[bytes, Places]:
    """Return bytes from `start` on, and where rows end in them: at least so many of them, unless the file ends.

    A last row that no line feed ends is given one.
    """
    size = BLOCK_BYTES
    while True:
        file.seek(start)
        data = file.read(size)
        last = start + len(data) >= whole
        if last and data and not data.endswith(b"\n"):
            data += b"\n"
        ends = _row_ends(data, layout)
        if last and data and (not len(ends) or ends[-1] != len(data) - 1):
            raise NotPlain  # a quote that is not closed
        if last or len(ends) >= least:
            return data, ends
        if size > _LONGEST_LINE:
            raise NotPlain
        size *= 2


def _row_ends(data: bytes, layout: Layout) -> Places:
    """Return where rows end: at line feeds outside of quotes. NotPlain if a quote is where none should be."""
    found = np.frombuffer(data, np.uint8)
    feeds = np.flatnonzero(found == _LINE_FEED)
    quote = layout.quote.encode()
    if not quote or quote not in data:
        return feeds
    quotes = np.flatnonzero(found == quote[0])
    ends: Places = feeds[np.searchsorted(quotes, feeds) % 2 == 0]
    kept = quotes[: np.searchsorted(quotes, ends[-1])] if len(ends) else quotes[:0]
    opening, closing = kept[0::2], kept[1::2]
    before = np.where(opening > 0, found[opening - 1], _LINE_FEED)
    around = (_LINE_FEED, _RETURN, layout.delimiter.encode()[0], quote[0])
    if not (np.isin(before, around).all() and np.isin(found[closing + 1], around).all()):
        raise NotPlain
    return ends


def _returns(data: bytes, ends: Places) -> bool:
    """Whether all rows end with a carriage return before the line feed; NotPlain if some do, or others are about."""
    returns = data.count(b"\r")
    if not returns:
        return False
    found = np.frombuffer(data, np.uint8)
    feeds = ends if data.endswith(b"\n") else ends[:-1]
    if returns != len(feeds) or (found[feeds - 1] != _RETURN).any():
        raise NotPlain
    return True


# --- parsing ----------------------------------------------------------------------------------------------------------


def _parsed(table: CsvTable, block: Block, columns: Sequence[str]) -> list[pa.Array]:
    """Return columns of a block; NotPlain if a value is not certainly what its column is taken for."""
    try:
        with block.path.open("rb", buffering=0) as file:
            file.seek(block.start)
            data = file.read(block.size)
    except OSError as error:
        raise NotPlain from error
    if len(data) != block.size:
        raise NotPlain  # cut since
    types = {name: table.types[table.layout.names.index(name)] for name in columns}
    found = _arrays(table, data, {name: _READ[type_.meaning] for name, type_ in types.items()})
    if not table.checked and _zeros_lead(data, table.layout):
        _refuse_codes(table, data, types)
    arrays = {name: _certain(found[name], types[name], checked=table.checked) for name in columns}
    if any(len(array) != block.rows for array in arrays.values()):
        raise NotPlain
    return [arrays[name] for name in columns]


def _arrays(table: CsvTable, data: bytes, types: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    layout = table.layout
    numbers = {name: str(layout.names.index(name)) for name in types}
    try:
        read = pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                block_size=len(data) + 1,
                column_names=[str(number) for number in range(len(layout.names))],
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char=layout.quote or False,
                newlines_in_values=True,
                ignore_empty_lines=False,
            ),
            convert_options=pa_csv.ConvertOptions(
                include_columns=list(numbers.values()),
                column_types={numbers[name]: type_ for name, type_ in types.items()},
                null_values=list(table.options.nulls),
                true_values=_spellings("true"),
                false_values=_spellings("false"),
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise NotPlain from error
    return {name: read.column(number).combine_chunks() for name, number in numbers.items()}


@cache
def _spellings(word: str) -> list[str]:
    return ["".join(letters) for letters in product(*zip(word.lower(), word.upper(), strict=True))]


def _certain(array: pa.Array, type_: CsvType, *, checked: bool) -> pa.Array:
    """Return the array as what its column is; NotPlain if a value has not the form `csv_types` asks for."""
    meaning = type_.meaning
    if meaning is Meaning.INTEGER and not checked:
        _refuse_beyond(array, _EXACT_INTEGER)
    elif meaning is Meaning.FLOAT and not checked:
        _refuse_beyond(array, _EXACT_FLOAT)
    elif meaning is Meaning.TIMESTAMP:
        if pc.any(pc.equal(pc.binary_length(array), _HOUR_ALONE)).as_py():
            raise NotPlain
        return _cast(array, pa.timestamp("us"))
    elif meaning is Meaning.ZONED:
        return _cast(_cast(array, pa.timestamp("us", "UTC")), pa.timestamp("us"))
    elif meaning is Meaning.COMMA_FLOAT:
        if not checked and not pc.all(pc.match_substring_regex(array, rf"^\s*({form_of(meaning)})\s*$")).as_py():
            raise NotPlain
        plain = pc.replace_substring(pc.replace_substring(pc.utf8_trim_whitespace(array), ".", ""), ",", ".")
        return _cast(plain, pa.float64())
    return array


def _refuse_beyond(array: pa.Array, limit: float) -> None:
    ends = pc.min_max(array)
    low, high = ends["min"].as_py(), ends["max"].as_py()
    # Arrow leaves NaN out of account unless there is nothing else; infinity is beyond every limit.
    nothing_else = pa.types.is_floating(array.type) and pc.any(pc.is_nan(array)).as_py()
    if nothing_else or (low is not None and not (-limit < low and high < limit)):
        raise NotPlain


def _cast(array: pa.Array, type_: pa.DataType) -> pa.Array:
    try:
        return array.cast(type_)
    except pa.ArrowInvalid as error:
        raise NotPlain from error


def _zeros_lead(data: bytes, layout: Layout) -> bool:
    """Whether some field may begin with 0 and another digit (a code, no number) or with 0x."""
    found = np.frombuffer(b"\n" + data + b"\n\n", np.uint8)
    places = np.flatnonzero((found[:-2] == _LINE_FEED) | (found[:-2] == layout.delimiter.encode()[0])) + 1
    while len(places):
        begun = found[places]
        following = found[places[begun == _ZERO] + 1]
        if ((following - _ZERO < 10) | (following | _SPACE == _X)).any():
            return True
        places = places[_BEFORE_NUMBERS[begun]] + 1
    return False


def _refuse_codes(table: CsvTable, data: bytes, types: Mapping[str, CsvType]) -> None:
    """Look at numbers as text: NotPlain if one begins as a code does."""
    numbers = {name: pa.string() for name, type_ in types.items() if type_.meaning in (Meaning.INTEGER, Meaning.FLOAT)}
    for texts in _arrays(table, data, numbers).values() if numbers else ():
        if pc.any(pc.match_substring_regex(texts, r"^\s*-?0[0-9xX]")).as_py():
            raise NotPlain


_BEFORE_NUMBERS = np.isin(np.arange(256), list(b" \t-\"'"))
"""What may stand between the beginning of a field and its first digit."""
_READ = {
    Meaning.INTEGER: pa.int64(),
    Meaning.FLOAT: pa.float64(),
    Meaning.COMMA_FLOAT: pa.string(),
    Meaning.BOOLEAN: pa.bool_(),
    Meaning.DATE: pa.date32(),
    Meaning.TIMESTAMP: pa.string(),
    Meaning.ZONED: pa.string(),
    Meaning.TEXT: pa.string(),
    Meaning.UNKNOWN: pa.string(),
}
"""What Arrow reads a column as; times are read as text first, because Arrow lets an hour alone pass."""

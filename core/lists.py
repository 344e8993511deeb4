"""Several values in a row: arrays, JSON arrays kept as text, and text parted by a delimiter, all as one Arrow type."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json
from numpy.typing import NDArray

from crosslens import DataError

from .columns import Column, distinct, is_text, plain

JSON = ""
"""In the place of a delimiter: the text is a JSON array."""
DELIMITERS = ("|", ";", ",")
LISTS = pa.list_(pa.string())


def lists(column: Column | pa.Array, delimiter: str) -> pa.ListArray:
    """Return the values of every row as list<string> (N,), without NULLs and empty ones; NULL where the row is.

    Arrays are read as they are, text is parted by `delimiter` or, where that is empty, read as a JSON array; text that
    is not one holds a single value. Values lose the space around them. DataError for other types.
    """
    column = plain(column)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), LISTS)
    if _is_list(column.type):
        return _cleaned(column.cast(LISTS).combine_chunks() if column.num_chunks else pa.array([], LISTS))
    if not can_hold_lists(column.type):
        raise DataError(
            f"Values of type {column.type} do not hold several values.",
            do="Set the field's kind to categorical or numerical.",
        )
    places, texts = distinct(column)
    known = _cleaned(_parted(texts.cast(pa.string()).combine_chunks(), delimiter))
    return known.take(pa.array(places, mask=places < 0))


@dataclass(frozen=True, slots=True, eq=False)
class ListValues:
    """The values of some rows, sorted once so that the rows of any value are found quickly.

    absent (N,) tells which rows are NULL. `_rows` are the rows of all values, `_starts` where each of `_known` begins.
    """

    absent: NDArray[np.bool_]
    _known: pa.StringArray
    _rows: NDArray[np.int64]
    _starts: NDArray[np.int64]

    @classmethod
    def of(cls, found: pa.ListArray) -> ListValues:
        """Sort the values of list<string> (N,)."""
        encoded = found.flatten().dictionary_encode()
        codes = encoded.indices.to_numpy()
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
        rows = pc.list_parent_indices(found).to_numpy()[order]
        return cls(found.is_null().to_numpy(zero_copy_only=False), encoded.dictionary, rows, starts)

    def rows_with(self, value: str) -> NDArray[np.int64]:
        """Return the numbers of the rows that hold a value, ascending; a row that holds it twice is there twice."""
        place = self._known.index(value).as_py()
        return self._rows[:0] if place < 0 else self._rows[self._starts[place] : self._starts[place + 1]]


def can_hold_lists(kind: pa.DataType) -> bool:
    """Whether `lists` reads columns of an Arrow type."""
    return bool(pa.types.is_null(kind) or _is_list(kind) or is_text(kind))


def guess_delimiter(column: Column) -> str:
    """Return what parts the values of a text column.

    JSON where most texts look like arrays, else the most common of | ; and , (a comma where none occurs).
    """
    if not is_text(column.type):
        return JSON
    texts = column.drop_null()
    if not len(texts) or _share(pc.match_substring_regex(texts, r"^\s*\[.*\]\s*$")) > 0.5:
        return JSON
    shares = {mark: _share(pc.match_substring(texts, mark)) for mark in DELIMITERS}
    found = max(shares, key=lambda mark: shares[mark])
    return found if shares[found] else ","


def _share(mask: Column) -> float:
    return float(pc.mean(mask.cast(pa.int8())).as_py())


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _parted(texts: pa.Array, delimiter: str) -> pa.ListArray:
    if not len(texts):
        return pa.array([], LISTS)
    return pc.split_pattern(texts, delimiter) if delimiter else _from_json(texts)


def _from_json(texts: pa.Array) -> pa.ListArray:
    """Let Arrow parse arrays of texts; what it cannot (numbers among texts, no arrays) is parsed one by one."""
    if bool(pc.all(pc.match_substring_regex(texts, r"^\s*\[")).as_py()):
        content = _content(pc.binary_join_element_wise('{"v":', texts, "}\n", ""))
        schema = pa.schema([("v", LISTS)])
        try:
            table = pa_json.read_json(
                pa.BufferReader(content),
                read_options=pa_json.ReadOptions(use_threads=False, block_size=content.size + 1),
                parse_options=pa_json.ParseOptions(explicit_schema=schema, newlines_in_values=True),
            )
        except pa.ArrowInvalid:  # not only texts, or no JSON: below
            table = None
        if table is not None and table.num_rows == len(texts) and table.schema == schema:
            return table["v"].combine_chunks()
    return pa.array([_values_of(text) for text in texts.to_pylist()], LISTS)


def _content(texts: pa.Array) -> pa.Buffer:
    """Return all texts one behind the other."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return data.slice(int(ends[0]), int(ends[-1] - ends[0]))


def _values_of(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:  # no JSON: the text is the value
        return [text]
    values = found if isinstance(found, list) else [found]
    return [value if isinstance(value, str) else json.dumps(value) for value in values if value is not None]


def _cleaned(found: pa.ListArray) -> pa.ListArray:
    """Return the lists with trimmed values, and without those that are NULL or empty."""
    if found.type != LISTS:
        found = found.cast(LISTS)
    parents = np.asarray(pc.list_parent_indices(found).to_numpy())
    values = pc.utf8_trim_whitespace(found.flatten())
    kept = np.asarray(pc.fill_null(pc.not_equal(values, ""), False).to_numpy(zero_copy_only=False))
    lengths = np.bincount(parents[kept], minlength=len(found))
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    missing = found.is_null() if found.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets), values.filter(pa.array(kept)), mask=missing)

"""A categorical field with too many values for a vocabulary: a stable hash sends each to one of a few buckets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens import MISSING_ID, RESERVED_IDS, UNKNOWN_ID, EncodedField, FieldKind, FieldRole
from crosslens.data import Int32Array
from crosslens.relational import ColumnRef

from .columns import Column, as_text, distinct
from .hashing import hash64
from .inputs import Inputs
from .vocabulary import EMPTY_TEXT, MISSING_TEXT, UNKNOWN_TEXT, canonical

_NAMED = 3
"""The text of a bucket names so many of its values."""
_BUCKET = re.compile(r"hash (\d+)( \(.*\))?")


def buckets_of(values: Column, buckets: int) -> NDArray[np.int64]:
    """Return the bucket of every value, int64 (N,), whatever the type its text is stored in. NULLs mean nothing."""
    texts = as_text(canonical(values))
    return (hash64(texts) % np.uint64(buckets)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class HashEncoder:
    """A categorical field hashed into `buckets`: bucket i has local id i + 2.

    `unseen` are buckets no training value fell into: their values are unknown. `frequent` are the most frequent
    values, to name buckets and to choose from.
    """

    name: str
    column: ColumnRef
    role: FieldRole
    buckets: int
    unseen: tuple[int, ...] = ()
    frequent: tuple[str, ...] = ()

    @property
    def encoded(self) -> EncodedField:
        """Return the field as models see it."""
        return EncodedField(self.name, FieldKind.CATEGORICAL, self.buckets + RESERVED_IDS, self.role)

    def reader(self) -> Callable[[Inputs], Int32Array]:
        """Return a function that reads local ids, int32 (N,), of block after block."""
        return lambda inputs: self.local_ids(inputs.column(self.column))

    def local_ids(self, column: Column) -> Int32Array:
        """Return local ids, int32 (N,)."""
        places, values = distinct(column)
        return np.append(self._ids(values), np.int32(MISSING_ID))[places]

    def _ids(self, values: Column) -> Int32Array:
        if not len(values):
            return np.zeros(0, np.int32)
        kept = canonical(values)
        ids = np.arange(self.buckets, dtype=np.int32) + np.int32(RESERVED_IDS)
        ids[list(self.unseen)] = UNKNOWN_ID
        found = ids[buckets_of(kept, self.buckets)]
        found[np.asarray(kept.is_null().to_numpy())] = MISSING_ID
        return found

    def text(self, local_id: int) -> str:
        """Return how a bucket is shown: "hash 17", with its most frequent values where they are known."""
        if local_id in (MISSING_ID, UNKNOWN_ID):
            return MISSING_TEXT if local_id == MISSING_ID else UNKNOWN_TEXT
        if not 0 <= local_id < self.encoded.cardinality:
            raise IndexError(f"local id {local_id} is not below {self.encoded.cardinality}")
        bucket = local_id - RESERVED_IDS
        names = [self.frequent[place] for place in np.flatnonzero(self._buckets() == bucket)]
        shown = ", ".join(name or EMPTY_TEXT for name in names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
        return f"hash {bucket} ({shown})" if names else f"hash {bucket}"

    def local_id(self, text: str | None) -> int:
        """Return the local id of a value given as text, or of a bucket given by what `text` shows."""
        if text is None or text in ("", MISSING_TEXT):
            return MISSING_ID
        if text == UNKNOWN_TEXT:
            return UNKNOWN_ID
        label = _BUCKET.fullmatch(text)
        if label and int(label[1]) < self.buckets and text == self.text(int(label[1]) + RESERVED_IDS):
            return int(label[1]) + RESERVED_IDS
        value = "" if text == EMPTY_TEXT else text
        return int(self._ids(pa.chunked_array([pa.array([value])]))[0])

    def choices(self, most: int) -> tuple[str, ...]:
        """Return the most frequent values."""
        return tuple(value or EMPTY_TEXT for value in self.frequent[:most])

    def _buckets(self) -> NDArray[np.int64]:
        return buckets_of(pa.chunked_array([pa.array(self.frequent, pa.string())]), self.buckets)

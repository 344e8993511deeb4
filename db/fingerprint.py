"""A digest of what rows contain, whatever the batches they came in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DIGEST_BYTES = 16
_PLAIN = {pa.date32(): pa.int32(), pa.timestamp("us"): pa.int64()}
"""How days and moments are counted."""


def _digest() -> Any:
    # Processors have instructions for SHA-256: about three times as fast as BLAKE2b where they do.
    return hashlib.sha256(usedforsecurity=False)


class ContentFingerprint:
    """Two streams per column, presence (or length) and values, so that batch borders leave no trace."""

    def __init__(self, types: Sequence[pa.DataType]) -> None:
        self._columns = tuple(_ListColumn(kind) if pa.types.is_list(kind) else _Column(kind) for kind in types)

    def update(self, arrays: Sequence[pa.Array]) -> None:
        """Take in the next rows, one array per column."""
        for array, column in zip(arrays, self._columns, strict=True):
            column.update(array)

    def digest(self) -> bytes:
        """Return 16 bytes."""
        whole = _digest()
        for column in self._columns:
            for part in column.parts():
                whole.update(part)
        return bytes(whole.digest()[:DIGEST_BYTES])

    def hexdigest(self) -> str:
        """Return 32 hexadecimal digits."""
        return self.digest().hex()


class _Column:
    """Numbers, moments or text. Presence is kept as the places of what is missing: most columns miss nothing."""

    def __init__(self, kind: pa.DataType) -> None:
        self._type = kind
        self._rows = 0
        self._missing = _digest()
        self._values = _digest()
        self._lengths = _digest()

    def update(self, array: pa.Array) -> None:
        if array.null_count:
            places = pc.indices_nonzero(array.is_null()).to_numpy().astype(np.int64) + self._rows
            self._missing.update(places.data)
        self._rows += len(array)
        if pa.types.is_string(array.type):
            self._lengths.update(_numpy(_filled(pc.binary_length(array)), np.int32))
            self._values.update(_text_bytes(array))
            return
        plain = array.cast(_PLAIN[array.type]) if array.type in _PLAIN else array
        self._values.update(_numpy(_filled(plain), _dtype(plain.type)))

    def parts(self) -> tuple[bytes, ...]:
        counts = self._rows.to_bytes(8, "little")
        return (
            str(self._type).encode(),
            counts,
            *(part.digest() for part in (self._missing, self._lengths, self._values)),
        )


def _filled(array: pa.Array) -> pa.Array:
    return pc.fill_null(array, pa.scalar(0).cast(array.type)) if array.null_count else array


class _ListColumn:
    """Lists: how long each is, and all their elements one after the other."""

    def __init__(self, kind: pa.DataType) -> None:
        self._type = kind
        self._lengths = _digest()
        self._elements = ContentFingerprint([kind.value_type])

    def update(self, array: pa.Array) -> None:
        self._lengths.update(_numpy(pc.fill_null(pc.list_value_length(array), -1), np.int32))
        self._elements.update([pc.list_flatten(array)])

    def parts(self) -> tuple[bytes, ...]:
        return str(self._type).encode(), self._lengths.digest(), self._elements.digest()


def _dtype(kind: pa.DataType) -> np.dtype[np.generic]:
    return np.dtype(np.uint8) if pa.types.is_boolean(kind) else np.dtype(kind.to_pandas_dtype())


def _numpy(array: pa.Array, dtype: np.dtype[np.generic] | type[np.generic]) -> memoryview:
    values = array.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
    return np.ascontiguousarray(values).data


def _text_bytes(array: pa.Array) -> bytes | memoryview:
    if array.null_count:
        array = pc.fill_null(array, "")  # a driver may leave any bytes behind a missing text
    _, offsets, data = array.buffers()
    if data is None or len(array) == 0:
        return b""
    ends = np.frombuffer(offsets, np.int32)
    return memoryview(data)[int(ends[array.offset]) : int(ends[array.offset + len(array)])]

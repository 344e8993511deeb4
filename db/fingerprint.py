"""A digest of what rows contain, whatever the batches they came in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DIGEST_BYTES = 16


def _digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=DIGEST_BYTES)


class ContentFingerprint:
    """Two streams per column, presence (or length) and values, so that batch borders leave no trace."""

    def __init__(self, types: Sequence[pa.DataType]) -> None:
        self._types = tuple(types)
        self._presence = [_digest() for _ in types]
        self._values = [_digest() for _ in types]

    def update(self, arrays: Sequence[pa.Array]) -> None:
        """Take in the next rows, one array per column."""
        for array, presence, values in zip(arrays, self._presence, self._values, strict=True):
            if pa.types.is_string(array.type):
                presence.update(_numpy(pc.fill_null(pc.binary_length(array), -1), np.int32))
                values.update(_text_bytes(array))
            else:
                presence.update(_numpy(array.is_valid(), np.uint8))
                zero = pa.scalar(0).cast(array.type)
                values.update(_numpy(pc.fill_null(array, zero), _dtype(array.type)))

    def hexdigest(self) -> str:
        """Return 32 hexadecimal digits."""
        whole = _digest()
        for kind, presence, values in zip(self._types, self._presence, self._values, strict=True):
            whole.update(str(kind).encode())
            whole.update(presence.digest())
            whole.update(values.digest())
        return whole.hexdigest()


def _dtype(kind: pa.DataType) -> type[np.generic]:
    return np.uint8 if pa.types.is_boolean(kind) else np.int64 if pa.types.is_int64(kind) else np.float64


def _numpy(array: pa.Array, dtype: type[np.generic]) -> memoryview:
    values = array.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
    return np.ascontiguousarray(values).data


def _text_bytes(array: pa.Array) -> bytes | memoryview:
    _, offsets, data = array.buffers()
    if data is None or len(array) == 0:
        return b""
    ends = np.frombuffer(offsets, np.int32)
    return memoryview(data)[int(ends[array.offset]) : int(ends[array.offset + len(array)])]

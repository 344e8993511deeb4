"""Stable 64-bit hashes of Arrow columns, without Python per value.

    h(text)    = mix( sum over i of t[byte_i] p^i  +  length q )        arithmetic modulo 2^64
    h(number)  = mix( its bits )           mix: one step of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)

Two different values collide with a chance of about 2^-64. The same value has the same hash on every machine and in
every version. This is no defence against people who choose values in order to collide.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .columns import Column, plain

UInt64Array = NDArray[np.uint64]

_P = np.uint64(0x9E3779B97F4A7C15)
_Q = np.uint64(0xC2B2AE3D27D4EB4F)
_MISSING = np.uint64(0x5851F42D4C957F2D)


def hash64(column: Column | pa.Array) -> UInt64Array:
    """Return one hash per row, uint64 (N,). Missing values have a hash of their own; NaN counts as missing."""
    column = plain(column)
    parts = [_hash_chunk(chunk) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def hash_rows(columns: Sequence[Column]) -> UInt64Array:
    """Return one hash per row over several columns of the same length, which depends on their order."""
    total = np.zeros(len(columns[0]) if columns else 0, np.uint64)
    for column in columns:
        total = _mix(total * _P + hash64(column))
    return total


def _hash_chunk(chunk: pa.Array) -> UInt64Array:
    if pa.types.is_null(chunk.type):
        return np.full(len(chunk), _MISSING)
    if _is_wide(chunk.type):
        return _hash_distinct(chunk)
    return _hash_numbers(chunk)


def _is_wide(kind: pa.DataType) -> bool:
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    bytes_ = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return bool(texts or bytes_ or pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_decimal(kind))


def _hash_distinct(chunk: pa.Array) -> UInt64Array:
    """Return the hashes of texts or lists; each distinct text is hashed once."""
    if pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type):
        values = hash64(chunk.flatten())
        lengths = np.asarray(chunk.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), np.int64)
        return _with_missing(_fold(values, lengths), chunk)
    encoded = chunk.cast(pa.large_string()).dictionary_encode() if not _is_bytes(chunk.type) else _encoded_bytes(chunk)
    hashes = _hash_bytes(encoded.dictionary)
    places = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return _with_missing(hashes[places] if len(hashes) else np.full(len(chunk), _MISSING), chunk)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _encoded_bytes(chunk: pa.Array) -> pa.DictionaryArray:
    return chunk.cast(pa.large_binary()).dictionary_encode()


def _hash_bytes(texts: pa.Array) -> UInt64Array:
    _, offsets, data = texts.buffers()
    if len(texts) == 0:
        return np.zeros(0, np.uint64)
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = np.frombuffer(data, np.uint8)[places[0] : places[-1]] if data is not None else np.zeros(0, np.uint8)
    return _fold(_BYTES[content], np.diff(places))


def _fold(units: UInt64Array, lengths: NDArray[np.int64]) -> UInt64Array:
    """Return one hash per run of `lengths[i]` units, which depends on their order."""
    starts = np.cumsum(lengths) - lengths
    within = np.arange(len(units)) - np.repeat(starts, lengths)
    weighted = units * _powers(int(lengths.max(initial=0)))[within]
    sums = np.zeros(len(lengths), np.uint64)
    filled = lengths > 0
    if filled.any():
        sums[filled] = np.add.reduceat(weighted, starts[filled])
    return _mix(sums + lengths.astype(np.uint64) * _Q)


def _powers(count: int) -> UInt64Array:
    powers = np.full(count, _P, np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers) if count else powers


def _hash_numbers(chunk: pa.Array) -> UInt64Array:
    if pa.types.is_floating(chunk.type):
        values = np.asarray(chunk.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False), np.float64)
        hashes = _mix((values + 0.0).view(np.uint64))  # + 0.0 turns -0.0 into 0.0
        hashes[np.isnan(values)] = _MISSING
        return _with_missing(hashes, chunk)
    if pa.types.is_date32(chunk.type) or pa.types.is_time32(chunk.type):
        chunk = chunk.cast(pa.int32())
    whole = chunk.cast(pa.int64(), safe=False).fill_null(0)
    return _with_missing(_mix(np.asarray(whole.to_numpy(zero_copy_only=False)).view(np.uint64)), chunk)


def _with_missing(hashes: UInt64Array, chunk: pa.Array) -> UInt64Array:
    if chunk.null_count:
        hashes = hashes.copy()
        hashes[np.asarray(chunk.is_null().to_numpy(zero_copy_only=False))] = _MISSING
    return hashes


def _mix(values: UInt64Array) -> UInt64Array:
    values = values + _P
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_BYTES = _mix((np.arange(256, dtype=np.uint64) + np.uint64(1)) * _P)
"""A number of 64 random-looking bits for each byte."""

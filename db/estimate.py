"""What reading a query and training on it would take, from a sample of its rows and what this machine has left."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow as pa

from crosslens.relational import ExtractionEstimate

from .errors import existing_folder

_ENCODED = 4
"""Bytes of an encoded value: ids are int32, numbers float32."""
_KEY = 8
"""Bytes of what is kept of a row beside its values: its number and its labels."""
_COPIES = 2
"""The encoded rows, and the parts of them that a model trains, chooses and is measured on."""
PROCESS_BYTES = 1_000_000_000
"""What a training process takes before it has any rows."""
_USABLE = 0.8
"""The part of what is left that may be planned with."""
_ROUND = 1_000


def extraction_estimate(
    sample: Sequence[pa.ChunkedArray], rows: int, *, rows_are_estimated: bool, folder: Path
) -> ExtractionEstimate:
    """Return the estimate for `rows` rows like those of `sample`, one array per column, kept in `folder`.

    Disk holds the snapshot and the encoded rows; memory is that of a training process with all rows encoded in it.
    """
    seen = len(sample[0])
    read = sum(array.nbytes for array in sample) / seen if seen else 0.0
    encoded = _ENCODED * len(sample) + _KEY
    estimate = ExtractionEstimate(
        rows=rows,
        rows_are_estimated=rows_are_estimated,
        disk=round(rows * (read + encoded)),
        memory=PROCESS_BYTES + rows * encoded * _COPIES,
        free_disk=shutil.disk_usage(existing_folder(folder / "snapshot")).free,
        free_memory=psutil.virtual_memory().available,
    )
    return replace(estimate, suggested_rows=_suggested(estimate))


def _suggested(estimate: ExtractionEstimate) -> int | None:
    """Return how many rows would fit; None when all do."""
    if not estimate.rows:
        return None
    per_row = (estimate.memory - PROCESS_BYTES) / estimate.rows
    room = estimate.free_memory * _USABLE - PROCESS_BYTES
    by_memory = room / per_row
    by_disk = estimate.free_disk * _USABLE * estimate.rows / estimate.disk
    fits = int(min(by_memory, by_disk))
    if fits >= estimate.rows:
        return None
    return max(fits // _ROUND * _ROUND, min(_ROUND, estimate.rows))


def scaled(passing: int, looked_at: int, *, rows: int) -> int:
    """Return how many of `rows` rows pass filters that let `passing` of `looked_at` through."""
    return round(rows * passing / looked_at) if looked_at else rows

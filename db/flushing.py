"""A large file goes to the disk while it is still being written, so that little is left to wait for at the end."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO

FLUSHED_BYTES = 1 << 25
"""Less is not worth a wait for the disk of its own."""


class Flushing:
    """Watches over an open file; `written` is told of every part, and on leaving everything is on the disk.

    OSError where the disk cannot take it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pool = ThreadPoolExecutor(1, "flush")
        self._started = 0
        self._under_way: Future[None] | None = None

    def written(self) -> None:
        """Have what was written so far put on the disk, beside what follows, if it has become much."""
        if self._under_way is not None and self._under_way.done():
            self._under_way.result()
            self._under_way = None
        size = self._file.tell()
        if self._under_way is None and size - self._started >= FLUSHED_BYTES:
            self._file.flush()
            self._started = size
            self._under_way = self._pool.submit(os.fsync, self._file.fileno())

    def __enter__(self) -> Flushing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()  # the file must not be closed before
        if error is None:
            if self._under_way is not None:
                self._under_way.result()
            self._file.flush()
            os.fsync(self._file.fileno())

"""Arrays on disk: written in parts under a temporary name, shown only when whole, opened memory-mapped."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from crosslens import StorageError

_TEMPORARY = re.compile(r"[.].+-[0-9a-f]{8}(-old)?")
_A_DAY = 86_400.0


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` at the end; after an error nothing has changed.

    StorageError when the disk is full or may not be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder.parent)
        temporary = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
        temporary.mkdir()
    except OSError as error:
        raise storage_error(error, folder) from error
    try:
        yield temporary
        _put_in_place(temporary, folder)
    except OSError as error:
        raise storage_error(error, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_leftovers(parent: Path) -> None:
    """Remove what a process that was killed left behind a day ago or earlier: no folder is written for so long."""
    for path in parent.iterdir():
        if _TEMPORARY.fullmatch(path.name) and path.is_dir() and time.time() - path.stat().st_mtime > _A_DAY:
            shutil.rmtree(path, ignore_errors=True)


def _put_in_place(temporary: Path, folder: Path) -> None:
    old = temporary.with_name(temporary.name + "-old")
    if folder.exists():
        folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


class ArrayWriter:
    """Writes a .npy file row block by row block, without mapping it: a full disk is then an error and not a signal.

    With None for the number of rows there may be any number of them.
    """

    def __init__(self, path: Path, shape: tuple[int | None, *tuple[int, ...]], dtype: DTypeLike) -> None:
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._rows = 0
        self._file = path.open("wb")
        self._write_header(shape[0] or 0)
        self._start = self._file.tell()

    @property
    def rows(self) -> int:
        """Return how many rows have been written."""
        return self._rows

    def write(self, block: NDArray[Any]) -> None:
        """Append rows (n, ...)."""
        if block.dtype != self._dtype or block.shape[1:] != self._shape[1:]:
            raise ValueError(f"block is {block.dtype} {block.shape}, expected {self._dtype} (n, *{self._shape[1:]})")
        self._rows += len(block)
        self._file.write(np.ascontiguousarray(block).data)

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                if self._shape[0] is None:
                    self._file.seek(0)
                    self._write_header(self._rows)
                    assert self._file.tell() == self._start, "numpy leaves room for the number of rows to grow"
                self._file.flush()
                os.fsync(self._file.fileno())
        if error is None and self._shape[0] not in (None, self._rows):
            raise ValueError(f"{self._rows} rows were written, {self._shape[0]} announced")

    def _write_header(self, rows: int) -> None:
        shape = (rows, *self._shape[1:])
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(self._file, header)


def open_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Return every .npy file of a folder by its stem, memory-mapped and read-only; an empty array is read whole."""
    return {path.stem: _open(path) for path in sorted(folder.glob("*.npy"))}


def _open(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:  # nothing can be mapped of an array without entries
        array = np.load(path, allow_pickle=False)
        array.flags.writeable = False
    return array


def storage_error(error: OSError, folder: Path) -> StorageError:
    """Return the sentence for an operating system error while writing under `folder`."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return StorageError(
            f"The disk that holds {folder} is full.",
            do="Free some space, or move the project to another disk.",
            path=folder,
        )
    return StorageError(
        f"Crosslens cannot write to {folder}.",
        why=f"{error.strerror or error}.",
        do="Check that the disk is there and that you may write to it.",
        path=folder,
    )

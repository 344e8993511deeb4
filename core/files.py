"""Files that are either whole or not there: write under a temporary name, then rename."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from crosslens.errors import DataError, ProjectError, StorageError
from crosslens.plain import from_plain, to_plain

T = TypeVar("T")

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn what the file system says about writing `path` into a StorageError sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise StorageError(
                f"The disk is full: {path.name} could not be written.",
                why=_free_space(path),
                do="Free some space, or choose a project folder on another disk.",
                path=str(path),
            ) from error
        raise StorageError(
            f"{path} could not be written.",
            why=f"The system says: {error.strerror or error}.",
            do="Check that the folder exists and that you may write to it.",
            path=str(path),
        ) from error


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary path beside `path`, then rename; on any failure nothing is left behind."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def replace_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with an empty folder beside `path`, then put it in the place of `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    previous = path.with_name(f".{path.name}.previous")
    with storage(path):
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            write(temporary)
            shutil.rmtree(previous, ignore_errors=True)
            if path.exists():
                path.rename(previous)
            temporary.rename(path)
            shutil.rmtree(previous, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value (dataclasses included) as JSON, whole or not at all."""
    text = json.dumps(to_plain(value), ensure_ascii=False, indent=1)
    replace_file(path, lambda temporary: _write_text(temporary, text))


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    replace_file(path, lambda temporary: _write_text(temporary, text))


def read_json(path: Path, kind: type[T]) -> T:
    """Return the value `write_json` wrote; ProjectError if the file is gone or not what it should be."""
    try:
        return from_plain(kind, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, DataError) as error:
        raise ProjectError(
            f"{path.name} of this project cannot be read.",
            why=f"The file {path} is missing or damaged ({error}).",
            do="Train the run again, or restore the file from a copy.",
            path=str(path),
        ) from error


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _free_space(path: Path) -> str:
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return f"{folder} has {free / 1e6:,.0f} MB left."

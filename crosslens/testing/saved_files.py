"""Finds pickle in a folder: in files, in zip archives, and as object arrays of NumPy."""

from __future__ import annotations

import pickletools
import zipfile
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np

_NUMPY = b"\x93NUMPY"
_PICKLE = b"\x80"


def pickled_files(folder: Path) -> tuple[str, ...]:
    """Return the files below `folder` (members of archives as `archive/member`) that loading would unpickle."""
    return tuple(
        name
        for path in sorted(path for path in folder.rglob("*") if path.is_file())
        for name in _pickled(path.relative_to(folder).as_posix(), path.read_bytes())
    )


def check_saved(folder: Path) -> None:
    """Raise AssertionError unless a model saved something into `folder`, and no pickle."""
    assert any(path.is_file() for path in folder.rglob("*")), "save() wrote no file"
    pickled = pickled_files(folder)
    instead = "save npy (allow_pickle=False), safetensors (for torch), JSON or your library's text format"
    assert pickled == (), f"{', '.join(pickled)}: a pickle, which runs code when it is opened; {instead}"


def _pickled(name: str, content: bytes) -> list[str]:
    if zipfile.is_zipfile(BytesIO(content)):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return [
                found for member in archive.namelist() for found in _pickled(f"{name}/{member}", archive.read(member))
            ]
    is_pickle = _holds_objects(BytesIO(content)) if content.startswith(_NUMPY) else _is_pickle(content)
    return [name] if is_pickle else []


def _holds_objects(stream: IO[bytes]) -> bool:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return bool(read(stream)[2].hasobject)


def _is_pickle(content: bytes) -> bool:
    if not content.startswith(_PICKLE):
        return False
    try:
        for _ in pickletools.genops(content):
            pass
    except (ValueError, KeyError, IndexError, UnicodeDecodeError):  # what genops raises on other files
        return False
    return True

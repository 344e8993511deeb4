"""Reading zip files of strangers: every path, size and count is looked at before a byte is written anywhere."""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from crosslens._sizes import format_bytes
from crosslens.errors import PluginError

from .stopping import Check, go_on

_CHUNK = 1 << 20
_RATIO = 200
_RATIO_MATTERS_FROM = 1 << 20
_LONGEST_PATH = 200
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a file may hold: entries, and bytes when unpacked."""

    files: int = 5_000
    unpacked: int = 1 << 30


LIMITS = Limits()
"""Of one wheel."""
BUNDLE_LIMITS = Limits(files=200, unpacked=4 << 30)
"""Of a bundle: few files, each a wheel."""


@contextmanager
def opened_zip(path: Path, limits: Limits = LIMITS) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose entries are harmless by name, kind, number and size; PluginError says which is not."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path, limits)
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise PluginError(
            f"{path.name} is damaged.", why=f"It cannot be read as a zip file: {error}.", do="Fetch the file again."
        ) from error
    except OSError as error:
        raise PluginError(
            f"{path.name} cannot be read.", why=f"The system says: {error.strerror or error}.", do="Check the path."
        ) from error


def read_entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return the bytes of an entry; PluginError if there are more than `most`."""
    with archive.open(name) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise PluginError(f"{name} is larger than it has any reason to be.", do="Do not install this file.")
    return content


def copy_entry(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: IO[bytes] | None = None, check: Check = go_on
) -> str:
    """Unpack an entry into `target` (or nowhere) and return its SHA-256, never going beyond the size it announced."""
    digest, done = hashlib.sha256(), 0
    with archive.open(info) as source:
        while chunk := source.read(_CHUNK):
            check()
            done += len(chunk)
            if done > info.file_size:
                raise PluginError(f"{info.filename} holds more than it announces.", do="Do not install this file.")
            digest.update(chunk)
            if target is not None:
                target.write(chunk)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_complaint(name: str) -> str:
    """Return why a path inside a zip may not be unpacked, or an empty text."""
    parts = name.split("/")
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "is an absolute path"
    if ".." in re.split(r"[/\\]", name):
        return "leads out of its folder"
    if _FORBIDDEN.search(name) or "" in parts or "." in parts or any(part.endswith((" ", ".")) for part in parts):
        return "is not a path every system can have"
    if any(part.split(".")[0].casefold() in _DEVICES for part in parts):
        return "is the name of a device"
    return "is too long a path" if len(name) > _LONGEST_PATH else ""


def _check_entries(archive: zipfile.ZipFile, path: Path, limits: Limits) -> None:
    infos = archive.infolist()
    if len(infos) > limits.files:
        raise _refused(path, f"it holds {len(infos):,} files; {limits.files:,} are the most a plugin may have.")
    seen: set[str] = set()
    for info in infos:
        # orig_filename: ZipFile cuts names at a null byte and turns backslashes on some systems
        name = info.orig_filename.removesuffix("/") if info.is_dir() else info.orig_filename
        if complaint := path_complaint(name) or _kind_complaint(info):
            raise _refused(path, f"{name!r} {complaint}.")
        if name.casefold() in seen:
            raise _refused(path, f"{name!r} comes twice.")
        seen.add(name.casefold())
    _check_sizes(infos, path, limits)


def _kind_complaint(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way wheels are not"
    return ""


def _check_sizes(infos: list[zipfile.ZipInfo], path: Path, limits: Limits) -> None:
    total = sum(info.file_size for info in infos)
    if total > limits.unpacked:
        most = format_bytes(limits.unpacked)
        raise _refused(path, f"it would unpack to {format_bytes(total)}; {most} is the most a plugin may have.")
    for info in infos:
        if info.file_size > _RATIO_MATTERS_FROM and info.file_size > _RATIO * max(1, info.compress_size):
            times = info.file_size // max(1, info.compress_size)
            raise _refused(path, f"{info.filename} unpacks to {times:,} times its size, as only a zip bomb does.")


def _refused(path: Path, why: str) -> PluginError:
    return PluginError(f"{path.name} cannot be installed: {why}", do="Do not trust this file.", problems=(why,))

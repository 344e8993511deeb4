"""Folders for what does not fit into memory, named after their process, so that a later one can tell it is gone.

A process that is killed cannot clean up. Whoever makes a scratch folder, and every start of the program, removes those
whose process is gone; folders of living processes, of other computers, containers and users are never touched.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path

from ._processes import start_of, this_host

PREFIX = "crosslens-"
"""How folders in the system's place for temporary files begin."""

_NAME = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>[0-9a-f]{8})-.+")


def make_scratch(folder: Path | None = None, prefix: str = PREFIX) -> Path:
    """Return a new folder of this process, in `folder` or in the system's place for temporary files.

    What processes that are gone left there under the same prefix is removed first. OSError if nothing can be written.
    """
    place = Path(tempfile.gettempdir()) if folder is None else folder
    sweep(place, prefix)
    pid = os.getpid()
    return Path(tempfile.mkdtemp(dir=place, prefix=f"{prefix}{_host()}-{pid}-{_mark(start_of(pid))}-"))


@contextmanager
def scratch(folder: Path | None = None, prefix: str = PREFIX) -> Iterator[Path]:
    """Lend a folder of this process, removed at the end; see `make_scratch`."""
    made = make_scratch(folder, prefix)
    try:
        yield made
    finally:
        _remove(made)


def sweep(folder: Path | None = None, prefix: str = PREFIX) -> tuple[Path, ...]:
    """Remove the folders that processes which are gone left in `folder`; return them."""
    place = Path(tempfile.gettempdir()) if folder is None else folder
    try:
        with os.scandir(place) as entries:
            found = tuple(Path(entry.path) for entry in entries if _is_left_over(entry, prefix))
    except OSError:  # a place that cannot be listed holds nothing we could remove
        return ()
    for path in found:
        _remove(path)
    return found


def _is_left_over(entry: os.DirEntry[str], prefix: str) -> bool:
    if not entry.name.startswith(prefix):
        return False
    name = _NAME.fullmatch(entry.name.removeprefix(prefix))
    if name is None or name["host"] != _host() or not _is_own_folder(entry):
        return False
    start = start_of(int(name["pid"]))
    return not start or _mark(start) != name["start"]


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder (no link) of this user: a place for temporary files is everybody's."""
    try:
        mine = not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()
        return mine and entry.is_dir(follow_symlinks=False)
    except FileNotFoundError:  # somebody else was quicker
        return False


def _remove(folder: Path) -> None:
    # What cannot be removed now (a file still open on Windows, another sweep at work) is left to the next sweep.
    shutil.rmtree(folder, ignore_errors=True)


@cache
def _host() -> str:
    """Return what stands for this host; containers that share a folder count their processes separately."""
    try:
        numbering = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        numbering = ""
    return _mark(f"{this_host()} {numbering}")


def _mark(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()

"""Importing one plugin, in a process that exists for it.

While it is imported a file says so. A process that ends in the middle, or an import that does not end, leaves that
file behind: whoever finds it puts the plugin out of use and goes on without it.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosslens._processes import is_alive, start_of
from crosslens.errors import PluginError

from ..files import write_json
from .described import Described, describe
from .guard import Problem, Registered, guarded
from .state import read_or

LOADING = "loading"


@dataclass(frozen=True, slots=True)
class Loadable:
    """What a process needs to import a plugin: folders for the front of sys.path, and "module" or "module:object"."""

    key: str
    name: str
    target: str
    paths: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Loading:
    """A plugin being imported: which, by which process, and since when (seconds since 1970)."""

    key: str
    pid: int
    start: str
    since: float

    @property
    def is_over(self) -> bool:
        """Whether the process that imported it is gone, so that nobody will remove this file."""
        return not is_alive(self.pid, self.start)


def load(plugin: Loadable, folder: Path) -> tuple[Registered, list[Problem], float]:
    """Import a plugin here; return what it registers, what went wrong, and the seconds of the import."""
    problems: list[Problem] = []
    started = time.perf_counter()
    with _sentinel(plugin.key, folder):
        registered = guarded(plugin.name, lambda: _module(plugin), problems)
    return registered, problems, time.perf_counter() - started


def described(plugin: Loadable, folder: Path) -> Described:
    """Import a plugin here and write down what it brings; PluginError, with the traceback, if that fails."""
    registered, problems, seconds = load(plugin, folder)
    if problems:
        raise PluginError(problems[0].message, details=problems[0].details)
    return describe(plugin.name, registered, seconds)


def interrupted(folder: Path) -> dict[Path, Loading]:
    """Return the imports that never came to an end, by their file; a file that cannot be read counts as none."""
    found = {path: read_or(path, Loading) for path in folder.glob(f"{LOADING}/*.json")}
    return {path: loading for path, loading in found.items() if loading is not None and loading.is_over}


def loading_for(folder: Path, key: str, pid: int) -> float:
    """Return for how many seconds process `pid` has been importing a plugin; 0 if it is not."""
    loading = read_or(_sentinel_file(folder, key, pid), Loading)
    return time.time() - loading.since if loading is not None else 0.0


def forget_loading(folder: Path, key: str, pid: int) -> None:
    """Take away what a process that is gone left behind, where whoever started it knows how it ended."""
    _sentinel_file(folder, key, pid).unlink(missing_ok=True)


@contextmanager
def _sentinel(key: str, folder: Path) -> Iterator[None]:
    path = _sentinel_file(folder, key, os.getpid())
    write_json(path, Loading(key, os.getpid(), start_of(os.getpid()), time.time()))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _sentinel_file(folder: Path, key: str, pid: int) -> Path:
    return folder / LOADING / f"{key}.{pid}.json"


def _module(plugin: Loadable) -> Any:
    # Its files are known by their hashes; compiled ones beside them would look like a change.
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(path) for path in plugin.paths]
    name, _, attributes = plugin.target.partition(":")
    found: Any = importlib.import_module(name)
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)
    return found

"""What the app remembers of plugins between starts: files below the plugins folder, written whole.

<plugins>/
  state.json                     which are enabled, in which version, what went wrong, trusted and blocked hashes
  lock                           taken while anything here changes: two windows may install at once
  <id>/<version>/site, deps      the files of the plugin and of what it alone needs
  <id>/<version>/install.json    InstallRecord
  <id>/<version>/described.json  what it brings
  entry-points/<key>.json        what plugins installed into the app's own Python bring
  loading/<key>.json             a plugin being imported at this moment, by which process
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import platformdirs

from crosslens.errors import DataError
from crosslens.plain import from_plain

from ..files import write_json
from .manifest import Manifest

T = TypeVar("T")

DATA_VARIABLE = "CROSSLENS_DATA"
"""Environment variable that names another folder for what the app keeps."""


def plugins_folder() -> Path:
    """Return the folder plugins are installed to."""
    data = os.environ.get(DATA_VARIABLE) or platformdirs.user_data_dir("crosslens", appauthor=False)
    return Path(data).absolute() / "plugins"


@dataclass(frozen=True, slots=True)
class FileFact:
    """A file as it was installed: bytes, SHA-256, and the time of its last change in nanoseconds."""

    bytes: int
    sha256: str
    changed: int


@dataclass(frozen=True, slots=True)
class InstallRecord:
    """What was installed: from which file, when, and every file of it by its path below the version's folder.

    `shared` and `private` are "name version" of the packages it uses from the app and of its own.
    """

    manifest: Manifest
    source: str
    sha256: str
    installed: datetime
    files: Mapping[str, FileFact]
    shared: tuple[str, ...] = ()
    private: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PluginState:
    """What was decided about a plugin: `version` is the one in use; `problem` why it was put out of use, if it was."""

    enabled: bool = True
    version: str = ""
    problem: str = ""
    details: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """Everything decided: plugins by key, SHA-256 of files somebody trusted, and of those nobody may use (and why).

    `blocked` names files by their SHA-256 or plugins by their id.
    """

    plugins: Mapping[str, PluginState] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)

    def of(self, key: str) -> PluginState:
        """Return what was decided about a plugin."""
        return self.plugins.get(key, PluginState())

    def with_plugin(self, key: str, plugin: PluginState | None) -> State:
        """Return a state that says something else about a plugin, or nothing of it."""
        others = {name: each for name, each in self.plugins.items() if name != key}
        return replace(self, plugins=others if plugin is None else {**others, key: plugin})


def read_or(path: Path, kind: type[T]) -> T | None:
    """Return a value, or None where the file is not there or not what it should be."""
    try:
        return from_plain(kind, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, DataError) as error:
        logging.getLogger("crosslens.plugins").warning("%s cannot be read: %s", path, error)
        return None


def read_state(folder: Path) -> State:
    """Return what was decided; nothing where the file cannot be read: then installed plugins are off."""
    return read_or(folder / "state.json", State) or State()


def write_state(folder: Path, state: State) -> None:
    """Remember what was decided."""
    write_json(folder / "state.json", state)

"""Installed plugins as folders: unpacked aside, put in place by one rename, checked against their hashes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from crosslens._scratch import scratch, sweep
from crosslens.errors import PluginError

from ..files import storage, write_json
from .archive import PluginFile
from .safe_zip import file_sha256
from .state import FileFact, InstallRecord, read_or
from .stopping import Check, go_on
from .wheels import unpack_wheel

RECORD_NAME = "install.json"
DESCRIBED_NAME = "described.json"
PARTS = ("site", "deps")
_UNPACKING = ".unpacking-"
_LOCK_SECONDS = 30.0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from changing the plugins folder; PluginError if one takes too long."""
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise PluginError(
            "Plugins cannot be changed at this moment.",
            why="Another window or command is changing them.",
            do="Try again when it is done.",
        ) from error


def place(folder: Path, plugin_id: str, version: str) -> Path:
    """Return the folder of a version of a plugin."""
    return folder / plugin_id / version


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A version of a plugin beside its place: `put` it there, as a whole, or `take_back` what was put. Under `locked`.

    `aside` holds it as `new`, and as `old` what was in its place.
    """

    aside: Path
    place: Path

    def put(self) -> None:
        """Put the version in its place, by renaming; what was there is kept aside."""
        with storage(self.place):
            self.place.parent.mkdir(exist_ok=True)
            if self.place.exists():
                self.place.rename(self.aside / "old")
            (self.aside / "new").rename(self.place)

    def take_back(self) -> None:
        """Undo `put`, whether or not it came to its end."""
        with storage(self.place):
            if self.place.exists() and not (self.aside / "new").exists():
                self.place.rename(self.aside / "new")
            if (self.aside / "old").exists():
                (self.aside / "old").rename(self.place)
            with suppress(OSError):  # other versions are there
                self.place.parent.rmdir()


@contextmanager
def unpacked(plugin: PluginFile, folder: Path, check: Check = go_on) -> Iterator[Unpacked]:
    """Unpack a plugin and what it alone needs beside its place; what was not put there is gone at the end."""
    target = place(folder, plugin.manifest.id, plugin.manifest.version)
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with scratch(folder, _UNPACKING) as made:
        new = made / "new"
        with storage(target):
            unpack_wheel(plugin.wheel, new / "site", check)
            (new / "deps").mkdir()
            for wheel in plugin.needs.private:
                unpack_wheel(wheel, new / "deps", check)
            write_record(new, _record(plugin, new))
        yield Unpacked(made, target)


def _record(plugin: PluginFile, folder: Path) -> InstallRecord:
    hashes = {f"site/{file.path}": file.sha256 for file in plugin.wheel.files}
    hashes |= {f"deps/{file.path}": file.sha256 for wheel in plugin.needs.private for file in wheel.files}
    return InstallRecord(
        manifest=plugin.manifest,
        source=plugin.path.name,
        sha256=plugin.sha256,
        installed=datetime.now(UTC),
        files={path: FileFact(facts.st_size, hashes[path], facts.st_mtime_ns) for path, facts in _files(folder)},
        shared=tuple(f"{each.name} {each.version}" for each in plugin.needs.shared),
        private=tuple(f"{wheel.name} {wheel.version}" for wheel in plugin.needs.private),
    )


def as_it_is_now(folder: Path, record: InstallRecord) -> InstallRecord:
    """Return a record of an installed version that takes its files as they are now."""
    files = {
        path: FileFact(facts.st_size, file_sha256(folder / path), facts.st_mtime_ns) for path, facts in _files(folder)
    }
    return replace(record, files=files)


def write_record(folder: Path, record: InstallRecord) -> None:
    """Write down what was installed into the folder of a version."""
    write_json(folder / RECORD_NAME, record)


def installed(folder: Path) -> dict[str, dict[str, InstallRecord]]:
    """Return the records of all installed versions, by id and version."""
    found: dict[str, dict[str, InstallRecord]] = {}
    for path in sorted(folder.glob(f"*/*/{RECORD_NAME}")):
        record = read_or(path, InstallRecord)
        if record is not None and (record.manifest.id, record.manifest.version) == path.parts[-3:-1]:
            found.setdefault(record.manifest.id, {})[record.manifest.version] = record
    return found


def changed_files(folder: Path, record: InstallRecord, *, thorough: bool) -> tuple[str, ...]:
    """Return the files that are not as they were installed: changed, added or gone.

    Without `thorough` a file of the same size and time of change is taken for unchanged.
    """
    there = dict(_files(folder))
    changed = set(there) ^ set(record.files)
    for path in set(there) - changed:
        if _differs(folder / path, there[path], record.files[path], thorough=thorough):
            changed.add(path)
    return tuple(sorted(changed))


def remove(folder: Path, plugin_id: str, *, keep: str = "") -> None:
    """Remove a plugin's files, but for the version to `keep`; what is in use goes with a later start."""
    for version in _folders(folder / plugin_id):
        if version.name != keep:
            _discard(version, folder)
    if not keep and (folder / plugin_id).exists():
        _discard(folder / plugin_id, folder)


def clear_left_overs(folder: Path) -> None:
    """Remove what killed processes left half unpacked or half removed."""
    sweep(folder, _UNPACKING)


def _discard(path: Path, folder: Path) -> None:
    # Renamed first: a folder is gone at once or not at all, however long its removal takes.
    with storage(path), scratch(folder, _UNPACKING) as made:
        path.rename(made / "old")


def _folders(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files of the plugin and its dependencies, relative to `folder`; links are named and not followed."""
    for part in PARTS:
        if (folder / part).is_dir():
            yield from _below(str(folder / part), part)


def _below(folder: str, name: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{name}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, path)
            else:
                yield path, entry.stat(follow_symlinks=False)


def _differs(path: Path, facts: os.stat_result, known: FileFact, *, thorough: bool) -> bool:
    if stat.S_ISLNK(facts.st_mode) or facts.st_size != known.bytes:
        return True
    if facts.st_mtime_ns == known.changed and not thorough:
        return False
    return file_sha256(path) != known.sha256

"""Plugins installed into the app's own Python, found by their metadata and never imported by who finds them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

from crosslens.hooks import ENTRY_POINT_GROUP

from .guard import Problem, said
from .host_packages import metadata_text

KEY_PREFIX = "entry-point-"
_MOST_FILES = 2_000


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """An announced plugin: its name, `module` or `module:object`, and the distribution it came with."""

    name: str
    value: str
    distribution: str = ""
    version: str = ""
    summary: str = ""
    author: str = ""
    licence: str = ""

    @property
    def key(self) -> str:
        """Return what names it in the plugins folder and on a command line."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-").lower()
        return f"{KEY_PREFIX}{plain}-{hashlib.sha256(f'{self.name} {self.value}'.encode()).hexdigest()[:8]}"

    @property
    def fingerprint(self) -> str:
        """Return a text that changes when the code does: version, and names, sizes and times of its files."""
        digest = hashlib.sha256(f"{self.name} {self.value} {self.version}".encode())
        for path in _files(self.value.split(":")[0].split(".")[0]):
            facts = path.stat()
            digest.update(f"{path} {facts.st_size} {facts.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def entry_points(problems: list[Problem]) -> tuple[EntryPoint, ...]:
    """Return the announced plugins, each once though its distribution be found twice on the path."""
    found: dict[tuple[str, str], EntryPoint] = {}
    try:
        for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            found.setdefault((point.name, point.value), _known(point))
    except Exception as error:  # noqa: BLE001 - metadata files are strangers' and may hold anything
        message = f"The list of installed plugins cannot be read: {said(error)}"
        problems.append(Problem("installed plugins", message))
    return tuple(found.values())


def _known(point: importlib.metadata.EntryPoint) -> EntryPoint:
    if point.dist is None:
        return EntryPoint(point.name, point.value)
    about = point.dist.metadata
    return EntryPoint(
        point.name,
        point.value,
        distribution=metadata_text(about, "Name"),
        version=metadata_text(about, "Version"),
        summary=metadata_text(about, "Summary"),
        author=metadata_text(about, "Author", "Author-email"),
        licence=metadata_text(about, "License-Expression", "License"),
    )


def _files(module: str) -> list[Path]:
    """Return the Python files of a top-level module, which is looked for and not imported."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None:
        return []
    found = [Path(spec.origin)] if spec.origin and Path(spec.origin).exists() else []
    for folder in spec.submodule_search_locations or ():
        for parent, _, names in os.walk(folder):
            found += [Path(parent) / name for name in names if name.endswith((".py", ".so", ".pyd"))]
            if len(found) > _MOST_FILES:
                return sorted(found)
    return sorted(found)

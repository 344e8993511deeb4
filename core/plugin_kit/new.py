"""Writes a working plugin: manifest, model, tests, README. Nothing is fetched."""

from __future__ import annotations

import getpass
import importlib.metadata
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from types import MappingProxyType

from crosslens.errors import PluginError

_NAME = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_LONGEST = 60
_SUFFIX = ".txt"
_NAMES = {"gitignore": ".gitignore"}
_ROOMS = frozenset({"core", "crosslens", "db", "main", "plugins", "tests", "ui"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of plugin: what its template does, in a sentence, and the words its files use."""

    summary: str
    noun: str
    module: str


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "ctr": Kind("A factorisation machine: every pair of fields interacts, in NumPy.", "model", "model"),
        "funnel": Kind("Clicks and conversions as sums of field effects, in NumPy.", "model", "model"),
        "next-item": Kind("Scores items by what followed the last ones, in NumPy.", "model", "model"),
        "text-encoder": Kind("Items are alike when pieces of their words are, in NumPy.", "encoder", "encoder"),
    }
)


def write_plugin(name: str, kind: str = "ctr", *, folder: Path, author: str = "") -> tuple[Path, ...]:
    """Write a plugin called `name` into the new folder `folder`/`name`; return its files.

    PluginError for a name that cannot be one, for an unknown kind, and when the folder is there already.
    """
    if kind not in KINDS:
        raise PluginError(f"There is no kind of plugin '{kind}'.", do=f"Kinds are: {', '.join(KINDS)}.")
    _check_name(name)
    home = folder / name
    if home.exists():
        raise PluginError(f"{home} is there already.", do="Choose another name, or another folder with --folder.")
    words = _words(name, KINDS[kind], author or _user())
    return tuple(sorted(_written(home, words, kind)))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise PluginError(
            f"A plugin cannot be called {name!r}.",
            why="Its name becomes the name of a Python package and of a file to install.",
            do=f"Use small letters a-z, digits and single hyphens, at most {_LONGEST}: for example my-model.",
        )
    package = _package(name)
    if package[0].isdigit():
        raise PluginError(f"A plugin cannot be called {name!r}.", why="The name of a package begins with a letter.")
    if package in sys.stdlib_module_names | _ROOMS | set(importlib.metadata.packages_distributions()):
        raise PluginError(
            f"A plugin cannot be called {name!r}.",
            why=f"There is a Python package {package} already, which it would hide.",
            do=f"For example: {name}-plugin.",
        )


def _package(name: str) -> str:
    return name.replace("-", "_")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "unknown"


def _plain(author: str) -> str:
    """Return a name that TOML takes between quotes as it is."""
    kept = (letter for letter in author if letter.isprintable() and letter not in '"\\')
    return "".join(kept).strip() or "unknown"


def _words(name: str, kind: Kind, author: str) -> dict[str, str]:
    parts = re.split(r"[-_]", name)
    return {
        "name": name,
        "id": "-".join(parts),
        "package": _package(name),
        "title": " ".join(parts).capitalize(),
        "class": "".join(part.capitalize() for part in parts),
        "summary": kind.summary,
        "noun": kind.noun,
        "module": kind.module,
        "author": _plain(author),
        "uuid": str(uuid.uuid4()),
    }


def _written(home: Path, words: Mapping[str, str], kind: str) -> Iterator[Path]:
    templates = files(__package__) / "templates"
    for part in ("common", kind):
        for path, text in _templates(templates / part):
            place = home / _NAMES.get(path, path.replace("package/", f"{words['package']}/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(Template(text).substitute(words), encoding="utf-8")
            yield place


def _templates(root: Traversable, inside: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every template below `root`."""
    for entry in root.iterdir():
        path = f"{inside}{entry.name}"
        if entry.is_dir():
            yield from _templates(entry, f"{path}/")
        elif path.endswith(_SUFFIX):
            yield path.removesuffix(_SUFFIX), entry.read_text(encoding="utf-8")

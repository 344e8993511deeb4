"""The manifest of a plugin, `crosslens_plugin.toml`: what it is and brings, read without importing any of it.

    id = "0b5a6c1e-7a55-4d0c-9a2b-3b4d1f6d9f10"
    name = "Cross tables"
    version = "1.0.0"
    api = ["1"]
    entry = "crosslens_cross_tables"

    [[models]]
    id = "cross-tables"
    title = "Cross tables"
    task = "ctr"
    needs = ["click"]
    explains = ["contributions"]

The file lies beside the code of the package `entry` names. Keys the app does not know are refused: a misspelt
`requires_python` would otherwise never be looked at, and what a later app adds comes with another `api`.
"""

from __future__ import annotations

import difflib
import platform
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from crosslens import __version__
from crosslens.errors import PluginError
from crosslens.explanations import ExplanationKind
from crosslens.hooks import API_VERSION
from crosslens.models import Task
from crosslens.schema import FieldRole

MANIFEST_NAME = "crosslens_plugin.toml"
MANIFEST_BYTES = 256 * 1024
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_MOST_LETTERS = 2_000


@dataclass(frozen=True, slots=True)
class ManifestModel:
    """A model a plugin announces."""

    id: str
    title: str
    task: Task
    needs: tuple[FieldRole, ...] = ()
    explains: tuple[ExplanationKind, ...] = ()


@dataclass(frozen=True, slots=True)
class ManifestEncoder:
    """A text encoder a plugin announces."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a plugin says of itself. `requires_app` and `requires_python` are version specifiers, empty for any."""

    id: str
    name: str
    version: str
    api: tuple[str, ...]
    entry: str
    summary: str = ""
    authors: tuple[str, ...] = ()
    licence: str = ""
    requires_app: str = ""
    requires_python: str = ""
    capabilities: tuple[str, ...] = ()
    models: tuple[ManifestModel, ...] = ()
    text_encoders: tuple[ManifestEncoder, ...] = ()


def parse_manifest(text: str) -> Manifest:
    """Return the manifest in a TOML text. PluginError lists all that is wrong, as sentences in `facts["problems"]`."""
    if len(text.encode()) > MANIFEST_BYTES:
        raise _refused(("it is larger than any manifest needs to be.",))
    try:
        plain = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _refused((f"it is not TOML: {error}.",)) from error
    reader = _Reader(plain, "")
    manifest = _manifest(reader)
    if reader.problems:
        raise _refused(reader.problems)
    return manifest


def incompatibility(manifest: Manifest, *, app: str = __version__, python: str = "") -> str:
    """Return the sentence why this app and this Python cannot run the plugin, or an empty text."""
    python = python or platform.python_version()
    if API_VERSION not in manifest.api:
        speaks = ", ".join(manifest.api)
        return f"{manifest.name} is written for plugin API {speaks}; this app speaks API {API_VERSION}."
    if not SpecifierSet(manifest.requires_app).contains(app, prereleases=True):
        return f"{manifest.name} needs Crosslens {manifest.requires_app}; this is Crosslens {app}."
    if not SpecifierSet(manifest.requires_python).contains(python, prereleases=True):
        return f"{manifest.name} needs Python {manifest.requires_python}; this app runs on Python {python}."
    return ""


def _manifest(reader: _Reader) -> Manifest:
    manifest = Manifest(
        id=reader.text("id", check=_uuid_complaint).lower(),
        name=reader.text("name"),
        version=reader.text("version", check=_version_complaint),
        api=reader.texts("api", required=True),
        entry=reader.text("entry", check=_module_complaint),
        summary=reader.text("summary", required=False),
        authors=reader.texts("authors"),
        licence=reader.text("licence", required=False),
        requires_app=reader.text("requires_app", required=False, check=_specifier_complaint),
        requires_python=reader.text("requires_python", required=False, check=_specifier_complaint),
        capabilities=reader.texts("capabilities"),
        models=tuple(_model(each) for each in reader.tables("models")),
        text_encoders=tuple(_encoder(each) for each in reader.tables("text_encoders")),
    )
    reader.no_more(field.name for field in fields(Manifest))
    reader.unique("models", (model.id for model in manifest.models))
    reader.unique("text_encoders", (encoder.id for encoder in manifest.text_encoders))
    if not manifest.models and not manifest.text_encoders and not reader.problems:
        reader.problems.append("it announces no model and no text encoder.")
    return manifest


def _model(reader: _Reader) -> ManifestModel:
    tasks = reader.choices("task", Task, single=True)
    model = ManifestModel(
        id=reader.text("id", check=_slug_complaint),
        title=reader.text("title"),
        task=tasks[0] if tasks else Task.CTR,
        needs=reader.choices("needs", FieldRole),
        explains=reader.choices("explains", ExplanationKind),
    )
    reader.no_more(field.name for field in fields(ManifestModel))
    return model


def _encoder(reader: _Reader) -> ManifestEncoder:
    encoder = ManifestEncoder(id=reader.text("id", check=_slug_complaint), title=reader.text("title"))
    reader.no_more(("id", "title"))
    return encoder


class _Reader:
    """Takes values out of a TOML table and gathers what is wrong with them; `where` names the table."""

    def __init__(self, plain: Mapping[str, Any], where: str, problems: list[str] | None = None) -> None:
        self._plain = plain
        self._where = where
        self.problems: list[str] = [] if problems is None else problems

    def text(self, key: str, *, required: bool = True, check: Callable[[str], str] | None = None) -> str:
        """Return a text; an empty one where it is missing or wrong, which is a problem."""
        value = self._plain.get(key)
        if value is None:
            return self._missing(key) if required else ""
        if not isinstance(value, str) or (required and not value.strip()) or len(value) > _MOST_LETTERS:
            return self._wrong(key, "must be a text")
        complaint = check(value) if check and value else ""
        return self._wrong(key, complaint) if complaint else value.strip()

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self._plain.get(key)
        if value is None:
            if required:
                self._missing(key)
            return ()
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value) or (required and not value):
            self._wrong(key, 'must be a list of texts, such as ["1"]')
            return ()
        return tuple(value)

    def choices(self, key: str, kind: Any, *, single: bool = False) -> tuple[Any, ...]:
        """Return members of an enumeration, given by their words."""
        value = self._plain.get(key)
        if value is None:
            if single:
                self._missing(key)
            return ()
        words = [value] if single else value
        known = [str(member) for member in kind]
        if not isinstance(words, list) or any(word not in known for word in words):
            few = "must be one of" if single else "must be a list out of"
            self._wrong(key, f"{few} {', '.join(known)}")
            return ()
        return tuple(kind(word) for word in words)

    def tables(self, key: str) -> tuple[_Reader, ...]:
        """Return readers of a list of tables."""
        value = self._plain.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self._wrong(key, f"must be tables, each beginning with [[{key}]]")
            return ()
        return tuple(_Reader(each, f"{key}[{place}].", self.problems) for place, each in enumerate(value))

    def no_more(self, known: Iterable[str]) -> None:
        """Complain about keys nobody asked for."""
        names = tuple(known)
        for key in self._plain:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                hint = f"; did you mean {near[0]}?" if near else "."
                self.problems.append(f"{self._where}{key} is not a key of a manifest{hint}")

    def unique(self, key: str, ids: Iterable[str]) -> None:
        """Complain about ids that come twice."""
        seen: set[str] = set()
        for each in ids:
            if each in seen and each:
                self.problems.append(f"{key} names the id {each} twice.")
            seen.add(each)

    def _missing(self, key: str) -> str:
        self.problems.append(f"{self._where}{key} is missing.")
        return ""

    def _wrong(self, key: str, what: str) -> str:
        self.problems.append(f"{self._where}{key} {what}; it is {str(self._plain[key])[:80]!r}.")
        return ""


def _uuid_complaint(value: str) -> str:
    try:
        return (
            "" if str(UUID(value)) == value.lower() else "must be a UUID such as 0b5a6c1e-7a55-4d0c-9a2b-3b4d1f6d9f10"
        )
    except ValueError:
        return "must be a UUID such as 0b5a6c1e-7a55-4d0c-9a2b-3b4d1f6d9f10"


def _version_complaint(value: str) -> str:
    try:
        Version(value)
    except InvalidVersion:
        return "must be a version such as 1.0.0"
    return ""


def _specifier_complaint(value: str) -> str:
    try:
        SpecifierSet(value)
    except InvalidSpecifier:
        return "must be a version specifier such as >=3.11"
    return ""


def _module_complaint(value: str) -> str:
    return "" if _MODULE.fullmatch(value) else "must be the name of a module, such as my_plugin or my_plugin.models"


def _slug_complaint(value: str) -> str:
    return "" if _SLUG.fullmatch(value) else "must be made of small letters, digits and single hyphens"


def _refused(problems: Iterable[str]) -> PluginError:
    found = tuple(problems)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return PluginError(
        f"The manifest of the plugin cannot be used: {found[0]}{more}",
        why=" ".join(found[1:]),
        do=f"Its author has to mend {MANIFEST_NAME}.",
        problems=found,
    )

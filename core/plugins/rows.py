"""A plugin as a list shows it: a value for every plugin, and the words for how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from .described import Described
from .entry_points import EntryPoint
from .manifest import Manifest
from .state import InstallRecord, PluginState


class Standing(StrEnum):
    """The state of a plugin, as a chip shows it."""

    BUILT_IN = "built-in"
    ENABLED = "enabled"
    DISABLED = "disabled"
    LEFT_OUT = "left out"
    NEW = "new"
    BROKEN = "broken"
    CHANGED = "changed"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class PluginModel:
    """A model or text encoder of a plugin, by id, title, and what it is ("ctr", "text encoder")."""

    id: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class PluginRow:
    """A plugin as a list shows it. `sentence` says what is wrong, `details` is for its author.

    `origin` is "built-in", "file" (installed by the app) or "python" (installed into the app's Python).
    `former` is an older version whose files go with the next start.
    """

    key: str
    name: str
    version: str
    origin: str
    standing: Standing
    sentence: str = ""
    details: str = ""
    summary: str = ""
    authors: tuple[str, ...] = ()
    licence: str = ""
    capabilities: tuple[str, ...] = ()
    models: tuple[PluginModel, ...] = ()
    shared: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    sha256: str = ""
    source: str = ""
    installed: str = ""
    seconds: float | None = None
    former: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A line of the block list: a plugin's id or a file's SHA-256, why, and its name where it is installed."""

    what: str
    reason: str = ""
    name: str = ""


def row_of_record(record: InstallRecord, described: Described | None, others: Sequence[str]) -> PluginRow:
    """Return an installed version as if it were in use; `others` are further versions whose files are there."""
    manifest = record.manifest
    return PluginRow(
        key=manifest.id,
        name=manifest.name,
        version=manifest.version,
        origin="file",
        standing=Standing.ENABLED,
        summary=manifest.summary,
        authors=manifest.authors,
        licence=manifest.licence,
        capabilities=manifest.capabilities,
        models=_announced(manifest),
        shared=record.shared,
        private=record.private,
        sha256=record.sha256,
        source=record.source,
        installed=f"{record.installed.astimezone():%Y-%m-%d %H:%M}",
        seconds=described.seconds if described else None,
        former=", ".join(sorted(others)),
    )


def row_of_point(point: EntryPoint, described: Described | None) -> PluginRow:
    """Return a plugin of the app's own Python as if it were in use."""
    return PluginRow(
        key=point.key,
        name=point.name,
        version=point.version,
        origin="python",
        standing=Standing.ENABLED,
        summary=point.summary,
        authors=(point.author,) if point.author else (),
        licence=point.licence,
        models=_found(described) if described else (),
        source=point.distribution,
        seconds=described.seconds if described else None,
    )


def as_decided(row: PluginRow, decided: PluginState) -> PluginRow:
    """Return a row with what was decided about the plugin."""
    if decided.problem:
        return replace(row, standing=Standing.BROKEN, sentence=decided.problem, details=decided.details)
    return row if decided.enabled else replace(row, standing=Standing.DISABLED)


def left_out(row: PluginRow) -> PluginRow:
    """Return a row as it stands in safe mode."""
    if row.standing not in (Standing.ENABLED, Standing.NEW):
        return row
    return replace(row, standing=Standing.LEFT_OUT, sentence="The app runs in safe mode.")


def changed_words(files: Sequence[str]) -> str:
    """Return which files of a plugin are not those that were installed, as a sentence."""
    more = f" and {len(files) - 1} more files" if len(files) > 2 else " and 1 more file" if len(files) == 2 else ""
    verb = "were" if more else "was"
    return f"{files[0]}{more} {verb} changed since it was installed."


def _announced(manifest: Manifest) -> tuple[PluginModel, ...]:
    models = tuple(PluginModel(each.id, each.title, str(each.task)) for each in manifest.models)
    return models + tuple(PluginModel(each.id, each.title, "text encoder") for each in manifest.text_encoders)


def _found(described: Described) -> tuple[PluginModel, ...]:
    models = tuple(PluginModel(each.id, each.title, str(each.task)) for each in described.models)
    return models + tuple(PluginModel(each.id, each.title, "text encoder") for each in described.encoders)

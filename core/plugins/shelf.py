"""What is there: the plugins of this computer and what was decided about each, read and never changed.

Nothing here imports a plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from crosslens.errors import PluginError

from . import store
from .block_list import blocked_words
from .described import Described
from .entry_points import EntryPoint, entry_points
from .guard import Problem
from .loading import Loadable
from .manifest import incompatibility
from .rows import Blocked, PluginRow, Standing, as_decided, changed_words, left_out, row_of_point, row_of_record
from .state import InstallRecord, State, read_or, read_state


class Shelf:
    """Plugins below `folder`, and those of the app's own Python. With `safe` no stranger's plugin is in use."""

    def __init__(self, folder: Path, *, safe: bool = False) -> None:
        self.folder = folder
        self.safe = safe

    def rows(self) -> tuple[PluginRow, ...]:
        """Return every plugin that is not built in, installed ones first. Raises nothing about a single plugin."""
        state = read_state(self.folder)
        rows = [self._installed_row(key, records, state) for key, records in self.records().items()]
        rows.sort(key=lambda row: (row.name.casefold(), row.key))
        problems: list[Problem] = []
        rows += [self._point_row(point, state) for point in entry_points(problems)]
        if self.safe:
            rows = [left_out(row) for row in rows]
        return tuple(rows) + tuple(
            PluginRow(each.name, each.name, "", "python", Standing.BROKEN, each.message, each.details)
            for each in problems
        )

    def row(self, wanted: str) -> PluginRow:
        """Return one plugin by its key or name; PluginError if there is none, or several have the name."""
        rows = self.rows()
        found = [row for row in rows if row.key == wanted] or [row for row in rows if row.name == wanted]
        if len(found) == 1:
            return found[0]
        keys = ", ".join(row.key for row in found)
        names = ", ".join(row.name for row in rows) or "none"
        raise PluginError(
            f"There is no plugin {wanted!r}." if not found else f"{len(found)} plugins are called {wanted}.",
            do=f"Plugins are: {names}." if not found else f"Name one by its id: {keys}.",
            plugin=wanted,
        )

    def blocked(self) -> tuple[Blocked, ...]:
        """Return the block list."""
        rows = self.rows()
        names = {row.sha256: row.name for row in rows} | {row.key: row.name for row in rows}
        listed = read_state(self.folder).blocked.items()
        return tuple(Blocked(what, reason, names.get(what, "")) for what, reason in listed)

    def loadable(self, key: str) -> Loadable:
        """Return what a worker of the plugin needs. PluginError if it is blocked, or its files were changed."""
        row = self.row(key)
        if row.standing is Standing.BLOCKED:
            raise PluginError(row.sentence, plugin=key)
        if row.origin == "python":
            return Loadable(key, row.name, self.point(key).value)
        folder, record = self.current(key)
        if changed := store.changed_files(folder, record, thorough=True):
            raise PluginError(f"The plugin {row.name} is not used: {changed_words(changed)}", plugin=key)
        return Loadable(key, row.name, record.manifest.entry, (folder / "deps", folder / "site"))

    def records(self) -> dict[str, dict[str, InstallRecord]]:
        """Return what was installed, by id and version."""
        return store.installed(self.folder)

    def current(self, key: str) -> tuple[Path, InstallRecord]:
        """Return folder and record of the version in use; KeyError if it was not installed by the app."""
        record, _ = _in_use(self.records()[key], read_state(self.folder).of(key).version)
        return store.place(self.folder, key, record.manifest.version), record

    def point(self, key: str) -> EntryPoint:
        """Return a plugin of the app's own Python."""
        return next(point for point in entry_points([]) if point.key == key)

    def description(self, key: str) -> Described:
        """Return what a plugin was found to bring; nothing where nobody has looked."""
        return read_or(self.description_file(key), Described) or Described()

    def description_file(self, key: str) -> Path:
        """Return where it is written down what a plugin brings."""
        if key in self.records():
            return self.current(key)[0] / store.DESCRIBED_NAME
        return self.folder / "entry-points" / f"{key}.json"

    def fingerprint(self, key: str) -> str:
        """Return a text that changes when the plugin's files do."""
        return self.current(key)[1].sha256 if key in self.records() else self.point(key).fingerprint

    def _installed_row(self, key: str, records: Mapping[str, InstallRecord], state: State) -> PluginRow:
        decided = state.of(key)
        record, others = _in_use(records, decided.version)
        folder = store.place(self.folder, key, record.manifest.version)
        described = read_or(folder / store.DESCRIBED_NAME, Described)
        changed = store.changed_files(folder, record, thorough=False)
        row = row_of_record(record, described, others)
        if reason := blocked_words(state, key, record.sha256):
            return replace(row, standing=Standing.BLOCKED, sentence=reason)
        if changed:
            sentence = f"{changed_words(changed)} It is not used until you say so."
            return replace(row, standing=Standing.CHANGED, sentence=sentence, details="\n".join(changed))
        if complaint := incompatibility(record.manifest):
            return replace(row, standing=Standing.BROKEN, sentence=complaint)
        stale = described is None or described.fingerprint != record.sha256
        enabled = decided.enabled and decided.version == record.manifest.version and not stale
        return as_decided(row, replace(decided, enabled=enabled))

    def _point_row(self, point: EntryPoint, state: State) -> PluginRow:
        described = read_or(self.description_file(point.key), Described)
        row = row_of_point(point, described)
        if reason := blocked_words(state, point.key, ""):
            return replace(row, standing=Standing.BLOCKED, sentence=reason)
        decided = state.of(point.key)
        if decided.enabled and (described is None or described.fingerprint != point.fingerprint):
            return replace(row, standing=Standing.NEW, sentence="It has not been looked into yet.")
        return as_decided(row, decided)


def _in_use(records: Mapping[str, InstallRecord], wanted: str) -> tuple[InstallRecord, list[str]]:
    """Return the version in use, the wanted one if it is there, and the names of the others."""
    version = wanted if wanted in records else max(records)
    return records[version], [each for each in records if each != version]

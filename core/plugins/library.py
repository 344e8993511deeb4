"""The plugins of this computer: which there are, what state each is in, and everything that can be done with them.

Nothing here imports a plugin. What one brings is found out by a process of its own (`describe`), once per version.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from crosslens._scratch import scratch
from crosslens.errors import CrosslensError, PluginError
from crosslens.plain import to_plain

from ..files import write_json
from ..plugin_host import Source
from . import store
from .archive import opened_plugin
from .described import Described, specs
from .entry_points import EntryPoint, entry_points
from .guard import Problem, Registered, said
from .loading import Loadable, interrupted
from .manifest import Manifest, incompatibility
from .state import InstallRecord, PluginState, State, read_or, read_state, write_state
from .workers import LOAD_SECONDS, KeptWorkers, PluginCrashed, WorkerOf, describe_in_a_process


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


class Library:
    """Plugins below `folder`; `program` starts this program anew. With `safe` no stranger's plugin is used.

    An import may take so many `seconds`. `kept` is given by a process that lives long enough to keep workers.
    """

    def __init__(
        self, folder: Path, program: Sequence[str], *, safe: bool = False, seconds: float = LOAD_SECONDS
    ) -> None:
        self.folder = folder
        self.program = tuple(program)
        self.safe = safe
        self.seconds = seconds
        self.kept: KeptWorkers | None = None

    # --- what there is ------------------------------------------------------------------------------------------------

    def rows(self) -> tuple[PluginRow, ...]:
        """Return every plugin that is not built in, installed ones first. Raises nothing about a single plugin."""
        state = read_state(self.folder)
        rows = [self._installed_row(key, records, state) for key, records in self._records().items()]
        problems: list[Problem] = []
        rows += [self._point_row(point, state) for point in entry_points(problems)]
        if self.safe:
            rows = [_left_out(row) for row in rows]
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

    def sources(self) -> tuple[Source, ...]:
        """Return what enabled plugins were described to bring, for the host; the others as problems."""
        return tuple(self._source(row) for row in self.rows()) if not self.safe else ()

    def pending(self) -> tuple[str, ...]:
        """Return the keys of plugins nobody has looked into yet: new ones of the app's own Python."""
        return () if self.safe else tuple(row.key for row in self.rows() if row.standing is Standing.NEW)

    def loadable(self, key: str) -> Loadable:
        """Return what a worker of the plugin needs. PluginError if its files are not those that were installed."""
        row = self.row(key)
        if row.origin == "python":
            return Loadable(key, row.name, self._point(key).value)
        folder, record = self._current(key)
        if changed := store.changed_files(folder, record, thorough=True):
            raise PluginError(f"The plugin {row.name} is not used: {_changed(changed)}", plugin=key)
        return Loadable(key, row.name, record.manifest.entry, (folder / "deps", folder / "site"))

    def worker(self, key: str, threads: int = 1, device: str = "cpu") -> WorkerOf:
        """Return how to start a worker of a plugin."""
        row = self.row(key)
        return WorkerOf(key, row.name, self.program, self.folder, threads, device, f"{row.version} {row.sha256}")

    # --- what can be done ---------------------------------------------------------------------------------------------

    def install(self, path: Path, *, sha256: str = "", wheelhouse: Path | None = None) -> PluginRow:
        """Install a file and enable what it brings; return how it stands.

        `sha256` is that of the file somebody agreed to; another file under the same name is refused.
        """
        self._refuse_in_safe_mode()
        with opened_plugin(path, wheelhouse=wheelhouse) as plugin:
            key = plugin.manifest.id
            self._refuse_blocked(key, plugin.sha256)
            self._refuse_another(plugin.manifest)
            if sha256 and sha256 != plugin.sha256:
                raise PluginError(f"{path.name} is another file than the one you agreed to.", do="Look at it again.")
            with store.locked(self.folder):
                store.unpack(plugin, self.folder)
                state = read_state(self.folder)
                trusted = (*(each for each in state.trusted if each != plugin.sha256), plugin.sha256)
                new = PluginState(enabled=False, version=plugin.manifest.version)
                write_state(self.folder, replace(state, trusted=trusted).with_plugin(key, new))
        return self.enable(key)

    def trusts(self, sha256: str) -> bool:
        """Whether somebody has agreed to a file of this SHA-256 before."""
        return sha256 in read_state(self.folder).trusted

    def enable(self, key: str) -> PluginRow:
        """Use a plugin: its files are taken as they are now, and a process of its own looks into it.

        A plugin that cannot be loaded stays out of use, its row saying why.
        """
        self._refuse_in_safe_mode()
        row = self.row(key)
        self._refuse_blocked(key, row.sha256)
        if row.origin == "file":
            folder, record = self._current(key)
            if complaint := incompatibility(record.manifest):
                raise PluginError(complaint, plugin=key)
            with store.locked(self.folder):
                if store.changed_files(folder, record, thorough=True):
                    store.accept_changes(folder, record)
        self.describe(key)
        return self.row(key)

    def disable(self, key: str) -> PluginRow:
        """Leave a plugin out from now on."""
        key = self.row(key).key
        self._decide(key, lambda each: replace(each, enabled=False, problem="", details=""))
        return self.row(key)

    def remove(self, key: str) -> None:
        """Remove a plugin with all its versions. PluginError for one of the app's own Python, which pip installed."""
        row = self.row(key)
        if row.origin != "file":
            raise PluginError(
                f"{row.name} was installed into the Python of this app.",
                do=f"Disable it, or run: {self.program[0]} -m pip uninstall {self._point(row.key).distribution}",
            )
        with store.locked(self.folder):
            store.remove(self.folder, row.key)
            write_state(self.folder, read_state(self.folder).with_plugin(row.key, None))

    def describe(self, key: str) -> None:
        """Let a process of its own look into a plugin; the plugin is enabled if that goes well, else put out of use."""
        worker = self.worker(key)
        with scratch() as folder:
            output = folder / "described.json"
            try:
                fingerprint = self._fingerprint(key)
                describe_in_a_process(worker, output, seconds=self.seconds)
                answer = read_or(output, DescribeAnswer)
                described = answer.described if answer else None
                if answer is None or described is None:
                    problem = answer.problem if answer else None
                    words = problem.message if problem else f"The plugin {worker.name} wrote no description of itself."
                    raise PluginError(words, details=problem.details if problem else "")
                specs(described, worker.name)
                write_json(self._described_file(key), replace(described, fingerprint=fingerprint))
            except (PluginError, TypeError, ValueError, KeyError) as error:
                self.put_out(key, error)
                return
        version = self._current(key)[1].manifest.version if key in self._records() else ""
        self._decide(key, lambda _: PluginState(enabled=True, version=version))

    def describe_pending(self) -> tuple[str, ...]:
        """Look into every plugin nobody has looked into yet; return their keys."""
        keys = self.pending()
        for key in keys:
            self.describe(key)
        return keys

    def put_out(self, key: str, error: Exception) -> None:
        """Put a plugin out of use and remember why."""
        facts = error.facts if isinstance(error, PluginError) else {}
        sentence = error.what if isinstance(error, PluginError) else said(error)
        details = str(facts.get("details") or "".join(traceback.format_exception(error)))
        self._decide(key, lambda each: replace(each, enabled=False, problem=sentence, details=details))

    def start(self) -> tuple[str, ...]:
        """Do what a start of the program has to: put out of use what was being imported when a process ended.

        Also removes older versions and left-overs. Returns the names of plugins that were put out of use.
        """
        if not self.folder.exists():
            return ()
        names = []
        for file, loading in interrupted(self.folder).items():
            row = next((row for row in self.rows() if row.key == loading.key), None)
            if row is not None and row.standing in (Standing.ENABLED, Standing.NEW):
                words = f"The plugin {row.name} could not be loaded: its process ended while it was being imported."
                self.put_out(row.key, PluginError(words))
                names.append(row.name)
            file.unlink(missing_ok=True)
        self._tidy()
        return tuple(names)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _tidy(self) -> None:
        state = read_state(self.folder)
        store.clear_left_overs(self.folder)
        for key, records in self._records().items():
            version = state.of(key).version
            if version in records and len(records) > 1:
                with store.locked(self.folder):
                    store.remove(self.folder, key, keep=version)

    def _records(self) -> dict[str, dict[str, InstallRecord]]:
        return store.installed(self.folder)

    def _current(self, key: str) -> tuple[Path, InstallRecord]:
        """Return folder and record of the version in use."""
        records = self._records()[key]
        version = read_state(self.folder).of(key).version
        version = version if version in records else max(records)
        return store.place(self.folder, key, version), records[version]

    def _point(self, key: str) -> EntryPoint:
        return next(point for point in entry_points([]) if point.key == key)

    def _described_file(self, key: str) -> Path:
        if key in self._records():
            return self._current(key)[0] / store.DESCRIBED_NAME
        return self.folder / "entry-points" / f"{key}.json"

    def _fingerprint(self, key: str) -> str:
        return self._current(key)[1].sha256 if key in self._records() else self._point(key).fingerprint

    def _decide(self, key: str, change: Callable[[PluginState], PluginState]) -> None:
        with store.locked(self.folder):
            state = read_state(self.folder)
            write_state(self.folder, state.with_plugin(key, change(state.of(key))))

    def _refuse_in_safe_mode(self) -> None:
        if self.safe:
            raise PluginError(
                "Plugins are neither installed nor enabled in safe mode.",
                why="That would run code of theirs.",
                do="Start Crosslens without --safe-mode. Disabling and removing work here.",
            )

    def _refuse_blocked(self, key: str, sha256: str) -> None:
        if reason := _block(read_state(self.folder), key, sha256):
            raise PluginError(reason, plugin=key)

    def _refuse_another(self, manifest: Manifest) -> None:
        """Refuse a plugin that has taken the id of another one."""
        names = {record.manifest.name for record in self._records().get(manifest.id, {}).values()}
        if names and manifest.name not in names:
            raise PluginError(
                f"{manifest.name} has the id of {', '.join(names)}, which is installed.",
                why="Two plugins cannot have one id.",
                do=f"Remove {', '.join(names)} first, or ask the author of {manifest.name} for an id of its own.",
            )

    def _installed_row(self, key: str, records: Mapping[str, InstallRecord], state: State) -> PluginRow:
        decided = state.of(key)
        version = decided.version if decided.version in records else max(records)
        record, folder = records[version], store.place(self.folder, key, version)
        described = read_or(folder / store.DESCRIBED_NAME, Described)
        changed = store.changed_files(folder, record, thorough=False)
        row = PluginRow(
            key=key,
            name=record.manifest.name,
            version=version,
            origin="file",
            standing=Standing.ENABLED,
            summary=record.manifest.summary,
            authors=record.manifest.authors,
            licence=record.manifest.licence,
            capabilities=record.manifest.capabilities,
            models=_announced(record.manifest),
            shared=record.shared,
            private=record.private,
            sha256=record.sha256,
            source=record.source,
            installed=f"{record.installed.astimezone():%Y-%m-%d %H:%M}",
            seconds=described.seconds if described else None,
            former=", ".join(sorted(set(records) - {version})),
        )
        if reason := _block(state, key, record.sha256):
            return replace(row, standing=Standing.BLOCKED, sentence=reason)
        if changed:
            sentence = f"{_changed(changed)} It is not used until you say so."
            return replace(row, standing=Standing.CHANGED, sentence=sentence, details="\n".join(changed))
        if complaint := incompatibility(record.manifest):
            return replace(row, standing=Standing.BROKEN, sentence=complaint)
        stale = described is None or described.fingerprint != record.sha256
        enabled = decided.enabled and decided.version == version and not stale
        return _with_decision(row, replace(decided, enabled=enabled))

    def _point_row(self, point: EntryPoint, state: State) -> PluginRow:
        described = read_or(self._point_file(point), Described)
        row = PluginRow(
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
        if reason := _block(state, point.key, ""):
            return replace(row, standing=Standing.BLOCKED, sentence=reason)
        decided = state.of(point.key)
        if not decided.enabled:
            return _with_decision(row, decided)
        if described is None or described.fingerprint != point.fingerprint:
            return replace(row, standing=Standing.NEW, sentence="It has not been looked into yet.")
        return row

    def _point_file(self, point: EntryPoint) -> Path:
        return self.folder / "entry-points" / f"{point.key}.json"

    def _source(self, row: PluginRow) -> Source:
        if row.standing is not Standing.ENABLED:
            silent = row.standing in (Standing.DISABLED, Standing.LEFT_OUT)
            problems = () if silent else (Problem(row.name, row.sentence, row.details),)
            return Source(row.name, Registered(), row.key, problems)
        described = read_or(self._described_file(row.key), Described) or Described()
        return Source(row.name, specs(described, row.name), row.key, described.problems)


@dataclass(frozen=True, slots=True)
class DescribeAnswer:
    """What the process that looked into a plugin writes: a description, or what is wrong."""

    described: Described | None = None
    problem: Problem | None = None


def write_answer(path: Path, described: Callable[[], Described], name: str) -> None:
    """Write a description, or what was said instead, to `path`."""
    try:
        answer = DescribeAnswer(described=described())
        to_plain(answer)
    except CrosslensError as error:
        facts = getattr(error, "facts", {})
        answer = DescribeAnswer(
            problem=Problem(name, getattr(error, "what", str(error)), str(facts.get("details", "")))
        )
    write_json(path, answer)


def _left_out(row: PluginRow) -> PluginRow:
    if row.standing not in (Standing.ENABLED, Standing.NEW):
        return row
    return replace(row, standing=Standing.LEFT_OUT, sentence="The app runs in safe mode.")


def _with_decision(row: PluginRow, decided: PluginState) -> PluginRow:
    if decided.problem:
        return replace(row, standing=Standing.BROKEN, sentence=decided.problem, details=decided.details)
    return row if decided.enabled else replace(row, standing=Standing.DISABLED)


def _block(state: State, key: str, sha256: str) -> str:
    reason = state.blocked.get(key) or (state.blocked.get(sha256) if sha256 else None)
    return "" if reason is None else f"This plugin is blocked on this computer: {reason or 'no reason given'}"


def _changed(files: Sequence[str]) -> str:
    more = f" and {len(files) - 1} more files" if len(files) > 2 else " and 1 more file" if len(files) == 2 else ""
    verb = "were" if more else "was"
    return f"{files[0]}{more} {verb} changed since it was installed."


def _announced(manifest: Manifest) -> tuple[PluginModel, ...]:
    models = tuple(PluginModel(each.id, each.title, str(each.task)) for each in manifest.models)
    return models + tuple(PluginModel(each.id, each.title, "text encoder") for each in manifest.text_encoders)


def _found(described: Described) -> tuple[PluginModel, ...]:
    models = tuple(PluginModel(each.id, each.title, str(each.task)) for each in described.models)
    return models + tuple(PluginModel(each.id, each.title, "text encoder") for each in described.encoders)


__all__ = ["Library", "PluginCrashed", "PluginModel", "PluginRow", "Standing", "write_answer"]

"""Everything that can be done with the plugins of this computer: install, enable, disable, remove, block.

What is decided is written down in the plugins folder at once; what is there is read by `core.plugins.shelf`. Nothing
here imports a plugin: what one brings is found out by a process of its own (`look_into`), once per version.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from crosslens.errors import PluginError

from ..files import write_json
from ..plugin_host import Source
from . import store
from .archive import PluginFile, opened_plugin
from .block_list import blockable, refuse_blocked, with_blocked, without_blocked
from .described import specs
from .guard import Problem, Registered, said
from .loading import Loadable, interrupted
from .looking import look_into
from .manifest import incompatibility
from .processes import LOAD_SECONDS, WorkerOf
from .rows import Blocked, PluginRow, Standing
from .shelf import Shelf
from .state import PluginState, State, read_state, write_state
from .stopping import Check, go_on
from .workers import KeptWorkers


class Library:
    """Plugins below `folder`; `program` starts this program anew. With `safe` no stranger's plugin is used.

    An import may take so many `seconds`. `kept` is given by a process that lives long enough to keep workers.
    Whatever takes a `check` can be stopped by it, and then leaves everything as it was.
    """

    def __init__(
        self, folder: Path, program: Sequence[str], *, safe: bool = False, seconds: float = LOAD_SECONDS
    ) -> None:
        self.folder = folder
        self.program = tuple(program)
        self.safe = safe
        self.seconds = seconds
        self.kept: KeptWorkers | None = None
        self._shelf = Shelf(folder, safe=safe)

    # --- what there is ------------------------------------------------------------------------------------------------

    def rows(self) -> tuple[PluginRow, ...]:
        """Return every plugin that is not built in, installed ones first. Raises nothing about a single plugin."""
        return self._shelf.rows()

    def row(self, wanted: str) -> PluginRow:
        """Return one plugin by its key or name; PluginError if there is none, or several have the name."""
        return self._shelf.row(wanted)

    def blocked(self) -> tuple[Blocked, ...]:
        """Return what may not be used or installed on this computer, and why."""
        return self._shelf.blocked()

    def trusts(self, sha256: str) -> bool:
        """Whether somebody has agreed to a file of this SHA-256 before."""
        return sha256 in read_state(self.folder).trusted

    def sources(self) -> tuple[Source, ...]:
        """Return what enabled plugins were described to bring, for the host; the others as problems."""
        return tuple(self._source(row) for row in self.rows()) if not self.safe else ()

    def pending(self) -> tuple[str, ...]:
        """Return the keys of plugins nobody has looked into yet: new ones of the app's own Python."""
        return () if self.safe else tuple(row.key for row in self.rows() if row.standing is Standing.NEW)

    def loadable(self, key: str) -> Loadable:
        """Return what a worker of the plugin needs. PluginError if it is blocked, or its files were changed."""
        return self._shelf.loadable(key)

    def worker(self, key: str, threads: int = 1, device: str = "cpu") -> WorkerOf:
        """Return how to start a worker of a plugin."""
        row = self.row(key)
        return WorkerOf(key, row.name, self.program, self.folder, threads, device, f"{row.version} {row.sha256}")

    # --- what can be done ---------------------------------------------------------------------------------------------

    def install(
        self, path: Path, *, sha256: str = "", wheelhouse: Path | None = None, check: Check = go_on
    ) -> PluginRow:
        """Install a file and enable what it brings; return how it stands.

        `sha256` is that of the file somebody agreed to; another file under the same name is refused.
        """
        self._refuse_in_safe_mode()
        with opened_plugin(path, wheelhouse=wheelhouse, check=check) as plugin:
            refuse_blocked(read_state(self.folder), plugin.manifest.id, plugin.sha256)
            self._refuse_another(plugin)
            if sha256 and sha256 != plugin.sha256:
                raise PluginError(f"{path.name} is another file than the one you agreed to.", do="Look at it again.")
            with store.unpacked(plugin, self.folder, check) as unpacked, self._placed(plugin, unpacked):
                return self.enable(plugin.manifest.id, check=check)

    def enable(self, key: str, *, check: Check = go_on) -> PluginRow:
        """Use a plugin: its files are taken as they are now, and a process of its own looks into it.

        A plugin that cannot be loaded stays out of use, its row saying why.
        """
        self._refuse_in_safe_mode()
        row = self.row(key)
        refuse_blocked(read_state(self.folder), key, row.sha256)
        with self._accepted(row):
            self.describe(key, check=check)
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
                do=f"Disable it, or run: {self.program[0]} -m pip uninstall {self._shelf.point(row.key).distribution}",
            )
        with self._changing() as state:
            store.remove(self.folder, row.key)
            write_state(self.folder, state.with_plugin(row.key, None))

    def block(self, wanted: str, reason: str = "") -> Blocked:
        """Neither use nor install a plugin from now on: one that is here, by name or id, or any by id or SHA-256.

        PluginError if `wanted` is none of these.
        """
        rows = self.rows()
        if any(row.name == wanted for row in rows):
            wanted = self.row(wanted).key  # PluginError where several have the name
        what, about = blockable(wanted, rows)
        with self._changing() as state:
            write_state(self.folder, with_blocked(state, what, reason, about))
        return Blocked(what, reason, about[0].name if about else "")

    def unblock(self, wanted: str) -> Blocked:
        """Take a plugin off the block list; one that is here stays disabled. PluginError if it is not blocked."""
        row = next((row for row in self.rows() if wanted in (row.key, row.name)), None)
        names = {wanted.lower(), wanted} | ({row.key, row.sha256} if row else set())
        with self._changing() as state:
            found = [what for what in state.blocked if what in names]
            if not found:
                raise PluginError(
                    f"{row.name if row else wanted} is not blocked.", do="crosslens plugin blocked lists what is."
                )
            write_state(self.folder, without_blocked(state, names))
        return Blocked(found[0], state.blocked[found[0]], row.name if row else "")

    def describe(self, key: str, *, check: Check = go_on) -> None:
        """Let a process of its own look into a plugin; the plugin is enabled if that goes well, else put out of use."""
        worker, fingerprint = self.worker(key), self._shelf.fingerprint(key)
        try:
            described = look_into(worker, seconds=self.seconds, check=check)
        except (PluginError, TypeError, ValueError, KeyError) as error:
            self.put_out(key, error)
            return
        write_json(self._shelf.description_file(key), replace(described, fingerprint=fingerprint))
        row = self.row(key)
        version = row.version if row.origin == "file" else ""
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
        """Do what a start of the app has to: see `put_out_interrupted`; also removes older versions and left-overs."""
        names = self.put_out_interrupted()
        if self.folder.exists():
            self._tidy()
        return names

    def put_out_interrupted(self) -> tuple[str, ...]:
        """Put out of use what was being imported when a process ended; return the names."""
        names = []
        for file, loading in interrupted(self.folder).items():
            row = next((row for row in self.rows() if row.key == loading.key), None)
            if row is not None and row.standing in (Standing.ENABLED, Standing.NEW):
                words = f"The plugin {row.name} could not be loaded: its process ended while it was being imported."
                self.put_out(row.key, PluginError(words))
                names.append(row.name)
            file.unlink(missing_ok=True)
        return tuple(names)

    # --- inside -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[State]:
        """Lend what was decided so far, to be written anew while nobody else can."""
        with store.locked(self.folder):
            yield read_state(self.folder)

    def _decide(self, key: str, change: Callable[[PluginState], PluginState]) -> None:
        with self._changing() as state:
            write_state(self.folder, state.with_plugin(key, change(state.of(key))))

    @contextmanager
    def _placed(self, plugin: PluginFile, unpacked: store.Unpacked) -> Iterator[None]:
        """Have a version in its place, trusted and not yet enabled; whatever is raised meanwhile undoes that."""
        key, version = plugin.manifest.id, plugin.manifest.version
        former = read_state(self.folder)
        try:
            with self._changing() as state:
                unpacked.put()
                trusted = (*(each for each in state.trusted if each != plugin.sha256), plugin.sha256)
                new = PluginState(enabled=False, version=version)
                write_state(self.folder, replace(state, trusted=trusted).with_plugin(key, new))
            yield
        except BaseException:  # Stop and Ctrl+C as well as a full disk: there is the former version or none
            with self._changing() as state:
                unpacked.take_back()
                trusted = tuple(each for each in state.trusted if each != plugin.sha256 or each in former.trusted)
                write_state(self.folder, replace(state, trusted=trusted).with_plugin(key, former.plugins.get(key)))
            raise

    @contextmanager
    def _accepted(self, row: PluginRow) -> Iterator[None]:
        """Have the files of a plugin taken as they are now; whatever is raised meanwhile undoes that."""
        if row.origin != "file":
            yield
            return
        folder, record = self._shelf.current(row.key)
        if complaint := incompatibility(record.manifest):
            raise PluginError(complaint, plugin=row.key)
        changed = store.changed_files(folder, record, thorough=True)
        try:
            if changed:
                with store.locked(self.folder):
                    store.write_record(folder, store.as_it_is_now(folder, record))
            yield
        except BaseException:  # Stop and Ctrl+C: nobody has said yes to the changed files then
            if changed:
                store.write_record(folder, record)
            raise

    def _tidy(self) -> None:
        state = read_state(self.folder)
        store.clear_left_overs(self.folder)
        for key, records in self._shelf.records().items():
            version = state.of(key).version
            if version in records and len(records) > 1:
                with store.locked(self.folder):
                    store.remove(self.folder, key, keep=version)

    def _refuse_in_safe_mode(self) -> None:
        if self.safe:
            raise PluginError(
                "Plugins are neither installed nor enabled in safe mode.",
                why="That would run code of theirs.",
                do="Start Crosslens without --safe-mode. Disabling, removing and blocking work here.",
            )

    def _refuse_another(self, plugin: PluginFile) -> None:
        """Refuse a plugin that has taken the id of another one."""
        manifest = plugin.manifest
        names = {record.manifest.name for record in self._shelf.records().get(manifest.id, {}).values()}
        if names and manifest.name not in names:
            raise PluginError(
                f"{manifest.name} has the id of {', '.join(names)}, which is installed.",
                why="Two plugins cannot have one id.",
                do=f"Remove {', '.join(names)} first, or ask the author of {manifest.name} for an id of its own.",
            )

    def _source(self, row: PluginRow) -> Source:
        if row.standing is not Standing.ENABLED:
            silent = row.standing in (Standing.DISABLED, Standing.LEFT_OUT, Standing.BLOCKED)
            problems = () if silent else (Problem(row.name, row.sentence, row.details),)
            return Source(row.name, Registered(), row.key, problems)
        described = self._shelf.description(row.key)
        return Source(row.name, specs(described, row.name), row.key, described.problems)

"""A project that is open: every edit is a commit, and window and worker share one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import OperationalError

from crosslens._processes import is_alive, is_this_host
from crosslens.errors import InternalError, ProjectError
from crosslens.runs import RunRecord, RunStatus, StoredConnection, StoredPreparation

from . import problems, records
from .lock import ProjectLock
from .schema import writing
from .tables import CONNECTIONS, PREPARATIONS, RUNS, SETTINGS

PROJECT_FILE = "project.db"

_RUN_ID = re.compile(r"[\w][\w.-]*")


class SqlProjectStore:
    """The memory of one project; made by `SqlProjects.open`. Structurally a `core.ports.ProjectStore`.

    A run is saved as the difference to what this store last saw of it: a star set in the window survives the worker
    that saves the metrics of the same run a moment later, and the other way round.
    """

    def __init__(
        self, folder: Path, engine: Engine, *, read_only: bool = False, lock: ProjectLock | None = None
    ) -> None:
        self._folder = folder
        self._engine = engine
        self._read_only = read_only
        self._lock = lock
        self._seen: dict[str, RunRecord] = {}
        self._open = True

    def __enter__(self) -> SqlProjectStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """Return the project folder."""
        return self._folder

    @property
    def read_only(self) -> bool:
        """Whether the project is from a newer Crosslens and may only be looked at."""
        return self._read_only

    def connections(self) -> tuple[StoredConnection, ...]:
        """Return saved connections, most recently used first."""
        query = select(CONNECTIONS).order_by(CONNECTIONS.c.last_used.desc().nulls_last(), CONNECTIONS.c.name)
        return tuple(records.connection_from_row(row) for row in self._rows(query))

    def save_connection(self, connection: StoredConnection) -> None:
        """Insert or update by id; the secret is left out."""
        with self._writing() as database:
            records.save_connection(database, connection)

    def rename_connection(self, connection_id: str, name: str) -> None:
        """Give a saved connection another name; ProjectError if there is none of that id, or the name is empty."""
        wanted = " ".join(name.split())
        if not wanted:
            raise problems.nameless()
        with self._writing() as database:
            if not records.rename_connection(database, connection_id, wanted):
                raise problems.no_connection(connection_id, self._folder)

    def delete_connection(self, connection_id: str) -> None:
        """Forget a saved connection; ProjectError if there is none of that id.

        Runs made with it stay: each carries the recipe that names its source. Its password is the caller's to forget.
        """
        with self._writing() as database:
            if not records.delete_connection(database, connection_id):
                raise problems.no_connection(connection_id, self._folder)

    def preparations(self) -> tuple[StoredPreparation, ...]:
        """Return saved preparations, most recently changed first."""
        query = select(PREPARATIONS).order_by(PREPARATIONS.c.changed.desc(), PREPARATIONS.c.id)
        return tuple(StoredPreparation(row.id, row.name, row.recipe, row.changed) for row in self._rows(query))

    def save_preparation(self, preparation: StoredPreparation) -> None:
        """Insert or update by id."""
        with self._writing() as database:
            records.save_preparation(database, preparation)

    def runs(self, *, deleted: bool = False) -> tuple[RunRecord, ...]:
        """Return runs, newest first; with `deleted`, those in the bin instead.

        A run that is "running" without a living worker is turned into INTERRUPTED, here and in the file. Workers of
        other hosts cannot be judged and are believed.
        """
        return self._runs(select(RUNS).where(RUNS.c.deleted.is_(deleted)))

    def run(self, run_id: str) -> RunRecord:
        """Return one run, deleted or not; ProjectError if there is none."""
        found = self._runs(select(RUNS).where(RUNS.c.id == run_id))
        if not found:
            raise ProjectError(
                f"There is no run {run_id} in {self._folder}.",
                do="List the runs of the project and choose one of them.",
                run=run_id,
            )
        return found[0]

    def save_run(self, run: RunRecord) -> None:
        """Insert or update by id; of a run this store has seen, only what has changed since is written."""
        _check_run_id(run.id)
        with self._writing() as database:
            records.save_run(database, run, self._seen.get(run.id))
        self._seen[run.id] = run

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run, made if needed; ProjectError if the id is not a plain name."""
        _check_run_id(run_id)
        return self._made(self._folder / "runs" / run_id)

    @property
    def data_folder(self) -> Path:
        """Return the folder of snapshots and encoded arrays, made if needed."""
        return self._made(self._folder / "data")

    def setting(self, name: str, default: str = "") -> str:
        """Return a remembered text."""
        found = self._rows(select(SETTINGS.c.value).where(SETTINGS.c.name == name))
        return str(found[0].value) if found else default

    def save_setting(self, name: str, value: str) -> None:
        """Remember a text."""
        row = {"name": name, "value": value}
        with self._writing() as database:
            database.execute(upsert(SETTINGS).values(row).on_conflict_do_update(index_elements=["name"], set_=row))

    def close(self) -> None:
        """Let the project go, and its lock if this store holds it; a second time does nothing."""
        self._open = False
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _runs(self, query: Select[Any]) -> tuple[RunRecord, ...]:
        with self._reading() as database:
            rows = database.execute(query.order_by(RUNS.c.created.desc(), RUNS.c.id.desc())).all()
            found = records.load_runs(database, rows)
        gone = {row.id for row in rows if _is_abandoned(row)}
        self._mark_interrupted(tuple(run for run in found if run.id in gone))
        found = tuple(replace(run, status=RunStatus.INTERRUPTED) if run.id in gone else run for run in found)
        self._seen.update((run.id, run) for run in found)
        return found

    def _mark_interrupted(self, runs: tuple[RunRecord, ...]) -> None:
        if self._read_only or not runs:
            return
        with self._writing() as database:
            for run in runs:  # unless another worker has taken it up since it was read
                same = (RUNS.c.id == run.id, RUNS.c.status == RunStatus.RUNNING.value, RUNS.c.pid == run.pid)
                database.execute(update(RUNS).where(*same).values(status=RunStatus.INTERRUPTED.value))

    def _rows(self, query: Select[Any]) -> tuple[Row[Any], ...]:
        with self._reading() as database:
            return tuple(database.execute(query))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._check_open()
        with problems.explained(self._folder), self._newer_explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        self._check_open()
        if self._read_only:
            raise problems.newer(self._folder)
        # SQLite would go on writing into a deleted file without a word.
        if not (self._folder / PROJECT_FILE).exists():
            raise problems.vanished(self._folder)
        with problems.explained(self._folder), writing(self._engine) as connection:
            yield connection

    @contextmanager
    def _newer_explained(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:  # a newer version may have moved what we look for
            if not self._read_only:
                raise
            raise problems.newer(self._folder) from error

    def _check_open(self) -> None:
        if not self._open:
            raise InternalError(f"The project {self._folder} was used after it was closed.")

    def _made(self, folder: Path) -> Path:
        if not self._read_only:
            with problems.explained(self._folder):
                folder.mkdir(parents=True, exist_ok=True)
        return folder


def _is_abandoned(row: Row[Any]) -> bool:
    if row.status != RunStatus.RUNNING.value:
        return False
    if not row.host:
        return True
    return is_this_host(row.host) and not is_alive(row.pid, row.process_start)


def _check_run_id(run_id: str) -> None:
    if not _RUN_ID.fullmatch(run_id):
        raise ProjectError(
            f"{run_id!r} is not the name of a run.",
            why="Names of runs hold letters, digits, dots, dashes and underscores.",
            do="List the runs of the project and choose one of them.",
            run=run_id,
        )

"""What a job is given: the world behind protocols, and the line to whoever asked."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crosslens.errors import Stopped
from crosslens.relational import ConnectionSpec, TableInfo, TableRef

from .commands import Phase, Progress
from .credentials import PassingCredentials
from .ports import Credentials, PluginHost, Projects, RowSource, Sources

if TYPE_CHECKING:
    import pyarrow as pa

    from .plugins.library import Library


@dataclass(frozen=True, slots=True)
class Services:
    """The rooms a job needs, plugged in by the composition root.

    `plugins` are the strangers' ones, run in workers of their own; None in such a worker, where everything is at hand.
    `device` is where models train that can choose, see `FitContext`.
    """

    sources: Sources
    projects: Projects
    host: PluginHost
    threads: int = 1
    credentials: Credentials = field(default_factory=PassingCredentials)
    plugins: Library | None = None
    device: str = "cpu"

    @property
    def secret(self) -> str | None:
        """Return the secret connections are opened with, for a worker that does part of the job."""
        return self.sources.secret if isinstance(self.sources, _SecretSources) else None

    def with_secret(self, secret: str | None) -> Services:
        """Return services whose connections use `secret` where they have none of their own.

        It never becomes part of a recipe, a run or a project: only the opening of a source sees it.
        """
        return self if secret is None else replace(self, sources=_SecretSources(self.sources, secret))


class _SecretSources:
    """Sources opened with one secret, which stays out of repr."""

    def __init__(self, sources: Sources, secret: str) -> None:
        self._sources = sources
        self.secret = secret

    def open(self, connection: ConnectionSpec) -> AbstractContextManager[RowSource]:
        """Open with the secret, unless the connection has its own."""
        if connection.secret is None:
            connection = replace(connection, secret=self.secret)
        return self._sources.open(connection)

    def write_new(self, path: Path, tables: Sequence[TableInfo], rows: Mapping[str, pa.Table]) -> None:
        """Write a new database; no secret is needed."""
        self._sources.write_new(path, tables, rows)

    def refuse_table(self, connection: ConnectionSpec, table: TableRef) -> None:
        """Look as the connection is: the secret of the rows' source is for no other database."""
        self._sources.refuse_table(connection, table)

    def write_table(
        self,
        connection: ConnectionSpec,
        table: TableRef,
        schema: pa.Schema,
        rows: Iterable[pa.RecordBatch],
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Write as the connection is: the secret of the rows' source is for no other database."""
        return self._sources.write_table(connection, table, schema, rows, should_stop=should_stop)


def _silent(_: Progress) -> None:
    return None


@dataclass(frozen=True, slots=True)
class JobControl:
    """The line between a job and whoever started it: progress one way, Stop the other."""

    progress: Callable[[Progress], None] = _silent
    stop: threading.Event = field(default_factory=threading.Event)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("crosslens.job"))
    secret: str | None = field(default=None, repr=False, compare=False)
    """The password that came beside a request's arguments; see `Services.with_secret`."""

    def should_stop(self) -> bool:
        """Whether Stop was pressed."""
        return self.stop.is_set()

    def check(self) -> None:
        """Raise Stopped if Stop was pressed."""
        if self.stop.is_set():
            raise Stopped("Stopped before there was anything to keep.")

    def say(self, phase: Phase, message: str = "", fraction: float | None = None) -> None:
        """Report a moment of the job."""
        self.progress(Progress(phase=phase, fraction=fraction, message=message))


THREADS_VARIABLE = "CROSSLENS_THREADS"
"""Environment variable that limits the processor threads of a job."""


def usable_threads() -> int:
    """Return how many processor threads a job may use: what the variable says, else what the process may run on."""
    wanted = os.environ.get(THREADS_VARIABLE, "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)

"""What jobs need of the world, as protocols. `main.py` plugs the rooms `db` and `plugins` in; tests plug in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from crosslens.models import ModelSpec
from crosslens.relational import (
    ColumnInfo,
    ColumnProfile,
    ColumnRef,
    ConnectionSpec,
    ExtractionEstimate,
    JoinFacts,
    JoinProposal,
    JoinSpec,
    Page,
    QuerySpec,
    Snapshot,
    TableInfo,
    TableRef,
)
from crosslens.runs import RunRecord, StoredConnection, StoredPreparation
from crosslens.sequences import TextEncoderSpec

if TYPE_CHECKING:
    import pyarrow as pa


class RowSource(Protocol):
    """An open, read-only database."""

    @property
    def read_only(self) -> str:
        """Return what enforces read-only access, for the badge, or an empty string where nothing does."""

    def tables(self) -> tuple[TableInfo, ...]:
        """Return every table and view with columns and keys; SourceError if there are none."""

    def table(self, ref: TableRef) -> TableInfo:
        """Return one table; QueryError if it is gone."""

    def propose_joins(self, base: TableRef, *, select: str = "") -> tuple[JoinProposal, ...]:
        """Return joins along keys, and guesses by names where no key says so; breadth first, parents before children.

        LOOKUP for keys the base (or a lookup of it) holds, EXISTS for tables that refer to it. `select` is the user's
        own SELECT instead of a table.
        """

    def columns(self, query: QuerySpec) -> tuple[tuple[ColumnRef, ColumnInfo], ...]:
        """Return every column the base and the joins of `query` offer, whether selected or not."""

    def sql(self, query: QuerySpec) -> str:
        """Return the Select as it is sent, with values rendered for reading."""

    def count(self, query: QuerySpec, *, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Return how many rows the query has."""

    def estimate(self, query: QuerySpec, folder: Path | None = None) -> ExtractionEstimate:
        """Return what extracting and training on the query would take, quickly: from statistics and a sample.

        `folder` is where the rows would go.
        """

    def join_facts(self, query: QuerySpec, join: JoinSpec) -> JoinFacts:
        """Measure what `join` would do to `query` (whose joins come before it); `problem` says if it took too long."""

    def page(
        self,
        table: TableRef,
        *,
        select: str = "",
        after: tuple[Any, ...] | None = None,
        before: tuple[Any, ...] | None = None,
        near: float | None = None,
        rows: int = 200,
    ) -> Page:
        """Return some rows of a table in key order, without counting.

        The first ones, or those behind or in front of an anchor, or those near a share (0..1) of the table. `select`
        is the user's own SELECT instead of a table.
        """

    def profile(
        self, query: QuerySpec, *, should_stop: Callable[[], bool] = lambda: False
    ) -> tuple[ColumnProfile, ...]:
        """Return one profile per column of the query, in its order, from at most some 100,000 rows."""

    def sample(self, query: QuerySpec, rows: int, *, should_stop: Callable[[], bool] = lambda: False) -> pa.Table:
        """Return at most `rows` rows from all over the query as a snapshot has them; column i is `query.columns[i]`."""

    def extract(
        self,
        query: QuerySpec,
        folder: Path,
        *,
        progress: Callable[[int, int, float, int], None] = lambda rows, total, seconds, size: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Snapshot:
        """Stream the rows into `folder` (reused when query and source are unchanged); Stopped leaves nothing behind.

        `progress` is told rows so far, rows in all, seconds, and bytes so far.
        """

    def close(self) -> None:
        """Let the database go."""


class Sources(Protocol):
    """Opens databases, and writes new ones (the sample, exports)."""

    def open(self, connection: ConnectionSpec) -> AbstractContextManager[RowSource]:
        """Open read-only; SourceError says what is wrong."""

    def write_new(self, path: Path, tables: Sequence[TableInfo], rows: Mapping[str, pa.Table]) -> None:
        """Write a new SQLite database with keys and indexes; StorageError if it exists or the disk is full."""

    def refuse_table(self, connection: ConnectionSpec, table: TableRef) -> None:
        """Raise unless `table` could be a new table there: StorageError if it exists, SourceError if nobody answers."""

    def write_table(
        self,
        connection: ConnectionSpec,
        table: TableRef,
        schema: pa.Schema,
        rows: Iterable[pa.RecordBatch],
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Make a table that does not exist, fill it over a connection of its own, return how many rows it has.

        The one thing that is ever written to a database. Whole or not there: after Stopped, an error or a lost
        connection there is no table. StorageError if it exists, DataError for values it cannot hold.
        """


class Credentials(Protocol):
    """Passwords of connections, by `ConnectionSpec.credential`: in the system's keyring, or until Crosslens closes."""

    @property
    def is_lasting(self) -> bool:
        """Whether a saved password is still there tomorrow; False where the system has no keyring."""

    def save(self, credential: str, secret: str) -> bool:
        """Keep a password; return whether it lasts (False: only until Crosslens closes)."""

    def forget(self, credential: str) -> None:
        """Remove a password; one that is not there is no error."""

    def has(self, credential: str) -> bool:
        """Whether a password is kept under this name."""

    def secret_for(self, connection: ConnectionSpec) -> str | None:
        """Return the password to connect with: the connection's own, the environment variable it names, or a kept one.

        None: nobody knows one here, and the driver's own ways (.pgpass, option files) have their turn.
        """


class ProjectStore(Protocol):
    """The memory of one project: everything but bulk data."""

    @property
    def folder(self) -> Path:
        """Return the project folder."""

    @property
    def read_only(self) -> bool:
        """Whether the project is from a newer Crosslens and may only be looked at."""

    def connections(self) -> tuple[StoredConnection, ...]:
        """Return saved connections, most recently used first."""

    def save_connection(self, connection: StoredConnection) -> None:
        """Insert or update by id."""

    def rename_connection(self, connection_id: str, name: str) -> None:
        """Give a saved connection another name; ProjectError if it is gone, or the name is empty."""

    def delete_connection(self, connection_id: str) -> None:
        """Forget a saved connection, not its password; runs made with it stay. ProjectError if it is gone."""

    def preparations(self) -> tuple[StoredPreparation, ...]:
        """Return saved preparations, most recently changed first."""

    def save_preparation(self, preparation: StoredPreparation) -> None:
        """Insert or update by id."""

    def runs(self, *, deleted: bool = False) -> tuple[RunRecord, ...]:
        """Return runs, newest first; those "running" without a live worker come back as INTERRUPTED."""

    def run(self, run_id: str) -> RunRecord:
        """Return one run; ProjectError if there is none."""

    def save_run(self, run: RunRecord) -> None:
        """Insert or update by id."""

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run, made if needed."""

    @property
    def data_folder(self) -> Path:
        """Return the folder of snapshots and encoded arrays, made if needed."""

    def setting(self, name: str, default: str = "") -> str:
        """Return a remembered text."""

    def save_setting(self, name: str, value: str) -> None:
        """Remember a text."""

    def close(self) -> None:
        """Let the project go (and its lock, if this process holds it)."""


class Projects(Protocol):
    """Opens and makes project folders."""

    def warm(self) -> None:
        """Load what opening a project needs, beside whatever else goes on."""

    def open(self, folder: Path, *, create: bool = False, lock: bool = False) -> ProjectStore:
        """Open a project; `lock` is for windows, workers share. ProjectError says what is wrong."""


class PluginHost(Protocol):
    """The models and text encoders at hand."""

    def models(self) -> tuple[ModelSpec, ...]:
        """Return every model that could be loaded, built-in ones first."""

    def model(self, model_id: str) -> ModelSpec:
        """Return one model; PluginError if there is none of that id."""

    def text_encoders(self) -> tuple[TextEncoderSpec, ...]:
        """Return every text encoder that could be loaded, built-in ones first."""

    def text_encoder(self, encoder_id: str) -> TextEncoderSpec:
        """Return one text encoder; PluginError if there is none of that id."""

    def problems(self) -> tuple[PluginProblem, ...]:
        """Return what could not be loaded, and why."""

    def plugin_of(self, model_id: str) -> str:
        """Return the name of the plugin a model came with; KeyError if there is no such model."""

    def plugin_of_encoder(self, encoder_id: str) -> str:
        """Return the name of the plugin a text encoder came with; KeyError if there is no such encoder."""

    def worker_of(self, model_id: str) -> str:
        """Return the key of the plugin in whose worker a model runs; empty for built-in and unknown ones."""

    def worker_of_encoder(self, encoder_id: str) -> str:
        """Return the key of the plugin in whose worker a text encoder runs; empty for built-in and unknown ones."""

    def refresh(self) -> None:
        """Look again at what is installed and enabled."""


class PluginProblem(Protocol):
    """A plugin that could not be loaded."""

    @property
    def name(self) -> str:
        """Return the plugin's name."""

    @property
    def message(self) -> str:
        """Return one sentence."""

    @property
    def details(self) -> str:
        """Return the traceback, or an empty string."""

"""What a worker can be asked, and what it answers: requests and results as values.

One line of JSON each way: `{"id": 7, "command": "read-page", "arguments": {...}}` on stdin, events on stdout:

    {"id": 7, "event": "progress", ...Progress}
    {"id": 7, "event": "part", "field": "tables", "items": [...]}     long lists go ahead, see core.answers
    {"id": 7, "event": "result", "result": {...}}
    {"id": 7, "event": "error", "error": {"kind", "what", "why", "do", "details"}}      kind: "user" or "internal"
    {"id": 7, "event": "stopped", "message": "..."}

`{"id": 7, "command": "stop"}` stops request 7. A secret travels beside the arguments ("secret") and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from crosslens.models import FitProgress
from crosslens.relational import (
    ColumnInfo,
    ColumnProfile,
    ConnectionSpec,
    ExtractionEstimate,
    JoinFacts,
    JoinProposal,
    QuerySpec,
    TableInfo,
    TableRef,
)
from crosslens.schema import FieldSchema

from .display import BarList, HeatMap, Waterfall
from .recipe import Repair


class Phase(StrEnum):
    """What a job is at."""

    CONNECTING = "connecting"
    READING = "reading"
    ENCODING = "encoding"
    TRAINING = "training"
    EVALUATING = "evaluating"
    EXPLAINING = "explaining"
    WRITING = "writing"


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a job. `fraction` of the whole phase in 0..1 or None; `fit` while a model trains."""

    phase: Phase
    fraction: float | None = None
    message: str = ""
    rows: int | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None
    run: str = ""
    model: str = ""
    fit: FitProgress | None = None


@dataclass(frozen=True, slots=True)
class OpenSource:
    """List the tables of a database. Result: SourceOverview."""

    command: ClassVar[str] = "open-source"
    connection: ConnectionSpec


@dataclass(frozen=True, slots=True)
class SourceOverview:
    """The tables of a database and what keeps it safe (`read_only` is the badge's sentence)."""

    connection: ConnectionSpec
    read_only: str
    tables: tuple[TableInfo, ...]


@dataclass(frozen=True, slots=True)
class ReadPage:
    """Read some rows of a table, or of the user's own SELECT; see `RowSource.page`. Result: PageRead."""

    command: ClassVar[str] = "read-page"
    connection: ConnectionSpec
    table: TableRef
    after: tuple[str | int | float | bool | None, ...] | None = None
    rows: int = 200
    select: str = ""
    before: tuple[str | int | float | bool | None, ...] | None = None
    near: float | None = None


@dataclass(frozen=True, slots=True)
class PageRead:
    """Rows as display values; None is NULL; `anchor` ends the page (None at the end), `start` begins it."""

    columns: tuple[ColumnInfo, ...]
    rows: tuple[tuple[str | int | float | bool | None, ...], ...]
    anchor: tuple[str | int | float | bool | None, ...] | None = None
    start: tuple[str | int | float | bool | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class CountRows:
    """Count the rows of a table or query exactly, which may take long; can be stopped. Result: RowsCounted."""

    command: ClassVar[str] = "count-rows"
    connection: ConnectionSpec
    query: QuerySpec


@dataclass(frozen=True, slots=True)
class RowsCounted:
    """The exact number of rows."""

    rows: int


@dataclass(frozen=True, slots=True)
class MeasureJoins:
    """Measure the joins of a query as the user has set them, each given the ones before it. Result: JoinsMeasured."""

    command: ClassVar[str] = "measure-joins"
    connection: ConnectionSpec
    query: QuerySpec


@dataclass(frozen=True, slots=True)
class JoinsMeasured:
    """Facts of each join, in the order of the query."""

    facts: tuple[JoinFacts, ...]


@dataclass(frozen=True, slots=True)
class EstimateQuery:
    """Estimate what reading a query into a project and training on it would take. Result: ExtractionEstimate."""

    command: ClassVar[str] = "estimate-query"
    connection: ConnectionSpec
    query: QuerySpec
    project: Path | None = None


@dataclass(frozen=True, slots=True)
class ProposeQuery:
    """Propose joins for a base table (or the user's own SELECT) and measure them. Result: QueryProposal."""

    command: ClassVar[str] = "propose-query"
    connection: ConnectionSpec
    base: TableRef
    select: str = ""


@dataclass(frozen=True, slots=True)
class QueryProposal:
    """Joins that keys suggest, each with its facts, and the query that takes all the harmless ones."""

    query: QuerySpec
    proposals: tuple[JoinProposal, ...]
    facts: tuple[JoinFacts, ...]


@dataclass(frozen=True, slots=True)
class PrepareFields:
    """Profile the columns of a query, suggest kinds and roles, and check them on a sample. Result: Preparation.

    `moment` and `repairs` are those of the recipe; `fields`, where the user has set them already, are checked as set.
    """

    command: ClassVar[str] = "prepare-fields"
    connection: ConnectionSpec
    query: QuerySpec
    fields: FieldSchema | None = None
    moment: str = ""
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the user should know before training. `severity`: "stop", "warn" or "note".

    `columns` are field names; `rows` how many rows are concerned; `examples` a few of them as text. `repairs` are what
    can be done about it, best first; the first one is what the button does.
    """

    severity: str
    message: str
    columns: tuple[str, ...] = ()
    check: str = ""
    rows: int | None = None
    examples: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True, slots=True)
class Preparation:
    """Fields with suggested meaning, their profiles in the same order, and what to look out for."""

    query: QuerySpec
    fields: FieldSchema
    profiles: tuple[ColumnProfile, ...]
    rows: int
    findings: tuple[Finding, ...]
    sql: str


@dataclass(frozen=True, slots=True)
class MakeSample:
    """Write the synthetic shop. Result: SampleMade."""

    command: ClassVar[str] = "make-sample"
    path: Path
    rows: int = 40_000
    seed: int = 7
    preset: str = "default"


@dataclass(frozen=True, slots=True)
class SampleMade:
    """The database, the truth beside it, and a recipe that reads it."""

    database: Path
    truth: Path
    recipe: str


@dataclass(frozen=True, slots=True)
class Train:
    """Extract, encode, train, evaluate and explain every model of a recipe (TOML). Result: Trained.

    `run_ids` name the new runs (one per model; made up when empty); `resume` continues an interrupted run instead.
    Without `baselines` next-item models are trained alone.
    """

    command: ClassVar[str] = "train"
    project: Path
    recipe: str
    run_ids: tuple[str, ...] = ()
    resume: str = ""
    baselines: bool = True


@dataclass(frozen=True, slots=True)
class Trained:
    """The finished (or stopped-and-kept) runs, in the order of the recipe."""

    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EstimateTraining:
    """Estimate what training the models of a recipe would take on `rows` rows, without reading any.

    `distinct` says how many different values fields have, by name. Result: TrainingEstimated.
    """

    command: ClassVar[str] = "estimate-training"
    recipe: str
    rows: int
    distinct: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """Bytes of memory, seconds of an epoch and the most epochs; None where that cannot be found out.

    `tried` is on how many rows a model was tried that cannot say it itself; `memory` is then that of the rows alone.
    `obstacle` is why it could not be trained at all, with what to change.
    """

    model: str
    memory: int | None = None
    seconds: float | None = None
    epochs: int | None = None
    obstacle: str = ""
    tried: int = 0


@dataclass(frozen=True, slots=True)
class TrainingEstimated:
    """An estimate for each model, in the order of the recipe."""

    models: tuple[ModelEstimate, ...]


@dataclass(frozen=True, slots=True)
class Tune:
    """Search one model's parameters on validation rows: so many trials, and no new one after `minutes` (0: no limit).

    `recipe` is TOML that names `model`; `resume` goes on with an earlier search instead. Result: Tuned.
    """

    command: ClassVar[str] = "tune"
    project: Path
    recipe: str = ""
    model: str = ""
    trials: int = 20
    minutes: float = 0.0
    resume: str = ""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The search's id; see `core.tuning`."""

    tuning: str


@dataclass(frozen=True, slots=True)
class ExplainRow:
    """Explain one row of a run's test part; `changes` sets fields to other raw values ("" is missing).

    `output` chooses among the outputs of a funnel model (empty: the first one); `row` counts in its test rows.
    Result: RowExplained.
    """

    command: ClassVar[str] = "explain-row"
    project: Path
    run: str
    row: int
    changes: Mapping[str, str] = field(default_factory=dict)
    output: str = ""


@dataclass(frozen=True, slots=True)
class RowField:
    """A field of one row: its value as text (None is missing) and its share of the logit.

    `choices` are the most frequent values the model knows, for what-if editing. `unknown`: the model has not seen the
    value in training, or too rarely, and reads all such values as the same.
    """

    name: str
    value: str | None
    contribution: float
    choices: tuple[str, ...] = ()
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class RowExplained:
    """Prediction and contributions of a row, and the prediction before `changes`."""

    row: int
    probability: float
    original_probability: float
    label: float | None
    fields: tuple[RowField, ...]
    waterfall: Waterfall


@dataclass(frozen=True, slots=True)
class MakeValueTable:
    """Cross two fields of a run's test part: support, observed and predicted rate per pair of values.

    `output` chooses among the outputs of a funnel model (empty: the first one). Result: ValueTableMade.
    """

    command: ClassVar[str] = "value-table"
    project: Path
    run: str
    first: str
    second: str
    output: str = ""


@dataclass(frozen=True, slots=True)
class ValueTableMade:
    """Observed rate, predicted rate, and the pair's mean second difference in logits, each value by value."""

    observed: HeatMap
    predicted: HeatMap
    effect: HeatMap


@dataclass(frozen=True, slots=True)
class Score:
    """Predict every row of the run's query on `source` (default: the run's own), into a CSV, Parquet or Excel file.

    With `into` they become the new table `table` of that database instead; only SQLite, DuckDB, PostgreSQL, MySQL and
    MariaDB. `keys_only` leaves all columns out but the key of the rows, by which predictions are joined back. A
    next-item run writes the `top` items for every user instead. Result: Scored.
    """

    command: ClassVar[str] = "score"
    project: Path
    run: str
    output: Path = Path()
    source: ConnectionSpec | None = None
    top: int = 10
    keys_only: bool = False
    into: ConnectionSpec | None = None
    table: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """Where the predictions are: a file, or a new `table` of the database `place`."""

    output: Path
    rows: int
    table: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class ExportModel:
    """Write the model of a run for use outside: FILE.onnx, or a folder of weights, encoders and instructions.

    Result: ModelExported.
    """

    command: ClassVar[str] = "export-model"
    project: Path
    run: str
    output: Path


@dataclass(frozen=True, slots=True)
class ModelExported:
    """The file, or the folder and what is in it."""

    output: Path
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecommendToUser:
    """Ask a next-item run what it recommends to a test user (a row of its test users). Result: UserRecommended."""

    command: ClassVar[str] = "recommend-to-user"
    project: Path
    run: str
    user: int
    top: int = 10


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """An item a user chose; `time` as text, "" where times are plain numbers without a calendar."""

    item: str
    title: str
    time: str = ""


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """An item at its place in the list. `id` is the model's id of it; `is_target` the one held out for this user."""

    rank: int
    id: int
    item: str
    title: str
    score: float
    is_target: bool = False


@dataclass(frozen=True, slots=True)
class UserRecommended:
    """A test user's history, oldest first, what is recommended, and where the item held out stands.

    `target_rank` is a mid-rank among all candidates, None where the item is no candidate (it was chosen before).
    """

    user: int
    name: str
    history: tuple[HistoryEvent, ...]
    items: tuple[RecommendedItem, ...]
    target: HistoryEvent
    target_rank: float | None


@dataclass(frozen=True, slots=True)
class ExplainRecommendation:
    """Ask why a next-item run recommends an item (by its id) to a test user, by occlusion.

    Result: RecommendationExplained.
    """

    command: ClassVar[str] = "explain-recommendation"
    project: Path
    run: str
    user: int
    item: int
    top: int = 10


@dataclass(frozen=True, slots=True)
class EventEffect:
    """What removing one event does: `score_change` is what the item's score loses, `rank` where it stands without it.

    `similarity` is the cosine of the texts of both items, which is no reason by itself; None without texts.
    """

    place: int
    title: str
    score_change: float
    rank: float
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class RecommendationExplained:
    """Score and rank of a recommended item, and what each event of the history does to them, largest first.

    `removal` are titles of a small set of events (found greedily) without which the item is not among the first `top`;
    empty where none was found. `events` of `history` were looked at, the latest ones.
    """

    user: int
    item: int
    title: str
    score: float
    rank: float
    top: int
    history: int
    effects: tuple[EventEffect, ...]
    removal: tuple[str, ...]
    bars: BarList
    method: str


@dataclass(frozen=True, slots=True)
class MakeReport:
    """Write the report of some runs as one HTML file and as report.json (for the PDF). Result: ReportMade."""

    command: ClassVar[str] = "report"
    project: Path
    runs: tuple[str, ...]
    output: Path
    title: str = ""
    notes: str = ""
    sections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportMade:
    """The HTML file, and the same report as a document (`core.report.ReportDocument`) in JSON."""

    html: Path
    document: Path


@dataclass(frozen=True, slots=True)
class InspectPlugin:
    """Look at a plugin file without installing or running it. Result: PluginOffer."""

    command: ClassVar[str] = "inspect-plugin"
    path: Path


@dataclass(frozen=True, slots=True)
class PluginOffer:
    """What somebody has to agree to. `trusted`: this very file was agreed to before; `replaces`: a version there is.

    `private` and `shared` are "name version" of what it brings along and of what it uses from the app.
    """

    path: Path
    key: str
    name: str
    version: str
    sha256: str
    summary: str = ""
    authors: tuple[str, ...] = ()
    licence: str = ""
    capabilities: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    files: int = 0
    unpacked: int = 0
    trusted: bool = False
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class InstallPlugin:
    """Install a plugin file, the one of that SHA-256, and enable it. Result: PluginChanged."""

    command: ClassVar[str] = "install-plugin"
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class ChangePlugin:
    """Enable, disable, remove or unblock a plugin by its key, or "look" into all new ones. Result: PluginChanged."""

    command: ClassVar[str] = "change-plugin"
    action: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class PluginChanged:
    """What was changed; `problem` says why a plugin is not in use though it should be."""

    name: str = ""
    problem: str = ""


RESULTS: Mapping[type[Any], type[Any]] = {
    OpenSource: SourceOverview,
    ReadPage: PageRead,
    CountRows: RowsCounted,
    MeasureJoins: JoinsMeasured,
    EstimateQuery: ExtractionEstimate,
    ProposeQuery: QueryProposal,
    PrepareFields: Preparation,
    MakeSample: SampleMade,
    EstimateTraining: TrainingEstimated,
    Train: Trained,
    Tune: Tuned,
    ExplainRow: RowExplained,
    MakeValueTable: ValueTableMade,
    Score: Scored,
    ExportModel: ModelExported,
    RecommendToUser: UserRecommended,
    ExplainRecommendation: RecommendationExplained,
    MakeReport: ReportMade,
    InspectPlugin: PluginOffer,
    InstallPlugin: PluginChanged,
    ChangePlugin: PluginChanged,
}
"""Result class of each request class."""

REQUESTS: Mapping[str, type[Any]] = {request.command: request for request in RESULTS}
"""Request class by command name."""

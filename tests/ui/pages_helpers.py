"""Parts for page tests: a project in memory, two models, runs with files, and a session that records its requests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.evidence import Faithfulness, FieldEffect, InteractionEvidence, PairEvidence
from core.quality import Curve, Quality, ReliabilityBin
from core.recipe import ModelChoice, Recipe, SplitMethod, SplitSpec
from core.recipe_toml import recipe_to_toml
from core.run_folder import RunFacts, RunFolder
from crosslens import (
    Contributions,
    ExplanationKind,
    Field,
    FieldImportance,
    FieldKind,
    FieldRole,
    FieldSchema,
    FitProgress,
    InteractionTerm,
    InteractionTerms,
    ModelSpec,
    ProjectError,
    Task,
    parameter,
)
from crosslens.relational import ColumnRef, ConnectionSpec, QuerySpec, Snapshot, TableRef
from crosslens.runs import Metric, RunRecord, RunStatus, StoredConnection, StoredPreparation
from crosslens.sequences import TextEncoderSpec
from ui.desktop.draft import Draft
from ui.desktop.services import DesktopServices
from ui.desktop.session import Session
from ui.desktop.worker_client import Request, RequestState

FIELDS = ("segment", "category", "device", "hour")
LEVELS = {"segment": ("young", "family", "senior"), "category": ("shoes", "toys"), "device": ("phone", "desktop")}
CREATED = datetime(2026, 7, 29, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NetParameters:
    """A few parameters of every type."""

    width: int = parameter(10, label="Embedding width", help="Numbers per field.", minimum=1, maximum=256)
    rate: float = parameter(0.003, label="Learning rate", help="Step.", minimum=1e-6, maximum=1.0, logarithmic=True)
    layers: tuple[int, ...] = parameter((64, 64), label="Layers", help="Width of each layer.", minimum=1, maximum=4096)
    shuffle: bool = parameter(True, label="Shuffle", help="Mix the rows in every epoch.")
    kind: str = parameter("auto", label="Kind", choices=("auto", "plain"), advanced=True)


def _never(*_: Any) -> Any:
    raise AssertionError("a page must not build or load a model")


NET = ModelSpec(
    id="net", title="Net", summary="Finds terms of fields.", task=Task.CTR, parameters=NetParameters,
    build=_never, load=_never, explains=frozenset({ExplanationKind.INTERACTION_TERMS, ExplanationKind.CONTRIBUTIONS}),
)  # fmt: skip
TREES = ModelSpec(
    id="trees", title="Trees", summary="Grows trees.", task=Task.CTR, parameters=NetParameters,
    build=_never, load=_never, explains=frozenset({ExplanationKind.PAIR_INTERACTIONS}),
)  # fmt: skip
LINE = replace(TREES, id="line", title="Line", summary="Adds fields up.", explains=frozenset())


class Host:
    """Three models and no problems."""

    def models(self) -> tuple[ModelSpec, ...]:
        return NET, TREES, LINE

    def model(self, model_id: str) -> ModelSpec:
        return next(model for model in self.models() if model.id == model_id)

    def text_encoders(self) -> tuple[TextEncoderSpec, ...]:
        return ()

    def problems(self) -> tuple[()]:
        return ()

    def worker_of(self, model_id: str) -> str:
        return ""


@dataclass
class Project:
    """A project store that remembers in memory; run folders are real."""

    folder: Path
    read_only: bool = False
    kept: dict[str, RunRecord] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    def runs(self, *, deleted: bool = False) -> tuple[RunRecord, ...]:
        found = [run for run in self.kept.values() if run.deleted == deleted]
        return tuple(sorted(found, key=lambda run: run.created, reverse=True))

    def run(self, run_id: str) -> RunRecord:
        if run_id not in self.kept:
            raise ProjectError(f"There is no run {run_id}.")
        return self.kept[run_id]

    def save_run(self, run: RunRecord) -> None:
        self.kept[run.id] = run

    def run_folder(self, run_id: str) -> Path:
        path = self.folder / "runs" / run_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    def setting(self, name: str, default: str = "") -> str:
        return self.settings.get(name, default)

    def save_setting(self, name: str, value: str) -> None:
        self.settings[name] = value

    def connections(self) -> tuple[StoredConnection, ...]:
        return ()

    def save_connection(self, connection: StoredConnection) -> None:
        return None

    def preparations(self) -> tuple[StoredPreparation, ...]:
        return ()

    def save_preparation(self, preparation: StoredPreparation) -> None:
        return None

    def close(self) -> None:
        return None


class RecordingSession(Session):
    """A session whose requests go nowhere: a test answers them by hand."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            DesktopServices(
                projects=None,  # type: ignore[arg-type]
                host=Host(),
                worker_command=("worker-that-is-never-started",),
                projects_folder=folder,
                settings_file=folder / "desktop.ini",
            )
        )
        self.asked: list[Request] = []
        self.seen: list[Any] = []
        self.noticed.connect(self.seen.append)
        self.pages: list[str] = []
        self.navigated.connect(self.pages.append)

    @property
    def jobs(self) -> tuple[Request, ...]:
        return tuple(request for request in self.asked if request.lane == "job" and not request.state.is_final)

    def request(
        self, command: Any, on_result: Any = None, on_error: Any = None, on_progress: Any = None,
        *, lane: str = "browse", title: str = "",
    ) -> Request:  # fmt: skip
        request = Request(command, title=title, parent=self)
        request.lane = lane
        request.stop = lambda: finish(request, None, RequestState.STOPPED)
        for signal, slot in (
            (request.finished, on_result), (request.failed, on_error or self.fail), (request.progressed, on_progress),
        ):  # fmt: skip
            if slot is not None:
                signal.connect(slot)
        self.asked.append(request)
        request.move_to(RequestState.RUNNING)
        if lane == "job":
            self.jobsChanged.emit()
        return request

    @property
    def last(self) -> Request:
        """Return the last request."""
        return self.asked[-1]


def finish(request: Request, answer: Any, state: RequestState = RequestState.FINISHED) -> None:
    """Answer a request as the worker would."""
    request.move_to(state)
    if state is RequestState.STOPPED:
        request.stopped.emit()
    else:
        (request.finished if state is RequestState.FINISHED else request.failed).emit(answer)
    session = request.parent()
    assert isinstance(session, RecordingSession)
    session.jobsChanged.emit()


def query() -> QuerySpec:
    """Return a query of one table."""
    names = ("clicked", *FIELDS)
    return QuerySpec(TableRef("impressions"), tuple(ColumnRef("impressions", name) for name in names))


def fields() -> FieldSchema:
    """Return a label and four features."""
    roles = {"clicked": FieldRole.CLICK}
    kinds = {"hour": FieldKind.NUMERICAL, "clicked": FieldKind.NUMERICAL}
    return FieldSchema(
        tuple(
            Field(c, c.column, kinds.get(c.column, FieldKind.CATEGORICAL), roles.get(c.column, FieldRole.FEATURE))
            for c in query().columns
        )
    )


def draft() -> Draft:
    """Return a preparation that can be trained."""
    source = ConnectionSpec("sqlite", "shop.db")
    return Draft(source, query(), fields(), SplitSpec(SplitMethod.RANDOM), title="Shop", rows=40_000)


def recipe(model: str) -> str:
    """Return the recipe of one run."""
    chosen = (ModelChoice(model, {"width": 20}),)
    return recipe_to_toml(Recipe(ConnectionSpec("sqlite", "shop.db"), query(), fields(), models=chosen, title="Shop"))


def metric(name: str, value: float, spread: float = 0.01) -> Metric:
    """Return a measured figure."""
    return Metric(name, value, value - spread, value + spread, 800, 90)


def quality(auc: float = 0.72) -> Quality:
    """Return what a run measures."""
    line = Curve((0.0, 0.5, 1.0), (0.0, 0.5 + auc / 4, 1.0))
    metrics = (metric("auc", auc), metric("log_loss", 0.31), metric("pr_auc", 0.3), metric("calibration_ratio", 1.02))
    bins = tuple(ReliabilityBin(rate, rate * 1.1, rate, rate * 1.3, 80) for rate in (0.02, 0.08, 0.15, 0.3))
    return Quality("click", 800, 90, metrics, line, line, line, bins, ("Only 90 positives: intervals are wide.",))


def evidence() -> InteractionEvidence:
    """Return two pairs: one supported, one not."""
    pairs = (
        PairEvidence(("segment", "category"), 0.6, 0.5, 0.7, 0.004, 0.002, 0.006, 0.0001, 0.0006, True),
        PairEvidence(("device", "hour"), 0.1, 0.05, 0.2, 0.0, -0.001, 0.001, 0.5, 0.5, False),
    )
    return InteractionEvidence(FIELDS, pairs, 800, 8, "second differences", "high: fields act together")


def predictions(rows: int = 60, seed: int = 0) -> pa.Table:
    """Return test rows as a run keeps them."""
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "row": np.arange(1000, 1000 + rows),
        "label": random.integers(0, 2, rows).astype(np.float32),
        "probability": random.random(rows),
    }
    columns |= {name: random.choice(levels, rows) for name, levels in LEVELS.items()}
    return pa.table({**columns, "hour": random.integers(0, 24, rows)})


def facts(spec: ModelSpec) -> RunFacts:
    """Return what a run rests on."""
    snapshot = Snapshot(Path("data/x.arrow"), query().columns, 4000, "f1", "k1", "SELECT 1", "shop.db")
    return RunFacts(
        spec.id, spec.title, "1", snapshot, "enc", 2800, 400, 800, FIELDS, "clicked", {"crosslens": "0.1.0"}, 2
    )


def history() -> tuple[FitProgress, ...]:
    """Return three epochs."""
    return tuple(
        FitProgress(epoch, 20, 10, 10, 50_000.0, 0.4 / epoch, {"loss": 0.5 / epoch, "auc": 0.6 + epoch / 50}, epoch)
        for epoch in (1, 2, 3)
    )


def add_run(
    project: Project, run_id: str, spec: ModelSpec = NET, *, auc: float = 0.72, minutes: int = 0, seed: int = 0,
    status: RunStatus = RunStatus.FINISHED, fingerprint: str = "test-1",
) -> RunRecord:  # fmt: skip
    """Add a finished run with every file a run can have."""
    measured = quality(auc)
    record = RunRecord(
        run_id, spec.id, spec.title, status, CREATED + timedelta(minutes=minutes), recipe(spec.id), seconds=12.5,
        data_fingerprint=fingerprint, metrics={each.name: each for each in measured.metrics},
    )  # fmt: skip
    project.save_run(record)
    folder = RunFolder(project.run_folder(run_id))
    folder.save_recipe(record.recipe)
    folder.save_facts(facts(spec))
    folder.save_history(history())
    folder.save_quality("test", measured)
    folder.save_evidence(evidence(), _effects())
    folder.save_predictions(predictions(seed=seed))
    folder.save_faithfulness(_faithfulness())
    folder.save_explanation(_importance())
    folder.save_explanation(_terms())
    folder.save_explanation(_contributions())
    return record


def _effects() -> tuple[FieldEffect, ...]:
    return tuple(
        FieldEffect(name, 0.8 / place, 0.01 / place, 0.0, 0.02, place < 4) for place, name in enumerate(FIELDS, start=1)
    )


def _importance() -> FieldImportance:
    return FieldImportance(FIELDS, np.array([0.4, 0.3, 0.2, 0.1]), "mean |v|", "high: used in many terms", 800)


def _terms() -> InteractionTerms:
    terms = (InteractionTerm(("segment", "category"), 0.8, 0.5), InteractionTerm(("device",), 0.4, 0.2))
    return InteractionTerms(terms, "gates above zero", "high: used often", 800)


def _contributions(rows: int = 20) -> Contributions:
    values = np.random.default_rng(1).normal(size=(rows, len(FIELDS)))
    baseline = np.full(rows, -2.0)
    return Contributions(FIELDS, values, baseline, baseline + values.sum(1), "integrated gradients")


def _faithfulness() -> Faithfulness:
    up, down = Curve((0.0, 0.5, 1.0), (0.0, 0.7, 1.0)), Curve((0.0, 0.5, 1.0), (1.0, 0.4, 0.0))
    return Faithfulness(0.31, 0.28, 0.34, down, down, up, up, 200)

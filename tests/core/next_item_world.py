"""A small world for next-item jobs: rows in memory, a project folder, and quick models without any library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.plugin_host import Host, LoadedModel
from core.recipe import ModelChoice, NextItemSpec, Recipe, SplitSpec
from core.services import Services
from crosslens import (
    Catalogue,
    DataError,
    FieldRole,
    FitContext,
    FitProgress,
    ModelSpec,
    SequenceDataset,
    SequenceTrainingData,
    Stopped,
    Task,
    parameter,
)
from crosslens.relational import (
    ColumnInfo,
    ColumnRef,
    ColumnType,
    ConnectionSpec,
    QuerySpec,
    Snapshot,
    TableInfo,
    TableRef,
)
from crosslens.runs import RunRecord
from crosslens.schema import FieldSchema
from crosslens.sequences import empty_scores

from .snapshots import fields, ref, snapshot


@dataclass(frozen=True, slots=True)
class Parameters:
    boost: float = parameter(0.0, label="Boost", help="Added for the item after the last one.")


class CountModel:
    """Scores every item by how often it was trained on; `boost` is added to the item that follows the last one."""

    def __init__(self, counts: np.ndarray, boost: float) -> None:  # type: ignore[type-arg]
        self.counts, self.boost = counts, boost
        self.facts = {"notes": ("Counts are all it knows.",)}

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(len(self.counts))

    def score(self, histories: SequenceDataset) -> np.ndarray:  # type: ignore[type-arg]
        scores = empty_scores(len(histories), len(self.counts)) + self.counts.astype(np.float32)
        for user in range(len(histories)):
            items = histories.of(user)
            if len(items):
                scores[user, 2 + (int(items[-1]) - 1) % (len(self.counts) - 2)] += self.boost
        return scores

    def save(self, folder: Path) -> None:
        (folder / "model.json").write_text(json.dumps({"counts": self.counts.tolist(), "boost": self.boost}))


def load_counts(folder: Path) -> CountModel:
    found = json.loads((folder / "model.json").read_text())
    return CountModel(np.array(found["counts"]), found["boost"])


@dataclass
class Counting:
    """Counts; keeps a checkpoint per epoch, three epochs long."""

    boost: float

    def fit(self, data: SequenceTrainingData, context: FitContext) -> CountModel:
        latest = context.checkpoints.latest()
        done = int((latest / "epoch").read_text()) if latest else 0
        for epoch in range(done + 1, 4):
            if context.should_stop():
                raise Stopped("stopped")
            context.progress(FitProgress(epoch, 3, 1, 1, metrics={"ndcg@10": 0.1 * epoch}, best_epoch=epoch))
            context.checkpoints.save(lambda folder, epoch=epoch: (folder / "epoch").write_text(str(epoch)) and None)
        counts = np.bincount(data.train.items, minlength=data.catalogue.size)
        return CountModel(counts, self.boost)


def model(model_id: str, boost: float = 0.0, **changes: Any) -> ModelSpec:
    facts = {
        "title": model_id.title(), "summary": "", "task": Task.NEXT_ITEM, "parameters": Parameters,
        "build": lambda parameters: Counting(parameters.boost or boost), "load": load_counts,
        "needs": frozenset({FieldRole.USER, FieldRole.ITEM}),
    }  # fmt: skip
    return ModelSpec(id=model_id, **{**facts, **changes})


def fails(_: Any) -> Any:
    raise DataError("It cannot be built.")


HOST = Host(
    [LoadedModel("test", each) for each in (model("popularity"), model("item-knn"), model("follow", 1e6))],
    [],
)


@dataclass
class World:
    """A source of one snapshot, and a project that remembers in memory."""

    folder: Path
    columns: dict[str, Any]
    meaning: FieldSchema
    extracted: int = 0
    kept: dict[str, RunRecord] = field(default_factory=dict)
    host: Host = HOST
    text: tuple[str, ...] = ()

    def table(self, table: TableRef) -> TableInfo:
        return TableInfo(table, tuple(info for _, info in self.columns_of()), primary_key=())

    def columns_of(self) -> tuple[tuple[ColumnRef, ColumnInfo], ...]:
        return tuple((ref(name), ColumnInfo(name, ColumnType.OTHER)) for name in self.columns)

    @property
    def services(self) -> Services:
        return Services(sources=_Sources(self), projects=_Projects(self), host=self.host)  # type: ignore[arg-type]

    def recipe(self, *models: str, time: str | None = "at", **changes: Any) -> Recipe:
        chosen = {"split": SplitSpec(validation=0.2, test=0.2), **changes}
        spec = chosen.pop("next_item", NextItemSpec(at=(1, 3, 10)))
        query = QuerySpec(TableRef("t"), tuple(ref(name) for name in self.columns), time=ref(time) if time else None)
        choices = tuple(ModelChoice(name) for name in models)
        return Recipe(ConnectionSpec("memory", "t"), query, self.meaning, models=choices, next_item=spec, **chosen)


@dataclass
class _Source:
    world: World
    read_only: str = "memory"

    def table(self, table: TableRef) -> TableInfo:
        return self.world.table(table)

    def columns(self, _: QuerySpec) -> tuple[tuple[ColumnRef, ColumnInfo], ...]:
        return self.world.columns_of()

    def extract(self, query: QuerySpec, folder: Path, **_: Any) -> Snapshot:
        self.world.extracted += 1
        names = [column.column for column in query.columns]
        table, columns = snapshot(**{name: self.world.columns[name] for name in names})
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "snapshot.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, 1_000)
        return Snapshot(path, columns, table.num_rows, f"print {names}", "key", "SELECT 1", "t")


@dataclass
class _Sources:
    world: World

    @contextmanager
    def open(self, _: ConnectionSpec) -> Iterator[_Source]:
        yield _Source(self.world)


@dataclass
class _Projects:
    world: World

    def open(self, _: Path, *, create: bool = False, lock: bool = False) -> Project:
        return Project(self.world)


@dataclass
class Project:
    """The part of a project store that jobs use."""

    world: World

    @property
    def folder(self) -> Path:
        return self.world.folder

    @property
    def data_folder(self) -> Path:
        return self.world.folder / "data"

    def run_folder(self, run: str) -> Path:
        path = self.world.folder / "runs" / run
        path.mkdir(parents=True, exist_ok=True)
        return path

    def run(self, run: str) -> RunRecord:
        return self.world.kept[run]

    def runs(self, *, deleted: bool = False) -> tuple[RunRecord, ...]:
        return tuple(self.world.kept.values())

    def save_run(self, run: RunRecord) -> None:
        self.world.kept[run.id] = run

    def connections(self) -> tuple[()]:
        return ()

    def preparations(self) -> tuple[()]:
        return ()

    def save_connection(self, _: Any) -> None:
        return None

    save_preparation = save_connection

    def close(self) -> None:
        return None


def shop(folder: Path, users: int = 30, **columns: Any) -> World:
    """Return a shop in which every user walks along the items in order, a third of the rows unclicked."""
    rng = np.random.default_rng(0)
    rows: list[tuple[str, str, int, int, str, str]] = []
    for user in range(users):
        place = int(rng.integers(0, 12))
        for step in range(3 + user % 5):
            rows.append((f"user {user}", f"i{place}", 100 * step + user, 1, f"Item {place}", f"kind {place % 3}"))
            rows.append((f"user {user}", f"i{(place + 5) % 12}", 100 * step + user + 1, 0, "", "kind 0"))
            place = (place + 1) % 12
    names = ("who", "what", "at", "click", "item_title", "category")
    found: dict[str, Any] = dict(zip(names, zip(*rows, strict=True), strict=True))
    found["category"] = [f"kind {int(item[1:]) % 3}" for item in found["what"]]
    found["item_title"] = [f"Item {item[1:]}" for item in found["what"]]
    found["device"] = [("phone", "desktop")[int(draw)] for draw in rng.integers(0, 2, len(rows))]
    meaning = fields(
        who="user", what="item", click="click", item_title="text feature", category="feature", device="feature",
        at="timestamp ignore",
    )  # fmt: skip
    return World(folder, {name: list(values) for name, values in (found | columns).items()}, meaning)


Change = Callable[[World], None]

"""What a finished next-item run answers: lists with reasons for a test user, lists of all users as a file."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from core.commands import ExplainRecommendation, ExportModel, RecommendToUser, Score, Train
from core.jobs import perform
from core.jobs.next_item_ask import time_texts
from core.jobs.train import train
from core.recipe import NextItemSpec
from core.recipe_toml import recipe_to_toml
from core.services import JobControl
from crosslens import ParameterError, PluginError, ProjectError, StorageError
from crosslens.plain import from_plain, to_plain
from crosslens.relational import ConnectionSpec, TableRef

from .next_item_world import World, shop

Asked = Callable[..., object]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = shop(tmp_path_factory.mktemp("shop"))
    made.columns["at"] = [f"2026-01-{1 + at // 100:02d} 10:00:{at % 60:02d}" for at in made.columns["at"]]
    recipe = made.recipe("follow", next_item=NextItemSpec(at=(1, 3, 5), baselines=False))
    train(Train(made.folder, recipe_to_toml(recipe)), made.services, JobControl())
    return made


def run_of(world: World) -> str:
    return next(iter(world.kept))


def ask(world: World, request, **changes):  # type: ignore[no-untyped-def]
    asked = request(world.folder, run_of(world), **changes)
    answer = perform(from_plain(request, to_plain(asked)), world.services, JobControl())
    return from_plain(type(answer), to_plain(answer))


def test_a_user_sees_history_list_and_where_the_held_out_item_stands(world: World) -> None:
    answer = ask(world, RecommendToUser, user=0, top=5)
    last = int(answer.history[-1].item[1:])
    assert answer.history[0].time == "2026-01-01 10:00:00"[:16]
    assert answer.target.item == f"i{(last + 1) % 12}"
    assert answer.target.title == f"Item {(last + 1) % 12}"
    assert [item.rank for item in answer.items] == [1, 2, 3, 4, 5]
    assert {item.item for item in answer.items}.isdisjoint(event.item for event in answer.history)
    assert [item.is_target for item in answer.items].count(True) == int((answer.target_rank or 99) <= 5)


def test_the_model_that_follows_is_explained_by_the_last_event_alone(world: World) -> None:
    first = ask(world, RecommendToUser, user=1).items[0]
    answer = ask(world, ExplainRecommendation, user=1, item=first.id, top=1)
    assert (answer.title, answer.rank) == (first.title, 1.0)
    assert answer.effects[0].place == answer.history - 1
    assert answer.effects[0].score_change > 1e5
    assert all(effect.score_change == 0 for effect in answer.effects[1:])
    assert len(answer.removal) == 1
    assert answer.bars.labels[0] == answer.effects[0].title
    assert "Occlusion" in answer.method


@pytest.mark.parametrize(("request_", "facts"), [
    (RecommendToUser, {"user": -1}), (RecommendToUser, {"user": 10_000}),
    (ExplainRecommendation, {"user": 0, "item": 1}), (ExplainRecommendation, {"user": 0, "item": 999}),
])  # fmt: skip
def test_what_is_not_there_is_a_sentence(world: World, request_, facts) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError, match="There is no"):
        ask(world, request_, **facts)


def test_a_run_without_a_model_is_a_sentence(world: World) -> None:
    world.kept["lost"] = replace(world.kept[run_of(world)], id="lost")
    with pytest.raises(ProjectError, match="no trained model"):
        perform(RecommendToUser(world.folder, "lost", 0), world.services, JobControl())
    del world.kept["lost"]


@pytest.mark.parametrize(
    ("times", "are_moments", "texts"),
    [
        (np.array([0, 90_000_000]), True, ["1970-01-01 00:00", "1970-01-01 00:01"]),
        (np.array([1_365_029_107]), False, ["2013-04-03 22:45"]),
        (np.array([1_365_029_107_000.0]), False, ["2013-04-03 22:45"]),
        (np.array([1, 20]), False, ["1", "20"]),
        (np.array([0.5]), False, ["0.5"]),
        (np.array([], np.int64), True, []),
    ],
)
def test_times_read_as_people_write_them(times, are_moments: bool, texts: list[str]) -> None:  # type: ignore[no-untyped-def]
    assert time_texts(times, are_moments) == texts


def test_a_question_needs_no_source(world: World) -> None:
    before = world.extracted
    ask(world, RecommendToUser, user=2)
    ask(world, ExplainRecommendation, user=2, item=3)
    assert world.extracted == before


def test_sequences_that_were_deleted_are_made_again(world: World) -> None:
    before = ask(world, RecommendToUser, user=2)
    for folder in (world.folder / "data").glob("sequences-*"):
        shutil.rmtree(folder)
    assert ask(world, RecommendToUser, user=2) == before


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_user_gets_a_list_and_cold_ones_are_labelled(world: World, tmp_path: Path, ending: str) -> None:
    new = replace_columns(world, [("newcomer", "i3", "2026-02-01 10:00:00", 0), ("one more", "i99", "2026-02-01", 1)])
    output = tmp_path / f"lists.{ending}"
    scored = perform(Score(new.folder, run_of(world), output, top=4), new.services, JobControl())
    table = pa_csv.read_csv(output) if ending == "csv" else pq.read_table(output)
    rows = table.to_pylist()
    assert scored.rows == len(rows)
    assert table.column_names == ["user", "rank", "item", "title", "score", "basis"]
    assert {row["user"] for row in rows} == {*(f"user {number}" for number in range(30)), "newcomer", "one more"}
    cold = [row for row in rows if row["basis"] == "no history"]
    assert {row["user"] for row in cold} == {"newcomer"}
    assert [row["rank"] for row in cold] == [1, 2, 3, 4]
    assert {row["user"] for row in rows if row["basis"] == "no known item"} == {"one more"}
    seen = {(who, what) for who, what, click in zip(new.columns["who"], new.columns["what"], new.columns["click"],
                                                    strict=True) if click}  # fmt: skip
    assert not any((row["user"], row["item"]) in seen for row in rows)
    assert all(row["title"] == f"Item {row['item'][1:]}" for row in rows)


def replace_columns(world: World, rows: list[tuple[str, str, str, int]]) -> World:
    """Return the same project over a source with a few more rows."""
    more = {"who": 0, "what": 1, "at": 2, "click": 3}
    columns = {
        name: [*values, *(row[more[name]] if name in more else values[0] for row in rows)]
        for name, values in world.columns.items()
    }
    return replace(world, columns=columns)


@pytest.mark.parametrize(
    ("output", "top", "error", "words"),
    [("lists.xml", 5, StorageError, r"\.csv or \.parquet"), ("lists.csv", 0, ParameterError, "at least one")],
)
def test_what_cannot_be_written_is_said_before_any_work(
    world: World, tmp_path: Path, output: str, top: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        perform(Score(world.folder, run_of(world), tmp_path / output, top=top), world.services, JobControl())
    assert list(tmp_path.iterdir()) == []


def test_lists_become_a_workbook_or_wait_for_a_new_table(world: World, tmp_path: Path) -> None:
    scored = perform(Score(world.folder, run_of(world), tmp_path / "lists.xlsx", top=2), world.services, JobControl())
    assert zipfile.is_zipfile(tmp_path / "lists.xlsx")
    tables = Tables()
    services = replace(world.services, sources=tables)
    tables.open = world.services.sources.open
    request = Score(world.folder, run_of(world), top=2, into=ConnectionSpec("sqlite", "x.db"), table="lists")
    assert perform(request, services, JobControl()).rows == scored.rows
    assert tables.written["lists"].column_names == ["user", "rank", "item", "title", "score", "basis"]


class Tables:
    """Sources that keep new tables in memory."""

    def __init__(self) -> None:
        self.written: dict[str, pa.Table] = {}
        self.open: Any = None

    def refuse_table(self, connection: ConnectionSpec, table: TableRef) -> None:
        assert table.name not in self.written

    def write_table(self, connection, table, schema, rows, *, should_stop) -> int:  # type: ignore[no-untyped-def]
        self.written[table.name] = pa.Table.from_batches(list(rows), schema)
        return self.written[table.name].num_rows


def test_a_next_item_model_leaves_as_a_folder_with_its_items(world: World, tmp_path: Path) -> None:
    made = perform(ExportModel(world.folder, run_of(world), tmp_path / "model"), world.services, JobControl())
    assert {"README.md", "items.parquet"} < set(made.files)
    items = pq.read_table(tmp_path / "model" / "items.parquet")
    assert items["id"].to_pylist() == list(range(2, 2 + items.num_rows))
    with pytest.raises(PluginError, match="cannot be written as ONNX"):
        perform(ExportModel(world.folder, run_of(world), tmp_path / "m.onnx"), world.services, JobControl())

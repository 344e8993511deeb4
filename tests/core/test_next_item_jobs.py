"""Next-item models from a recipe to measured runs, on rows in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.commands import Train
from core.jobs.next_item_data import prepare_sequences
from core.jobs.train import train
from core.next_item.catalogue import Texts, constant_columns
from core.next_item.ranking import compare_ranks
from core.next_item.run_files import NextItemFiles
from core.plugin_host import Host, LoadedModel
from core.recipe import ModelChoice, NextItemSpec, NextItemSplit, Repair, RepairKind
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.run_folder import RunFolder
from core.sequences import SequenceSpec, build_sequences
from core.services import JobControl
from core.snapshots import table_rows
from crosslens import DataError, FieldRole, PluginError, parameter
from crosslens.runs import RunStatus
from crosslens.schema import FieldSchema

from .next_item_world import HOST, Project, World, fails, model, shop
from .snapshots import fields, ref, snapshot


def prepared(world: World, **changes: Any):  # type: ignore[no-untyped-def]
    return prepare_sequences(world.recipe("follow", **changes), Project(world), world.services, JobControl())  # type: ignore[arg-type]


def trained(world: World, *models: str, **changes: Any) -> tuple[str, ...]:
    recipe = world.recipe(*models, **changes)
    return train(Train(world.folder, recipe_to_toml(recipe)), world.services, JobControl()).runs


def test_only_clicked_rows_are_events(tmp_path: Path) -> None:
    data = prepared(shop(tmp_path))
    clicked = sum(data_click for data_click in shop(tmp_path).columns["click"])
    assert data.facts.events == clicked
    assert data.facts.of_clicks
    assert any("Only clicked rows" in finding.message for finding in data.findings)


def test_without_a_click_label_every_row_is_an_event(tmp_path: Path) -> None:
    world = shop(tmp_path)
    world.meaning = FieldSchema(tuple(f for f in world.meaning if f.role is not FieldRole.CLICK))
    data = prepared(world)
    assert data.facts.events == len(world.columns["who"])
    assert any("Every row is an event" in finding.message for finding in data.findings)


def test_repairs_of_labels_count(tmp_path: Path) -> None:
    world = shop(tmp_path)
    world.columns["buy"] = [int(place % 7 == 0) for place in range(len(world.columns["who"]))]
    world.meaning = FieldSchema((*world.meaning, *fields(buy="conversion")))
    plain = prepared(world).facts.events
    mended = prepared(world, repairs=(Repair(RepairKind.CLICK_IF_CONVERTED),)).facts.events
    assert mended > plain


def test_fields_of_the_item_describe_it_and_others_do_not(tmp_path: Path) -> None:
    data = prepared(shop(tmp_path))
    values = data.sequences.vocabulary.values.to_pylist()
    titles, texts = list(data.catalogue.titles), list(data.catalogue.texts)
    assert titles[:2] == texts[:2] == ["", ""]
    assert titles[2:] == [f"Item {value[1:]}" for value in values]
    assert texts[2:] == [f"Item {value[1:]}. category: kind {int(value[1:]) % 3}" for value in values]
    assert data.facts.text_fields == ("t.item_title", "category")


def test_items_without_words_are_called_by_their_value(tmp_path: Path) -> None:
    world = shop(tmp_path)
    world.meaning = FieldSchema(tuple(f for f in world.meaning if f.name not in ("item_title", "category")))
    data = prepared(world)
    assert not data.catalogue.has_text
    assert data.catalogue.titles[2] == data.sequences.vocabulary.values[0].as_py()


@pytest.mark.parametrize(("dirty", "holds"), [(0, True), (2, True), (60, False)])
def test_a_field_belongs_to_the_item_though_a_few_items_disagree(tmp_path: Path, dirty: int, holds: bool) -> None:
    items = [f"i{place % 300}" for place in range(900)]
    kinds = [f"kind {int(item[1:]) % 7}" if place >= dirty else "odd" for place, item in enumerate(items)]
    table, columns = snapshot(u=["u"] * 900, i=items, t=list(range(900)), kind=[None, *kinds[1:]])
    rows = table_rows(table, columns)
    found = build_sequences(rows, SequenceSpec(ref("u"), ref("i"), ref("t")), tmp_path / "sequences")
    assert constant_columns(rows, found, ref("i"), [ref("kind"), ref("t")]) == (
        frozenset({ref("kind")} if holds else ())
    )


def test_what_was_made_is_used_again(tmp_path: Path) -> None:
    world = shop(tmp_path)
    first = prepared(world)
    written = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    again = prepared(world)
    assert again.folder == first.folder
    assert {path: path.stat().st_mtime_ns for path in again.folder.iterdir()} == written
    assert again.test_fingerprint == first.test_fingerprint


@pytest.mark.parametrize(
    "changed",
    [NextItemSpec(core=5), NextItemSpec(minimum_events=5), NextItemSpec(exclude_seen=False),
     NextItemSpec(split=NextItemSplit.TIME)],
)  # fmt: skip
def test_runs_that_ask_something_else_are_not_compared(tmp_path: Path, changed: NextItemSpec) -> None:
    world = shop(tmp_path)
    first = prepared(world, next_item=NextItemSpec())
    assert prepared(world, next_item=changed).test_fingerprint != first.test_fingerprint


def test_baselines_are_trained_beside_the_chosen_model(tmp_path: Path) -> None:
    world = shop(tmp_path)
    runs = trained(world, "follow")
    assert [world.kept[run].model for run in runs] == ["popularity", "item-knn", "follow"]
    assert {world.kept[run].status for run in runs} == {RunStatus.FINISHED}
    assert len({world.kept[run].data_fingerprint for run in runs}) == 1
    assert world.extracted == 1


def test_baselines_are_not_trained_twice_or_when_not_wanted(tmp_path: Path) -> None:
    assert len(trained(shop(tmp_path), "popularity", "follow")) == 3
    assert len(trained(shop(tmp_path), "follow", next_item=NextItemSpec(baselines=False))) == 1


@dataclass(frozen=True, slots=True)
class Reading:
    encoder: str = parameter("built-in", label="Text encoder", source="text-encoders")


def test_a_text_encoder_that_is_not_there_is_told_before_anything_is_read_or_trained(tmp_path: Path) -> None:
    world = shop(tmp_path)
    models = (*HOST.models(), model("reader", parameters=Reading))
    world.host = Host([LoadedModel("test", each) for each in models], [])
    recipe = replace(world.recipe(), models=(ModelChoice("reader", {"encoder": "stems"}),))
    with pytest.raises(PluginError, match="no text encoder 'stems'"):
        train(Train(world.folder, recipe_to_toml(recipe)), world.services, JobControl())
    assert world.extracted == 0
    assert not world.kept


def test_a_backbone_gets_the_parameters_it_shares(tmp_path: Path) -> None:
    from core.next_item.baselines import with_baselines

    host = Host([LoadedModel("test", model(name)) for name in ("sra-cl", "sasrec-ce")], [])
    recipe = replace(shop(tmp_path).recipe(), models=(ModelChoice("sra-cl", {"boost": 2.0, "alpha": 0.1}),))
    assert with_baselines(recipe, host)[0] == ModelChoice("sasrec-ce", {"boost": 2.0})


def test_metrics_say_which_model_knows_the_walk(tmp_path: Path) -> None:
    world = shop(tmp_path)
    runs = {world.kept[run].model: world.kept[run] for run in trained(world, "follow")}
    assert set(runs["follow"].metrics) == {f"{name}@{k}" for name in ("hr", "ndcg", "mrr") for k in (1, 3, 10)}
    files = {name: NextItemFiles(tmp_path / "runs" / run.id) for name, run in runs.items()}
    follow, popular = files["follow"].ranks(), files["popularity"].ranks()
    assert follow is not None
    assert popular is not None
    assert len(follow) == runs["follow"].metrics["hr@10"].rows == 30
    quality = files["follow"].quality()
    assert quality is not None
    assert "Counts are all it knows." in quality.warnings
    assert compare_ranks(popular, popular, k=10).difference == 0


def test_the_users_of_the_test_are_kept_with_ranks_and_lists(tmp_path: Path) -> None:
    world = shop(tmp_path)
    run = trained(world, "follow")[-1]
    users = NextItemFiles(tmp_path / "runs" / run).users()
    assert users is not None
    assert users.column_names == ["user", "events", "rank", "next item", "recommended"]
    assert set(users["user"].to_pylist()) == {f"user {number}" for number in range(30)}
    assert all(1 <= len(listed) <= 10 for listed in users["recommended"].to_pylist())
    assert pa.types.is_floating(users["rank"].type)


def test_the_same_recipe_gives_the_same_numbers(tmp_path: Path) -> None:
    world = shop(tmp_path)
    first = trained(world, "follow")[-1]
    text = RunFolder(tmp_path / "runs" / first).recipe_toml()
    (again,) = train(Train(tmp_path, text), world.services, JobControl()).runs
    assert world.kept[again].metrics == world.kept[first].metrics
    assert not recipe_from_toml(text).next_item.baselines


def test_a_stopped_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    world = shop(tmp_path)
    first = trained(world, "follow")[-1]
    folder = RunFolder(tmp_path / "runs" / first)
    folder.checkpoints.save(lambda path: (path / "epoch").write_text("2") and None)
    world.kept[first] = replace(world.kept[first], status=RunStatus.INTERRUPTED, metrics={})
    (resumed,) = train(Train(tmp_path, "", resume=first), world.services, JobControl()).runs
    assert resumed == first
    assert world.kept[first].status is RunStatus.FINISHED
    assert [epoch.epoch for epoch in folder.history()] == [1, 2, 3]


def test_one_failing_model_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    world = shop(tmp_path)
    world.host = Host([LoadedModel("t", model("bad", build=fails)), LoadedModel("t", model("popularity"))], [])
    with pytest.raises(DataError, match="cannot be built"):
        trained(world, "bad")
    assert {run.model: run.status for run in world.kept.values()} == {
        "bad": RunStatus.FAILED, "popularity": RunStatus.FINISHED,
    }  # fmt: skip


def only(column: str, value: Any):  # type: ignore[no-untyped-def]
    def change(world: World) -> None:
        world.columns[column] = [value] * len(world.columns[column])

    return change


def one_event_each(world: World) -> None:
    world.columns["who"] = [f"user {place}" for place in range(len(world.columns["who"]))]


def without_role(role: FieldRole):  # type: ignore[no-untyped-def]
    def change(world: World) -> None:
        world.meaning = FieldSchema(tuple(field for field in world.meaning if field.role is not role))

    return change


@pytest.mark.parametrize(
    ("change", "spec", "sentence"),
    [
        (one_event_each, NextItemSpec(), "No sequence is left"),
        (one_event_each, NextItemSpec(minimum_events=1), "no user to test on"),
        (only("click", 0), NextItemSpec(), "click"),
        (only("at", None), NextItemSpec(), "no times"),
        (only("at", 5), NextItemSpec(split=NextItemSplit.TIME), "at the same time"),
        (lambda _: None, NextItemSpec(core=500), "No sequence is left"),
    ],
)
def test_what_cannot_be_learned_from_is_a_sentence(tmp_path: Path, change, spec: NextItemSpec, sentence: str) -> None:  # type: ignore[no-untyped-def]
    world = shop(tmp_path)
    change(world)
    with pytest.raises(DataError, match=sentence):
        trained(world, "follow", next_item=spec)
    assert {run.status for run in world.kept.values()} == {RunStatus.FAILED}


@pytest.mark.parametrize(
    ("change", "time", "sentence"),
    [
        (without_role(FieldRole.USER), "at", 'role "user"'),
        (without_role(FieldRole.ITEM), "at", 'role "item"'),
        (lambda _: None, None, "no time column"),
    ],
)
def test_what_is_missing_is_said_before_any_work(tmp_path: Path, change, time: str | None, sentence: str) -> None:  # type: ignore[no-untyped-def]
    world = shop(tmp_path)
    change(world)
    with pytest.raises(DataError, match=sentence):
        trained(world, "follow", time=time)
    assert world.extracted == 0


@pytest.mark.parametrize(
    "change",
    [only("what", "the only one"), only("who", "the only one"), only("at", 5), only("item_title", None)],
)
def test_narrow_data_is_measured_all_the_same(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    world = shop(tmp_path)
    change(world)
    run = trained(world, "follow")[-1]
    assert world.kept[run].status is RunStatus.FINISHED
    assert np.isfinite(world.kept[run].metrics["ndcg@10"].value)


def test_texts_read_like_a_list() -> None:
    texts = Texts(pa.array(["a", None, "c"], pa.large_string()))
    assert list(texts) == ["", "", "a", "", "c"] == [texts[place] for place in range(len(texts))]
    with pytest.raises(IndexError):
        texts[5]


def test_the_built_in_host_knows_the_world() -> None:
    assert [spec.id for spec in HOST.models()] == ["popularity", "item-knn", "follow"]

"""Next-item runs told side by side: names, verdicts in words, pictures, the report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from core.commands import EventEffect, MakeReport, Train
from core.jobs.report import report_document
from core.jobs.train import train
from core.next_item.present import group_chart, group_table, list_table, occlusion_bars, protocol, rank_table
from core.next_item.run_files import NextItemFiles
from core.next_item.story import beside, common_warnings, read_story, verdicts
from core.next_item.values import GroupQuality, ListQuality, RankingQuality, Ranks
from core.recipe_toml import recipe_to_toml
from core.report.document import Callout, Heading, PictureBlock
from core.services import JobControl
from crosslens import ProjectError
from crosslens.runs import Metric, RunRecord, RunStatus

from .next_item_world import Project, World, shop

CREATED = datetime(2026, 11, 22, tzinfo=UTC)


def quality(value: float = 0.2, **changes: object) -> RankingQuality:
    metrics = tuple(Metric(f"{kind}@{k}", value, value - 0.01, value + 0.01, 100, 20)
                    for kind in ("hr", "ndcg", "mrr") for k in (5, 10))  # fmt: skip
    groups = tuple(GroupQuality(name, users, metrics) for name, users in (("1 to 2", 60), ("3 to 5", 35), ("51", 5)))
    whole = RankingQuality(100, 900, (5, 10), 10, True, 0, metrics, groups, groups[:1], ListQuality(10, 0.5, 0.3, 8.0))
    return replace(whole, **changes)  # type: ignore[arg-type]


def ranks(better: np.ndarray) -> Ranks:  # type: ignore[type-arg]
    return Ranks(better, np.zeros_like(better), np.zeros((len(better), 1), np.int32), np.zeros((len(better), 1)))  # type: ignore[arg-type]


def add(
    folder: Path, run: str, model: str, better: np.ndarray, *, validated: float = 0.1, minutes: int = 0
) -> RunRecord:  # type: ignore[type-arg]
    files = NextItemFiles(folder / run)
    files.save_quality("test", quality())
    files.save_quality("validation", quality(validated))
    files.save_ranks(ranks(better))
    metrics = {metric.name: metric for metric in quality().metrics}
    return RunRecord(run, model, model.title(), RunStatus.FINISHED, CREATED, "", data_fingerprint="f", metrics=metrics)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[RunRecord, ...]:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 30, 400)
    return (
        add(tmp_path, "a", "sra-cl", np.maximum(base - 8, 0), validated=0.3),
        add(tmp_path, "b", "sasrec-ce", base.copy()),
        add(tmp_path, "c", "popularity", base.copy()),
    )


def test_verdicts_say_who_is_better_and_what_makes_no_difference(tmp_path: Path, runs: tuple[RunRecord, ...]) -> None:
    story = read_story(runs[0], runs, lambda run: tmp_path / run)
    assert story.best == "Sra-Cl"
    first, second = verdicts(story, "Sra-Cl")
    assert first.startswith("Sra-Cl is better than Sasrec-Ce, the same model without what it adds (NDCG@10 +")
    assert second.startswith("Sra-Cl is better than Popularity (")
    worse, same = sorted(verdicts(story, "Sasrec-Ce"), key=lambda words: words.startswith("No real"))
    assert worse.startswith("Sasrec-Ce is worse than Sra-Cl (NDCG@10 −")
    assert same.startswith("No real difference between Sasrec-Ce and Popularity")


def test_a_run_stands_beside_the_newest_of_every_other_model(runs: tuple[RunRecord, ...]) -> None:
    older = replace(runs[1], id="old")
    other = replace(runs[2], id="elsewhere", model="x", data_fingerprint="g")
    failed = replace(runs[2], id="failed", model="y", status=RunStatus.FAILED)
    found = beside(runs[0], (*runs, older, other, failed))
    assert [run.id for run in found] == ["a", "b", "c"]


def test_runs_of_one_model_are_numbered(tmp_path: Path, runs: tuple[RunRecord, ...]) -> None:
    again = add(tmp_path, "d", "sra-cl", np.arange(400))
    story = read_story(runs[0], (*runs, again), lambda run: tmp_path / run)
    assert {"Sra-Cl (1)", "Sra-Cl (2)"} <= set(story.runs)
    assert story.chosen == "Sra-Cl (1)"


def test_warnings_of_all_runs_are_said_once(tmp_path: Path, runs: tuple[RunRecord, ...]) -> None:
    for run in runs:
        own = ("Only its own.",) if run.id == "a" else ()
        NextItemFiles(tmp_path / run.id).save_quality("test", quality(warnings=("About all.", *own)))
    story = read_story(runs[0], runs, lambda run: tmp_path / run)
    assert common_warnings(story) == ("About all.", "Sra-Cl: Only its own.")


def test_damaged_ranks_are_a_sentence(tmp_path: Path, runs: tuple[RunRecord, ...]) -> None:
    (tmp_path / "a" / "ranks.npz").write_bytes(b"PK no more")
    with pytest.raises(ProjectError, match="ranks of this run"):
        read_story(runs[0], runs, lambda run: tmp_path / run)


def test_the_table_begins_with_the_headline_and_says_how_it_was_measured() -> None:
    table = rank_table({"A": quality()})
    assert [column.name for column in table.columns][:4] == ["Model", "NDCG@10", "HR@10", "MRR@10"]
    assert table.rows[0][1] == "0.2000 [0.1900, 0.2100]"
    assert "ranked among all 900 items" in table.note
    assert "not recommended" in protocol(quality())
    assert "stay in the list" in protocol(quality(exclude_seen=False))


def test_groups_of_few_users_stand_in_the_table_alone() -> None:
    named = {"A": quality()}
    chart = group_chart(named, "length")
    assert chart is not None
    assert chart.series[0].x == (1.0, 2.0)
    assert [row[:2] for row in group_table(named, "length").rows] == [("1 to 2", 60), ("3 to 5", 35), ("51", 5)]
    assert group_chart(named, "popularity") is None


def test_lists_without_vectors_have_no_diversity() -> None:
    assert list_table({"A": quality()}).rows == (("A", "50.0 %", "0.300", "8.00", None),)
    with_vectors = quality(lists=ListQuality(10, 0.5, 0.3, 8.0, 0.7, "words"))
    table = list_table({"A": with_vectors})
    assert table.rows[0][-1] == "0.700"
    assert "(words)" in table.note


def test_events_that_do_not_help_are_grey() -> None:
    bars = occlusion_bars("X", (EventEffect(0, "a", -0.5, 2.0), EventEffect(1, "b", 1.0, 9.0)))
    assert (bars.labels, bars.greyed) == (("b", "a"), (False, True))


def report(world: World, **changes: object):  # type: ignore[no-untyped-def]
    runs = tuple(world.kept)
    return report_document(MakeReport(world.folder, runs, world.folder / "r.html", **changes), Project(world))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = shop(tmp_path_factory.mktemp("shop"))
    train(Train(made.folder, recipe_to_toml(made.recipe("follow"))), made.services, JobControl())
    return made


def test_the_report_has_figures_verdicts_tables_and_recipes(world: World) -> None:
    document = report(world, notes="For the board.")
    assert document.title == "What users choose next"
    heads = [block.text for block in document.blocks if isinstance(block, Heading)]
    assert heads == [
        "In short", "Data", "How well is the next item found?", "Warnings and limits", "Where it comes from",
    ]  # fmt: skip
    tables = [block.table.title for block in document.blocks if isinstance(block, PictureBlock) and block.table]
    assert {"How well the next item is found", "Differences on the same users", "What the sequences hold"} <= set(
        tables
    )
    assert any("clicked rows" in block.text for block in document.blocks if isinstance(block, Callout))


def test_a_report_has_the_sections_asked_for(world: World) -> None:
    heads = [block.text for block in report(world, sections=("data",)).blocks if isinstance(block, Heading)]
    assert heads == ["Data"]

"""From the sample shop to next items without a window: trained, explained, reported, scored, by recipe and command."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import main
from core.commands import ExplainRecommendation, MakeReport, RecommendToUser, SampleMade, Score, Train
from core.jobs import perform
from core.next_item.run_files import NextItemFiles
from core.next_item.story import read_story
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.run_folder import RunFolder
from core.services import JobControl, Services
from crosslens.runs import RunRecord, RunStatus

RECIPE = Path(__file__).parents[2] / "examples" / "recipes" / "shop-next-item.toml"
MODELS = ("popularity", "item-knn", "sasrec-ce", "sra-cl")
TINY = {"epochs": 2, "width": 16, "layers": 1, "length": 10}


@dataclass(frozen=True)
class Trip:
    """A project in which the recipe's model was trained, with what belongs beside it."""

    services: Services
    project: Path
    runs: dict[str, RunRecord]
    toml: str


@pytest.fixture(scope="module")
def trip(services: Services, sample: SampleMade, tmp_path_factory: pytest.TempPathFactory) -> Trip:
    recipe = recipe_from_toml(RECIPE.read_text(encoding="utf-8"))
    known = {field: TINY[field] for field in TINY if field in _parameters(services)}
    recipe = replace(
        recipe,
        source=replace(recipe.source, database=str(sample.database)),
        models=(ModelChoice("sra-cl", known),),
        next_item=replace(recipe.next_item, minimum_events=2),
    )
    folder = tmp_path_factory.mktemp("projects") / "next"
    trained = perform(Train(folder, recipe_to_toml(recipe)), services, JobControl())
    project = services.projects.open(folder)
    try:
        runs = {project.run(run).model: project.run(run) for run in trained.runs}
    finally:
        project.close()
    return Trip(services, folder, runs, recipe_to_toml(recipe))


def _parameters(services: Services) -> set[str]:
    return set(services.host.model("sra-cl").parameters.__dataclass_fields__)


def test_the_recipe_trains_the_model_with_baselines_and_backbone(trip: Trip) -> None:
    assert tuple(trip.runs) == MODELS
    assert {run.status for run in trip.runs.values()} == {RunStatus.FINISHED}
    assert len({run.data_fingerprint for run in trip.runs.values()}) == 1
    for run in trip.runs.values():
        metric = run.metrics["ndcg@10"]
        assert 0 <= metric.low <= metric.value <= metric.high <= 1


def test_the_backbone_shares_the_parameters_of_its_model(trip: Trip) -> None:
    chosen = recipe_from_toml(trip.runs["sasrec-ce"].recipe).models[0].parameters
    assert dict(chosen) == dict(recipe_from_toml(trip.runs["sra-cl"].recipe).models[0].parameters)


def test_items_are_described_by_their_tables(trip: Trip) -> None:
    facts = RunFolder(trip.project / "runs" / trip.runs["sra-cl"].id).facts()
    assert facts.fields == ("item.title", "category.name", "brand.name", "brand.tier", "item.price_band")


def test_every_pair_of_runs_is_compared_on_the_same_users(trip: Trip) -> None:
    runs = tuple(trip.runs.values())
    story = read_story(runs[-1], runs, lambda run: trip.project / "runs" / run)
    assert len(story.comparisons) == 6
    assert len({result.rows for _, _, result in story.comparisons}) == 1
    quality = story.qualities[story.chosen]
    assert quality.lists is not None
    assert quality.lists.diversity is not None


def test_a_recommendation_has_reasons(trip: Trip) -> None:
    run = trip.runs["sasrec-ce"].id
    listed = perform(RecommendToUser(trip.project, run, 0), trip.services, JobControl())
    why = perform(ExplainRecommendation(trip.project, run, 0, listed.items[0].id), trip.services, JobControl())
    assert why.rank == 1
    assert {effect.title for effect in why.effects} == {event.title for event in listed.history}
    assert any(effect.similarity is not None for effect in why.effects)


def test_every_user_gets_a_list(trip: Trip, tmp_path: Path) -> None:
    output = tmp_path / "lists.parquet"
    scored = perform(Score(trip.project, trip.runs["sra-cl"].id, output, top=3), trip.services, JobControl())
    table = pq.read_table(output)
    assert scored.rows == table.num_rows
    assert set(table["basis"].to_pylist()) == {"history", "no known item", "no history"}
    assert set(table["rank"].to_pylist()) == {1, 2, 3}


def test_the_same_recipe_gives_the_same_numbers(trip: Trip) -> None:
    run = trip.runs["sasrec-ce"]
    (again,) = perform(Train(trip.project, run.recipe), trip.services, JobControl()).runs
    first, second = (NextItemFiles(trip.project / "runs" / each).ranks() for each in (run.id, again))
    assert first is not None
    assert second is not None
    assert first.better.tolist() == second.better.tolist()


def test_the_report_tells_of_ranking_beside_baselines(trip: Trip, tmp_path: Path) -> None:
    runs = tuple(run.id for run in trip.runs.values())
    made = perform(MakeReport(trip.project, runs, tmp_path / "r.html"), trip.services, JobControl())
    html = made.html.read_text(encoding="utf-8")
    for words in ("NDCG@10", "SRA-CL", "Popularity", "ranked among all", "Differences on the same users"):
        assert words in html


def test_the_command_line_lists_recommends_and_scores(
    trip: Trip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, project = trip.runs["item-knn"].id, str(trip.project)
    users = NextItemFiles(trip.project / "runs" / run).users()
    assert users is not None
    user = str(users["user"][0].as_py())
    assert main.main(["runs", "--project", project]) == 0
    assert "NDCG@10" in capsys.readouterr().out
    assert main.main(["recommend", run, "--user", user, "--project", project, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["recommended"]["name"] == user
    assert answer["explained"]["rank"] == 1
    assert main.main(["recommend", run, "--user", "nobody", "--project", project]) == 1
    assert "no test user 'nobody'" in capsys.readouterr().err
    output = tmp_path / "lists.csv"
    assert main.main(["predict", run, str(output), "--project", project, "--top", "2"]) == 0
    assert output.read_text(encoding="utf-8").startswith('"user","rank","item"')


def test_ratings_without_any_label_become_recommendations_from_a_suggested_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("films.db") as films:
        films.execute("CREATE TABLE movies (id INTEGER PRIMARY KEY, title TEXT, genres TEXT)")
        films.execute(
            "CREATE TABLE ratings (id INTEGER PRIMARY KEY, user_id INTEGER, movie_id INTEGER REFERENCES movies(id),"
            " rated_at INTEGER)"
        )
        films.executemany("INSERT INTO movies VALUES (?, ?, ?)", [(n, f"Film {n}", "Drama|War") for n in range(12)])
        rows = [(user, (user + step) % 12, 1_365_000_000 + 86_400 * step) for user in range(40) for step in range(4)]
        films.executemany("INSERT INTO ratings (user_id, movie_id, rated_at) VALUES (?, ?, ?)", rows)
    films.close()
    assert main.main(["recipe", "films.db", "--base", "ratings", "--model", "item-knn", "--out", "films.toml"]) == 0
    assert "stop:" not in capsys.readouterr().out
    assert main.main(["train", "films.toml", "--project", "p", "--threads", "1", "--json"]) == 0
    told = {entry["model"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(told) == {"popularity", "item-knn"}
    assert told["item-knn"]["metrics"]["ndcg@10"]["value"] > told["popularity"]["metrics"]["ndcg@10"]["value"]
    run = told["item-knn"]["run"]
    assert main.main(["recommend", run, "--user", "7", "--project", "p", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)["recommended"]
    assert answer["target"]["title"] == "Film 10"
    assert answer["history"][0] == {"item": "7", "title": "Film 7", "time": "2013-04-03 14:40"}

"""Clicks and conversions from a database to a report: two funnel models and one of clicks in one recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.commands import (
    ExplainRow,
    MakeReport,
    MakeSample,
    MakeValueTable,
    ReportMade,
    RowExplained,
    SampleMade,
    Score,
    Train,
    Trained,
    ValueTableMade,
)
from core.jobs import perform
from core.metrics import auc
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.run_folder import RunFolder
from core.services import JobControl, Services
from crosslens import DataError, FieldRole, FieldSchema, ParameterError
from crosslens.runs import RunRecord

from .conftest import Trip

MODELS = (
    ModelChoice("esmm", {"epochs": 2, "layers": [8], "batch_size": 512}),
    ModelChoice("lightgbm-funnel", {"num_trees": 15, "min_data_in_leaf": 20}),
    ModelChoice("lightgbm", {"num_trees": 15, "min_data_in_leaf": 20}),
)
ROWS = 2_500
OUTPUTS = ("click", "conversion", "click_and_conversion")


@pytest.fixture(scope="module")
def funnel(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Trip:
    folder = tmp_path_factory.mktemp("funnel")
    project = folder / "project"
    sample: SampleMade = perform(MakeSample(folder / "shop.db", rows=ROWS, seed=3), services, JobControl())
    recipe = replace(recipe_from_toml(sample.recipe, folder=sample.database.parent), models=MODELS)
    trained: Trained = perform(Train(project, recipe_to_toml(recipe)), services, JobControl())
    return Trip(services, sample, recipe, project, trained.runs)


def folders(funnel: Trip) -> list[RunFolder]:
    project = funnel.services.projects.open(funnel.project)
    try:
        return [RunFolder(project.run_folder(run)) for run in funnel.runs]
    finally:
        project.close()


def record(funnel: Trip, place: int) -> RunRecord:
    project = funnel.services.projects.open(funnel.project)
    try:
        return project.run(funnel.runs[place])
    finally:
        project.close()


def test_every_output_is_measured_on_rows_of_its_own(funnel: Trip) -> None:
    for folder in folders(funnel)[:2]:
        facts = folder.facts()
        assert facts.predicted == OUTPUTS
        table = folder.predictions()
        clicks = int(table["label"].to_numpy().sum())
        for name, rows in (
            ("click", facts.rows_test),
            ("conversion", clicks),
            ("click_and_conversion", facts.rows_test),
        ):
            output = folder.output(name)
            predictions = output.predictions()
            assert predictions.num_rows == rows == output.quality().rows
            measured = output.quality().metric("auc").value
            again = auc(predictions["label"].to_numpy(), predictions["probability"].to_numpy())
            assert measured == pytest.approx(again, abs=1e-9)
            assert output.evidence() is not None
            assert output.faithfulness() is not None
            assert output.contributions().task == name


def test_a_model_of_clicks_in_the_same_recipe_knows_clicks_alone(funnel: Trip) -> None:
    folder = folders(funnel)[2]
    assert folder.facts().predicted == ("click",)
    assert not (folder.path / "outputs").exists()
    assert folder.funnel() is None
    assert set(record(funnel, 2).metrics) == {name for name in record(funnel, 1).metrics if "." not in name}


def test_trees_of_clicks_are_the_same_with_conversions_or_without(funnel: Trip) -> None:
    alone, with_conversions = folders(funnel)[2].predictions(), folders(funnel)[1].predictions()
    assert alone["probability"].equals(with_conversions["probability"])


def test_the_run_remembers_the_metrics_of_every_output_under_its_name(funnel: Trip) -> None:
    metrics = record(funnel, 0).metrics
    assert {"auc", "conversion.auc", "click_and_conversion.auc"} <= set(metrics)
    assert metrics["conversion.auc"].rows < metrics["auc"].rows


def test_the_funnel_counts_stages_and_reads_delays_from_their_tables(funnel: Trip) -> None:
    report = folders(funnel)[0].funnel()
    assert report is not None
    shown, clicked, bought = report.stages
    assert [stage.name for stage in report.stages] == ["impressions", "clicks", "conversions"]
    assert shown.count == ROWS
    assert 0 < bought.count < clicked.count < 1000
    click, conversion = report.delays
    assert 2 <= click.median <= 60  # seconds from an impression to its click, as the shop draws them
    assert conversion.median > 30
    assert (conversion.start, conversion.end) == ("click", "conversion")
    assert conversion.rows == bought.count
    assert report.late is not None
    assert report.late < 0.02
    assert report.selection is not None
    assert report.selection.effective <= report.selection.clicked


def test_a_row_and_a_pair_are_explained_for_the_output_asked_about(funnel: Trip) -> None:
    answers = {
        name: funnel.ask(ExplainRow(funnel.project, funnel.runs[0], 3, output=name)) for name in ("", *OUTPUTS)
    }  # fmt: skip
    assert answers[""].probability == answers["click"].probability
    for name in OUTPUTS:
        answer: RowExplained = answers[name]
        total = answer.waterfall.baseline + sum(field.contribution for field in answer.fields)
        assert 1 / (1 + np.exp(-total)) == pytest.approx(answer.probability, abs=1e-4)
        kept = folders(funnel)[0].output(name).predictions()
        assert answer.probability == pytest.approx(kept["probability"][3].as_py(), abs=1e-6)
        assert answer.label == kept["label"][3].as_py()
    made: ValueTableMade = funnel.ask(
        MakeValueTable(funnel.project, funnel.runs[1], "session.device", "item.price_band", "conversion")
    )
    assert f"{folders(funnel)[1].output('conversion').quality().rows:,} held-out rows" in made.observed.note


def test_an_output_that_there_is_not_is_a_sentence(funnel: Trip) -> None:
    with pytest.raises(ParameterError, match="no output 'conversion'"):
        funnel.ask(ExplainRow(funnel.project, funnel.runs[2], 0, output="conversion"))


def test_scores_of_new_rows_hold_a_probability_for_every_output(funnel: Trip, tmp_path: Path) -> None:
    funnel.ask(Score(funnel.project, funnel.runs[0], tmp_path / "scores.parquet"))
    table = pq.read_table(tmp_path / "scores.parquet")
    click, conversion, both = (table[f"probability_{name}"].to_numpy() for name in OUTPUTS)
    assert table.num_rows == ROWS
    np.testing.assert_allclose(both, click * conversion, rtol=1e-6)
    assert "clicks" not in table.column_names


def test_the_report_tells_of_the_funnel(funnel: Trip, tmp_path: Path) -> None:
    made: ReportMade = funnel.ask(MakeReport(funnel.project, funnel.runs, tmp_path / "report.html"))
    html = made.html.read_text(encoding="utf-8")
    for words in ("The funnel", "pCTCVR", "Who is left to learn conversions from, by ESMM", "How long it takes"):
        assert words in html


def _without(recipe: Recipe, role: FieldRole) -> Recipe:
    kept = tuple(field for field in recipe.fields if field.role is not role)
    return replace(recipe, fields=FieldSchema(kept), models=(MODELS[0],))


def test_a_funnel_model_without_conversions_is_refused_in_a_sentence(funnel: Trip, tmp_path: Path) -> None:
    toml = recipe_to_toml(_without(funnel.recipe, FieldRole.CONVERSION))
    with pytest.raises(DataError, match='It needs a column with the role "conversion"'):
        funnel.ask(Train(tmp_path / "project", toml))

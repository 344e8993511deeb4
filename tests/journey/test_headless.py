"""From a database to a report without a window, on real parts."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from core.commands import ExplainRow, MakeReport, MakeValueTable, Phase, Progress, Score, Train
from core.jobs import perform
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.run_folder import RunFolder
from core.services import JobControl
from crosslens.errors import DataError, ParameterError, PluginError, ProjectError, SourceError, Stopped, StorageError
from crosslens.relational import ColumnRef, Comparison, ConnectionSpec, FilterSpec
from crosslens.runs import RunStatus
from crosslens.schema import FieldKind, FieldRole, FieldSchema

from .conftest import Trip


def folder(trip: Trip, number: int = 0) -> RunFolder:
    return RunFolder(trip.project / "runs" / trip.runs[number])


def records(trip: Trip, project: Path | None = None):  # type: ignore[no-untyped-def]
    store = trip.services.projects.open(project or trip.project)
    try:
        return store.runs()
    finally:
        store.close()


def test_every_model_of_the_recipe_becomes_a_finished_run_with_intervals(trip: Trip) -> None:
    runs = {run.model: run for run in records(trip) if run.id in trip.runs}
    assert set(runs) == {"lightgbm", "logistic"}
    for run in runs.values():
        auc = run.metrics["auc"]
        assert run.status is RunStatus.FINISHED
        assert 0.5 < auc.low < auc.value < auc.high < 1
        assert auc.rows == 1200


def test_runs_on_the_same_rows_may_be_compared(trip: Trip) -> None:
    assert len({run.data_fingerprint for run in records(trip) if run.id in trip.runs}) == 1


def test_the_test_rows_are_the_latest_ones(trip: Trip) -> None:
    facts = folder(trip).facts()
    assert facts.rows_train + facts.rows_validation + facts.rows_test == 6000
    assert folder(trip).test_rows().min() == facts.rows_train + facts.rows_validation


def test_contributions_add_up_to_the_logit_and_to_the_prediction(trip: Trip) -> None:
    found, table = folder(trip).contributions(), folder(trip).predictions()
    assert found is not None
    assert table is not None
    np.testing.assert_allclose(found.baseline + found.values.sum(1), found.logits, atol=1e-6)
    probability = table["probability"].to_numpy()[: len(found.logits)]
    np.testing.assert_allclose(1 / (1 + np.exp(-found.logits)), probability, atol=1e-9)


def test_an_additive_model_has_no_interaction(trip: Trip) -> None:
    evidence = folder(trip, 1).evidence()
    assert evidence is not None
    assert max(pair.effect for pair in evidence.pairs) < 1e-6
    assert not any(pair.supported for pair in evidence.pairs)


def test_the_same_recipe_gives_the_same_numbers_from_the_rows_already_read(trip: Trip) -> None:
    snapshot = folder(trip).facts().snapshot.path
    written = snapshot.stat().st_mtime_ns
    again = trip.ask(Train(trip.project, folder(trip).recipe_toml()))
    first, second = folder(trip).predictions(), RunFolder(trip.project / "runs" / again.runs[0]).predictions()
    assert first is not None
    assert first.equals(second)
    assert snapshot.stat().st_mtime_ns == written


def test_a_window_finds_the_database_and_the_columns_of_a_project_made_without_one(trip: Trip) -> None:
    store = trip.services.projects.open(trip.project)
    try:
        (connection,), (preparation,) = store.connections(), store.preparations()
    finally:
        store.close()
    assert connection.spec == trip.recipe.source
    assert recipe_from_toml(preparation.recipe).fields == trip.recipe.fields


def test_the_truth_is_not_in_anything_a_job_wrote(trip: Trip) -> None:
    assert trip.sample.truth.exists()
    snapshot = folder(trip).facts().snapshot
    assert not any("truth" in str(column) for column in snapshot.columns)


def test_a_row_is_explained_and_answers_what_if(trip: Trip) -> None:
    asked = trip.ask(ExplainRow(trip.project, trip.runs[0], 5))
    shares = sum(field.contribution for field in asked.fields)
    assert asked.waterfall.baseline + shares == pytest.approx(asked.waterfall.total)
    assert asked.probability == asked.original_probability
    segment = next(field for field in asked.fields if "segment" in field.name)
    other = next(choice for choice in segment.choices if choice != segment.value)
    changed = trip.ask(ExplainRow(trip.project, trip.runs[0], 5, {segment.name: other}))
    assert changed.original_probability == asked.probability
    assert next(field.value for field in changed.fields if field.name == segment.name) == other


@pytest.mark.parametrize(("value", "unknown"), [("no such segment", True), (None, False)])
def test_a_value_the_model_has_not_seen_is_told(trip: Trip, value: str | None, unknown: bool) -> None:
    segment = next(
        each for each in trip.ask(ExplainRow(trip.project, trip.runs[0], 5)).fields if "segment" in each.name
    )
    changed = trip.ask(ExplainRow(trip.project, trip.runs[0], 5, {segment.name: value or segment.choices[0]}))
    assert next(each.unknown for each in changed.fields if each.name == segment.name) is unknown


@pytest.mark.parametrize("row", [-1, 1200, 10**9])
def test_a_row_that_is_not_there_is_a_sentence(trip: Trip, row: int) -> None:
    with pytest.raises(ParameterError, match="Rows go from 0 to 1199"):
        trip.ask(ExplainRow(trip.project, trip.runs[0], row))


def test_a_field_that_is_not_there_is_a_sentence(trip: Trip) -> None:
    with pytest.raises(DataError, match="colour"):
        trip.ask(ExplainRow(trip.project, trip.runs[0], 0, {"colour": "red"}))


def test_two_fields_are_crossed_with_their_support(trip: Trip) -> None:
    names = folder(trip).facts().fields
    made = trip.ask(MakeValueTable(trip.project, trip.runs[0], names[0], names[1]))
    assert sum(sum(row) for row in made.observed.counts) == 1200
    assert made.observed.rows == made.predicted.rows == made.effect.rows


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_predictions_leave_as_a_file_with_keys_and_without_labels(trip: Trip, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"vorhersagen.{ending}"
    scored = trip.ask(Score(trip.project, trip.runs[0], output))
    table = pa_csv.read_csv(output) if ending == "csv" else pq.read_table(output)
    assert scored.rows == table.num_rows == 6000
    assert "impressions.id" in table.column_names
    assert not any("click" in name and name != "probability_click" for name in table.column_names)
    kept = folder(trip).predictions()
    assert kept is not None
    rows = kept["row"].to_numpy()
    np.testing.assert_allclose(table["probability_click"].to_numpy()[rows], kept["probability"].to_numpy(), atol=1e-9)


def test_an_unknown_ending_is_refused_before_any_work(trip: Trip, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"\.csv or \.parquet"):
        trip.ask(Score(trip.project, trip.runs[0], tmp_path / "a.docx"))
    assert list(tmp_path.iterdir()) == []


def test_the_report_is_one_file_that_needs_nothing_else(trip: Trip, tmp_path: Path) -> None:
    made = trip.ask(MakeReport(trip.project, trip.runs, tmp_path / "r.html", title="Größe <b>", notes="For the board."))
    html = made.html.read_text(encoding="utf-8")
    assert "Größe &lt;b&gt;" in html
    assert "For the board." in html
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", html)
    assert folder(trip).facts().snapshot.fingerprint in html


def test_a_report_of_nothing_is_refused(trip: Trip, tmp_path: Path) -> None:
    trip.services.projects.open(tmp_path / "empty", create=True).close()
    with pytest.raises(ProjectError, match="nothing to report"):
        trip.ask(MakeReport(tmp_path / "empty", (), tmp_path / "r.html"))


def test_stop_while_reading_leaves_a_stopped_run_and_no_half_snapshot(trip: Trip, tmp_path: Path) -> None:
    control = JobControl(stop=threading.Event())
    control.stop.set()
    with pytest.raises(Stopped):
        trip.ask(Train(tmp_path / "p", recipe_to_toml(trip.recipe)), control)
    runs = records(trip, tmp_path / "p")
    assert {run.status for run in runs} == {RunStatus.STOPPED}
    assert list((tmp_path / "p").glob("data/*")) == []


def test_stop_while_training_keeps_the_best_so_far_and_skips_the_rest(trip: Trip) -> None:
    stop = threading.Event()

    def press(progress: Progress) -> None:
        if progress.phase is Phase.TRAINING and progress.fit is not None and progress.fit.metrics:
            stop.set()

    with pytest.raises(Stopped, match="kept"):
        trip.ask(Train(trip.project, recipe_to_toml(trip.recipe)), JobControl(progress=press, stop=stop))
    newest = [run for run in records(trip) if run.id not in trip.runs and run.status is RunStatus.STOPPED][:2]
    kept = next(run for run in newest if run.model == "lightgbm")
    assert kept.metrics["auc"].value > 0.5
    assert next(run for run in newest if run.model == "logistic").metrics == {}


def test_stop_while_explaining_keeps_the_model_and_its_metrics(trip: Trip) -> None:
    stop = threading.Event()

    def press(progress: Progress) -> None:
        if progress.phase is Phase.EXPLAINING:
            stop.set()

    before = {run.id for run in records(trip)}
    recipe = replace(trip.recipe, models=trip.recipe.models[:1])
    with pytest.raises(Stopped, match="kept"):
        trip.ask(Train(trip.project, recipe_to_toml(recipe)), JobControl(progress=press, stop=stop))
    (kept,) = (run for run in records(trip) if run.id not in before)
    assert kept.status is RunStatus.STOPPED
    assert kept.metrics["auc"].value > 0.5
    assert trip.ask(ExplainRow(trip.project, kept.id, 0)).probability > 0


def test_one_failing_model_does_not_take_the_other_with_it(trip: Trip, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = trip.services.host.model("lightgbm")
    broken = replace(spec, build=lambda _: (_ for _ in ()).throw(RuntimeError("a stranger's bug")))

    class Host:
        def model(self, model_id: str):  # type: ignore[no-untyped-def]
            return broken if model_id == "lightgbm" else trip.services.host.model(model_id)

        def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
            return getattr(trip.services.host, name)

    services = replace(trip.services, host=Host())
    before = {run.id for run in records(trip)}
    with pytest.raises(RuntimeError, match="a stranger's bug"):
        perform(Train(trip.project, recipe_to_toml(trip.recipe)), services, JobControl())
    new = {run.model: run for run in records(trip) if run.id not in before}
    assert new["lightgbm"].status is RunStatus.FAILED
    assert "a stranger's bug" in new["lightgbm"].error
    assert new["logistic"].status is RunStatus.FINISHED


def changed_fields(trip: Trip, change):  # type: ignore[no-untyped-def]
    return replace(trip.recipe, fields=FieldSchema(tuple(change(field) for field in trip.recipe.fields)))


def without_label(field):  # type: ignore[no-untyped-def]
    return replace(field, role=FieldRole.IGNORE) if field.role.is_label else field


def without_features(field):  # type: ignore[no-untyped-def]
    return replace(field, role=FieldRole.IGNORE) if field.role.is_feature else field


def text_as_number(field):  # type: ignore[no-untyped-def]
    return replace(field, kind=FieldKind.NUMERICAL) if "segment" in field.name else field


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without_label, "click"),
        (without_features, "learn from"),
        (text_as_number, "segment"),
    ],
)
def test_fields_that_cannot_be_learned_from_are_named(trip: Trip, tmp_path: Path, change, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=sentence):
        trip.ask(Train(tmp_path / "p", recipe_to_toml(changed_fields(trip, change))))
    assert all(run.status is RunStatus.FAILED for run in records(trip, tmp_path / "p"))


def test_a_label_of_one_class_is_a_sentence(trip: Trip, tmp_path: Path) -> None:
    click = trip.recipe.fields.with_role(FieldRole.CLICK)[0].column
    query = replace(trip.recipe.query, filters=(FilterSpec(click, Comparison.EQUAL, 0),))
    with pytest.raises(DataError, match="click"):
        trip.ask(Train(tmp_path / "p", recipe_to_toml(replace(trip.recipe, query=query))))


def test_a_database_that_is_gone_is_a_sentence_and_the_run_says_so(trip: Trip, tmp_path: Path) -> None:
    gone = replace(trip.recipe, source=ConnectionSpec("sqlite", str(tmp_path / "gone.db")))
    with pytest.raises(SourceError, match=r"gone\.db"):
        trip.ask(Train(tmp_path / "p", recipe_to_toml(gone)))
    assert all("gone.db" in run.error for run in records(trip, tmp_path / "p"))


def test_a_column_that_is_gone_is_named(trip: Trip, tmp_path: Path) -> None:
    lost = replace(trip.recipe.fields.features[0], column=ColumnRef("users", "favourite"), name="users.favourite")
    fields = FieldSchema((*trip.recipe.fields, lost))
    query = replace(trip.recipe.query, columns=(*trip.recipe.query.columns, lost.column))
    with pytest.raises(Exception, match="favourite"):
        trip.ask(Train(tmp_path / "p", recipe_to_toml(replace(trip.recipe, fields=fields, query=query))))


def test_an_unknown_model_is_a_sentence(trip: Trip, tmp_path: Path) -> None:
    recipe = replace(trip.recipe, models=(ModelChoice("deep-thought"),))
    with pytest.raises(PluginError, match="deep-thought"):
        trip.ask(Train(tmp_path / "p", recipe_to_toml(recipe)))


def test_a_parameter_out_of_range_is_named_before_any_work(trip: Trip, tmp_path: Path) -> None:
    recipe = replace(trip.recipe, models=(ModelChoice("lightgbm", {"num_trees": -3}),))
    with pytest.raises(ParameterError):
        trip.ask(Train(tmp_path / "p", recipe_to_toml(recipe)))


def test_a_finished_run_is_not_resumed(trip: Trip) -> None:
    with pytest.raises(ProjectError, match="cannot be resumed"):
        trip.ask(Train(trip.project, "", resume=trip.runs[0]))

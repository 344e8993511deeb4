"""Runs of a funnel on the Results page: an output to choose, and a tab of the funnel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from core.commands import ExplainRow, MakeValueTable
from core.funnel import FunnelTimes, StageTimes, funnel_report
from core.run_folder import RunFolder
from crosslens import EncodedDataset, EncodedField, EncodedSchema, FieldKind
from ui.desktop.pages.results import ResultsPage
from ui.desktop.pages.results_compare import CompareTab
from ui.desktop.pages.results_funnel import FunnelTab
from ui.desktop.pages.results_rows import RowsModel

from .pages_helpers import NET, TREES, Project, RecordingSession, add_run, evidence, facts, predictions, quality
from .test_results_page import look_at, settle

OUTPUTS = ("click", "conversion", "click_and_conversion")
FUNNEL = replace(NET, title="Funnel net")


def add_funnel(project: Project, run_id: str, minutes: int = 9) -> None:
    """Add a run of three outputs, each with figures of its own."""
    record = add_run(project, run_id, FUNNEL, auc=0.72, minutes=minutes)
    folder = RunFolder(project.run_folder(run_id))
    folder.save_facts(replace(facts(FUNNEL), outputs=OUTPUTS))
    folder.save_funnel(a_funnel())
    for name, auc, rows, positives in (("conversion", 0.61, 90, 30), ("click_and_conversion", 0.66, 800, 30)):
        output = folder.new_output(name)
        output.save_quality("test", replace(quality(auc), task=name, rows=rows, positives=positives, warnings=(name,)))
        output.save_evidence(evidence(), ())
        output.save_predictions(predictions(rows=20, seed=3))
    project.save_run(record)


def a_funnel() -> Any:
    labels = {"click": np.array([1, 0] * 40, np.float32), "conversion": np.array([1, 0, 0, 0] * 20, np.float32)}
    schema = EncodedSchema((EncodedField("x", FieldKind.NUMERICAL),), ("click", "conversion"))
    test = EncodedDataset(schema, np.zeros((80, 0), np.int32), np.zeros((80, 1), np.float32), labels)
    times = FunnelTimes((StageTimes("click", "conversion", np.arange(50.0), 1e6),))
    names = {"impressions": "shown", "click": "clicked", "conversion": "bought"}
    return funnel_report(names, labels, test, {name: np.full(80, 0.4) for name in OUTPUTS}, times=times)


@pytest.fixture
def session(qapp: Any, tmp_path: Path) -> Any:
    session = RecordingSession(tmp_path)
    session.project = Project(tmp_path)
    yield session
    session.close()


@pytest.fixture
def page(session: RecordingSession, qtbot: Any) -> Any:
    add_run(session.project, "plain", TREES, auc=0.70)
    add_funnel(session.project, "funnel")
    page = ResultsPage(session)
    qtbot.addWidget(page)
    page.resize(1000, 700)
    page.show()
    page.shown()
    settle(page, qtbot)
    look_at(page, "funnel", page.quality, qtbot)
    yield page
    page.background.wait()


def choose(page: ResultsPage, output: str, qtbot: Any) -> None:
    page.outputs.button(output).click()
    settle(page, qtbot)


def test_a_run_of_a_funnel_offers_its_outputs_and_its_funnel(page: ResultsPage) -> None:
    assert page.outputs.isVisible()
    assert page.outputs.names == OUTPUTS
    assert page.outputs.button("click").isChecked()
    assert page.tabs.isTabVisible(page.tabs.indexOf(page.funnel))


def test_a_run_of_one_label_offers_neither(page: ResultsPage, qtbot: Any) -> None:
    look_at(page, "plain", page.quality, qtbot)
    assert not page.outputs.isVisible()
    assert not page.tabs.isTabVisible(page.tabs.indexOf(page.funnel))


def test_another_output_shows_its_own_quality_on_its_own_rows(page: ResultsPage, qtbot: Any) -> None:
    assert _rows_measured(page) == "800"
    choose(page, "conversion", qtbot)
    assert _rows_measured(page) == "90"
    assert [each.message for each in page.quality._findings._shown[0]][:1] == ["conversion"]


def _rows_measured(page: ResultsPage) -> str:
    view = page.quality._pictures.view("metrics")
    assert view is not None
    return next(row[1] for row in view.picture.rows if row[0] == "Rows")


def test_the_chosen_output_stays_when_another_run_has_it(page: ResultsPage, session: Any, qtbot: Any) -> None:
    choose(page, "conversion", qtbot)
    add_funnel(session.project, "twin", minutes=12)
    page.refresh()
    look_at(page, "twin", page.quality, qtbot)
    assert page.outputs.button("conversion").isChecked()
    assert _rows_measured(page) == "90"


def test_questions_about_rows_and_pairs_name_the_output(page: ResultsPage, session: Any, qtbot: Any) -> None:
    choose(page, "conversion", qtbot)
    look_at(page, "funnel", page.row, qtbot)
    page.row.ask()
    assert isinstance(session.last.command, ExplainRow)
    assert session.last.command.output == "conversion"
    assert page.row.rows.rows.num_rows == 20
    look_at(page, "funnel", page.why, qtbot)
    page.why.open_pair("segment", "category")
    assert isinstance(session.last.command, MakeValueTable)
    assert session.last.command.output == "conversion"


def test_the_funnel_tab_shows_stages_outputs_selection_and_delays(page: ResultsPage, qtbot: Any) -> None:
    look_at(page, "funnel", page.funnel, qtbot)
    tab: FunnelTab = page.funnel
    for name in ("stages", "rates", "outputs", "selection", "delays"):
        view = tab.pictures.view(name)
        assert view is not None, name
        assert view.isVisible()
    outputs = tab.pictures.view("outputs")
    assert outputs is not None
    assert outputs.picture.greyed == (False, True, True)


def test_runs_are_compared_by_the_chosen_output(page: ResultsPage, session: Any, qtbot: Any) -> None:
    add_funnel(session.project, "twin", minutes=12)
    page.refresh()
    choose(page, "conversion", qtbot)
    page.compare.compare(tuple(session.project.run(name) for name in ("funnel", "twin")), session.project, "conversion")
    settle(page, qtbot)
    tab: CompareTab = page.compare
    table = tab._pictures.view("comparison")
    assert table is not None
    assert len(table.picture.rows) == 2
    page.compare.compare(tuple(session.project.run(name) for name in ("plain", "twin")), session.project, "conversion")
    settle(page, qtbot)
    assert tab._words.text() == "Trees does not predict pCVR."


def test_columns_of_other_outputs_are_called_by_their_usual_names(qapp: Any) -> None:
    rows = RowsModel()
    rows.set_rows(
        pa.table({"row": [1], "label": [1.0], "probability": [0.5], "probability_conversion": [0.25], "x": ["a"]})
    )
    heads = [rows.headerData(column, Qt.Orientation.Horizontal) for column in range(rows.columnCount())]
    assert heads == ["Predicted", "Observed", "pCVR", "x"]
    assert rows.data(rows.index(0, 2)) == "25.00 %"


def test_labels_of_a_funnel_have_heads_and_values_that_people_read(qapp: Any) -> None:
    model = RowsModel()
    labels = {"label_click": pa.array([1.0], pa.float32()), "label_conversion": pa.array([0.0], pa.float32())}
    model.set_rows(pa.table({"probability": [0.5], "label": [0], **labels}))
    heads = [model.headerData(column, Qt.Orientation.Horizontal) for column in range(model.columnCount())]
    assert heads == ["Predicted", "Observed", "Clicked", "Converted"]
    assert [model.index(0, column).data() for column in (2, 3)] == ["1", "0"]


def test_a_run_that_is_still_being_read_is_not_called_unmeasured(session: RecordingSession, qtbot: Any) -> None:
    add_funnel(session.project, "funnel")
    page = ResultsPage(session)
    qtbot.addWidget(page)
    page.show()
    page.shown()
    assert page._reading.isVisible()
    shown = [label.text() for label in page.findChildren(QLabel) if label.isVisible()]
    assert not [words for words in shown if words.startswith(("Nothing", "No ", "This run ended"))]
    settle(page, qtbot)
    assert not page._reading.isVisible()

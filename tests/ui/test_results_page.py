"""The Results page: runs, their quality and reasons, one row, predictions, comparison."""

from __future__ import annotations

import csv
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFileDialog

from core.commands import ExplainRow, MakeValueTable, RowExplained, RowField, Train, ValueTableMade
from core.display import HeatMap, Waterfall
from crosslens.runs import RunStatus
from ui.desktop.pages.results import ResultsPage
from ui.desktop.pages.results_compare import agreement_table
from ui.desktop.pages.results_loading import load_predictions, load_run, unique_names
from ui.desktop.pages.results_predictions import write_rows
from ui.desktop.pages.results_rows import RowsModel
from ui.desktop.pages.results_runs import RunsModel
from ui.desktop.session import Notice

from .pages_helpers import FIELDS, LINE, NET, TREES, Project, RecordingSession, add_run, evidence, finish, predictions

WATERFALL = Waterfall("Why", -2.0, (("segment = young", 0.8),), -1.2)
CELLS = HeatMap("Observed rate", ("young",), ("shoes",), ((0.2,),), "%", counts=((40,),))
MADE = ValueTableMade(CELLS, CELLS, CELLS)


@pytest.fixture
def session(qapp: Any, tmp_path: Path) -> Any:
    session = RecordingSession(tmp_path)
    session.project = Project(tmp_path)
    yield session
    session.close()


@pytest.fixture
def page(session: RecordingSession, qtbot: Any) -> Any:
    add_run(session.project, "old", NET)
    add_run(session.project, "new", TREES, auc=0.70, minutes=5)
    page = ResultsPage(session)
    qtbot.addWidget(page)
    page.resize(1000, 700)
    page.show()
    page.shown()
    settle(page, qtbot)
    yield page
    page.background.wait()


def settle(page: ResultsPage, qtbot: Any) -> None:
    """Let all background reading arrive."""
    for _ in range(3):
        page.background.wait()
        qtbot.wait(1)


def look_at(page: ResultsPage, run: str, tab: Any, qtbot: Any) -> None:
    page.list.choose(run)
    page.tabs.setCurrentWidget(tab)
    settle(page, qtbot)


def explained(row: int, **more: Any) -> RowExplained:
    fields = tuple(RowField(name, "x", 0.1, ("x", "y")) for name in FIELDS)
    return RowExplained(row, more.pop("probability", 0.31), 0.31, 1.0, fields, WATERFALL)


def test_without_runs_the_page_leads_to_training(session: RecordingSession, qtbot: Any) -> None:
    page = ResultsPage(session)
    qtbot.addWidget(page)
    assert page._stack.currentIndex() == 0
    assert page.primary.text() == ""


def test_the_best_of_the_newest_runs_is_shown_at_once(page: ResultsPage) -> None:
    assert page.list.chosen().id == "old"
    assert page.quality._charts["roc"].picture.series[0].name.startswith("Net")


def test_a_new_test_set_is_looked_at_first(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    add_run(session.project, "other", TREES, auc=0.5, minutes=9, fingerprint="test-2")
    page._forget()
    assert page.list.chosen().id == "other"


def test_a_run_says_its_figures_to_those_who_cannot_see_them(page: ResultsPage) -> None:
    words = page.list.runs.index(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert "Trees" in words
    assert "AUC 0.700 [0.690, 0.710]" in words


def test_faithfulness_stands_beside_the_metrics(page: ResultsPage) -> None:
    run = page.list.runs.runs[0]
    assert page.list.delegate._facts(run, page.list.runs._faithfulness[run.id]).startswith("faithfulness 0.31")


def test_the_runs_model_keeps_qt_s_rules(qapp: Any, tmp_path: Path, qtmodeltester: Any) -> None:
    model = RunsModel()
    model.set_runs((add_run(Project(tmp_path), "a"), add_run(Project(tmp_path), "b")))
    qtmodeltester.check(model)


def test_a_star_moves_a_run_to_the_top_and_is_kept(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    area = page.list.visualRect(page.list.runs.index(1))
    qtbot.mouseClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=area.topRight() + QPoint(-20, 20))
    assert session.project.run("old").starred
    assert [run.id for run in page.list.runs.runs] == ["old", "new"]


def test_a_click_on_the_check_mark_takes_a_run_into_the_comparison(page: ResultsPage, qtbot: Any) -> None:
    for row in (0, 1):
        area = page.list.visualRect(page.list.runs.index(row))
        qtbot.mouseClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=area.topLeft() + QPoint(18, 18))
    assert {run.id for run in page.list.runs.checked} == {"old", "new"}
    assert page.tabs.currentWidget() is page.compare


def test_the_bin_gives_a_run_back(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    page.list.choose("new")
    qtbot.mouseClick(page._delete, Qt.MouseButton.LeftButton)
    assert [run.id for run in session.runs()] == ["old"]
    qtbot.mouseClick(page._bin_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(page._delete, Qt.MouseButton.LeftButton)
    assert {run.id for run in session.runs()} == {"old", "new"}


def test_an_interrupted_run_can_be_resumed(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    broken = add_run(session.project, "broken", NET, minutes=9, status=RunStatus.INTERRUPTED)
    session.project.save_run(replace(broken, metrics={}))
    session.runsChanged.emit()
    page.list.choose("broken")
    assert page._resume.isVisible()
    qtbot.mouseClick(page._resume, Qt.MouseButton.LeftButton)
    assert isinstance(session.last.command, Train)
    assert session.last.command.resume == "broken"
    assert session.pages == ["train"]


def test_reproduce_trains_the_recipe_of_the_run(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    page.list.choose("old")
    qtbot.mouseClick(page._again, Qt.MouseButton.LeftButton)
    assert session.last.command.recipe == session.project.run("old").recipe
    assert session.last.command.resume == ""


def test_a_damaged_run_is_said_and_the_others_still_open(
    page: ResultsPage, session: RecordingSession, qtbot: Any
) -> None:
    (session.project.run_folder("old") / "evidence.json").write_text("{", encoding="utf-8")
    look_at(page, "new", page.why, qtbot)
    assert session.seen == []
    look_at(page, "old", page.why, qtbot)
    assert session.seen[-1].what.startswith("evidence.json")
    look_at(page, "new", page.why, qtbot)
    assert page.why.view("heat") is not None


def test_why_shows_what_is_supported_and_what_the_model_publishes(page: ResultsPage, qtbot: Any) -> None:
    look_at(page, "old", page.why, qtbot)
    assert page.why._words.text() == "One interaction is supported by the held-out rows: segment × category."
    assert page.why.view("evidence").picture.rows[0][1] == "segment × category"
    assert page.why.view("terms").picture.rows
    page.why._group.button(1).click()
    assert page.why._stack.currentIndex() == 1


def test_a_pair_opens_value_by_value(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    look_at(page, "old", page.why, qtbot)
    heat = page.why.view("heat")
    cell = next(n for n in range(16) if heat.canvas.describe(n).startswith("segment × category"))
    qtbot.mouseClick(heat.canvas, Qt.MouseButton.LeftButton, pos=heat.canvas.item_area(cell).center().toPoint())
    command = session.last.command
    assert isinstance(command, MakeValueTable)
    assert (command.run, command.first, command.second) == ("old", "segment", "category")
    finish(session.last, MADE)
    assert page.why.view("observed").picture == CELLS
    assert page.why.view("observed").isVisible()
    qtbot.waitUntil(lambda: not page.why._values_title.visibleRegion().isEmpty())


def test_the_values_of_a_pair_go_with_its_run(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    look_at(page, "old", page.why, qtbot)
    page.why.open_pair("segment", "category")
    late = session.last
    look_at(page, "new", page.why, qtbot)
    late.finished.emit(MADE)
    assert page.why.view("observed") is None


def test_a_row_is_explained_when_it_is_chosen(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    look_at(page, "old", page.row, qtbot)
    qtbot.waitUntil(lambda: bool(session.asked))
    command = session.last.command
    assert isinstance(command, ExplainRow)
    highest = predictions()["probability"].to_numpy().argmax()
    assert command.row == highest
    session.last.finished.emit(explained(command.row))
    assert page.row._headline.text() == "Predicted 31.0 %; it happened"


def test_what_if_asks_with_the_changed_value(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    look_at(page, "old", page.row, qtbot)
    qtbot.waitUntil(lambda: bool(session.asked))
    row = session.last.command.row
    session.last.finished.emit(explained(row))
    editor = page.row.editor("category")
    editor.setCurrentText("y")
    editor.activated.emit(1)
    qtbot.waitUntil(lambda: len(session.asked) == 2)
    assert session.last.command.changes == {"category": "y"}
    session.last.finished.emit(explained(row, probability=0.5))
    assert page.row._headline.text() == "Predicted 50.0 %, before the changes 31.0 %"
    page.row.take_back()
    assert session.last.command.changes == {}


def test_an_answer_about_another_row_is_ignored(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    look_at(page, "old", page.row, qtbot)
    qtbot.waitUntil(lambda: bool(session.asked))
    page.row.show_answer(explained(session.last.command.row + 1))
    assert not page.row._detail.isVisible()


def test_a_model_that_cannot_explain_rows_says_so(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    add_run(session.project, "line", LINE, minutes=9)
    session.runsChanged.emit()
    look_at(page, "line", page.row, qtbot)
    assert page.row._sentence.text() == "Line cannot explain single rows."
    assert session.asked == []


def test_predictions_are_summed_up_and_exported_as_shown(
    page: ResultsPage, session: RecordingSession, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at(page, "old", page.predictions, qtbot)
    page.predictions._search("toys")
    assert "test rows: predicted" in page.predictions._summary.text()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out.csv"), ""))
    page.predictions.export("csv")
    settle(page, qtbot)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["category"] for row in rows} == {"toys"}
    assert isinstance(session.seen[-1], Notice)


def test_runs_on_the_same_rows_are_compared_with_words(page: ResultsPage, qtbot: Any) -> None:
    for row in (0, 1):
        page.list.runs.setData(page.list.runs.index(row), Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)
    settle(page, qtbot)
    assert "no real difference" in page.compare._words.text()
    table = page.compare._pictures.view("agreement").picture
    assert table.rows[0][-1] == "all support it"


def test_runs_on_other_rows_are_not_compared(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    add_run(session.project, "other", NET, minutes=9, seed=5)
    session.runsChanged.emit()
    for row in (0, 1):
        page.list.runs.setData(page.list.runs.index(row), Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)
    settle(page, qtbot)
    assert "tested on different rows" in page.compare._words.text()
    assert not page.compare._pictures.isVisible()


def test_a_run_without_a_test_cannot_be_ticked(page: ResultsPage, session: RecordingSession) -> None:
    session.project.save_run(replace(session.project.run("new"), metrics={}))
    session.runsChanged.emit()
    index = page.list.runs.index(page.list.runs.row_of("new"))
    assert not index.flags() & Qt.ItemFlag.ItemIsUserCheckable


def test_a_disagreement_is_shown_pair_by_pair() -> None:
    first = evidence()
    second = replace(first, pairs=tuple(replace(pair, supported=False) for pair in reversed(first.pairs)))
    rows = agreement_table({"a": first, "b": second}).rows
    assert rows[0][1:] == ("1, supported", "2, not supported", "1 of 2") or rows[1][-1] == "1 of 2"
    assert {row[-1] for row in rows} == {"1 of 2", "no support"}


def test_names_of_runs_are_unique(tmp_path: Path) -> None:
    project = Project(tmp_path)
    runs = [add_run(project, name, model) for name, model in (("a", NET), ("b", NET), ("c", TREES))]
    assert unique_names(runs) == {"a": "Net (1)", "b": "Net (2)", "c": "Trees"}


def test_a_run_is_read_whole(tmp_path: Path) -> None:
    project = Project(tmp_path)
    add_run(project, "a")
    content = load_run(project.run_folder("a"))
    assert content.quality is not None
    assert content.evidence == evidence()
    assert load_run(project.run_folder("empty")).quality is None
    assert load_predictions(project.run_folder("empty")).num_rows == 0


def _rows() -> RowsModel:
    model = RowsModel()
    model.set_rows(
        pa.table(
            {
                "row": [7, 8, 9],
                "label": [1.0, 0.0, 1.0],
                "probability": [0.2, 0.9, 0.5],
                "city": ["Köln", None, "köpenick"],
            }
        )
    )
    return model


def test_the_rows_model_keeps_qt_s_rules(qapp: Any, qtmodeltester: Any) -> None:
    qtmodeltester.check(_rows())


def test_rows_come_highest_prediction_first_and_null_is_a_word(qapp: Any) -> None:
    model = _rows()
    assert [model.at(line) for line in range(3)] == [1, 2, 0]
    assert model.index(0, model.names.index("city")).data() == "NULL"


def test_rows_are_found_whatever_their_case(qapp: Any) -> None:
    model = _rows()
    model.search("KÖ")
    assert [model.at(line) for line in range(model.rowCount())] == [2, 0]
    assert model.line_of(1) == -1


def test_missing_values_sort_last_both_ways(qapp: Any) -> None:
    model = _rows()
    for order in Qt.SortOrder:
        model.sort(model.names.index("city"), order)
        assert model.at(2) == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["ab", "b", None])), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_filter_and_sort_show_each_matching_row_once(qapp: Any, rows: list[tuple[float, str | None]]) -> None:
    model = RowsModel()
    model.set_rows(pa.table({"probability": [p for p, _ in rows], "x": pa.array([x for _, x in rows], pa.string())}))
    model.search("a")
    shown = [model.at(line) for line in range(model.rowCount())]
    assert sorted(shown) == [number for number, (_, x) in enumerate(rows) if x == "ab"]
    assert [rows[number][0] for number in shown] == sorted((rows[number][0] for number in shown), reverse=True)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_written_rows_are_read_back_the_same(tmp_path: Path, ending: str) -> None:
    rows, path = predictions(), tmp_path / f"rows.{ending}"
    write_rows(rows, path)
    if ending == "parquet":
        assert parquet.read_table(path).equals(rows)
    else:
        with path.open(encoding="utf-8", newline="") as file:
            assert [row["segment"] for row in csv.DictReader(file)] == rows["segment"].to_pylist()


def test_who_comes_from_a_training_is_shown_what_was_trained(
    page: ResultsPage, session: RecordingSession, qtbot: Any
) -> None:
    look_at(page, "old", page.quality, qtbot)
    page.shown()
    assert page.list.chosen().id == "old"
    page.hide()
    add_run(session.project, "newest", LINE, auc=0.6, minutes=9, fingerprint="test-2")
    session.runsChanged.emit()
    assert page.list.chosen().id == "old"
    page.show()
    page.shown()
    settle(page, qtbot)
    assert page.list.chosen().id == "newest"


def test_a_slow_tab_says_that_it_is_being_read(page: ResultsPage, qtbot: Any) -> None:
    settle(page, qtbot)
    assert not page._reading.isVisible()
    release = threading.Event()
    page.background.ask("ranking", lambda: release.wait(5), lambda _: None, page.session.fail)
    assert page._reading.isVisible()
    release.set()
    settle(page, qtbot)
    assert not page._reading.isVisible()

"""Out of the window: predictions through the export dialog, models through the menu of the runs; by clicks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QPushButton

from core.commands import ExportModel, ModelExported, Score, Scored
from core.worker import _request
from crosslens.relational import ConnectionSpec
from crosslens.runs import StoredConnection
from ui.desktop.pages.export_predictions import ExportDialog, target_of
from ui.desktop.pages.results import ResultsPage
from ui.desktop.worker_client import Request

from .pages_helpers import NET, Project, RecordingSession, add_run, finish
from .test_results_page import look_at, settle

SERVER = ConnectionSpec("postgresql", "shop", host="db.example.com", username="ann", secret="hidden")
SAVED = StoredConnection("1", "shop", SERVER, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def session(qapp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    session = RecordingSession(tmp_path)
    session.project = Project(tmp_path)
    monkeypatch.setattr(session.connections, "saved", lambda: (SAVED,))
    yield session
    session.close()


@pytest.fixture
def page(session: RecordingSession, qtbot: Any) -> Any:
    add_run(session.project, "old", NET)
    page = ResultsPage(session)
    qtbot.addWidget(page)
    page.resize(1000, 700)
    page.show()
    page.shown()
    settle(page, qtbot)
    yield page
    page.background.wait()


@pytest.fixture
def dialog(page: ResultsPage, qtbot: Any) -> ExportDialog:
    """The dialog, opened by a click on its button."""
    look_at(page, "old", page.predictions, qtbot)
    button = next(each for each in page.predictions.findChildren(QPushButton) if each.text() == "Score every row…")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert page.predictions.dialog is not None
    assert page.predictions.dialog.isVisible()
    return page.predictions.dialog


def choose(dialog: ExportDialog, kind: str) -> None:
    dialog.format.setCurrentIndex(dialog.format.findData(kind))


def click(dialog: ExportDialog, qtbot: Any, button: Any = None) -> None:
    qtbot.mouseClick(button or dialog.go, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_a_file_is_written_where_the_user_says(
    kind: str, dialog: ExportDialog, session: RecordingSession, qtbot: Any, tmp_path: Path
) -> None:
    dialog.path.setText(str(tmp_path / "all"))
    choose(dialog, kind)
    click(dialog, qtbot)
    assert session.last.command == Score(session.project.folder, "old", tmp_path / f"all.{kind}")
    assert session.last.lane == "job"
    finish(session.last, Scored(tmp_path / f"all.{kind}", 40_000))
    assert "40,000 rows" in session.seen[-1].what


def test_only_the_key_goes_out_when_asked(dialog: ExportDialog, session: RecordingSession, qtbot: Any) -> None:
    dialog.columns.setCurrentIndex(dialog.columns.findData("key"))
    click(dialog, qtbot)
    assert session.last.command.keys_only


def test_a_new_table_needs_a_name_and_goes_with_its_own_password(
    dialog: ExportDialog, session: RecordingSession, qtbot: Any
) -> None:
    choose(dialog, "table")
    assert "only ever read" in dialog.note.text()
    assert not dialog.go.isEnabled()
    dialog.database.setCurrentIndex(
        next(
            i
            for i in range(dialog.database.count())
            if "shop" in dialog.database.itemText(i) and dialog.database.itemData(i) == SERVER
        )
    )
    qtbot.keyClicks(dialog.table, "scores")
    assert dialog.go.isEnabled()
    click(dialog, qtbot)
    command = session.last.command
    assert (command.into, command.table, command.keys_only, command.output) == (SERVER, "scores", True, Path())
    finish(session.last, Scored(Path(), 7, "scores", "postgresql://db/shop"))
    assert "the new table scores of postgresql://db/shop" in session.seen[-1].what


def test_the_password_to_write_with_is_not_used_to_read() -> None:
    command = Score(Path("p"), "old", into=SERVER, table="scores")
    line = Request(command).message()
    assert "hidden" not in json.dumps(line["arguments"])
    assert "secret" not in line
    again = _request(json.loads(json.dumps(line)))
    assert again.into.secret == "hidden"
    assert again.source is None


def test_a_database_file_can_be_named_for_the_table(
    dialog: ExportDialog, session: RecordingSession, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(dialog, "table")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "new.duckdb"), ""))
    dialog.choose_database()
    dialog.table.setText(" scores ")
    click(dialog, qtbot)
    command = session.last.command
    assert command.into == ConnectionSpec("duckdb", str(tmp_path / "new.duckdb"))
    assert command.table == "scores"


def test_rows_of_another_file_can_be_scored(
    dialog: ExportDialog, session: RecordingSession, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "march.csv").write_text("a,b\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "march.csv"), ""))
    dialog.choose_rows()
    click(dialog, qtbot)
    assert session.last.command.source == ConnectionSpec("files", str(tmp_path / "march.csv"))


def test_cancel_asks_nobody(dialog: ExportDialog, session: RecordingSession, qtbot: Any) -> None:
    before = len(session.asked)
    click(dialog, qtbot, dialog.leave)
    assert len(session.asked) == before
    assert not dialog.isVisible()


def test_every_field_of_the_dialog_has_a_name(dialog: ExportDialog) -> None:
    for widget in (dialog.rows, dialog.format, dialog.columns, dialog.path, dialog.database, dialog.table):
        assert widget.accessibleName()


@pytest.mark.parametrize(("name", "dialect"), [("a.db", "sqlite"), ("a.duckdb", "duckdb"), ("a", "sqlite")])
def test_a_file_that_is_not_there_is_a_database_by_its_ending(name: str, dialect: str, tmp_path: Path) -> None:
    assert target_of(tmp_path / name) == ConnectionSpec(dialect, str(tmp_path / name))


def test_a_model_leaves_as_onnx(
    page: ResultsPage, session: RecordingSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "model"), ""))
    page.export_model.menu().actions()[0].trigger()
    assert session.last.command == ExportModel(session.project.folder, "old", tmp_path / "model.onnx")
    finish(session.last, ModelExported(tmp_path / "model.onnx"))
    assert "model.onnx" in session.seen[-1].what


def test_a_model_leaves_as_a_new_folder(
    page: ResultsPage, session: RecordingSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    page.export_model.menu().actions()[1].trigger()
    command = session.last.command
    assert command.output.parent == tmp_path
    assert not command.output.exists()


def test_a_run_without_a_measured_model_has_none_to_export(page: ResultsPage, session: RecordingSession) -> None:
    assert page.export_model.isEnabled()
    session.project.save_run(replace(session.project.run("old"), metrics={}))
    session.runsChanged.emit()
    assert not page.export_model.isEnabled()

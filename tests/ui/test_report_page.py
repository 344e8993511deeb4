"""The Report page: what goes in, the preview, and every way out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

from core.commands import MakeReport, ReportMade
from core.files import write_json, write_text
from core.report.build import SECTIONS as KNOWN_SECTIONS
from core.report.document import Heading, Paragraph, ReportDocument
from ui.desktop.pages.report import SECTIONS, ReportPage
from ui.desktop.pages.report_preview import PageView

from .pages_helpers import NET, TREES, Project, RecordingSession, add_run, finish

DOCUMENT = ReportDocument("Shop", "today", (Heading("In short"), Paragraph("Words. " * 900)))


@pytest.fixture
def session(qapp: Any, tmp_path: Path) -> Any:
    session = RecordingSession(tmp_path)
    session.project = Project(tmp_path)
    yield session
    session.close()


@pytest.fixture
def page(session: RecordingSession, qtbot: Any) -> Any:
    add_run(session.project, "old", NET)
    add_run(session.project, "new", TREES, minutes=5)
    page = ReportPage(session)
    qtbot.addWidget(page)
    page.resize(1000, 700)
    page.show()
    page.shown()
    yield page
    page.background.wait()


def answer(session: RecordingSession, page: ReportPage, qtbot: Any) -> MakeReport:
    """Do what the worker does: write both files and say where they are."""
    command = session.last.command
    assert isinstance(command, MakeReport)
    html, document = command.output, command.output.with_suffix(".report.json")
    write_text(html, f"<html>{command.title}</html>")
    write_json(document, replace(DOCUMENT, title=command.title))
    finish(session.last, ReportMade(html, document))
    settle(page, qtbot)
    return command


def settle(page: ReportPage, qtbot: Any) -> None:
    for _ in range(3):
        page.background.wait()
        qtbot.wait(1)


@pytest.fixture
def save_as(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def choose(name: str) -> Path:
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / name) if name else "", ""))
        return tmp_path / name

    return choose


def test_the_sections_offered_are_those_the_report_knows() -> None:
    assert tuple(KNOWN_SECTIONS) == SECTIONS


def test_without_results_the_page_leads_to_training(session: RecordingSession, qtbot: Any) -> None:
    page = ReportPage(session)
    qtbot.addWidget(page)
    assert page._stack.currentIndex() == 0
    assert page.primary.text() == ""


def test_the_preview_is_made_of_all_measured_runs(page: ReportPage, session: RecordingSession, qtbot: Any) -> None:
    command = answer(session, page, qtbot)
    assert command.runs == ("new", "old")
    assert command.output.parent == session.project.folder / "reports"
    views = page.strip.findChildren(PageView)
    assert len(views) == len(page.strip.pages) == 2
    assert views[0].accessibleName() == "Page 1 of 2"


def test_the_pages_are_painted_on_white_in_their_own_shape(
    page: ReportPage, session: RecordingSession, qtbot: Any
) -> None:
    answer(session, page, qtbot)
    view = page.strip.findChildren(PageView)[0]
    image = view.grab().toImage()
    assert image.pixelColor(20, 20).name() == "#ffffff"
    assert view.height() == pytest.approx(view.width() * 297 / 210, abs=2)
    dark = sum(image.pixelColor(x, y).lightness() < 100 for x in range(0, 400, 2) for y in range(60, 400, 2))
    assert dark > 50


def test_title_notes_runs_and_sections_go_into_the_request(
    page: ReportPage, session: RecordingSession, qtbot: Any
) -> None:
    page.name.setText("  Clicks ")
    page.notes.setPlainText("For Monday.")
    page.runs.item(0).setCheckState(Qt.CheckState.Unchecked)
    page.sections["why"].setChecked(False)
    asked = len(session.asked)
    qtbot.waitUntil(lambda: len(session.asked) > asked)
    command = session.last.command
    assert (command.title, command.notes, command.runs) == ("Clicks", "For Monday.", ("old",))
    assert command.sections == tuple(name for name in SECTIONS if name != "why")


def test_typing_asks_once_not_for_every_letter(page: ReportPage, session: RecordingSession, qtbot: Any) -> None:
    asked = len(session.asked)
    qtbot.keyClicks(page.name, "What drives clicks")
    qtbot.waitUntil(lambda: len(session.asked) > asked)
    assert len(session.asked) == asked + 1


def test_an_unchanged_report_is_not_made_again(page: ReportPage, session: RecordingSession, qtbot: Any) -> None:
    answer(session, page, qtbot)
    asked = len(session.asked)
    page.shown()
    assert len(session.asked) == asked


def test_nothing_chosen_means_nothing_to_export(page: ReportPage) -> None:
    for row in range(page.runs.count()):
        page.runs.item(row).setCheckState(Qt.CheckState.Unchecked)
    assert page.command() is None
    assert not page.primary.isEnabled()


def test_html_is_the_file_the_worker_wrote(
    page: ReportPage, session: RecordingSession, qtbot: Any, save_as: Any
) -> None:
    target = save_as("mine.html")
    page.name.setText("Clicks")
    page.primary.trigger()
    answer(session, page, qtbot)
    assert target.read_text(encoding="utf-8") == "<html>Clicks</html>"
    assert str(target) in session.seen[-1].what
    assert not target.with_suffix(".report.json").exists()


def test_pdf_holds_the_pages_of_the_preview(
    page: ReportPage, session: RecordingSession, qtbot: Any, save_as: Any
) -> None:
    answer(session, page, qtbot)
    target = save_as("mine")
    page.export_pdf()
    settle(page, qtbot)
    data = (target.with_name("mine.pdf")).read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page\n") == len(page.strip.pages)


def test_recipe_and_predictions_of_a_run_can_be_taken_along(
    page: ReportPage, session: RecordingSession, qtbot: Any, save_as: Any
) -> None:
    run = session.project.run("old")
    recipe = save_as("mine.toml")
    page.export_recipe(run)
    table = save_as("mine.csv")
    page.export_predictions(run, "csv")
    settle(page, qtbot)
    assert recipe.read_text(encoding="utf-8") == run.recipe
    assert table.read_text(encoding="utf-8").count("\n") == 61


def test_a_changed_mind_writes_nothing(page: ReportPage, session: RecordingSession, save_as: Any) -> None:
    save_as("")
    asked = len(session.asked)
    page.export_html()
    page.export_pdf()
    assert len(session.asked) == asked
    assert not [notice for notice in session.seen if notice is not None]


def test_a_full_disk_is_said(page: ReportPage, session: RecordingSession, qtbot: Any, save_as: Any) -> None:
    answer(session, page, qtbot)
    save_as("/proc/nowhere/mine.html")
    page.export_html()
    settle(page, qtbot)
    assert "could not be written" in session.seen[-1].what


def test_the_menu_offers_every_chosen_run(page: ReportPage) -> None:
    page._fill_menu()
    assert [action.text() for action in page._more.menu().actions()] == ["Trees", "Net"]


def test_title_notes_and_sections_are_remembered(page: ReportPage, session: RecordingSession, qtbot: Any) -> None:
    page.name.setText("Clicks")
    page.sections["data"].setChecked(False)
    again = ReportPage(session)
    qtbot.addWidget(again)
    session.projectChanged.emit()
    assert again.name.text() == "Clicks"
    assert not again.sections["data"].isChecked()


def test_a_new_run_joins_and_a_run_left_out_stays_out(page: ReportPage, session: RecordingSession) -> None:
    page.runs.item(1).setCheckState(Qt.CheckState.Unchecked)
    add_run(session.project, "newest", NET, minutes=9)
    session.runsChanged.emit()
    assert [run.id for run in page.chosen()] == ["newest", "new"]

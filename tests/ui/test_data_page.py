"""The Data page: ways to begin, tables, rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractButton

from core.commands import MakeSample, OpenSource, PageRead, PrepareFields, ReadPage, SampleMade
from core.recipe_toml import recipe_to_toml
from crosslens.relational import TableRef
from crosslens.runs import StoredConnection
from ui.desktop.opening import open_database, open_path, open_project, try_sample
from ui.desktop.pages.data import DataPage
from ui.desktop.pages.data_start import StartPanel
from ui.desktop.preferences import Preferences, RecentProject
from ui.desktop.session import Notice, Session

from .shop import CONNECTION, IMPRESSIONS, ITEMS, OVERVIEW, PAGE
from .test_draft import shop


@pytest.fixture
def page(session: Session, qtbot: Any) -> DataPage:
    page = DataPage(session)
    qtbot.addWidget(page)
    page.resize(1100, 700)
    page.show()
    return page


@pytest.fixture
def said(session: Session) -> list[Notice]:
    notices: list[Notice] = []
    session.noticed.connect(lambda notice: notices.append(notice) if notice is not None else None)
    return notices


def opened(session: Session, file: Path, qtbot: Any) -> None:
    with qtbot.waitSignal(session.navigated, timeout=10_000):
        open_database(session, file)


def test_an_empty_page_offers_five_ways_to_begin(page: DataPage) -> None:
    start = page.start
    ways = (start.sample, start.database, start.server, start.files, start.project)
    assert [button.accessibleName() for button in ways] == [
        "Try the sample",
        "Open a database file…",
        "Connect to a server…",
        "Open files…",
        "Open a project…",
    ]
    assert page.primary.text() == ""


def test_opening_a_database_makes_a_project_and_lists_its_tables(
    page: DataPage, session: Session, tmp_path: Path, qtbot: Any
) -> None:
    opened(session, tmp_path / "clicks.db", qtbot)
    assert session.project.folder == tmp_path / "projects" / "clicks"
    assert page.tables.rowCount() == 4
    assert page._badge.text() == "read-only"
    assert [saved.name for saved in session.project.connections()] == ["clicks.db"]


def test_the_table_that_looks_like_impressions_is_chosen_and_its_rows_are_shown(
    page: DataPage, session: Session, tmp_path: Path, qtbot: Any
) -> None:
    opened(session, tmp_path / "clicks.db", qtbot)
    qtbot.waitUntil(lambda: page.rows.rowCount() > 0)
    assert page.table.ref == IMPRESSIONS
    assert page.primary.isEnabled()


def test_choosing_another_table_shows_its_rows(page: DataPage, open_shop: Callable[[], None], qtbot: Any) -> None:
    open_shop()
    page.choose(ITEMS)
    assert page.rows.rowCount() == 0
    qtbot.waitUntil(lambda: page.rows.rowCount() >= 3)
    assert page.table.ref == ITEMS


def test_scrolling_brings_more_rows_until_the_end(
    page: DataPage, open_shop: Callable[[], None], answer_with: Callable[[str, Any], None], qtbot: Any
) -> None:
    many = tuple((number, number, None) for number in range(200))
    answer_with(ReadPage.command, PageRead(PAGE.columns, many, None))
    open_shop()
    qtbot.waitUntil(lambda: page.rows.rowCount() == 200)
    assert page.browser.position.endswith("of 200 rows")


def test_the_former_project_of_a_database_is_found_again(session: Session, tmp_path: Path, qtbot: Any) -> None:
    opened(session, tmp_path / "clicks.db", qtbot)
    folder = session.project.folder
    opened(session, tmp_path / "clicks.db", qtbot)
    assert session.project.folder == folder


def test_two_databases_of_one_name_get_two_projects(session: Session, tmp_path: Path, qtbot: Any) -> None:
    opened(session, tmp_path / "a" / "clicks.db", qtbot)
    opened(session, tmp_path / "b" / "clicks.db", qtbot)
    assert session.project.folder.name == "clicks 2"


def test_a_file_that_is_no_database_is_said_in_sentences_and_makes_no_project(
    session: Session, said: list[Notice], tmp_path: Path, qtbot: Any
) -> None:
    with qtbot.waitSignal(session.noticed, timeout=10_000):
        session.ask("source", OpenSource(replace(CONNECTION, database="fails")), lambda _: None, busy="…")
        assert session.busy == "…"
    assert [(notice.what, notice.why, notice.do, notice.tone) for notice in said] == [
        ("No.", "Because.", "Yes.", "bad")
    ]
    assert not (tmp_path / "projects").exists()
    assert session.busy == ""


def test_a_folder_that_is_no_project_is_said_in_sentences(session: Session, said: list[Notice], tmp_path: Path) -> None:
    open_project(session, tmp_path)
    assert session.project is None
    assert [notice.tone for notice in said] == ["bad"]
    assert said[0].do


def test_reopening_a_project_goes_on_where_it_was_left(
    session: Session, open_shop: Callable[[], None], qtbot: Any
) -> None:
    open_shop()
    session.start_draft(shop())
    session.edit("rename", replace(shop(), seed=5))
    session.project.save_connection(StoredConnection("1", "shop.db", CONNECTION))
    folder = session.project.folder
    session.set_project(None)
    open_project(session, folder)
    qtbot.waitUntil(lambda: session.draft is not None and session.draft.rows == 1200 and not session.busy)
    assert session.draft.seed == 5
    assert len(session.draft.proposals) == 3


def test_the_sample_lands_on_train_with_its_roles_set(
    session: Session, said: list[Notice], answer_with: Callable[[str, Any], None], tmp_path: Path, qtbot: Any
) -> None:
    made = SampleMade(Path(CONNECTION.database), Path("truth"), recipe_to_toml(shop().recipe()))
    answer_with(MakeSample.command, made)
    with qtbot.waitSignal(session.navigated, timeout=10_000) as heard:
        try_sample(session)
    assert heard.args == ["train"]
    assert session.draft.label.name == "clicks"
    assert [notice.tone for notice in said] == ["good"]


def test_a_later_question_replaces_an_earlier_one(session: Session, qtbot: Any) -> None:
    answers: list[str] = []
    session.ask("source", OpenSource(replace(CONNECTION, database="slow")), lambda _: answers.append("slow"), busy="1")
    session.ask("source", OpenSource(CONNECTION), lambda _: answers.append("quick"), busy="2")
    qtbot.waitUntil(lambda: bool(answers))
    assert answers == ["quick"]
    assert session.busy == ""


def test_a_dropped_database_is_opened(page: DataPage, session: Session, tmp_path: Path, qtbot: Any) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "clicks.db"))])
    drop = QDropEvent(
        QPointF(9, 9), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    with qtbot.waitSignal(session.navigated, timeout=10_000):
        page.dropEvent(drop)
    assert session.overview.tables == OVERVIEW.tables


def test_a_dropped_project_is_opened_by_its_folder_or_its_file(session: Session, tmp_path: Path, qtbot: Any) -> None:
    session.services.projects.open(tmp_path / "p", create=True).close()
    open_path(session, tmp_path / "p")
    assert session.project.folder == tmp_path / "p"
    open_path(session, tmp_path / "p" / "project.db")
    assert session.project.folder == tmp_path / "p"


def test_recent_projects_are_offered_as_long_as_they_exist(session: Session, tmp_path: Path, qtbot: Any) -> None:
    (tmp_path / "here").mkdir()
    session.preferences.remember(RecentProject(str(tmp_path / "gone"), "gone"))
    session.preferences.remember(RecentProject(str(tmp_path / "here"), "here", "/data/shop.db"))
    panel = StartPanel(session)
    qtbot.addWidget(panel)
    names = [button.accessibleName() for button in panel.findChildren(QAbstractButton)]
    assert "Open recent project here" in names
    assert "Open recent project gone" not in names


def test_what_the_window_remembers_survives_it(tmp_path: Path, qapp: Any) -> None:
    file = tmp_path / "settings.ini"
    first = Preferences(file, tmp_path)
    first.threads = 3
    first.device = "mps"
    first.projects_folder = tmp_path / "elsewhere"
    first.sync()
    second = Preferences(file, tmp_path)
    assert (second.threads, second.projects_folder) == (3, tmp_path / "elsewhere")
    assert second.device == "mps"
    second._set("device", "abacus")
    assert second.device == "auto"


@pytest.mark.parametrize("text", ["", "not json", "{}", "[1, null]", '[{"folder": 3}]'])
def test_settings_that_cannot_be_read_count_as_none(text: str, tmp_path: Path, qapp: Any) -> None:
    preferences = Preferences(tmp_path / "settings.ini", tmp_path)
    preferences._set("recent", text)
    assert preferences.recent() == ()


def test_the_read_command_goes_on_from_the_anchor(page: DataPage, session: Session, open_shop: Any, qtbot: Any) -> None:
    open_shop()
    # The view asks for the next page by itself while it has room: any number of pages may have come by now.
    qtbot.waitUntil(lambda: page.rows.rowCount() >= 6)
    record = (Path(session.services.worker_command[-1])).read_text(encoding="utf-8").splitlines()
    reads = [line for line in record if f'"{ReadPage.command}"' in line]
    assert '"after"' not in reads[0]
    assert all('"after": [3]' in line for line in reads[1:])
    assert PrepareFields.command not in "".join(record)


def drop(page: DataPage, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    place, keys = QPointF(9, 9), Qt.KeyboardModifier.NoModifier
    page.dropEvent(QDropEvent(place, Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, keys))


@pytest.mark.parametrize(
    ("files", "dropped", "dialect", "project"),
    [
        (["clicks.csv"], ["clicks.csv"], "files", "clicks"),
        (["d/a.csv", "d/b.parquet"], ["d"], "files", "d"),
        (["d/a.csv", "d/b.tsv"], ["d/a.csv", "d/b.tsv"], "files", "d"),
        (["x.duckdb"], ["x.duckdb"], "duckdb", "x"),
    ],
    ids=["file", "folder", "files", "duckdb"],
)
def test_files_and_folders_are_opened_where_they_are_dropped(
    page: DataPage, session: Session, files: list[str], dropped: list[str], dialect: str, project: str,
    tmp_path: Path, qtbot: Any,
) -> None:  # fmt: skip
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with qtbot.waitSignal(session.navigated):
        drop(page, *(tmp_path / name for name in dropped))
    assert session.connection.dialect == dialect
    assert session.project.folder.name == project


def test_things_that_do_not_belong_together_are_refused_in_sentences(
    page: DataPage, said: list[Notice], tmp_path: Path
) -> None:
    drop(page, tmp_path / "a.db", tmp_path / "b.csv")
    assert said[0].what == "These cannot be opened together."
    assert said[0].do


def test_a_file_is_known_by_its_first_bytes_not_by_its_name(session: Session, tmp_path: Path, qtbot: Any) -> None:
    file = tmp_path / "really.db"
    file.write_bytes(bytes(8) + b"DUCK" + bytes(20))
    opened(session, file, qtbot)
    assert session.connection.dialect == "duckdb"


def test_ones_own_select_is_run_looked_at_and_used(
    page: DataPage, session: Session, open_shop: Callable[[], None], qtbot: Any
) -> None:
    open_shop()
    page.tabs.setCurrentWidget(page.select)
    assert page.primary.text() == "Use these rows →"
    assert not page.primary.isEnabled()
    page.select.editor.setPlainText("SELECT * FROM impressions")
    page.select.run_button.click()
    qtbot.waitUntil(page.primary.isEnabled)
    page.select.editor.appendPlainText("WHERE id > 3")
    assert not page.primary.isEnabled()
    page.select.run()
    qtbot.waitUntil(page.primary.isEnabled)
    with qtbot.waitSignal(session.navigated):
        page.primary.trigger()
    record = Path(session.services.worker_command[-1]).read_text(encoding="utf-8")
    proposed = next(json.loads(line) for line in record.splitlines() if '"propose-query"' in line)
    assert proposed["arguments"]["select"] == "SELECT * FROM impressions\nWHERE id > 3"
    assert proposed["arguments"]["base"] == {"name": "query"}


def test_a_select_that_fails_says_why_below_the_editor(
    page: DataPage, session: Session, open_shop: Callable[[], None], qtbot: Any
) -> None:
    open_shop()
    session.connection = replace(CONNECTION, database="fails")
    page.tabs.setCurrentWidget(page.select)
    page.select.editor.setPlainText("SELEKT 1")
    page.select.run()
    qtbot.waitUntil(page.select.browser.problem.isVisible)
    assert page.select.browser.problem.text() == "No.\nBecause. Yes."
    assert not page.primary.isEnabled()


def test_the_select_of_a_preparation_stands_in_the_editor_again(
    page: DataPage, session: Session, open_shop: Callable[[], None]
) -> None:
    open_shop()
    draft = shop()
    session.draft = replace(draft, query=replace(draft.query, select="SELECT 7", base=TableRef("query")))
    session.sourceChanged.emit()
    assert page.select.editor.toPlainText() == "SELECT 7"


def test_another_source_empties_the_editor(page: DataPage, session: Session, open_shop: Callable[[], None]) -> None:
    open_shop()
    page.select.editor.setPlainText("SELECT 1")
    session.set_source(replace(CONNECTION, database="other.db"), OVERVIEW)
    assert page.select.editor.toPlainText() == ""


def test_another_connection_of_the_project_is_a_click_away(
    page: DataPage, session: Session, open_shop: Callable[[], None], qtbot: Any
) -> None:
    open_shop()
    for number, spec in enumerate((CONNECTION, replace(CONNECTION, database="/other/else.db"))):
        session.project.save_connection(StoredConnection(str(number), Path(spec.database).name, spec))
    page._menu.aboutToShow.emit()
    with qtbot.waitSignal(session.navigated):
        next(action for action in page._menu.actions() if action.text() == "else.db").trigger()
    assert session.connection.database == "/other/else.db"
    assert len(session.project.connections()) == 2


def test_a_preparation_of_another_source_is_not_taken_up(
    session: Session, open_shop: Callable[[], None], qtbot: Any
) -> None:
    open_shop()
    session.start_draft(shop())
    other = replace(CONNECTION, database="/other/else.db")
    session.project.save_connection(StoredConnection("1", "else.db", other))
    folder = session.project.folder
    session.set_project(None)
    open_project(session, folder)
    qtbot.waitUntil(lambda: session.overview is not None and not session.busy)
    assert session.draft is None


def test_an_empty_table_is_called_empty_and_cannot_be_used(
    page: DataPage, session: Session, answer_with: Callable[[str, Any], None], tmp_path: Path, qtbot: Any
) -> None:
    answer_with(ReadPage.command, PageRead(PAGE.columns, (), None))
    opened(session, tmp_path / "clicks.db", qtbot)
    qtbot.waitUntil(lambda: page.browser.is_empty)
    assert page.browser.problem.isVisible()
    assert page.browser.problem.text().splitlines()[0] == "“impressions” has no rows."
    assert "It has 3 columns" in page.browser.problem.text()
    assert not page.primary.isEnabled()
    page._use()
    assert session.busy == ""
    assert session.draft is None


def test_another_table_than_the_empty_one_can_be_used(
    page: DataPage, session: Session, answer_with: Callable[[str, Any], None], tmp_path: Path, qtbot: Any
) -> None:
    answer_with(ReadPage.command, PageRead(PAGE.columns, (), None))
    opened(session, tmp_path / "clicks.db", qtbot)
    qtbot.waitUntil(lambda: page.browser.is_empty)
    page.choose(ITEMS)
    assert not page.browser.is_empty
    assert page.primary.isEnabled()

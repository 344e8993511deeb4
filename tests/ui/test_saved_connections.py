"""Saved connections: listed, opened, renamed, deleted, by mouse, menu and keyboard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import QDateTime, QLocale, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QLineEdit, QMessageBox

from core.commands import Train
from core.credentials import PassingCredentials
from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec
from crosslens.runs import StoredConnection
from ui.desktop.models.connections import Column, ConnectionsModel, Entry
from ui.desktop.opening import open_saved
from ui.desktop.pages.data import DataPage
from ui.desktop.pages.data_saved import DeleteQuestion, SavedConnections
from ui.desktop.preferences import RecentProject
from ui.desktop.services import DesktopServices
from ui.desktop.session import Session

from .pages_helpers import recipe
from .test_connect import recipe_of

USED = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SHOP = StoredConnection("c1", "shop", ConnectionSpec("postgresql", "shop", "db.example.org", 5433, "ann"), USED)
SHOP = replace(SHOP, spec=replace(SHOP.spec, credential="k1"))
STOCK = StoredConnection("c2", "stock", ConnectionSpec("mssql+pyodbc", "stock", "erp"))
FILE = StoredConnection("c3", "visits.db", ConnectionSpec("sqlite", str(Path("/data/visits.db"))))


class Keyring(PassingCredentials):
    """A keyring that lasts, in memory, and can be locked."""

    locked = False

    @property
    def is_lasting(self) -> bool:
        return True

    def forget(self, credential: str) -> None:
        if self.locked:
            raise SourceError("The system's keyring did not answer.")
        super().forget(credential)


@pytest.fixture
def keyring() -> Keyring:
    keyring = Keyring()
    keyring.save("k1", "s3cret")
    return keyring


@pytest.fixture
def session(qapp: Any, services: DesktopServices, keyring: Keyring) -> Iterator[Session]:
    session = Session(replace(services, credentials=keyring))
    yield session
    session.close()
    shiboken6.delete(session)


@pytest.fixture
def said(session: Session) -> list[Any]:
    said: list[Any] = []
    session.noticed.connect(said.append)
    return said


@pytest.fixture
def saved(session: Session, open_shop: Callable[[], None], qtbot: Any) -> SavedConnections:
    open_shop()
    for each in (SHOP, STOCK, FILE):
        session.project.save_connection(each)
    saved = SavedConnections(session)
    qtbot.addWidget(saved)
    saved.resize(760, 300)
    saved.show()
    return saved


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[DeleteQuestion]]:
    """Press a button of the question that is asked next; return the questions."""

    def press(button: str, *, password: bool = True) -> list[DeleteQuestion]:
        asked: list[DeleteQuestion] = []

        def exec_(box: DeleteQuestion) -> None:
            asked.append(box)
            if box.checkBox() is not None:
                box.checkBox().setChecked(password)
            getattr(box, button).click()

        monkeypatch.setattr(QMessageBox, "exec", exec_)
        return asked

    return press


def choose(saved: SavedConnections, name: str) -> None:
    names = [saved.model.entry(row).saved.name for row in range(saved.count)]
    saved.view.setCurrentIndex(saved.model.index(names.index(name), Column.NAME))
    saved.view.setFocus()


def names(session: Session) -> list[str]:
    return [each.name for each in session.connections.saved()]


def line(saved: SavedConnections, row: int) -> list[str]:
    return [saved.model.index(row, column).data() for column in Column]


def test_the_list_says_kind_place_last_use_and_what_keeps_from_writing(saved: SavedConnections) -> None:
    moment = QDateTime.fromSecsSinceEpoch(int(USED.timestamp()))
    used = QLocale().toString(moment, QLocale.FormatType.ShortFormat)
    assert line(saved, 0) == ["shop", "PostgreSQL", "ann@db.example.org:5433", used, "enforced"]
    assert line(saved, 1) == ["stock", "mssql+pyodbc", "erp", "", "not enforced"]
    assert line(saved, 2) == ["visits.db", "SQLite", str(Path("/data")), "", "enforced"]


def test_the_model_keeps_qts_rules(qtbot: Any) -> None:
    model = ConnectionsModel()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.show_entries((Entry(SHOP), Entry(STOCK, "/other")), editable=True)
    model.show_entries((), editable=True)


def test_f2_renames_where_one_is(saved: SavedConnections, session: Session, qtbot: Any) -> None:
    choose(saved, "stock")
    qtbot.keyClick(saved.view, Qt.Key.Key_F2)
    editor = saved.view.findChild(QLineEdit)
    editor.selectAll()
    qtbot.keyClicks(editor, "warehouse")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: sorted(names(session)) == ["shop", "visits.db", "warehouse"])


def test_an_empty_name_is_refused_and_said(saved: SavedConnections, session: Session, said: list[Any]) -> None:
    saved.model.setData(saved.model.index(0, Column.NAME), "   ")
    assert said[-1].what == "A saved connection needs a name."
    assert line(saved, 0)[0] == "shop"


def test_a_name_of_ones_own_survives_the_next_opening(saved: SavedConnections, session: Session, qtbot: Any) -> None:
    session.connections.rename(FILE, "visits of last year")
    open_saved(session, FILE.spec)
    qtbot.waitUntil(lambda: session.overview is not None and not session.busy)
    assert session.connections.saved()[0].name == "visits of last year"


def test_delete_asks_first_and_says_what_stays(
    saved: SavedConnections, session: Session, answer: Callable[..., Any], qtbot: Any
) -> None:
    asked = answer("keep_button")
    choose(saved, "shop")
    qtbot.keyClick(saved.view, Qt.Key.Key_Delete)
    assert asked[0].text() == "Delete the connection “shop”?"
    assert "stays readable" in asked[0].informativeText()
    assert asked[0].checkBox().text() == "Forget its password as well"
    assert len(names(session)) == 3


def test_deleting_takes_the_connection_and_its_password(
    saved: SavedConnections, session: Session, keyring: Keyring, answer: Callable[..., Any], qtbot: Any
) -> None:
    answer("delete_button")
    choose(saved, "shop")
    qtbot.keyClick(saved.view, Qt.Key.Key_Delete)
    assert names(session) == ["stock", "visits.db"]
    assert saved.count == 2
    assert not keyring.has("k1")


def test_a_password_may_stay_behind(
    saved: SavedConnections, session: Session, keyring: Keyring, answer: Callable[..., Any]
) -> None:
    answer("delete_button", password=False)
    choose(saved, "shop")
    saved.delete_action.trigger()
    assert names(session) == ["stock", "visits.db"]
    assert keyring.has("k1")


def test_nothing_is_deleted_while_the_keyring_stays_locked(
    saved: SavedConnections, session: Session, keyring: Keyring, said: list[Any], answer: Callable[..., Any]
) -> None:
    keyring.locked = True
    answer("delete_button")
    choose(saved, "shop")
    saved.delete_action.trigger()
    assert said[-1].what == "The system's keyring did not answer."
    assert len(names(session)) == 3


def test_a_connection_without_a_password_is_deleted_without_a_word_about_it(
    saved: SavedConnections, session: Session, answer: Callable[..., Any]
) -> None:
    asked = answer("delete_button")
    choose(saved, "stock")
    saved.delete_action.trigger()
    assert asked[0].checkBox() is None
    assert names(session) == ["shop", "visits.db"]


def test_a_password_is_forgotten_on_request(saved: SavedConnections, session: Session, said: list[Any]) -> None:
    choose(saved, "shop")
    assert not session.connections.needs_password(SHOP.spec)
    saved.forget_action.trigger()
    assert session.connections.needs_password(SHOP.spec)
    assert "is forgotten" in said[-1].what
    choose(saved, "stock")
    assert not saved.forget_action.isEnabled()


def test_return_opens_the_chosen_connection(saved: SavedConnections, session: Session, qtbot: Any) -> None:
    choose(saved, "visits.db")
    qtbot.keyClick(saved.view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: session.overview is not None and not session.busy)
    assert session.connection == FILE.spec


def test_a_right_click_chooses_the_line_and_offers_what_can_be_done(saved: SavedConnections, qtbot: Any) -> None:
    place = saved.view.visualRect(saved.model.index(1, Column.NAME)).center()
    saved.view.customContextMenuRequested.emit(place)
    assert saved.menu.isVisible()
    assert saved.chosen.saved == STOCK
    assert [action.text() for action in saved.menu.actions()] == ["Open", "Rename…", "Forget password", "Delete…"]
    saved.menu.close()


def test_servers_of_other_projects_can_be_opened_but_not_changed(
    saved: SavedConnections, session: Session, tmp_path: Path
) -> None:
    other = tmp_path / "projects" / "bank"
    other.mkdir(parents=True)
    session.preferences.remember(RecentProject(str(other), "bank", "mariadb://bob@db/bank"))
    saved.refresh()
    choose(saved, "bank")
    assert line(saved, 3) == ["bank", "MariaDB", "bob@db", "in another project", "enforced"]
    assert saved.open_action.isEnabled()
    assert not saved.rename_action.isEnabled()
    assert not saved.delete_action.isEnabled()
    assert not saved.model.flags(saved.model.index(3, Column.NAME)) & Qt.ItemFlag.ItemIsEditable


def test_the_data_page_leads_to_the_list(session: Session, open_shop: Callable[[], None], qtbot: Any) -> None:
    open_shop()
    session.project.save_connection(FILE)
    page = DataPage(session)
    qtbot.addWidget(page)
    page.show()
    page._menu.aboutToShow.emit()
    next(action for action in page._menu.actions() if action.text() == "Saved connections…").trigger()
    assert page.connecting.saved.isVisible()
    assert page.connecting.title.text() == "Connections"
    page.connect_to_server(SHOP.spec)
    assert not page.connecting.saved.isVisible()


def test_training_again_on_a_deleted_connection_asks_for_its_password(
    saved: SavedConnections, session: Session, answer: Callable[..., Any], said: list[Any]
) -> None:
    answer("delete_button")
    choose(saved, "shop")
    saved.delete_action.trigger()
    asked: list[ConnectionSpec] = []
    session.passwordWanted.connect(asked.append)
    assert session.train((), recipe=recipe_of(SHOP.spec)) is None
    assert asked == [SHOP.spec]
    assert "not kept any more" in said[-1].what


def test_training_again_uses_the_password_of_the_same_source_saved_anew(session: Session, saved: Any) -> None:
    session.connections.delete(SHOP, with_password=True)
    session.services.credentials.save("k9", "another")
    session.project.save_connection(replace(SHOP, id="c9", spec=replace(SHOP.spec, credential="k9")))
    assert session._secret_of(Train(session.project.folder, recipe_of(SHOP.spec))) == "another"


def test_a_training_on_a_file_never_asks(session: Session, saved: Any) -> None:
    request = session.train((), recipe=recipe("net"))
    assert request is not None
    request.stop()


def test_the_password_is_in_no_file_of_the_project(saved: SavedConnections, session: Session) -> None:
    session.connections.delete(SHOP, with_password=True)
    text = json.dumps([str(each) for each in session.connections.saved()])
    assert "s3cret" not in text
    assert all(b"s3cret" not in file.read_bytes() for file in session.project.folder.rglob("*") if file.is_file())

"""Connecting to a server: forms, URLs, tests, and where the password goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QAbstractButton

from core.commands import OpenSource
from core.credentials import PassingCredentials
from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec
from crosslens.runs import StoredConnection
from ui.desktop.opening import open_project, open_saved
from ui.desktop.pages.data import DataPage
from ui.desktop.pages.data_connect import OWN, PASSWORD, VARIABLE, ConnectPanel
from ui.desktop.services import DesktopServices
from ui.desktop.session import Session

from .shop import CONNECTION, OVERVIEW

SECRET = "s3cret-pa55"
URL = f"postgresql://ann:{SECRET}@db.example.org:6432/shop?sslmode=verify-full&sslrootcert=/ca.pem"


class Keyring(PassingCredentials):
    """A keyring that lasts, in memory."""

    @property
    def is_lasting(self) -> bool:
        return True

    def save(self, credential: str, secret: str) -> bool:
        super().save(credential, secret)
        return True


@pytest.fixture
def page(session: Session, qtbot: Any) -> DataPage:
    page = DataPage(session)
    qtbot.addWidget(page)
    page.resize(1100, 760)
    page.show()
    page.start.server.click()
    return page


@pytest.fixture
def panel(page: DataPage) -> ConnectPanel:
    return page.connecting


def recorded(session: Session) -> list[dict[str, Any]]:
    text = Path(session.services.worker_command[-1]).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def fill(panel: ConnectPanel, *, database: str = "shop", password: str = SECRET) -> None:
    panel.host.setText("db.example.org")
    panel.database.setText(database)
    panel.username.setText("ann")
    panel.password.setText(password)


def try_it(panel: ConnectPanel, qtbot: Any) -> str:
    panel.test_button.click()
    qtbot.waitUntil(lambda: panel._testing is None)
    return panel.answer


def test_a_pasted_url_fills_the_form_and_loses_its_password_at_once(panel: ConnectPanel) -> None:
    panel.url.setText(URL)
    assert SECRET not in panel.url.text()
    assert panel.url.isUndoAvailable() is False
    connection = panel.connection
    assert (connection.host, connection.port, connection.username) == ("db.example.org", 6432, "ann")
    assert connection.options == {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}
    assert panel._with_secret().secret == SECRET


def test_a_typed_url_is_read_when_it_is_done(panel: ConnectPanel, qtbot: Any) -> None:
    qtbot.keyClicks(panel.url, "mariadb://bob@db/shop")
    assert panel.database.text() == ""
    panel.url.editingFinished.emit()
    assert (panel.kind.currentData(), panel.database.text(), panel.port.value()) == ("mariadb", "shop", 3306)


@pytest.mark.parametrize("text", ["shop at home, please", "postgresql://ann@db:no-port/shop"])
def test_a_text_that_is_no_url_is_said_beside_the_form(panel: ConnectPanel, text: str) -> None:
    panel.url.setText(text)
    assert "dialect://" in panel.answer.lower() or "DIALECT://" in panel.answer


def test_the_usual_port_follows_the_kind_and_a_port_of_ones_own_stays(panel: ConnectPanel) -> None:
    assert panel.port.value() == 5432
    panel.kind.setCurrentIndex(panel.kind.findData("mariadb"))
    assert panel.port.value() == 3306
    panel.port.setValue(3307)
    panel.kind.setCurrentIndex(panel.kind.findData("postgresql"))
    assert panel.port.value() == 3307


def test_a_password_leaves_its_box_before_anything_is_asked(panel: ConnectPanel, session: Session, qtbot: Any) -> None:
    fill(panel)
    panel.test_button.click()
    assert panel.password.text() == ""
    assert panel.test_button.text() == "Testing… Stop"
    qtbot.waitUntil(lambda: panel._testing is None)
    line = recorded(session)[-1]
    assert line["secret"] == SECRET
    assert SECRET not in json.dumps(line["arguments"])


def test_a_test_that_works_says_how_many_tables_and_what_keeps_them_safe(panel: ConnectPanel, qtbot: Any) -> None:
    fill(panel)
    assert try_it(panel, qtbot) == "It works: 4 tables can be read.\nOpened read-only."
    assert panel._badge.text() == "read-only"
    assert session_is_untouched(panel)


def session_is_untouched(panel: ConnectPanel) -> bool:
    return panel._session.connection is None and panel._session.project is None


def test_a_database_nothing_guards_gets_another_badge(
    panel: ConnectPanel, answer_with: Callable[[str, Any], None], qtbot: Any
) -> None:
    answer_with(OpenSource.command, replace(OVERVIEW, read_only=""))
    fill(panel)
    assert "SELECT" in try_it(panel, qtbot)
    assert panel._badge.text() == "read-only not enforced"


def test_a_test_that_fails_says_what_why_and_what_to_do(panel: ConnectPanel, qtbot: Any) -> None:
    fill(panel, database="fails")
    assert try_it(panel, qtbot) == "No.\nBecause. Yes."


def test_a_test_that_takes_long_is_stopped_by_the_same_button(panel: ConnectPanel, qtbot: Any) -> None:
    fill(panel, database="slow")
    panel.test_button.click()
    panel.test_button.click()
    qtbot.waitUntil(lambda: panel._testing is None)
    assert panel.test_button.text() == "Test"


def test_an_empty_form_says_what_is_missing_and_asks_nobody(panel: ConnectPanel, session: Session) -> None:
    panel.connect_button.click()
    assert panel.answer == "Where is the database?\nFill in server and database."
    assert session.busy == ""


@pytest.mark.parametrize(
    ("way", "variable", "has_credential"), [(PASSWORD, "", True), (VARIABLE, "SHOP_PW", False), (OWN, "", False)]
)
def test_the_ways_to_sign_in(panel: ConnectPanel, way: str, variable: str, has_credential: bool) -> None:
    fill(panel)
    panel.way.setCurrentIndex(panel.way.findData(way))
    panel.variable.setText("SHOP_PW")
    connection = panel._with_secret()
    assert connection.password_variable == variable
    assert bool(connection.credential) is has_credential
    assert (connection.secret is not None) is has_credential
    assert panel.password.isVisible() is has_credential


def test_without_a_keyring_the_panel_says_how_long_the_password_is_kept(panel: ConnectPanel) -> None:
    assert panel._passing.isVisible()
    assert not panel.remember.isVisible()


def test_connecting_makes_a_project_that_knows_everything_but_the_password(
    page: DataPage, panel: ConnectPanel, session: Session, tmp_path: Path, qtbot: Any
) -> None:
    fill(panel)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    saved = session.project.connections()[0].spec
    assert (saved.dialect, saved.host, saved.secret) == ("postgresql", "db.example.org", None)
    assert session.connection.secret == SECRET
    assert page._name.text() == "shop"
    session.preferences.sync()
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.name != "record.txt":
            assert SECRET.encode() not in file.read_bytes(), file


def test_jobs_without_a_connection_get_the_password_beside_their_arguments(
    panel: ConnectPanel, session: Session, qtbot: Any
) -> None:
    fill(panel)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    assert session._secret_of(object()) == SECRET
    assert session._secret_of(OpenSource(CONNECTION)) is None


def test_another_server_never_gets_the_password_of_this_one(
    page: DataPage, panel: ConnectPanel, session: Session, qtbot: Any
) -> None:
    fill(panel)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    page.connect_to_server()
    fill(panel, password="")
    panel.host.setText("elsewhere.example.org")
    try_it(panel, qtbot)
    line = recorded(session)[-1]
    assert line["arguments"]["connection"]["host"] == "elsewhere.example.org"
    assert "secret" not in line


def test_a_password_is_forgotten_when_one_leaves_the_panel(page: DataPage, panel: ConnectPanel) -> None:
    fill(panel)
    panel._with_secret()
    panel.back_button.click()
    assert panel._secret is None
    assert page.start.isVisible()


def test_a_saved_connection_whose_password_is_gone_asks_for_it(
    page: DataPage, panel: ConnectPanel, session: Session, qtbot: Any
) -> None:
    fill(panel)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    folder = session.project.folder
    session.set_project(None)
    session.forget_secret(session.services.projects.open(folder).connections()[0].spec)
    open_project(session, folder)
    assert panel.isVisible()
    assert panel._title.text() == "Password for shop"
    assert panel.username.text() == "ann"
    panel.password.setText(SECRET)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    assert session.project.folder == folder
    assert len(session.project.connections()) == 1


def test_a_password_kept_for_the_session_is_not_asked_for_again(
    panel: ConnectPanel, session: Session, qtbot: Any
) -> None:
    fill(panel)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    saved = session.project.connections()[0].spec
    asked: list[ConnectionSpec] = []
    session.passwordWanted.connect(asked.append)
    open_saved(session, saved)
    qtbot.waitUntil(lambda: not session.busy)
    assert asked == []
    assert recorded(session)[-1]["secret"] == SECRET


class Locked(Keyring):
    """A keyring nobody unlocks."""

    def has(self, credential: str) -> bool:
        raise SourceError("The keyring did not answer.")

    def forget(self, credential: str) -> None:
        raise SourceError("The keyring did not answer.")


def test_a_locked_keyring_is_said_and_the_password_asked_for(services: DesktopServices) -> None:
    session = Session(replace(services, credentials=Locked()))
    said: list[Any] = []
    session.noticed.connect(said.append)
    connection = ConnectionSpec("postgresql", "shop", credential="c1")
    assert session.needs_password(connection)
    session.forget_secret(connection)
    assert [notice.what for notice in said] == ["The keyring did not answer."] * 2
    session.close()


def test_a_password_is_forgotten_on_request(page: DataPage, panel: ConnectPanel, session: Session, qtbot: Any) -> None:
    fill(panel)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    saved = session.project.connections()[0].spec
    assert not session.needs_password(saved)
    page.connect_to_server()
    name = "Forget the password of shop"
    button = next(each for each in panel.findChildren(QAbstractButton) if each.accessibleName() == name)
    button.click()
    assert not button.isEnabled()
    assert session.needs_password(saved)


@pytest.mark.parametrize("remember", [True, False])
def test_the_keyring_keeps_a_password_only_if_asked_to(remember: bool, services: DesktopServices, qtbot: Any) -> None:
    session = Session(replace(services, credentials=Keyring()))
    panel = ConnectPanel(session)
    qtbot.addWidget(panel)
    panel.begin()
    fill(panel)
    panel.remember.setChecked(remember)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    saved = session.project.connections()[0].spec
    assert session.services.credentials.has(saved.credential) is remember
    session.close()


def test_saved_connections_are_listed_with_their_badge(
    page: DataPage, panel: ConnectPanel, session: Session, open_shop: Callable[[], None]
) -> None:
    open_shop()
    for number, dialect in enumerate(("postgresql", "mssql+pyodbc")):
        spec = ConnectionSpec(dialect, f"db{number}", "host")
        session.project.save_connection(StoredConnection(str(number), f"db{number}", spec))
    page.connect_to_server()
    names = [button.accessibleName() for button in panel.findChildren(QAbstractButton)]
    assert {"Open saved connection db0", "Open saved connection db1"} <= set(names)
    badges = [label.text() for label in panel.findChildren(type(panel._badge)) if label.text()]
    assert badges.count("read-only") == 1
    assert badges.count("read-only not enforced") == 1


def test_every_box_of_the_form_has_a_name_for_a_screen_reader(panel: ConnectPanel) -> None:
    boxes = [panel.url, panel.kind, panel.dialect, panel.host, panel.port, panel.database, panel.username]
    boxes += [panel.way, panel.password, panel.variable, panel.ssl, *panel.files]
    assert all(box.accessibleName() for box in boxes)

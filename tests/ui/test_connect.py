"""Connecting to a server: forms, URLs, tests, and where the password goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.commands import OpenSource, Train, Tune
from core.credentials import PassingCredentials
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec
from ui.desktop.opening import open_project, open_saved
from ui.desktop.pages.data import DataPage
from ui.desktop.pages.data_connect import ConnectPanel
from ui.desktop.pages.data_connect_answer import Said
from ui.desktop.pages.data_connect_form import OTHER, OWN, PASSWORD, SHOWN, VARIABLE, Chosen, ConnectionForm
from ui.desktop.services import DesktopServices
from ui.desktop.session import Session
from ui.desktop.ssl_options import SslMode

from .pages_helpers import recipe
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
    panel.form.host.setText("db.example.org")
    panel.form.database.setText(database)
    panel.form.username.setText("ann")
    panel.form.password.setText(password)


def recipe_of(source: ConnectionSpec) -> str:
    return recipe_to_toml(replace(recipe_from_toml(recipe("net")), source=source))


def try_it(panel: ConnectPanel, qtbot: Any) -> str:
    panel.test_button.click()
    qtbot.waitUntil(lambda: not panel.testing)
    return panel.answer


def test_a_pasted_url_fills_the_form_and_loses_its_password_at_once(panel: ConnectPanel) -> None:
    panel.form.url.setText(URL)
    assert SECRET not in panel.form.url.text()
    assert panel.form.url.isUndoAvailable() is False
    connection = panel.form.connection
    assert (connection.host, connection.port, connection.username) == ("db.example.org", 6432, "ann")
    assert connection.options == {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}
    assert panel.form.complete().secret == SECRET


def test_a_typed_url_is_read_when_it_is_done(panel: ConnectPanel, qtbot: Any) -> None:
    qtbot.keyClicks(panel.form.url, "mariadb://bob@db/shop")
    assert panel.form.database.text() == ""
    panel.form.url.editingFinished.emit()
    assert (panel.form.kind.currentData(), panel.form.database.text(), panel.form.port.value()) == (
        "mariadb",
        "shop",
        3306,
    )


@pytest.mark.parametrize("text", ["shop at home, please", "postgresql://ann@db:no-port/shop"])
def test_a_text_that_is_no_url_is_said_beside_the_form(panel: ConnectPanel, text: str) -> None:
    panel.form.url.setText(text)
    assert "dialect://" in panel.answer.lower() or "DIALECT://" in panel.answer


def test_the_usual_port_follows_the_kind_and_a_port_of_ones_own_stays(panel: ConnectPanel) -> None:
    assert panel.form.port.value() == 5432
    panel.form.kind.setCurrentIndex(panel.form.kind.findData("mariadb"))
    assert panel.form.port.value() == 3306
    panel.form.port.setValue(3307)
    panel.form.kind.setCurrentIndex(panel.form.kind.findData("postgresql"))
    assert panel.form.port.value() == 3307


def test_a_password_leaves_its_box_before_anything_is_asked(panel: ConnectPanel, session: Session, qtbot: Any) -> None:
    fill(panel)
    panel.test_button.click()
    assert panel.form.password.text() == ""
    assert panel.test_button.text() == "Testing… Stop"
    qtbot.waitUntil(lambda: not panel.testing)
    line = recorded(session)[-1]
    assert line["secret"] == SECRET
    assert SECRET not in json.dumps(line["arguments"])


def test_a_test_that_works_says_how_many_tables_and_what_keeps_them_safe(panel: ConnectPanel, qtbot: Any) -> None:
    fill(panel)
    assert try_it(panel, qtbot) == "It works: 4 tables can be read.\nOpened read-only."
    assert panel.lines.badge.text() == "read-only"
    assert session_is_untouched(panel)


def session_is_untouched(panel: ConnectPanel) -> bool:
    return panel._session.connection is None and panel._session.project is None


def test_a_database_nothing_guards_gets_another_badge(
    panel: ConnectPanel, answer_with: Callable[[str, Any], None], qtbot: Any
) -> None:
    answer_with(OpenSource.command, replace(OVERVIEW, read_only=""))
    fill(panel)
    assert "SELECT" in try_it(panel, qtbot)
    assert panel.lines.badge.text() == "read-only not enforced"


def test_a_test_that_fails_says_what_why_and_what_to_do(panel: ConnectPanel, qtbot: Any) -> None:
    fill(panel, database="fails")
    assert try_it(panel, qtbot) == "No.\nBecause. Yes."


def test_a_test_that_takes_long_is_stopped_by_the_same_button(panel: ConnectPanel, qtbot: Any) -> None:
    fill(panel, database="slow")
    panel.test_button.click()
    panel.test_button.click()
    qtbot.waitUntil(lambda: not panel.testing)
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
    panel.form.way.setCurrentIndex(panel.form.way.findData(way))
    panel.form.variable.setText("SHOP_PW")
    connection = panel.form.complete()
    assert connection.password_variable == variable
    assert bool(connection.credential) is has_credential
    assert (connection.secret is not None) is has_credential
    assert panel.form.password.isVisible() is has_credential


def test_without_a_keyring_the_panel_says_how_long_the_password_is_kept(panel: ConnectPanel) -> None:
    assert panel.form.shows("passing")
    assert not panel.form.remember.isVisible()


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


@pytest.mark.parametrize("command", [Train, Tune])
def test_a_training_and_a_search_get_the_password_of_their_recipes_source_and_no_other(
    command: type[Train] | type[Tune], panel: ConnectPanel, session: Session, qtbot: Any
) -> None:
    fill(panel)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    source = session.project.connections()[0].spec
    assert session._secret_of(command(session.project.folder, recipe_of(source))) == SECRET
    elsewhere = replace(source, host="elsewhere.example.org", credential="another")
    assert session._secret_of(command(session.project.folder, recipe_of(elsewhere))) is None
    assert session._secret_of(OpenSource(CONNECTION)) is None


def test_another_server_never_gets_the_password_of_this_one(
    page: DataPage, panel: ConnectPanel, session: Session, qtbot: Any
) -> None:
    fill(panel)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    page.connect_to_server()
    fill(panel, password="")
    panel.form.host.setText("elsewhere.example.org")
    try_it(panel, qtbot)
    line = [line for line in recorded(session) if line["command"] == OpenSource.command][-1]
    assert line["arguments"]["connection"]["host"] == "elsewhere.example.org"
    assert "secret" not in line


def test_a_password_is_forgotten_when_one_leaves_the_panel(page: DataPage, panel: ConnectPanel) -> None:
    fill(panel)
    panel.form.complete()
    panel.back_button.click()
    assert panel.form.secret is None
    assert page.start.isVisible()


def test_a_saved_connection_whose_password_is_gone_asks_for_it(
    page: DataPage, panel: ConnectPanel, session: Session, qtbot: Any
) -> None:
    fill(panel)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    folder = session.project.folder
    session.set_project(None)
    session.connections.forget_secret(session.services.projects.open(folder).connections()[0].spec)
    open_project(session, folder)
    assert panel.isVisible()
    assert panel.title.text() == "Password for shop"
    assert panel.form.username.text() == "ann"
    panel.form.password.setText(SECRET)
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
    assert session.connections.needs_password(connection)
    session.connections.forget_secret(connection)
    assert [notice.what for notice in said] == ["The keyring did not answer."] * 2
    session.close()


@pytest.mark.parametrize("remember", [True, False])
def test_the_keyring_keeps_a_password_only_if_asked_to(remember: bool, services: DesktopServices, qtbot: Any) -> None:
    session = Session(replace(services, credentials=Keyring()))
    panel = ConnectPanel(session)
    qtbot.addWidget(panel)
    panel.begin()
    fill(panel)
    panel.form.remember.setChecked(remember)
    with qtbot.waitSignal(session.navigated):
        panel.connect_button.click()
    saved = session.project.connections()[0].spec
    assert session.services.credentials.has(saved.credential) is remember
    session.close()


def test_every_box_of_the_form_has_a_name_for_a_screen_reader(panel: ConnectPanel) -> None:
    form = panel.form
    boxes = [form.url, form.kind, form.dialect, form.host, form.port, form.database, form.username]
    boxes += [form.way, form.password, form.variable, form.ssl, *(line.box for line in form.files)]
    assert all(box.accessibleName() for box in boxes)


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        (Chosen("postgresql"), {"password", "passing", "ssl"}),
        (Chosen("postgresql", lasting=True), {"password", "remember", "ssl"}),
        (Chosen("mysql", VARIABLE), {"variable", "ssl"}),
        (Chosen("mariadb", OWN, SslMode.REQUIRE), {"ssl", "authority", "certificate", "key"}),
        (Chosen("postgresql", OWN, SslMode.DISABLE), {"ssl"}),
        (Chosen(OTHER, OWN, SslMode.REQUIRE), {"dialect"}),
    ],
)
def test_each_line_of_the_form_is_there_when_it_matters(chosen: Chosen, shown: set[str]) -> None:
    assert {name for name, is_shown in SHOWN.items() if is_shown(chosen)} == shown


def test_the_form_alone_gives_a_connection_or_says_what_is_missing(qtbot: Any) -> None:
    form = ConnectionForm()
    qtbot.addWidget(form)
    said: list[Said] = []
    form.said.connect(said.append)
    form.start(lasting=False)
    assert form.complete() is None
    assert said[-1].what == "Where is the database?"
    form.kind.setCurrentIndex(form.kind.findData(OTHER))
    assert form.complete() is None
    assert said[-1].what == "Which kind of database is it?"
    form.dialect.setText("mssql+pyodbc")
    form.database.setText("shop")
    form.password.setText(SECRET)
    connection = form.complete()
    assert connection is not None
    assert (connection.dialect, connection.database, connection.secret) == ("mssql+pyodbc", "shop", SECRET)
    assert form.password.text() == ""


def test_a_file_is_not_taken_for_a_server(panel: ConnectPanel) -> None:
    panel.form.url.setText("sqlite:////data/shop.db")
    assert panel.answer.startswith("This is a file.")

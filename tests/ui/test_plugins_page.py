"""The Plugins page in every state of a plugin: what its card says, what can be done, and what waits meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QPushButton

from core.commands import ChangePlugin, InstallPlugin, PluginChanged, PluginOffer
from core.files import write_json
from core.plugins import looking
from core.plugins.described import Described, DescribedModel
from core.plugins.joining import host_of
from core.plugins.library import Library
from core.plugins.looking import DescribeAnswer
from core.plugins.processes import WorkerOf
from crosslens import PluginError, Task
from tests.zoo.wheels import make_plugin, plugin_id
from ui.desktop.pages.plugins import PluginsPage
from ui.desktop.pages.plugins_questions import InstallQuestion
from ui.desktop.worker_client import Failure, RequestState

from .pages_helpers import RecordingSession, finish

KEY = plugin_id("plush")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    def describe(worker: WorkerOf, output: Path, **_: Any) -> None:
        if worker.name == "broken":
            raise PluginError("The plugin broken could not be loaded: it says no.", details="a traceback")
        model = DescribedModel(worker.name, worker.name.title(), "", Task.CTR, ())
        write_json(output, DescribeAnswer(Described((model,), seconds=0.1)))

    monkeypatch.setattr(looking, "describe_in_a_process", describe)
    monkeypatch.setattr("core.plugins.shelf.entry_points", lambda _: ())
    return Library(tmp_path / "data" / "plugins", ("python", "main.py"))


@pytest.fixture
def session(qapp: Any, tmp_path: Path, library: Library) -> Any:
    session = RecordingSession(tmp_path)
    session.services = replace(session.services, host=host_of((), library), plugins=library)
    yield session
    session.close()


@pytest.fixture
def page(session: RecordingSession, qtbot: Any) -> PluginsPage:
    page = PluginsPage(session)
    qtbot.addWidget(page)
    page.resize(800, 600)
    page.show()
    page.shown()
    return page


def words(widget: Any) -> str:
    return "\n".join(label.text().replace("\u200b", "") for label in widget.findChildren(QLabel))


def buttons(widget: Any) -> list[str]:
    return [button.text() for button in widget.findChildren(QPushButton) if not button.isHidden()]


def install(library: Library, session: RecordingSession, folder: Path, name: str = "plush", **about: Any) -> str:
    key = library.install(make_plugin(folder, name, **about)).key
    session.refresh_plugins()
    return key


def offer(**about: Any) -> PluginOffer:
    return PluginOffer(Path("plush-1.0-py3-none-any.whl"), KEY, "plush", "1.0", "ab" * 32, **about)


@pytest.mark.parametrize(
    ("state", "said", "offered"),
    [
        ("enabled", "enabled", ["Details", "Disable", "Remove"]),
        ("disabled", "disabled", ["Details", "Enable", "Remove"]),
        ("broken", "Try again once it is mended", ["Details", "Try again", "Disable", "Remove"]),
        ("changed", "was changed since it was installed", ["Details", "Use as it is now…", "Remove"]),
        ("blocked", "blocked on this computer: It steals passwords.", ["Details", "Unblock", "Remove"]),
        ("updated", "updated", ["Details", "Disable", "Remove"]),
    ],
)
def test_a_card_says_how_a_plugin_stands_and_offers_what_can_be_done(
    page: PluginsPage, session: RecordingSession, library: Library, tmp_path: Path, state: str, said: str,
    offered: list[str],
) -> None:  # fmt: skip
    key = install(library, session, tmp_path, "broken" if state == "broken" else "plush")
    if state == "disabled":
        library.disable(key)
    elif state == "changed":
        (library.folder / key / "1.0" / "site" / "plush" / "model.py").write_text("")
    elif state == "blocked":
        library.block(key, "It steals passwords.")
    elif state == "updated":
        library.install(make_plugin(tmp_path, "plush", version="1.1"))
    session.refresh_plugins()
    card = page.cards[key]
    assert said in words(card)
    assert buttons(card)[: len(offered)] == offered


def test_a_blocked_plugin_is_unblocked_and_then_disabled(
    page: PluginsPage, session: RecordingSession, library: Library, tmp_path: Path
) -> None:
    key = install(library, session, tmp_path)
    library.block("plush")
    session.refresh_plugins()
    page.cards[key].findChild(QPushButton, "unblock").click()
    assert session.last.command == ChangePlugin("unblock", key)
    library.unblock("plush")
    finish(session.last, PluginChanged("plush"))
    assert buttons(page.cards[key])[:2] == ["Details", "Enable"]


def test_what_is_blocked_and_not_installed_can_be_unblocked_too(
    page: PluginsPage, session: RecordingSession, library: Library
) -> None:
    library.block("ab" * 32, "Reads passwords.")
    session.refresh_plugins()
    card = page.blocked["ab" * 32]
    assert "Reads passwords." in words(card)
    card.unblock.click()
    assert session.last.command == ChangePlugin("unblock", "ab" * 32)
    library.unblock("ab" * 32)
    finish(session.last, PluginChanged())
    assert page.blocked == {}


def test_while_something_is_installed_it_can_be_stopped_and_nothing_else_done(
    page: PluginsPage, session: RecordingSession, library: Library, tmp_path: Path
) -> None:
    key = install(library, session, tmp_path)
    page._ask(offer(trusted=True))
    installing = session.last
    assert installing.command == InstallPlugin(Path("plush-1.0-py3-none-any.whl"), "ab" * 32)
    assert session.busy == "Installing plush"
    assert not page.primary.isEnabled()
    enabled = [button.text() for button in page.cards[key].findChildren(QPushButton) if button.isEnabled()]
    assert enabled[:1] == ["Details"] and "Remove" not in enabled
    page.look_at(tmp_path / "another.whl")
    assert session.last is installing
    session.stop_asking()
    assert installing.state is RequestState.STOPPED
    assert (session.busy, page.primary.isEnabled()) == ("", True)
    assert "Remove" in [button.text() for button in page.cards[key].findChildren(QPushButton) if button.isEnabled()]


@pytest.mark.parametrize("internal", [True, False])
def test_after_a_failure_the_page_can_be_used_again(
    page: PluginsPage, session: RecordingSession, internal: bool
) -> None:
    page._ask(offer(trusted=True))
    finish(session.last, Failure("It is damaged.", "Why.", "Fetch it again.", internal=internal), RequestState.FAILED)
    assert [notice.what for notice in session.seen if notice] == ["It is damaged."]
    assert page.primary.isEnabled()


def test_a_plugin_that_is_installed_and_cannot_be_loaded_is_said_and_shown(
    page: PluginsPage, session: RecordingSession, library: Library, tmp_path: Path
) -> None:
    page._ask(offer(trusted=True))
    row = library.install(make_plugin(tmp_path, "broken"))
    finish(session.last, PluginChanged(row.name, row.sentence))
    (notice,) = [notice for notice in session.seen if notice]
    assert (notice.what, notice.do) == (row.sentence, "Its card below tells more.")
    assert "it says no" in words(page.cards[row.key])
    assert "a traceback" in page.cards[row.key].text()


@pytest.mark.parametrize(
    ("replaces", "title", "button"),
    [("", "Install plush 1.0?", "Install"), ("plush 0.9", "Replace plush 0.9 by 1.0?", "Replace")],
)
def test_the_question_says_whether_something_is_replaced(qtbot: Any, replaces: str, title: str, button: str) -> None:
    question = InstallQuestion(offer(replaces=replaces))
    qtbot.addWidget(question)
    assert title in words(question)
    assert question.install.text() == button
    assert question.cancel.isDefault()


def test_in_safe_mode_nothing_is_offered_that_runs_code_of_a_plugin(
    session: RecordingSession, library: Library, qtbot: Any, tmp_path: Path
) -> None:
    key = install(library, session, tmp_path, "broken")
    safe = Library(library.folder, library.program, safe=True)
    session.services = replace(session.services, plugins=safe)
    page = PluginsPage(session)
    qtbot.addWidget(page)
    page.shown()
    assert buttons(page.cards[key])[:3] == ["Details", "Disable", "Remove"]
    assert page.primary.text() == ""


def test_no_word_is_so_long_that_the_page_becomes_wider_than_the_window(
    page: PluginsPage, session: RecordingSession, library: Library, tmp_path: Path
) -> None:
    install(library, session, tmp_path, changes={"name": f'"{"long-name-" * 8}x"', "summary": f'"{"w" * 300}"'})
    library.block(KEY, "/a/path" * 60)
    session.refresh_plugins()
    page.resize(760, 600)
    assert page._area.horizontalScrollBar().maximum() == 0


def test_an_empty_list_says_what_a_plugin_is(page: PluginsPage) -> None:
    assert "A plugin is a file (.whl or .crosslens-plugin)" in words(page)

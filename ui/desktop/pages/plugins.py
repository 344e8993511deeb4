"""The Plugins page: what is installed, how it stands, and the one door through which strangers' models come in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from core.commands import ChangePlugin, InspectPlugin, InstallPlugin, PluginChanged, PluginOffer
from core.plugins.archive import BUNDLE_SUFFIX
from core.plugins.joining import listed
from core.plugins.library import Library
from core.plugins.rows import Blocked, PluginRow

from ..fonts import SPACE
from ..session import Notice, Session
from ..widgets.busy_line import BusyLine
from .page import Page
from .plugins_cards import BlockedCard, PluginCard
from .plugins_models import ModelCard, ProblemCard, Words
from .plugins_questions import ChangedQuestion, InstallQuestion

_SUFFIXES = (".whl", BUNDLE_SUFFIX)


class PluginsPage(Page):
    """Lists plugins, strangers' first; installs what is chosen or dropped, after a question."""

    page_id = "plugins"
    icon_name = "plugins"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.cards: dict[str, PluginCard] = {}
        self.blocked: dict[str, BlockedCard] = {}
        self.question: QDialog | None = None
        self._inner = QWidget()
        self._area = QScrollArea()
        self._area.setAccessibleName(self.tr("Plugins"))
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QScrollArea.Shape.NoFrame)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(BusyLine(session))
        layout.addWidget(self._area)
        self._filled = False
        self._waits = False
        may_install = self._library is not None and not self._library.safe
        self.primary.setText(self.tr("Install from file…") if may_install else "")
        self.primary.setToolTip(self.tr("Install a plugin from a wheel or a bundle; it can also be dropped here"))
        self.primary.triggered.connect(self.choose_file)
        self.setAcceptDrops(may_install)
        session.pluginsChanged.connect(self._changed)

    @property
    def title(self) -> str:
        """Return the translated title."""
        return self.tr("Plugins")

    @property
    def purpose(self) -> str:
        """Return what the page is for."""
        return self.tr("Models come from plugins; the built-in ones use the same door as anyone else’s.")

    def shown(self) -> None:
        """List what there is."""
        if not self._filled:
            self._fill()

    def choose_file(self) -> None:
        """Let somebody choose a file, and look at it."""
        kinds = self.tr("Plugins ({endings})").format(endings=" ".join(f"*{suffix}" for suffix in _SUFFIXES))
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Install a plugin"), str(Path.home()), kinds)
        if path:
            self.look_at(Path(path))

    def look_at(self, path: Path) -> None:
        """Find out what a file is, then ask whether to install it."""
        if not self._waits:  # another question would take the place of the one that is being answered
            self._put(InspectPlugin(path), self._ask, self.tr("Looking at {name}").format(name=path.name))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept one plugin file."""
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile() and urls[0].toLocalFile().endswith(_SUFFIXES):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Look at what was dropped."""
        event.acceptProposedAction()
        self.look_at(Path(event.mimeData().urls()[0].toLocalFile()))

    @property
    def _library(self) -> Library | None:
        return self.session.services.plugins

    def _ask(self, offer: PluginOffer) -> None:
        if offer.trusted:  # this very file was agreed to before
            self._install(offer)
            return
        question = InstallQuestion(offer, self)
        question.accepted.connect(lambda: self._install(offer))
        self._open(question)

    def _open(self, question: QDialog) -> None:
        """Show a question, which is gone once it is answered."""
        self.question = question
        question.finished.connect(lambda _: setattr(self, "question", None))
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.open()

    def _install(self, offer: PluginOffer) -> None:
        words = self.tr("Installing {name}").format(name=offer.name)
        self._put(InstallPlugin(offer.path, offer.sha256), self._done, words)

    def _put(self, command: Any, then: Callable[[Any], None], busy: str) -> None:
        """Put a question to the worker; until it is answered or stopped nothing else can be done here."""

        def go_on(answer: Any) -> None:
            self._wait(False)
            then(answer)

        self._wait(True)
        self.session.ask("plugin", command, go_on, busy=busy, otherwise=self._given_up)

    def _wait(self, waits: bool) -> None:
        self._waits = waits
        self.primary.setEnabled(not waits)
        for card in (*self.cards.values(), *self.blocked.values()):
            card.set_waiting(waits)

    def _given_up(self) -> None:
        """Show how things stand after a Stop or a failure."""
        self._wait(False)
        self.session.refresh_plugins()

    def _do(self, what: str, row: PluginRow) -> None:
        if what == "accept":
            question = ChangedQuestion(row, self)
            question.use_button.clicked.connect(lambda: self._do("enable", row))
            self._open(question)
            return
        words = {
            "enable": self.tr("Looking into {name}"),
            "disable": self.tr("Disabling {name}"),
            "remove": self.tr("Removing {name}"),
            "unblock": self.tr("Unblocking {name}"),
        }[what].format(name=row.name)
        self._put(ChangePlugin(what, row.key), self._done, words)

    def _unblock(self, blocked: Blocked) -> None:
        self._put(ChangePlugin("unblock", blocked.what), self._done, self.tr("Unblocking"))

    def _done(self, answer: PluginChanged) -> None:
        self.session.refresh_plugins()
        if answer.problem:
            self.session.notify(Notice(answer.problem, do=self.tr("Its card below tells more."), tone="bad"))
        card = next((card for card in self.cards.values() if card.row.name == answer.name), None)
        if card is not None:
            # Its place is known once the page has been laid out.
            QTimer.singleShot(0, card, lambda: self._area.ensureWidgetVisible(card))

    def _changed(self) -> None:
        self._filled = False
        if self.isVisible():
            self._fill()

    def _fill(self) -> None:
        """Make all cards anew; there are few, and what they say changes together."""
        self._filled = True
        self.cards, self.blocked = {}, {}
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(3 * SPACE, 0, 3 * SPACE, 3 * SPACE)
        column.setSpacing(2 * SPACE)
        for card in self._make_cards():
            column.addWidget(card)
        column.addStretch(1)
        self._wait(self._waits)
        at = self._area.verticalScrollBar().value()
        self._area.setWidget(inner)
        self._area.verticalScrollBar().setValue(at)

    def _make_cards(self) -> list[QWidget]:
        session, library = self.session, self._library
        host = session.services.host
        if library is None:
            return [*map(ProblemCard, host.problems()), *map(ModelCard, session.models)]
        models = [ModelCard(model) for model in session.models if not host.worker_of(model.id)]
        rows = listed(library, host)
        strangers = [row for row in rows if row.standing != "built-in"]
        for row in strangers:
            card = self.cards[row.key] = PluginCard(row, safe=library.safe)
            card.wanted.connect(lambda what, row=row: self._do(what, row))
        for entry in library.blocked():
            if not entry.name:
                blocked = self.blocked[entry.what] = BlockedCard(entry)
                blocked.wanted.connect(lambda entry=entry: self._unblock(entry))
        words = self._make_words(library, bool(strangers))
        return [*words, *self.cards.values(), *self.blocked.values(), *models]

    def _make_words(self, library: Library, any_there: bool) -> list[QWidget]:
        """Return what stands above the cards: the safe mode, or that nothing is installed yet."""
        if library.safe:
            return [
                Words(self.tr("Safe mode: plugins that are not built in are left out. Start without it to use them."))
            ]
        if any_there:
            return []
        words = self.tr(
            "Nothing is installed yet. A plugin is a file (.whl or .crosslens-plugin): install it, or drop it here."
        )
        return [Words(words)]

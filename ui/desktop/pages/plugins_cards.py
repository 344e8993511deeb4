"""What the Plugins page shows: a card for each plugin, its state as a chip, and what can be done with it."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from core.plugins.rows import Blocked, PluginRow, Standing

from ..fonts import SPACE
from ..widgets.buttons import Button, Weight
from ..widgets.cards import Card
from ..widgets.labels import Badge, Muted, Title

_TONES = {
    Standing.BUILT_IN: ("note", ""),
    Standing.ENABLED: ("good", "good"),
    Standing.DISABLED: ("note", ""),
    Standing.LEFT_OUT: ("note", ""),
    Standing.NEW: ("note", ""),
    Standing.BROKEN: ("bad", "bad"),
    Standing.CHANGED: ("warn", "warn"),
    Standing.BLOCKED: ("bad", "lock"),
}


_SHA256_LETTERS = 64
_LONG_NAME = 30
"""Letters from which on a name gets several lines, so that there is room for the buttons beside it."""
_LONG_WORD = re.compile(r"\w*[/\\_.:-](?=\w)|\w{30}(?=\w)")


class PluginCard(Card):
    """One plugin: what it is, how it stands, what is wrong; `wanted` carries what somebody asks to be done with it.

    In safe mode (`safe`) nothing is offered that would run its code.
    """

    wanted = Signal(str)

    def __init__(self, row: PluginRow, parent: QWidget | None = None, *, safe: bool = False) -> None:
        super().__init__(parent=parent)
        self.row = row
        self._safe = safe
        self._actions: list[Button] = []
        self.setAccessibleName(row.name)
        self.badge = Badge()
        tone, icon = _TONES[row.standing]
        self.badge.show_as(self._standing(row.standing), tone=tone, icon_name=icon)
        self.sentence = self._words(row.sentence)
        self.about = self._words(row.summary)
        self.body.addLayout(self._make_head())
        self.body.addWidget(self.sentence)
        if advice := self._advice(row.standing):
            self.body.addWidget(Muted(advice))
        self.body.addWidget(self.about)
        models = ", ".join(model.title for model in row.models)
        if models:
            self.body.addWidget(Muted(self.tr("Brings: {models}").format(models=breakable(models))))
        self.details = self._make_details()
        self.details.hide()
        self.body.addWidget(self.details)

    def _make_head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        head.setSpacing(SPACE)
        is_long = len(self.row.name) > _LONG_NAME
        name = Title(breakable(self.row.name), level=2)
        name.setWordWrap(is_long)
        head.addWidget(name, int(is_long))
        if self.row.version:
            head.addWidget(Muted(self.row.version, wrap=False))
        head.addWidget(self.badge)
        if self.row.former:
            update = Badge(self.tr("updated"), tone="note")
            update.setToolTip(
                self.tr("Version {version} is removed at the next start.").format(version=self.row.former)
            )
            head.addWidget(update)
        head.addStretch(int(not is_long))
        for button in self._make_buttons():
            head.addWidget(button)
        return head

    def _make_buttons(self) -> list[Button]:
        row = self.row
        self.show_details = Button(self.tr("Details"), weight=Weight.QUIET)
        self.show_details.setCheckable(True)
        self.show_details.toggled.connect(lambda shown: self.details.setVisible(shown))
        self.show_details.setAccessibleName(self.tr("Details about {name}").format(name=row.name))
        buttons = [self.show_details]
        if row.origin == "built-in" or row.source == row.key == "":
            return buttons
        if row.standing in (Standing.ENABLED, Standing.LEFT_OUT):
            buttons.append(self._action(self.tr("Disable"), "disable"))
        elif row.standing is Standing.CHANGED and not self._safe:
            buttons.append(self._action(self.tr("Use as it is now…"), "accept"))
        elif row.standing is Standing.BLOCKED:
            buttons.append(self._action(self.tr("Unblock"), "unblock"))
        elif not self._safe:
            text = self.tr("Try again") if row.standing is Standing.BROKEN else self.tr("Enable")
            buttons.append(self._action(text, "enable"))
        if row.standing is Standing.BROKEN:
            buttons.append(self._action(self.tr("Disable"), "disable"))
        if row.origin == "file":
            buttons.append(self._action(self.tr("Remove"), "remove"))
        return buttons

    def _action(self, text: str, what: str) -> Button:
        button = Button(text, weight=Weight.QUIET)
        button.setObjectName(what)
        button.setAccessibleName(self.tr("{what}: {name}").format(what=text, name=self.row.name))
        button.clicked.connect(lambda: self.wanted.emit(what))
        self._actions.append(button)
        return button

    def set_waiting(self, waiting: bool) -> None:
        """Let nothing be done with the plugin while something is."""
        for button in self._actions:
            button.setEnabled(not waiting)

    def _make_details(self) -> QWidget:
        panel = QWidget()
        layout = QVBoxLayout(panel)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.setSpacing(SPACE)
        layout.addLayout(facts_grid(self.facts()))
        if self.row.details:
            text = QPlainTextEdit(self.row.details, readOnly=True)
            text.setAccessibleName(self.tr("Log of {name}").format(name=self.row.name))
            text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
            text.setFixedHeight(160)
            layout.addWidget(text)
        copy = Button(self.tr("Copy details"), weight=Weight.QUIET, icon_name="copy")
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text()))
        layout.addWidget(copy, 0, Qt.AlignmentFlag.AlignLeft)
        return panel

    def facts(self) -> list[tuple[str, str]]:
        """Return what is known of the plugin, name and value."""
        row = self.row
        origins = {
            "built-in": self.tr("comes with Crosslens"),
            "file": self.tr("installed from {file}").format(file=row.source),
            "python": self.tr("installed into the Python of this app ({package})").format(package=row.source),
        }
        facts = [
            (self.tr("Origin"), origins[row.origin]),
            (self.tr("Id"), row.key),
            (self.tr("Author"), ", ".join(row.authors)),
            (self.tr("Licence"), row.licence),
            (self.tr("Models"), ", ".join(f"{model.id} ({model.kind})" for model in row.models)),
            (self.tr("Shares with the app"), ", ".join(row.shared)),
            (self.tr("Has for itself"), ", ".join(row.private)),
            (self.tr("Says it uses"), ", ".join(row.capabilities)),
            (self.tr("Import"), "" if row.seconds is None else self.tr("{s} s").format(s=f"{row.seconds:.2f}")),
            (self.tr("Installed"), row.installed),
            (self.tr("SHA-256"), row.sha256),
        ]
        return [(name, value) for name, value in facts if value]

    def text(self) -> str:
        """Return everything about the plugin as text, for a report to its author."""
        head = f"{self.row.name} {self.row.version} ({self.row.standing})"
        lines = [head, self.row.sentence, *(f"{name}: {value}" for name, value in self.facts()), self.row.details]
        return "\n".join(line for line in lines if line)

    def _words(self, text: str) -> QLabel:
        label = QLabel(breakable(text))
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setVisible(bool(text))
        return label

    def _advice(self, standing: Standing) -> str:
        """Return what to do about a plugin that is not in use, where its sentence does not say it."""
        return {
            Standing.BROKEN: self.tr(
                "Its author needs what Details says. Try again once it is mended, or install another version."
            ),
            Standing.CHANGED: self.tr("If you did not change it yourself, remove it and install it again."),
            Standing.BLOCKED: self.tr("It cannot be used or installed. Once unblocked it can be enabled again."),
            Standing.NEW: self.tr("It was installed into the Python of this app. Enable looks into it."),
        }.get(standing, "")

    def _standing(self, standing: Standing) -> str:
        return {
            Standing.BUILT_IN: self.tr("built-in"),
            Standing.ENABLED: self.tr("enabled"),
            Standing.DISABLED: self.tr("disabled"),
            Standing.LEFT_OUT: self.tr("left out"),
            Standing.NEW: self.tr("new"),
            Standing.BROKEN: self.tr("not loaded"),
            Standing.CHANGED: self.tr("changed"),
            Standing.BLOCKED: self.tr("blocked"),
        }[standing]


class BlockedCard(Card):
    """A plugin or file that is blocked and not installed; `wanted` when somebody asks to unblock it."""

    wanted = Signal()

    def __init__(self, blocked: Blocked, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setAccessibleName(blocked.what)
        badge = Badge()
        tone, icon = _TONES[Standing.BLOCKED]
        badge.show_as(self.tr("blocked"), tone=tone, icon_name=icon)
        self.unblock = Button(self.tr("Unblock"), weight=Weight.QUIET)
        self.unblock.setObjectName("unblock")
        self.unblock.setAccessibleName(self.tr("{what}: {name}").format(what=self.unblock.text(), name=blocked.what))
        self.unblock.clicked.connect(self.wanted)
        head = QHBoxLayout()
        head.setSpacing(SPACE)
        head.addWidget(Title(self.tr("Not installed"), level=2))
        head.addWidget(badge)
        head.addStretch(1)
        head.addWidget(self.unblock)
        self.body.addLayout(head)
        kind = self.tr("SHA-256") if len(blocked.what) == _SHA256_LETTERS else self.tr("Id")
        facts = [(kind, blocked.what), (self.tr("Reason"), breakable(blocked.reason) or self.tr("not said"))]
        self.body.addLayout(facts_grid(facts))

    def set_waiting(self, waiting: bool) -> None:
        """Let nothing be done with it while something else is."""
        self.unblock.setEnabled(not waiting)


def breakable(text: str) -> str:
    """Return a text whose long words (paths, ids) may be broken: a label is never narrower than its longest word."""
    return _LONG_WORD.sub("\\g<0>\u200b", text)


def facts_grid(facts: list[tuple[str, str]]) -> QGridLayout:
    """Return names and values as two columns; values wrap and can be selected."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(2 * SPACE)
    grid.setVerticalSpacing(4)
    grid.setColumnStretch(1, 1)
    for line, (name, value) in enumerate(facts):
        shown = QLabel(value)
        shown.setTextFormat(Qt.TextFormat.PlainText)
        shown.setWordWrap(True)
        shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        grid.addWidget(Muted(name, wrap=False), line, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(shown, line, 1)
    return grid

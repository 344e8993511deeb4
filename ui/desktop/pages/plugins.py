"""The Plugins page: the models at hand, and what could not be loaded."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QScrollArea, QVBoxLayout, QWidget

from core.ports import PluginProblem
from crosslens.explanations import ExplanationKind
from crosslens.models import ModelSpec, Task

from ..fonts import SPACE
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.cards import Card
from ..widgets.labels import Badge, Muted, Title
from .page import Page


class PluginsPage(Page):
    """Lists what the plugin host found."""

    page_id = "plugins"
    icon_name = "plugins"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._cards = QVBoxLayout()
        self._cards.setSpacing(2 * SPACE)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(3 * SPACE, 0, 3 * SPACE, 3 * SPACE)
        column.addLayout(self._cards)
        column.addStretch(1)
        area = QScrollArea()
        area.setAccessibleName(self.tr("Plugins"))
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(inner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
        self._filled = False

    @property
    def title(self) -> str:
        """Return the translated title."""
        return self.tr("Plugins")

    @property
    def purpose(self) -> str:
        """Return what the page is for."""
        return self.tr("Models come from plugins; the built-in ones use the same door as anyone else’s.")

    def shown(self) -> None:
        """List models and problems; they do not change while the window is open."""
        if self._filled:
            return
        self._filled = True
        for problem in self.session.services.host.problems():
            self._cards.addWidget(ProblemCard(problem))
        for model in self.session.models:
            self._cards.addWidget(ModelCard(model))


class ModelCard(Card):
    """One model: what it is, what it can explain, where it comes from."""

    def __init__(self, model: ModelSpec, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        head = QHBoxLayout()
        head.setSpacing(SPACE)
        head.addWidget(Title(model.title, level=2))
        head.addWidget(Badge(self._task(model.task)))
        head.addStretch(1)
        about = self.tr("{id}  ·  version {version}").format(id=model.id, version=model.version)
        head.addWidget(Muted(about, wrap=False))
        self.body.addLayout(head)
        summary = QLabel(model.summary)
        summary.setTextFormat(Qt.TextFormat.PlainText)
        summary.setWordWrap(True)
        self.body.addWidget(summary)
        if model.explains:
            words = ", ".join(self._explains(kind) for kind in ExplanationKind if kind in model.explains)
            self.body.addWidget(Muted(self.tr("Explains: {what}").format(what=words)))
        if model.paper:
            self.body.addWidget(Muted(self.tr("Paper: {paper}").format(paper=model.paper)))

    def _task(self, task: Task) -> str:
        return {
            Task.CTR: self.tr("click prediction"),
            Task.FUNNEL: self.tr("clicks and conversions"),
            Task.NEXT_ITEM: self.tr("next item"),
        }[task]

    def _explains(self, kind: ExplanationKind) -> str:
        return {
            ExplanationKind.CONTRIBUTIONS: self.tr("each prediction field by field"),
            ExplanationKind.FIELD_IMPORTANCE: self.tr("importance of fields"),
            ExplanationKind.INTERACTION_TERMS: self.tr("which fields act together"),
            ExplanationKind.PAIR_INTERACTIONS: self.tr("strength of every pair"),
        }[kind]


class ProblemCard(Card):
    """A plugin that could not be loaded: one sentence, the traceback on request."""

    def __init__(self, problem: PluginProblem, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._details = QPlainTextEdit(problem.details, readOnly=True)
        self._details.setAccessibleName(self.tr("Details about {name}").format(name=problem.name))
        self._details.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._details.setFixedHeight(180)
        self._details.hide()
        show = Button(self.tr("Details"), weight=Weight.QUIET)
        show.setCheckable(True)
        show.toggled.connect(self._details.setVisible)
        show.setVisible(bool(problem.details))
        head = QHBoxLayout()
        head.addWidget(Title(problem.name, level=2))
        head.addWidget(Badge(self.tr("not loaded"), tone="bad", icon_name="bad"))
        head.addStretch(1)
        head.addWidget(show)
        message = QLabel(problem.message)
        message.setTextFormat(Qt.TextFormat.PlainText)
        message.setWordWrap(True)
        self.body.addLayout(head)
        self.body.addWidget(message)
        self.body.addWidget(self._details)

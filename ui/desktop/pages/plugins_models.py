"""What else the Plugins page shows: models that come with the app, sentences, and what could not be loaded."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QWidget

from core.ports import PluginProblem
from crosslens.explanations import ExplanationKind
from crosslens.models import ModelSpec, Task

from ..fonts import SPACE
from ..widgets.buttons import Button, Weight
from ..widgets.cards import Card
from ..widgets.labels import Badge, Muted, Title


class Words(Card):
    """A sentence on a card."""

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.body.addWidget(Muted(words))


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

"""The models to choose from, as cards; the one that is looked at unfolds its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QRectF, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from core.recipe import ModelChoice
from crosslens.errors import ParameterError
from crosslens.explanations import ExplanationKind
from crosslens.models import ModelSpec, Task
from crosslens.schema import FieldRole

from ..fonts import SPACE, enlarge
from ..forms import Choices, ParameterForm
from ..palette import colours, mix
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Muted, Title
from ..wording import role_words
from .train_tuning import can_be_searched

_INTERACTIONS = {ExplanationKind.INTERACTION_TERMS, ExplanationKind.PAIR_INTERACTIONS}
_AT_FIRST = 2


def explains_words(kinds: frozenset[ExplanationKind]) -> str:
    """Return what a model can say about itself, as a phrase."""
    words = {
        ExplanationKind.CONTRIBUTIONS: _tr("each prediction field by field"),
        ExplanationKind.FIELD_IMPORTANCE: _tr("which fields matter"),
        ExplanationKind.INTERACTION_TERMS: _tr("which fields it combines"),
        ExplanationKind.PAIR_INTERACTIONS: _tr("how strongly pairs interact"),
    }
    return ", ".join(words[kind] for kind in ExplanationKind if kind in kinds)


def default_choice(models: Sequence[ModelSpec]) -> tuple[str, ...]:
    """Return the models chosen at first: the first two that show interactions and are not variants of each other."""
    chosen: list[str] = []
    for model in models:
        is_variant = any(model.id.startswith(name) for name in chosen)
        if model.explains & _INTERACTIONS and not is_variant and len(chosen) < _AT_FIRST:
            chosen.append(model.id)
    ranking = tuple(model.id for model in models if model.task is Task.NEXT_ITEM)
    return tuple(chosen) or ranking[:1] or tuple(model.id for model in models[:1])


class ModelCard(QWidget):
    """One model: chosen by its check box, looked at by a click anywhere on the card."""

    chosenChanged = Signal()
    looked = Signal()
    searchWanted = Signal()

    def __init__(self, spec: ModelSpec, parent: QWidget | None = None, choices: Choices | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self.form = ParameterForm(spec.parameters, self, choices)
        self.form.hide()
        self._is_looked_at = False
        self.obstacle = ""
        self.check = QCheckBox(spec.title, self)
        enlarge(self.check, 1.0, bold=True)
        self.check.setAccessibleName(self.tr("Train {model}").format(model=spec.title))
        self.check.setAccessibleDescription(spec.summary)
        self._explains = Muted(self.tr("Explains {what}").format(what=explains_words(spec.explains)), self)
        self._facts, self._estimate = Muted(parent=self), Muted(parent=self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * SPACE, SPACE + 4, 2 * SPACE, SPACE + 4)
        layout.setSpacing(4)
        for widget in (self.check, Muted(spec.summary, self), self._explains, self._facts, self._estimate):
            layout.addWidget(widget)
        layout.addLayout(self._build_search())
        layout.addWidget(self.form)
        self._explains.setVisible(bool(spec.explains))
        self._facts.hide()
        self._estimate.hide()
        self.check.toggled.connect(self._toggled)
        self.check.installEventFilter(self)

    @property
    def is_chosen(self) -> bool:
        """Whether the model is to be trained."""
        return self.check.isChecked() and self.check.isEnabled()

    def set_looked_at(self, looked_at: bool) -> None:
        """Unfold the parameters, or fold them up."""
        self._is_looked_at = looked_at
        self.form.setVisible(looked_at)
        self.search.setVisible(looked_at and can_be_searched(self.spec))
        self.update()

    def show_facts(self, missing: Sequence[FieldRole], last: str, *, needs_time: bool = False) -> None:
        """Say what the preparation lacks for this model, or how long its last training took."""
        self.obstacle = ""
        if missing:
            roles = ", ".join(role_words(role) for role in missing)
            self.obstacle = self.tr("Needs a column with the role {roles}.").format(roles=roles)
        elif needs_time:
            self.obstacle = self.tr("Needs a column that says when a row happened.")
        words = self.obstacle or last
        self.check.setEnabled(not self.obstacle)
        self._facts.setText(words)
        self._facts.setVisible(bool(words))

    def show_estimate(self, words: str) -> None:
        """Say what a training would take, or why it would be refused."""
        self._estimate.setText(words)
        self._estimate.setVisible(bool(words))

    def show_search(self, obstacle: str) -> None:
        """Let parameters be searched, or say why they cannot be."""
        self.search.setEnabled(not obstacle)
        words = obstacle or self.tr("Let the validation rows find better values, within a budget")
        self.search.setToolTip(words)
        self.search.setAccessibleDescription(words)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at the card when the keyboard comes to its check box."""
        if event.type() == QEvent.Type.FocusIn:
            self.looked.emit()
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Look at the card."""
        self.looked.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the card's ground; the one looked at has an accent line."""
        tones = colours(self.palette())
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(tones.accent if self._is_looked_at else tones.line, 1.5 if self._is_looked_at else 1))
            painter.setBrush(mix(tones.base, tones.accent_soft, 0.5) if self.is_chosen else tones.base)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 8, 8)

    def _build_search(self) -> QHBoxLayout:
        self.search = Button(self.tr("Search parameters…"), self, weight=Weight.QUIET, icon_name="search")
        self.search.setAccessibleName(self.tr("Search parameters of {model}").format(model=self.spec.title))
        self.search.clicked.connect(self.searchWanted)
        self.search.hide()
        row = QHBoxLayout()
        row.addWidget(self.search)
        row.addStretch()
        return row

    def _toggled(self) -> None:
        self.update()
        self.looked.emit()
        self.chosenChanged.emit()


class ModelChooser(QWidget):
    """The cards below each other. `changed` comes when another set of models is chosen or a parameter changes.

    `searchWanted` carries the id of the model whose parameters are to be searched.
    """

    changed = Signal()
    searchWanted = Signal(str)

    def __init__(
        self, models: Sequence[ModelSpec], choices: Choices | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        ordered = sorted(models, key=lambda model: model.task is Task.NEXT_ITEM)
        self.cards = {model.id: ModelCard(model, self, choices) for model in ordered}
        self._next_items: Title | None = None
        self.forms = {name: card.form for name, card in self.cards.items()}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        for name, card in self.cards.items():
            if card.spec.task is Task.NEXT_ITEM and self._next_items is None:
                self._next_items = Title(self.tr("Models of the next item"), level=3)
                layout.addWidget(self._next_items)
            layout.addWidget(card)
            card.looked.connect(lambda name=name: self.look_at(name))
            card.chosenChanged.connect(self.changed)
            card.searchWanted.connect(lambda name=name: self.searchWanted.emit(name))
        layout.addStretch(1)
        for form in self.forms.values():
            form.changed.connect(self.changed)

    def add_to_next_items(self, widget: QWidget) -> None:
        """Put what holds for all models of the next item above them; at the end where there are none."""
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        last = layout.count() - 1  # what stretches stands at the end
        layout.insertWidget(last if self._next_items is None else layout.indexOf(self._next_items) + 1, widget)

    def look_at(self, model_id: str) -> None:
        """Look at one model: its parameters unfold."""
        for name, card in self.cards.items():
            card.set_looked_at(name == model_id)

    def chosen(self) -> tuple[str, ...]:
        """Return the ids of the chosen models, in the order of the cards."""
        return tuple(name for name, card in self.cards.items() if card.is_chosen)

    def choose(self, models: Sequence[str]) -> None:
        """Choose exactly these models."""
        for name, card in self.cards.items():
            card.check.setChecked(name in models)

    def problem(self) -> str:
        """Return what is wrong with the form of a chosen model, or an empty string."""
        for name in self.chosen():
            if problem := self.forms[name].problem():
                return f"{self.cards[name].spec.title}: {problem}"
        return ""

    def choices(self) -> tuple[ModelChoice, ...]:
        """Return the chosen models with their parameters; ParameterError if an entry is wrong."""
        return tuple(ModelChoice(name, self.forms[name].values()) for name in self.chosen())

    def choice(self, model_id: str) -> ModelChoice | None:
        """Return a model with its parameters; None while an entry is wrong."""
        form = self.forms[model_id]
        return None if form.problem() else ModelChoice(model_id, form.values())

    def state(self) -> dict[str, Any]:
        """Return choice and parameters, to be remembered; wrong entries are left out."""
        right = {name: form for name, form in self.forms.items() if not form.problem()}
        return {"chosen": list(self.chosen()), "parameters": {name: form.values() for name, form in right.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Show what was remembered; parameters a newer plugin no longer takes keep their default."""
        for name, values in state.get("parameters", {}).items():
            if name in self.forms:
                _set_known(self.forms[name], values)
        self.choose(state.get("chosen", ()))


def _set_known(form: ParameterForm, values: Mapping[str, Any]) -> None:
    try:
        form.set_values({name: value for name, value in values.items() if form.has(name)})
    except ParameterError:  # remembered from another version with other limits: the defaults are safe
        form.reset()


def _tr(text: str) -> str:
    return QCoreApplication.translate("TrainPage", text)

"""Why a run predicts what it predicts: fields, interactions and their evidence, and what the model itself publishes."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QTimer
from PySide6.QtWidgets import QApplication, QButtonGroup, QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from core import present
from core.commands import MakeValueTable, ValueTableMade
from core.evidence import InteractionEvidence
from crosslens.runs import RunRecord

from ..charts import PictureView, numbers
from ..fonts import SPACE
from ..session import Session
from ..widgets.buttons import Button
from ..widgets.cards import EmptyState
from ..widgets.labels import Muted, Title
from .results_loading import RunContent
from .results_parts import Pictures, Scrolling


class WhyTab(QWidget):
    """Two views: what held-out rows support, and what the model's own paper publishes."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._run: RunRecord | None = None
        self._evidence: InteractionEvidence | None = None
        self._output = ""
        self._pair: tuple[str, str] | None = None
        self._words = QLabel(wordWrap=True)
        self._proved, self._values, self._published = Pictures(session), Pictures(session), Pictures(session)
        self._values_title = Title(level=2)
        self._values_words = Muted()
        self._stack = QStackedWidget()
        self._stack.addWidget(Scrolling(self._lay_out_proved(), self.tr("Supported by held-out rows")))
        self._stack.addWidget(Scrolling(self._lay_out_published(), self.tr("As the model publishes it")))
        self._nothing = EmptyState(
            "results", self.tr("Nothing explained"), self.tr("This run ended before it was explained.")
        )
        for widget in (self._nothing, self._hint, self._no_figures):
            widget.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.addLayout(self._make_switch())
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._nothing, 1)

    def show_run(self, run: RunRecord, content: RunContent) -> None:
        """Show a run."""
        self._run, self._evidence, self._output = run, content.evidence, content.output
        explained = content.evidence is not None or content.terms is not None or content.importance is not None
        self._stack.setVisible(explained)
        self._nothing.setVisible(not explained)
        self._words.setText(_summary(self, content))
        self._show_proved(content)
        self._show_published(content)
        self._forget_pair()

    def open_pair(self, first: str, second: str) -> None:
        """Cross two fields value by value; the worker does it, the pictures appear below."""
        if self._run is None or self._session.project is None:
            return
        run, output, self._pair = self._run.id, self._output, (first, second)
        self._values_title.setText(f"{first} × {second}")
        self._values_words.setText(self.tr("Crossing the values of both fields on the test rows…"))
        self._values_title.show()
        self._values_words.show()
        self._session.ask(
            "value-table",
            MakeValueTable(self._session.project.folder, run, first, second, self._output),
            lambda made: self._show_values((run, output), made),
            busy=self.tr("Crossing {first} with {second}…").format(first=first, second=second),
            otherwise=self._forget_pair,
        )

    def _make_switch(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(SPACE)
        self._group = QButtonGroup(self)
        for number, words in enumerate((self.tr("Supported by held-out rows"), self.tr("As the model publishes it"))):
            button = Button(words)
            button.setCheckable(True)
            button.setChecked(number == 0)
            self._group.addButton(button, number)
            line.addWidget(button)
        line.addStretch(1)
        self._group.idToggled.connect(lambda number, on: self._stack.setCurrentIndex(number) if on else None)
        return line

    def _lay_out_proved(self) -> QWidget:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, SPACE, SPACE, 2 * SPACE)
        column.setSpacing(2 * SPACE)
        self._hint = Muted(self.tr("Choose a cell, an edge or a row of the table to see the pair value by value."))
        for widget in (self._words, self._proved, self._hint, self._values_title, self._values_words, self._values):
            column.addWidget(widget)
        column.addStretch(1)
        return inner

    def _lay_out_published(self) -> QWidget:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, SPACE, SPACE, 2 * SPACE)
        column.setSpacing(2 * SPACE)
        self._of_figures = Muted(
            self.tr(
                "These figures come from inside the model. They say how it works, not that an interaction is real: "
                "for that, see what held-out rows support."
            )
        )
        self._no_figures = Muted(
            self.tr(
                "This model publishes no figures about itself. What held-out rows support is measured from outside, "
                "for every model alike."
            )
        )
        column.addWidget(self._of_figures)
        column.addWidget(self._no_figures)
        column.addWidget(self._published)
        column.addStretch(1)
        return inner

    def _show_proved(self, content: RunContent) -> None:
        evidence, show = content.evidence, self._proved.show_picture
        show("effects", present.field_bars(content.effects) if content.effects else None)
        heat = show("heat", present.interaction_heat_map(evidence) if evidence else None)
        table = show("evidence", present.evidence_table(evidence) if evidence else None)
        graph = show("graph", present.interaction_graph(evidence, content.effects) if evidence else None)
        show("faithfulness", present.faithfulness_chart(content.faithfulness) if content.faithfulness else None)
        for view in (heat, graph):
            if view is not None:
                view.pairChosen.connect(self.open_pair)
        if table is not None:
            table.itemChosen.connect(self._open_row)
        self._hint.setVisible(evidence is not None)

    def _show_published(self, content: RunContent) -> None:
        show = self._published.show_picture
        show("terms", present.terms_table(content.terms) if content.terms else None)
        show("importance", present.importance_bars(content.importance) if content.importance else None)
        show("pairs", present.pair_heat_map(content.pairs) if content.pairs else None)
        publishes = bool(content.terms or content.importance or content.pairs)
        self._of_figures.setVisible(publishes)
        self._no_figures.setVisible(not publishes)

    def _open_row(self, row: int) -> None:
        if self._evidence is not None and row < len(self._evidence.pairs):
            self.open_pair(*self._evidence.pairs[row].fields)

    def _show_values(self, about: tuple[str, str], made: ValueTableMade) -> None:
        if self._run is None or (self._run.id, self._output) != about:
            return
        self._values_words.setText(self.tr("Point at a cell to see on how many rows it rests."))
        for name, picture in (("effect", made.effect), ("observed", made.observed), ("predicted", made.predicted)):
            self._values.show_picture(name, picture)
        self._values.show()
        QTimer.singleShot(0, self, self._show_values_at_top)

    def _show_values_at_top(self) -> None:
        """Scroll to the values once they have their place."""
        area = self._stack.widget(0)
        if isinstance(area, Scrolling):
            QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
            area.verticalScrollBar().setValue(self._values_title.y() - SPACE)

    def _forget_pair(self) -> None:
        self._pair = None
        for widget in (self._values_title, self._values_words, self._values):
            widget.hide()

    def view(self, name: str) -> PictureView | None:
        """Return the view of a picture, by name."""
        return self._proved.view(name) or self._values.view(name) or self._published.view(name)


def _summary(speaker: QWidget, content: RunContent) -> str:
    if content.evidence is None:
        return ""
    found = [pair for pair in content.evidence.pairs if pair.supported]
    if not found:
        return speaker.tr("No interaction of two fields is supported by the held-out rows.")
    names = ", ".join(" × ".join(pair.fields) for pair in found[:3])
    if len(found) == 1:
        return speaker.tr("One interaction is supported by the held-out rows: {names}.").format(names=names)
    words = speaker.tr("{count} interactions are supported by the held-out rows; strongest: {names}.")
    return words.format(count=numbers.whole(len(found)), names=names)

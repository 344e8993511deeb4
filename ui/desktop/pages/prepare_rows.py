"""The line of the Prepare page about how many rows are read, and what that would cost."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSpinBox, QWidget

from crosslens.relational import ExtractionEstimate, SampleMethod, SampleSpec
from crosslens.schema import FieldRole

from ..checking import Checks
from ..draft import Draft, set_sample
from ..fonts import SPACE, tabular
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Elided, Muted
from ..widgets.views import roomy
from ..wording import about, bytes_words, sample_words, whole

ALL = "all"
MOST_ROWS = 2_000_000_000
FIRST_SAMPLE = 100_000
"""How many rows a sample has before the user says how many."""


class RowsLine(QWidget):
    """All rows or a sample, the estimate, and a sample that would fit; every choice is an edit of the draft."""

    def __init__(self, session: Session, checks: Checks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._checks = session, checks
        self.method = QComboBox()
        self.method.setAccessibleName(self.tr("Which rows are read"))
        self.method.addItem(self.tr("all"), ALL)
        for method in SampleMethod:
            self.method.addItem(sample_words(method), method)
        self.rows = QSpinBox(minimum=1, maximum=MOST_ROWS, singleStep=10_000)
        self.rows.setGroupSeparatorShown(True)
        self.rows.setAccessibleName(self.tr("How many rows are read"))
        self.rows.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.rows.setFont(tabular(self.rows.font()))
        self.rows.setKeyboardTracking(False)
        roomy(self.method, self.rows)
        self.words = Elided()
        self.suggestion = Button(weight=Weight.LINK)
        self.suggestion.setAccessibleName(self.tr("Take a sample that fits"))
        self.suggestion.clicked.connect(lambda: self._take_suggestion())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addWidget(Muted(self.tr("Read"), wrap=False))
        layout.addWidget(self.method)
        layout.addWidget(self.rows)
        layout.addWidget(Muted(self.tr("rows"), wrap=False))
        layout.addSpacing(SPACE)
        layout.addWidget(self.words, 1)
        layout.addWidget(self.suggestion)
        self.method.activated.connect(lambda _: self._choose())
        self.rows.valueChanged.connect(lambda _: self._choose())
        session.preparationChanged.connect(self.refresh)
        checks.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the sample of the draft and the estimate."""
        draft = self._session.draft
        if draft is None:
            return
        sample = draft.query.sample
        self.method.setCurrentIndex(0 if sample is None else self.method.findData(sample.method))
        self._allow_users(draft)
        self.rows.setVisible(sample is not None)
        if sample is not None:
            self.rows.blockSignals(True)
            self.rows.setValue(sample.rows)
            self.rows.blockSignals(False)
        estimate = self._checks.estimate
        self.words.setText(self._say(estimate))
        self.words.setAccessibleName(self.words.text())
        self._suggest(estimate)

    def _allow_users(self, draft: Draft) -> None:
        """A sample by user needs users, the latest rows a time."""
        model = self.method.model()
        possible = {
            SampleMethod.USERS: bool(draft.fields.with_role(FieldRole.USER)),
            SampleMethod.LATEST: draft.query.time is not None,
        }
        for method, enabled in possible.items():
            if isinstance(model, QStandardItemModel):
                model.item(self.method.findData(method)).setEnabled(enabled)

    def _say(self, estimate: ExtractionEstimate | None) -> str:
        if estimate is None:
            return self._checks.problem
        words = self.tr("about {count} rows") if estimate.rows_are_estimated else self.tr("{count} rows")
        count = about(estimate.rows) if estimate.rows_are_estimated else whole(estimate.rows)
        parts = [
            words.format(count=count),
            self.tr("{size} on disk").format(size=bytes_words(estimate.disk)),
            self.tr("{size} of memory to train, {free} free").format(
                size=bytes_words(estimate.memory), free=bytes_words(estimate.free_memory)
            ),
        ]
        return "  ·  ".join(parts)

    def _suggest(self, estimate: ExtractionEstimate | None) -> None:
        rows = None if estimate is None else estimate.suggested_rows
        self.suggestion.setVisible(rows is not None)
        if rows is not None:
            self.suggestion.setText(self.tr("Too much: take {count} at random").format(count=about(rows)))
            self.suggestion.setAccessibleName(self.suggestion.text())
            self.suggestion.updateGeometry()

    def _take_suggestion(self) -> None:
        estimate = self._checks.estimate
        if estimate is not None and estimate.suggested_rows is not None:
            self._set(SampleSpec(SampleMethod.RANDOM, estimate.suggested_rows))

    def _choose(self) -> None:
        draft, method = self._session.draft, self.method.currentData()
        if draft is None or method == ALL:
            self._set(None)
            return
        former = draft.query.sample
        rows = self.rows.value() if former is not None else min(draft.rows or FIRST_SAMPLE, FIRST_SAMPLE)
        self._set(SampleSpec(SampleMethod(method), max(rows, 1)))

    def _set(self, sample: SampleSpec | None) -> None:
        if self._session.draft is not None:
            self._session.edit(self.tr("Rows to read"), set_sample(self._session.draft, sample))

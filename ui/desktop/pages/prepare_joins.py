"""The card of the Prepare page about the base table and its joins."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from crosslens.relational import JoinFacts, JoinKind, JoinProposal

from ..draft import Draft
from ..fonts import SPACE
from ..preparing import take_join
from ..session import Session
from ..widgets.cards import Card
from ..widgets.join_picture import JoinPicture
from ..widgets.labels import Muted
from ..wording import join_words, number, percent, table_name, whole

MOST_ROWS = 9
"""How many joins are seen without scrolling."""


class JoinsCard(Card):
    """Joins as check boxes with what they would do, beside a picture of the joined tables."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._session = session
        self._base = Muted(wrap=False)
        self._list = QWidget()
        self._rows = QVBoxLayout(self._list)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(2)
        self._picture = JoinPicture()
        self._shown: tuple[object, ...] = ()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area = area
        area.setWidget(self._list)
        for surface in (area, area.viewport(), self._list):
            surface.setAutoFillBackground(False)
        split = QHBoxLayout()
        split.setSpacing(2 * SPACE)
        split.addWidget(area, 1)
        split.addWidget(self._picture, 1)
        self.body.addWidget(self._base)
        self.body.addLayout(split, 1)
        session.preparationChanged.connect(self.refresh)
        session.busyChanged.connect(self._lock)
        self.refresh()

    def refresh(self) -> None:
        """Show the joins of the draft."""
        draft = self._session.draft
        self._picture.show_draft(draft)
        if draft is None:
            return
        rows = "" if draft.rows is None else self.tr("  ·  {count} rows").format(count=whole(draft.rows))
        self._base.setText(self.tr("One row per {table}").format(table=table_name(draft.query.base)) + rows)
        shown = (draft.joins, draft.facts)
        if shown != self._shown:
            self._rebuild(draft)
            self._shown = shown
        for box in self._list.findChildren(QCheckBox):
            box.setChecked(draft.has_join(box.objectName()))

    def _rebuild(self, draft: Draft) -> None:
        while (item := self._rows.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        for proposal in draft.joins:
            self._rows.addWidget(self._make_box(proposal, draft.fact(proposal.join.name)))
        if not draft.joins:
            self._rows.addWidget(Muted(self.tr("No key leads from this table to another one, and none refers to it.")))
        self._rows.addStretch(1)
        hint = self._list.sizeHint()
        self._area.setMinimumSize(hint.width() + SPACE, min(hint.height(), MOST_ROWS * self._line_height()))

    def _line_height(self) -> int:
        return max(self.fontMetrics().height(), 18) + 4

    def _make_box(self, proposal: JoinProposal, fact: JoinFacts | None) -> QWidget:
        join = proposal.join
        box = QCheckBox(join_words(join))
        box.setObjectName(join.name)
        box.setToolTip(proposal.reason)
        box.setAccessibleDescription(self._facts(join.kind, fact))
        box.clicked.connect(lambda taken: take_join(self._session, join.name, taken))
        facts = Muted(self._facts(join.kind, fact), wrap=False)
        line = QWidget()
        layout = QHBoxLayout(line)
        layout.setContentsMargins(0, 0, SPACE, 0)
        layout.addWidget(box)
        layout.addStretch(1)
        layout.addWidget(facts)
        return line

    def _facts(self, kind: JoinKind, fact: JoinFacts | None) -> str:
        if fact is None:
            return ""
        if kind is JoinKind.EXISTS:
            return self.tr("yes in {share}").format(share=percent(fact.match_rate, 1))
        words = self.tr("{share} match").format(share=percent(fact.match_rate, 0 if fact.match_rate == 1.0 else 1))
        if fact.max_partners <= 1:
            return words
        times = self.tr("would multiply rows × {times}").format(times=number(fact.fan_out, 1))
        return f"{words}  ·  {times}"

    def _lock(self) -> None:
        self._list.setEnabled(not self._session.busy)

"""The card of the Prepare page about the base table and its joins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QMenu, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from crosslens.relational import ColumnRef, JoinFacts, JoinKind, JoinProposal, JoinSpec

from ..draft import Draft
from ..fonts import SPACE
from ..join_choices import moments, of_kind, times
from ..preparing import set_join, take_join
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.cards import Card
from ..widgets.join_picture import JoinPicture
from ..widgets.labels import Badge, Elided, Muted
from ..wording import join_facts_words, join_kind_help, join_kind_words, join_words, table_name, whole
from .prepare_join_form import JoinForm

WIDEST = 280
"""How much width the list of joins insists on."""
MOST_ROWS = 9
"""How many lines of joins are seen without scrolling."""


class JoinsCard(Card):
    """Joins as check boxes with what they would do, beside a picture of the joined tables or a form for a new one."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._session = session
        self._base = Muted(wrap=False)
        self._list = QWidget()
        self._rows = QVBoxLayout(self._list)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(2)
        self._picture = JoinPicture()
        self.form = JoinForm(session)
        self._shown: tuple[object, ...] = ()
        self._area = self._make_area()
        self.add_button = Button(self.tr("Add a join…"), weight=Weight.QUIET)
        self.add_button.clicked.connect(self.begin_join)
        self._side = QStackedWidget()
        self._side.addWidget(self._picture)
        self._side.addWidget(self.form)
        self.form.left.connect(lambda: self._side.setCurrentIndex(0))
        self._lay_out()
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
        base = self.tr("your SELECT") if draft.query.select else table_name(draft.query.base)
        self._base.setText(self.tr("One row per {table}").format(table=base) + rows)
        shown = (draft.joins, draft.facts, draft.time_columns)
        if shown != self._shown:
            self._rebuild(draft)
            self._shown = shown
        for box in self._list.findChildren(QCheckBox):
            box.setChecked(draft.has_join(box.objectName()))

    def begin_join(self) -> None:
        """Show the form for a join made by hand."""
        self.form.begin()
        self._side.setCurrentIndex(1)

    def _make_area(self) -> QScrollArea:
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._list)
        for surface in (area, area.viewport(), self._list):
            surface.setAutoFillBackground(False)
        return area

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(SPACE)
        head.addWidget(self._base)
        head.addStretch(1)
        head.addWidget(self.add_button)
        split = QHBoxLayout()
        split.setSpacing(2 * SPACE)
        split.addWidget(self._area, 5)
        split.addWidget(self._side, 4)
        self.body.addLayout(head)
        self.body.addLayout(split, 1)

    def _rebuild(self, draft: Draft) -> None:
        while (item := self._rows.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        for proposal in draft.joins:
            self._rows.addWidget(_JoinLine(self._session, draft, proposal))
        if not draft.joins:
            self._rows.addWidget(Muted(self.tr("No key leads from this table to another one, and none refers to it.")))
        self._rows.addStretch(1)
        hint = self._list.sizeHint()
        height = min(hint.height(), MOST_ROWS * self._line_height())
        self._area.setMinimumSize(min(hint.width() + SPACE, WIDEST), height)

    def _line_height(self) -> int:
        return max(self.fontMetrics().height(), 18) + 4

    def _lock(self) -> None:
        self._list.setEnabled(not self._session.busy)
        self.add_button.setEnabled(not self._session.busy)


class _JoinLine(QWidget):
    """A join: taken or not, what it would do, and for several partners what becomes of them."""

    def __init__(self, session: Session, draft: Draft, proposal: JoinProposal) -> None:
        super().__init__()
        self._session, self._draft, self._proposal = session, draft, proposal
        join = proposal.join
        fact = draft.fact(join.name)
        box = QCheckBox(join_words(join))
        box.setObjectName(join.name)
        box.setToolTip(proposal.reason)
        box.setAccessibleDescription(join_facts_words(fact))
        box.clicked.connect(lambda taken: take_join(session, join.name, taken))
        line = QHBoxLayout()
        line.setSpacing(SPACE)
        line.addWidget(box)
        if proposal.is_guess:
            line.addWidget(self._guess())
        line.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, SPACE, 0)
        layout.setSpacing(0)
        layout.addLayout(line)
        if join.kind.is_to_many or len(proposal.kinds) > 1:
            layout.addLayout(self._options(fact))
        else:
            line.addWidget(self._tipped(Muted(join_facts_words(fact), wrap=False), fact))

    def _guess(self) -> Badge:
        badge = Badge(self.tr("guess"), tone="note")
        badge.setToolTip(self._proposal.reason)
        badge.setAccessibleName(self.tr("A guess: {reason}").format(reason=self._proposal.reason))
        return badge

    def _tipped(self, words: QLabel, fact: JoinFacts | None) -> QLabel:
        if fact is not None and fact.problem:
            words.setToolTip(fact.problem)
        return words

    def _options(self, fact: JoinFacts | None) -> QHBoxLayout:
        self.button = Button(self._words(), weight=Weight.LINK)
        self.button.setAccessibleName(self.tr("What becomes of {name}").format(name=self._proposal.join.name))
        self.button.setMenu(self._menu())
        line = QHBoxLayout()
        line.setContentsMargins(3 * SPACE - 4, 0, 0, 2)
        line.setSpacing(SPACE)
        line.addWidget(self.button)
        line.addWidget(self._tipped(Elided(join_facts_words(fact)), fact), 1)
        return line

    def _words(self) -> str:
        join = self._proposal.join
        words = join_kind_words(join.kind)
        if join.kind is JoinKind.LATEST and join.time:
            words = self.tr("{kind} by {time}").format(kind=words, time=join.time)
        if join.up_to is not None:
            words = self.tr("{kind}, before {moment}").format(kind=words, moment=join.up_to.column)
        return words

    def _menu(self) -> QMenu:
        menu, join = QMenu(self), self._proposal.join
        kinds = QActionGroup(menu)
        for kind in self._proposal.kinds or (join.kind,):
            action = _choice(menu, kinds, join_kind_words(kind), kind is join.kind, self._kind_chooser(kind))
            action.setToolTip(join_kind_help(kind))
        menu.setToolTipsVisible(True)
        known = times(self._session.overview, join)
        if join.kind.is_to_many and known:
            self._add_moments(menu, join, known)
        return menu

    def _add_moments(self, menu: QMenu, join: JoinSpec, known: tuple[str, ...]) -> None:
        menu.addSeparator()
        group = QActionGroup(menu)
        forever = self.tr("Everything, whenever it was known")
        _choice(menu, group, forever, join.up_to is None, lambda: self._set(replace(join, up_to=None)))
        for moment in moments(self._draft, self._proposal):
            words = self.tr("Only what was known before {moment}").format(moment=moment)
            _choice(menu, group, words, join.up_to == moment, self._moment_chooser(moment, known))
        if len(known) > 1:
            menu.addSeparator()
            columns = menu.addMenu(self.tr("When a row of {table} was known").format(table=join.table.name))
            by = QActionGroup(columns)
            for name in known:
                _choice(columns, by, name, name == join.time, self._time_chooser(name))

    def _kind_chooser(self, kind: JoinKind) -> Callable[[], None]:
        join = of_kind(self._proposal, kind, times(self._session.overview, self._proposal.join))
        return lambda: self._set(join)

    def _moment_chooser(self, moment: ColumnRef, known: tuple[str, ...]) -> Callable[[], None]:
        join = self._proposal.join
        return lambda: self._set(replace(join, up_to=moment, time=join.time or known[0]))

    def _time_chooser(self, name: str) -> Callable[[], None]:
        return lambda: self._set(replace(self._proposal.join, time=name))

    def _set(self, join: JoinSpec) -> None:
        set_join(self._session, join)


def _choice(menu: QMenu, group: QActionGroup, words: str, chosen: bool, act: Callable[[], None]) -> QAction:
    action = menu.addAction(words.replace("&", "&&"))
    action.setCheckable(True)
    action.setChecked(chosen)
    action.setActionGroup(group)
    action.triggered.connect(lambda *_: act())
    return action

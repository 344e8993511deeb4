"""How next-item models are tested and what they may recommend: a card that shows while one is chosen."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QCheckBox, QComboBox, QFormLayout, QSpinBox, QWidget

from core.recipe import NextItemSpec, NextItemSplit

from ..draft import set_next_item
from ..fonts import SPACE
from ..session import Session
from ..widgets.cards import Card
from ..widgets.labels import Muted, Title
from ..widgets.views import roomy


class NextItemCard(Card):
    """Edits the draft's `next_item`; every choice can be undone."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._session = session
        self.split, self.seen, self.baselines = QComboBox(), QCheckBox(), QCheckBox()
        self.events, self.core = QSpinBox(minimum=1, maximum=999), QSpinBox(minimum=0, maximum=999)
        self._lay_out()
        self.split.activated.connect(lambda _: self._choose(split=NextItemSplit(self.split.currentData())))
        self.seen.clicked.connect(lambda checked: self._choose(exclude_seen=checked))
        self.baselines.clicked.connect(lambda checked: self._choose(baselines=checked))
        self.events.valueChanged.connect(lambda value: self._choose(minimum_events=value))
        self.core.valueChanged.connect(lambda value: self._choose(core=value))
        session.preparationChanged.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the draft says."""
        spec = NextItemSpec() if self._session.draft is None else self._session.draft.next_item
        self.split.setCurrentIndex(list(NextItemSplit).index(spec.split))
        self.seen.setChecked(spec.exclude_seen)
        self.baselines.setChecked(spec.baselines)
        for box, value in ((self.events, spec.minimum_events), (self.core, spec.core)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)

    def _lay_out(self) -> None:
        words = {
            NextItemSplit.LEAVE_ONE_OUT: self.tr("the last item of every user"),
            NextItemSplit.TIME: self.tr("what comes after a moment"),
        }
        for split in NextItemSplit:
            self.split.addItem(words[split], split.value)
        self.split.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.split.setMinimumContentsLength(10)
        self.seen.setText(self.tr("Never recommend what a user had before"))
        self.baselines.setText(self.tr("Train popularity, item neighbours and the backbone beside"))
        self.core.setSpecialValueText(self.tr("keep all"))
        for box, name in (
            (self.split, self.tr("What is held out for the test")),
            (self.events, self.tr("Users with fewer events are left out")),
            (self.core, self.tr("Keep users and items that occur at least so often")),
        ):
            box.setAccessibleName(name)
            box.setToolTip(name)
        for box in (self.events, self.core):
            box.setKeyboardTracking(False)
        roomy(self.split, self.events, self.core)
        form = QFormLayout()
        form.setHorizontalSpacing(2 * SPACE)
        form.setVerticalSpacing(SPACE)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("Test on"), self.split)
        form.addRow(self.tr("Events per user"), self.events)
        form.addRow(self.tr("Core"), self.core)
        self.body.addWidget(Title(self.tr("Next items"), level=3))
        self.body.addWidget(Muted(self.tr("Every user's items in order of time; the next one is to be found.")))
        self.body.addLayout(form)
        self.body.addWidget(self.seen)
        self.body.addWidget(self.baselines)

    def _choose(self, **changes: object) -> None:
        draft = self._session.draft
        if draft is not None:
            spec = replace(draft.next_item, **changes)  # type: ignore[arg-type]
            self._session.edit(self.tr("Next items"), set_next_item(draft, spec))

"""The card of the Prepare page about what is predicted and which rows test it."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QSpinBox, QWidget

from core.labels import LABEL_ROLES
from core.recipe import SplitMethod
from crosslens.relational import ColumnRef
from crosslens.schema import Field, FieldRole

from ..draft import Draft, set_role, set_split, set_time
from ..fonts import SPACE, tabular
from ..session import Session
from ..widgets.cards import Card
from ..widgets.labels import Muted
from ..widgets.share_bar import ShareBar
from ..widgets.views import roomy
from ..wording import percent, split_words, whole

MOST_DISTINCT = 2
"""A label has two values."""


class GoalCard(Card):
    """Label and split; every choice is an edit of the draft."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._session = session
        self._label, self._label_facts = QComboBox(), Muted(wrap=False)
        self._then, self._then_facts = QComboBox(), Muted(wrap=False)
        self._method, self._time, self._time_name = QComboBox(), QComboBox(), QLabel(self.tr("Time"))
        self._validation, self._test = _share_box(), _share_box()
        self._bar = ShareBar()
        self.moment, self.rare, self.hashed = QLineEdit(), QSpinBox(minimum=1, maximum=999), QSpinBox()
        self._name_all()
        self._lay_out()
        self._label.activated.connect(lambda _: self._choose_label())
        self._then.activated.connect(lambda _: self._choose_conversion())
        self._method.activated.connect(lambda _: self._choose_split())
        self._time.activated.connect(lambda _: self._choose_time())
        for box in (self._validation, self._test):
            box.valueChanged.connect(lambda _: self._choose_split())
        self.moment.editingFinished.connect(self._choose_moment)
        self.rare.valueChanged.connect(lambda _: self._choose_values())
        self.hashed.valueChanged.connect(lambda _: self._choose_values())
        session.preparationChanged.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show label and split of the draft."""
        draft = self._session.draft
        if draft is None:
            return
        self._fill_labels(draft)
        self._fill_methods(draft)
        self._fill_times(draft)
        split = draft.split
        for box, value in (
            (self._validation, round(100 * split.validation)),
            (self._test, round(100 * split.test)),
            (self.rare, draft.minimum_count),
            (self.hashed, draft.hash_buckets),
        ):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        if not self.moment.hasFocus():
            self.moment.setText(draft.moment)
        self._bar.show_split(split, draft.rows or 0)

    def _name_all(self) -> None:
        for box, name in (
            (self._label, self.tr("Label: what to predict")),
            (self._then, self.tr("What may follow a click, for models of clicks and conversions")),
            (self._method, self.tr("How rows are parted")),
            (self._time, self.tr("Time column")),
            (self.moment, self.tr("When is the prediction made?")),
            (self.rare, self.tr("Values seen in fewer rows than this are trained as unknown")),
            (self.hashed, self.tr("Fields with more values than this are hashed into so many")),
            (self._validation, self.tr("Share of rows to check while training, per cent")),
            (self._test, self.tr("Share of rows to test on, per cent")),
        ):
            box.setAccessibleName(name)
            box.setToolTip(name)
        for box in (self._label, self._then, self._method, self._time):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(10)

    def _lay_out(self) -> None:
        self._form = form = QFormLayout()
        form.setHorizontalSpacing(2 * SPACE)
        form.setVerticalSpacing(SPACE)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("Predict"), self._label)
        form.addRow("", self._label_facts)
        form.addRow(self.tr("And then"), self._then)
        form.addRow("", self._then_facts)
        form.addRow(self.tr("When"), self.moment)
        form.addRow(self.tr("Split"), self._method)
        form.addRow(self._time_name, self._time)
        shares = QHBoxLayout()
        shares.setSpacing(SPACE)
        for words, box in ((self.tr("check"), self._validation), (self.tr("test"), self._test)):
            shares.addWidget(Muted(words, wrap=False))
            shares.addWidget(box, 1)
        form.addRow(self.tr("Shares"), shares)
        form.addRow(self.tr("Values"), self._make_values())
        roomy(self.moment, self.rare, self.hashed)
        roomy(self._label, self._then, self._method, self._time, self._validation, self._test)
        self.body.addLayout(form)
        self.body.addWidget(self._bar)
        self.body.addStretch(1)

    def _make_values(self) -> QHBoxLayout:
        self.moment.setPlaceholderText(self.tr("When is the prediction made? Before the call, …"))
        self.moment.setToolTip(
            self.tr("Say it in words: what is known only later is then looked for, and it stands in the report.")
        )
        self.hashed.setRange(0, 990_000)
        self.hashed.setSingleStep(10_000)
        self.hashed.setGroupSeparatorShown(True)
        self.hashed.setSpecialValueText(self.tr("never"))
        line = QHBoxLayout()
        line.setSpacing(SPACE)
        for words, box in ((self.tr("rare below"), self.rare), (self.tr("hash above"), self.hashed)):
            box.setAlignment(Qt.AlignmentFlag.AlignRight)
            box.setFont(tabular(box.font()))
            box.setKeyboardTracking(False)
            line.addWidget(Muted(words, wrap=False))
            line.addWidget(box, 1)
        return line

    def _choose_moment(self) -> None:
        draft, moment = self._session.draft, self.moment.text().strip()
        if draft is not None and moment != draft.moment:
            self._session.edit(self.tr("When the prediction is made"), replace(draft, moment=moment))

    def _choose_values(self) -> None:
        if (draft := self._session.draft) is not None:
            changed = replace(draft, minimum_count=self.rare.value(), hash_buckets=self.hashed.value())
            self._session.edit(self.tr("Rare and hashed values"), changed)

    def _fill_labels(self, draft: Draft) -> None:
        candidates = [field for field in draft.fields if _can_be_label(draft, field)]
        _fill(self._label, [(field.name, field.column) for field in candidates])
        label = draft.label
        self._label.setPlaceholderText(self.tr("Choose a yes / no column"))
        self._label.setCurrentIndex(-1 if label is None else candidates.index(label) if label in candidates else -1)
        self._label_facts.setText("" if label is None else self._about_label(draft, label))
        self._label_facts.setVisible(bool(self._label_facts.text()))
        self._fill_conversions(draft, [field for field in candidates if field is not label])

    def _fill_conversions(self, draft: Draft, candidates: list[Field]) -> None:
        """Offer what may follow a click; there is no such row where one column alone could be a label."""
        _fill(self._then, [(self.tr("nothing more"), None), *((field.name, field.column) for field in candidates)])
        chosen = next(iter(draft.fields.with_role(FieldRole.CONVERSION)), None)
        self._then.setCurrentIndex(1 + candidates.index(chosen) if chosen in candidates else 0)
        self._then_facts.setText("" if chosen is None else self._about_label(draft, chosen))
        self._form.setRowVisible(self._then, bool(candidates))
        self._form.setRowVisible(self._then_facts, chosen is not None)

    def _about_label(self, draft: Draft, label: Field) -> str:
        profile = draft.profile(label.column)
        if profile is None or not profile.rows or profile.mean is None:
            return ""
        positives = round(profile.mean * (profile.rows - profile.nulls))
        words = self.tr("yes in {share}: {count} of {rows} rows")
        return words.format(share=percent(profile.mean, 1), count=whole(positives), rows=whole(profile.rows))

    def _fill_methods(self, draft: Draft) -> None:
        _fill(self._method, [(split_words(method), method) for method in SplitMethod])
        self._method.setCurrentIndex(list(SplitMethod).index(draft.split.method))
        possible = {
            SplitMethod.TIME: bool(draft.time_columns),
            SplitMethod.USER: bool(draft.fields.with_role(FieldRole.USER)),
            SplitMethod.RANDOM: True,
        }
        model = self._method.model()
        for row, method in enumerate(SplitMethod):
            if isinstance(model, QStandardItemModel):
                model.item(row).setEnabled(possible[method])

    def _fill_times(self, draft: Draft) -> None:
        _fill(self._time, [(str(column), column) for column in draft.time_columns])
        if draft.query.time in draft.time_columns:
            self._time.setCurrentIndex(draft.time_columns.index(draft.query.time))
        by_time = draft.split.method is SplitMethod.TIME
        self._time.setVisible(by_time)
        self._time_name.setVisible(by_time)

    def _choose_label(self) -> None:
        column: ColumnRef | None = self._label.currentData()
        if column is not None and self._session.draft is not None:
            draft = set_role(self._session.draft, [column], FieldRole.CLICK)
            self._session.edit(self.tr("Label: {name}").format(name=self._label.currentText()), draft)

    def _choose_conversion(self) -> None:
        draft, column = self._session.draft, self._then.currentData()
        if draft is None:
            return
        former = [field.column for field in draft.fields.with_role(FieldRole.CONVERSION)]
        changed = (
            set_role(draft, former, FieldRole.IGNORE)
            if column is None
            else set_role(draft, [column], FieldRole.CONVERSION)
        )
        self._session.edit(self.tr("After a click: {name}").format(name=self._then.currentText()), changed)

    def _choose_time(self) -> None:
        if self._session.draft is not None:
            self._session.edit(self.tr("Time column"), set_time(self._session.draft, self._time.currentData()))

    def _choose_split(self) -> None:
        draft = self._session.draft
        if draft is None:
            return
        method = SplitMethod(self._method.currentData())
        validation, test = self._validation.value() / 100, self._test.value() / 100
        if method is SplitMethod.TIME and draft.query.time is None:
            draft = set_time(draft, draft.time_columns[0])
        split = replace(draft.split, method=method, validation=validation, test=test)
        self._session.edit(self.tr("Split"), set_split(draft, split))


def _can_be_label(draft: Draft, field: Field) -> bool:
    profile = draft.profile(field.column)
    two = profile is not None and 1 <= profile.distinct <= MOST_DISTINCT
    return field.role in LABEL_ROLES or field.column.column == ColumnRef.EXISTS or two


def _share_box() -> QSpinBox:
    box = QSpinBox(minimum=1, maximum=45, suffix=" %")
    box.setAlignment(Qt.AlignmentFlag.AlignRight)
    box.setFont(tabular(box.font()))
    return box


def _fill(box: QComboBox, entries: list[tuple[str, object]]) -> None:
    """Refill a combo box only when its entries changed, so that an open list is not disturbed."""
    if [(box.itemText(i), box.itemData(i)) for i in range(box.count())] != entries:
        box.clear()
        for words, value in entries:
            box.addItem(words, value)

"""How cells of the columns table are painted and edited: choices that open with one click, small distributions."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QComboBox, QStyle, QStyleOptionViewItem, QWidget

from crosslens.relational import ColumnProfile
from crosslens.schema import Field, FieldKind, FieldRole

from ..fonts import SPACE
from ..icons import pixmap
from ..models.columns import FIELD, PROFILE
from ..palette import colours, mix
from .views import PaddedDelegate

Index = QModelIndex | QPersistentModelIndex


class ChoiceDelegate(PaddedDelegate):
    """A word with a small arrow; editing opens the list of all choices at once."""

    reserve = 16

    def __init__(self, choices: Sequence[tuple[str, str, str]], parent: QWidget) -> None:
        super().__init__(parent)
        self._choices = tuple(choices)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint the word, and the arrow at the right."""
        room = QStyleOptionViewItem(option)
        super().paint(painter, room, index)
        chosen = option.state & QStyle.StateFlag.State_Selected
        tones = colours(option.palette)
        ink = tones.text if chosen else tones.faint
        ratio = painter.device().devicePixelRatioF()
        top = option.rect.center().y() - 6
        painter.drawPixmap(option.rect.right() - 20, top, pixmap("down", 14, ratio, ink))

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        """Return a combo box of the choices."""
        box = QComboBox(parent)
        box.setAccessibleName(str(index.model().headerData(index.column(), Qt.Orientation.Horizontal)))
        for value, words, tip in self._choices:
            box.addItem(words, value)
            box.setItemData(box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        box.activated.connect(lambda _: self._finish(box))
        return box

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        """Show the current choice and open the list."""
        if isinstance(editor, QComboBox):
            editor.setCurrentIndex(editor.findData(index.data(Qt.ItemDataRole.EditRole)))
            editor.showPopup()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        """Take the choice over."""
        if isinstance(editor, QComboBox):
            model.setData(index, editor.currentData(), Qt.ItemDataRole.EditRole)

    def _finish(self, box: QComboBox) -> None:
        self.commitData.emit(box)
        self.closeEditor.emit(box)


class DistributionDelegate(PaddedDelegate):
    """Bars: a histogram of numbers and times, or the shares of the most frequent values."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint background and bars."""
        super().paint(painter, option, index)
        profile: ColumnProfile | None = index.data(PROFILE)
        field: Field = index.data(FIELD)
        heights = bar_heights(profile, field.kind) if profile is not None else ()
        if not heights:
            return
        tones = colours(option.palette)
        ink = tones.line if field.role is FieldRole.IGNORE else mix(tones.accent, tones.base, 0.25)
        area = QRectF(option.rect).adjusted(SPACE, 5, -SPACE, -5)
        step = min(area.width() / len(heights), 14.0)
        painter.save()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        for place, share in enumerate(heights):
            high = max(share * area.height(), 1.0 if share else 0.0)
            painter.drawRect(QRectF(area.left() + place * step, area.bottom() - high, max(step - 1.5, 1.0), high))
        painter.restore()


def bar_heights(profile: ColumnProfile, kind: FieldKind) -> tuple[float, ...]:
    """Return heights 0..1 of bars: the histogram of an amount or a time, the most frequent values of anything else."""
    amount = kind in (FieldKind.NUMERICAL, FieldKind.TIMESTAMP) and profile.distinct > len(profile.examples)
    counts = profile.histogram if amount and profile.histogram else tuple(count for _, count in profile.examples)
    tallest = max(counts, default=0)
    return tuple(count / tallest for count in counts) if tallest else ()

"""How a table looks in the list of tables: name and row count, below them its keys."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from crosslens.relational import TableInfo

from ..fonts import SPACE, scaled, tabular
from ..icons import pixmap
from ..models.tables import TABLE
from ..palette import colours, mix
from ..wording import keys_of, row_count, table_name

Index = QModelIndex | QPersistentModelIndex


class TableDelegate(QStyledItemDelegate):
    """Paints one table on two lines."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Return room for two lines."""
        return QSize(160, 2 * option.fontMetrics.height() + 2 * SPACE)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint name, rows and keys; the chosen table on a soft background."""
        table: TableInfo = index.data(TABLE)
        tones = colours(option.palette)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chosen or hovered:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tones.accent_soft if chosen else mix(tones.base, tones.text, 0.05))
            painter.drawRoundedRect(option.rect.adjusted(4, 1, -4, -1), 6, 6)
        ink = tones.accent if chosen else tones.muted
        area = option.rect.adjusted(SPACE + 4, SPACE, -SPACE - 4, -SPACE)
        ratio = painter.device().devicePixelRatioF()
        painter.drawPixmap(area.left(), area.top(), pixmap("view" if table.is_view else "table", 16, ratio, ink))
        self._paint_words(painter, option, area.adjusted(16 + SPACE, 0, 0, 0), table, tones.text, tones.muted)
        painter.restore()

    def _paint_words(
        self, painter: QPainter, option: QStyleOptionViewItem, area: QRect, table: TableInfo, ink: QColor, muted: QColor
    ) -> None:
        rows = row_count(table)
        painter.setFont(tabular(option.font))
        painter.setPen(muted)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop), rows)
        room = area.width() - painter.fontMetrics().horizontalAdvance(rows) - SPACE
        painter.setFont(scaled(option.font, 1.0, bold=True))
        painter.setPen(ink)
        name = painter.fontMetrics().elidedText(table_name(table.ref), Qt.TextElideMode.ElideMiddle, room)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop), name)
        painter.setFont(option.font)
        painter.setPen(muted)
        keys = painter.fontMetrics().elidedText(keys_of(table), Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom), keys)

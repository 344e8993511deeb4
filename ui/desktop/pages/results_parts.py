"""Small parts that the Train, Results and Report pages share."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QTableView, QVBoxLayout, QWidget

from core.display import Picture

from ..charts import PictureView
from ..fonts import SPACE
from ..session import Session

_MEASURED_ROWS = 20


class Scrolling(QScrollArea):
    """Scrolls a widget up and down; never sideways, because it is at least as wide as the widget needs."""

    def __init__(self, widget: QWidget, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._inner = widget
        self.setWidget(widget)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ask for another width when the widget needs one: what has just been shown in it may be wider."""
        if watched is self._inner and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def minimumSizeHint(self) -> QSize:
        """Return the width the widget needs beside the scroll bar."""
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(self._inner.minimumSizeHint().width() + bar, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """Return the size the widget would like."""
        bar = self.verticalScrollBar().sizeHint().width()
        return self._inner.sizeHint() + QSize(bar, 0)


class Pictures(QWidget):
    """Pictures below each other. Views are kept from one run to the next, so nothing flickers."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._views: dict[str, PictureView] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(3 * SPACE)

    def view(self, name: str) -> PictureView | None:
        """Return the view of that name, if it was ever shown."""
        return self._views.get(name)

    def show_picture(self, name: str, picture: Picture | None) -> PictureView | None:
        """Show a picture under a name, at the place the name first had; None hides it. Returns a new view only."""
        view = self._views.get(name)
        if picture is None:
            if view is not None:
                view.hide()
            return None
        if view is not None:
            view.set_picture(picture)
            view.show()
            return None
        view = self._views[name] = PictureView(picture)
        view.failed.connect(self._session.fail)
        self._layout.addWidget(view)
        return view


def fit_columns(table: QTableView, widest: int = 220) -> None:
    """Give every column the width of its head and first rows, within limits."""
    header = table.horizontalHeader()
    header.setResizeContentsPrecision(_MEASURED_ROWS)
    for column in range(table.model().columnCount()):
        wanted = max(table.sizeHintForColumn(column), header.sectionSizeHint(column))
        table.setColumnWidth(column, min(wanted, widest))

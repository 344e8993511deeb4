"""A picture in its frame: title, what is pointed at, a note, and the "…" menu with table, copy and save."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from core.display import BarList, HeatMap, InteractionGraph, LineChart, Picture, Table, Waterfall
from crosslens.errors import StorageError

from .. import exports
from ..fonts import SPACE
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Muted, Title
from .as_table import as_table
from .bars import BarListCanvas
from .canvas import Canvas
from .graph import GraphCanvas
from .heat_map import HeatMapCanvas
from .lines import LineCanvas
from .table import TableView
from .waterfall import WaterfallCanvas


class PictureView(QWidget):
    """Shows any picture. `pairChosen` comes from heat maps and graphs, `itemChosen` (row or bar) from tables and bars.

    Give another picture of the same kind to `set_picture` and the view keeps its place on the page.
    """

    pairChosen = Signal(str, str)
    itemChosen = Signal(int)
    failed = Signal(object)

    def __init__(self, picture: Picture, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = picture
        self._title = Title(parent=self, level=3)
        self._title.setWordWrap(True)
        self._readout = Muted(parent=self)
        self._note = Muted(parent=self)
        self._stack = QStackedWidget(self)
        self._table: TableView | None = None
        self._table_action = QAction(self.tr("Show as table"), self, checkable=True)
        self._menu_button = self._build_menu()
        self._lay_out()
        self._canvas: QWidget = QWidget(self)
        self._stack.addWidget(self._canvas)
        self.set_picture(picture)

    @property
    def picture(self) -> Picture:
        """Return the picture shown."""
        return self._picture

    @property
    def canvas(self) -> QWidget:
        """Return the widget that paints."""
        return self._canvas

    def set_picture(self, picture: Picture) -> None:
        """Show another picture."""
        kept = _update_in_place(self._canvas, picture)
        self._picture = picture
        self._title.setText(picture.title)
        self._title.setVisible(bool(picture.title))
        self._note.setText(picture.note)
        self._note.setVisible(bool(picture.note))
        self._menu_button.setAccessibleName(self.tr("More about {title}").format(title=picture.title))
        self._table_action.setVisible(not isinstance(picture, Table))
        if not kept:
            self._replace_canvas()
        if self._table is not None:
            self._table.set_table(as_table(picture))

    def show_table(self, shown: bool) -> None:
        """Show the numbers instead of the picture, or the picture again."""
        if shown and self._table is None:
            self._table = TableView(as_table(self._picture), self)
            self._stack.addWidget(self._table)
        self._stack.setCurrentWidget(self._table if shown and self._table is not None else self._canvas)
        self._readout.setVisible(self._has_readout() and not shown)

    def copy_image(self) -> None:
        """Put the picture on the clipboard at the screen's resolution."""
        QGuiApplication.clipboard().setPixmap(exports.sharp_image(self._stack))

    def save(self, kind: str) -> None:
        """Ask where, and write the picture as "svg", "png" or "csv"."""
        try:
            exports.save_picture(self, self._picture, kind, image=lambda: exports.sharp_image(self._stack))
        except StorageError as error:
            self.failed.emit(error)

    def _build_menu(self) -> Button:
        button = Button("", self, weight=Weight.QUIET, icon_name="more")
        button.setToolTip(self.tr("Table, copy, save"))
        menu = QMenu(button)
        self._table_action.toggled.connect(self.show_table)
        menu.addAction(self._table_action)
        menu.addAction(self.tr("Copy image"), self.copy_image)
        menu.addAction(self.tr("Copy numbers"), lambda: exports.copy_numbers(as_table(self._picture)))
        menu.addSeparator()
        menu.addAction(self.tr("Save as SVG…"), lambda: self.save("svg"))
        menu.addAction(self.tr("Save as PNG…"), lambda: self.save("png"))
        menu.addAction(self.tr("Save as CSV…"), lambda: self.save("csv"))
        button.clicked.connect(lambda: menu.popup(button.mapToGlobal(button.rect().bottomLeft())))
        return button

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._menu_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._readout)
        layout.addWidget(self._note)
        layout.addStretch()

    def _replace_canvas(self) -> None:
        former, self._canvas = self._canvas, make_canvas(self._picture)
        self._stack.insertWidget(0, self._canvas)
        self._stack.removeWidget(former)
        former.deleteLater()
        if not self._table_action.isChecked():
            self._stack.setCurrentWidget(self._canvas)
        grows = isinstance(self._picture, LineChart | InteractionGraph)
        policy = QSizePolicy.Policy.Expanding if grows else QSizePolicy.Policy.Maximum
        self._stack.setSizePolicy(QSizePolicy.Policy.Expanding, policy)
        self._connect(self._canvas)
        self._canvas.setAccessibleDescription(self.tr("Use the arrow keys to read the numbers."))
        self._readout.setVisible(self._has_readout())
        self._say("")

    def _connect(self, canvas: QWidget) -> None:
        if isinstance(canvas, TableView):
            canvas.rowChosen.connect(self.itemChosen)
            return
        if isinstance(canvas, Canvas):
            canvas.pointed.connect(self._say)
        if isinstance(canvas, HeatMapCanvas | GraphCanvas):
            canvas.pairChosen.connect(self.pairChosen)
        elif isinstance(canvas, BarListCanvas | WaterfallCanvas):
            canvas.activated.connect(self.itemChosen)

    def _has_readout(self) -> bool:
        return not isinstance(self._picture, Table)

    def _say(self, text: str) -> None:
        self._readout.setText(text or " ")


def make_canvas(picture: Picture) -> QWidget:
    """Return the widget that paints `picture`."""
    if isinstance(picture, HeatMap):
        return HeatMapCanvas(picture)
    if isinstance(picture, BarList):
        return BarListCanvas(picture)
    if isinstance(picture, Waterfall):
        return WaterfallCanvas(picture)
    if isinstance(picture, InteractionGraph):
        return GraphCanvas(picture)
    if isinstance(picture, LineChart):
        return LineCanvas(picture)
    return TableView(picture)


def _update_in_place(canvas: QWidget, picture: Picture) -> bool:
    if isinstance(canvas, TableView) and isinstance(picture, Table):
        canvas.set_table(picture)
        return True
    if isinstance(picture, LineChart) and isinstance(canvas, LineCanvas):
        canvas.set_picture(picture)
        return True
    return False

"""Which output of a funnel model is looked at; a model of one label has nothing to choose."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QWidget

from core.funnel_views import output_words
from core.outputs import output_title

from ..fonts import SPACE
from ..widgets.buttons import Button
from ..widgets.labels import Muted


class OutputChooser(QWidget):
    """A button for each output, and what the chosen one says. `chosen` carries its name."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(lambda number: self.choose(self._names[number]))
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(4)
        self._words = Muted()
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, SPACE)
        line.setSpacing(2 * SPACE)
        line.addLayout(self._buttons)
        line.addWidget(self._words, 1)
        self.hide()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the outputs there are to choose from."""
        return self._names

    def show_outputs(self, names: Sequence[str], chosen: str) -> None:
        """Offer these outputs; fewer than two are nothing to choose from."""
        if tuple(names) != self._names:
            self._names = tuple(names)
            self._make_buttons()
        self.setVisible(len(self._names) > 1)
        self._show_chosen(chosen)

    def choose(self, name: str) -> None:
        """Look at another output."""
        self._show_chosen(name)
        self.chosen.emit(name)

    def button(self, name: str) -> Button:
        """Return the button of an output."""
        button = self._group.button(self._names.index(name))
        assert isinstance(button, Button)
        return button

    def _show_chosen(self, name: str) -> None:
        if name in self._names and len(self._names) > 1:
            self.button(name).setChecked(True)
            self._words.setText(output_words(name))

    def _make_buttons(self) -> None:
        for old in self._group.buttons():
            self._group.removeButton(old)
            self._buttons.removeWidget(old)
            old.deleteLater()
        for number, name in enumerate(self._names):
            button = Button(output_title(name))
            button.setCheckable(True)
            button.setAccessibleName(self.tr("Look at {output}").format(output=output_words(name) or name))
            self._group.addButton(button, number)
            self._buttons.addWidget(button)

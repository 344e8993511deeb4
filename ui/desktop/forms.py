"""A form generated from a model's parameter class: about five main parameters, the rest under "More"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from PySide6.QtCore import QEvent, QLocale, QObject, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QPalette, QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from crosslens.errors import ParameterError
from crosslens.parameters import ParameterInfo, check_parameter, describe_parameters

from .fonts import SPACE
from .icons import icon
from .widgets.buttons import Button, Weight
from .widgets.labels import Muted

_LARGEST_INT = 2**31 - 1
_LARGEST_FLOAT = 1e12
_DECIMALS = 8
_EDITOR_LETTERS = 14


Choices: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""What a text may be chosen from where only the app knows it: ids and titles, by the parameter's `source`."""

FOLDER = "folder"


class ParameterForm(QWidget):
    """Edits the parameters of one model; `changed` comes with every edit, valid or not."""

    changed = Signal()

    def __init__(self, parameters: type[Any], parent: QWidget | None = None, choices: Choices | None = None) -> None:
        super().__init__(parent)
        infos = describe_parameters(parameters)
        self._lines = {info.name: ParameterLine(info, self, (choices or {}).get(info.source, ())) for info in infos}
        main = [info.name for info in infos if not info.advanced]
        more = [info.name for info in infos if info.advanced]
        self._more = QWidget(self)
        self._more_button = Button("", self, weight=Weight.QUIET, icon_name="down")
        self._reset_button = Button(self.tr("Reset all"), self, weight=Weight.QUIET, icon_name="undo")
        self._lay_out(main, more)
        for line in self._lines.values():
            line.changed.connect(self._line_changed)
        self._line_changed()

    def values(self) -> dict[str, Any]:
        """Return what differs from the defaults, as JSON and TOML know it; ParameterError if an entry is wrong."""
        values = {name: line.value() for name, line in self._lines.items() if not line.is_default()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def set_values(self, values: dict[str, Any]) -> None:
        """Show these values and the default of all others; ParameterError if one is out of range."""
        checked = {name: check_parameter(self._lines[name].info, value) for name, value in values.items()}
        for name, line in self._lines.items():
            line.set_value(checked.get(name, line.info.default))
        hidden = any(self._lines[name].info.advanced for name in checked)
        self.show_more(hidden or not self._more.isHidden())
        self._line_changed()

    def problem(self) -> str:
        """Return the first wrong entry as a sentence, or an empty string."""
        return next((line.problem for line in self._lines.values() if line.problem), "")

    def reset(self) -> None:
        """Show the defaults."""
        self.set_values({})

    def line(self, name: str) -> ParameterLine:
        """Return the line of one parameter."""
        return self._lines[name]

    def has(self, name: str) -> bool:
        """Whether the model has a parameter of that name."""
        return name in self._lines

    def show_more(self, shown: bool) -> None:
        """Open or close the advanced parameters."""
        self._more.setVisible(shown)
        count = sum(line.info.advanced for line in self._lines.values())
        text = self.tr("Fewer parameters") if shown else self.tr("More parameters ({count})").format(count=count)
        self._more_button.setText(text)
        self._more_button.setAccessibleName(text)

    def _lay_out(self, main: list[str], more: list[str]) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addLayout(self._grid(main))
        buttons = QHBoxLayout()
        buttons.addWidget(self._more_button)
        buttons.addStretch()
        buttons.addWidget(self._reset_button)
        layout.addLayout(buttons)
        self._more.setLayout(self._grid(more))
        layout.addWidget(self._more)
        layout.addStretch()
        self._more_button.setVisible(bool(more))
        self._more_button.clicked.connect(lambda: self.show_more(self._more.isHidden()))
        self._reset_button.clicked.connect(self.reset)
        self.show_more(False)

    def _grid(self, names: list[str]) -> QGridLayout:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2 * SPACE)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(0, 1)
        for number, name in enumerate(names):
            self._lines[name].place(grid, 3 * number)
            grid.setRowMinimumHeight(3 * number + 2, SPACE)
        return grid

    def _line_changed(self) -> None:
        self._reset_button.setEnabled(any(not line.is_default() for line in self._lines.values()))
        self.changed.emit()


class ParameterLine(QObject):
    """One parameter: its label, editor, help, the way back to the default, and what is wrong with the entry."""

    changed = Signal()

    def __init__(self, info: ParameterInfo, parent: QWidget, known: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(parent)
        self.info = info
        self.problem = ""
        self.editor = make_editor(info, parent, known)
        self.editor.setAccessibleName(info.label)
        self.editor.setAccessibleDescription(info.help)
        self.editor.setToolTip(info.help)
        self._label = QLabel(info.label, parent)
        self._label.setBuddy(self.editor)
        self._label.setToolTip(info.help)
        self._help = _HelpText(info.help, parent)
        self._reset = Button("", parent, weight=Weight.QUIET, icon_name="undo")
        self._reset.setAccessibleName(self.tr("Reset {label}").format(label=info.label))
        self._reset.setToolTip(self.tr("Back to {default}").format(default=_text_of(info.default)))
        self._reset.clicked.connect(self.reset)
        self.set_value(info.default)
        _connect(self.editor, self._edited)
        self._show_state()

    def place(self, grid: QGridLayout, row: int) -> None:
        """Put the line into two rows of a grid: label and editor, help below."""
        grid.addWidget(self._label, row, 0)
        if isinstance(self.editor, QCheckBox):
            grid.addWidget(self.editor, row, 1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        else:
            grid.addWidget(self.editor, row, 1)
        grid.addWidget(self._reset, row, 2)
        grid.addWidget(self._help, row + 1, 0, 1, 2)
        policy = self._reset.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._reset.setSizePolicy(policy)

    def value(self) -> Any:
        """Return the value in the parameter's type; ParameterError if the entry is wrong."""
        return check_parameter(self.info, _read(self.editor, self.info))

    def set_value(self, value: Any) -> None:
        """Show a value without telling anybody."""
        with QSignalBlocker(self.editor):
            _write(self.editor, value)
        self._judge()

    def is_default(self) -> bool:
        """Whether the entry is right and says what the default says."""
        return not self.problem and self.value() == self.info.default

    def reset(self) -> None:
        """Show the default."""
        _write(self.editor, self.info.default)
        self._edited()

    def _edited(self) -> None:
        self._judge()
        self.changed.emit()

    def _judge(self) -> None:
        try:
            self.value()
            self.problem = ""
        except ParameterError as error:
            self.problem = f"{error.what} {error.do}"
        self._show_state()

    def _show_state(self) -> None:
        self._reset.setVisible(not self.is_default())
        self._help.show_text(self.problem or self.info.help, wrong=bool(self.problem))


class _HelpText(Muted):
    """The help of a parameter; what is wrong with the entry takes its place."""

    def show_text(self, text: str, *, wrong: bool) -> None:
        """Show a sentence, in the colour of errors when it is one."""
        self.setText(text)
        self.setVisible(bool(text))
        self.setForegroundRole(QPalette.ColorRole.BrightText if wrong else QPalette.ColorRole.PlaceholderText)


class WholeBox(QSpinBox):
    """A whole number; `logarithmic` ones double and halve."""

    def __init__(self, info: ParameterInfo, parent: QWidget) -> None:
        super().__init__(parent)
        self._logarithmic = info.logarithmic
        low = -_LARGEST_INT if info.minimum is None else round(info.minimum)
        self.setRange(low, _LARGEST_INT if info.maximum is None else round(info.maximum))
        self.setSingleStep(round(info.step or 1))
        self.setGroupSeparatorShown(True)
        _set_up_box(self)

    def stepBy(self, steps: int) -> None:
        """Step by factors of two where the scale is logarithmic."""
        if self._logarithmic and self.value() > 0:
            at_least = self.value() + 1 if steps > 0 else self.minimum()
            self.setValue(round(min(max(self.value() * 2.0**steps, at_least), self.maximum())))
        else:
            super().stepBy(steps)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Let the wheel scroll the page unless the box is being edited."""
        super().wheelEvent(event) if self.hasFocus() else event.ignore()


class DecimalBox(QDoubleSpinBox):
    """A number without superfluous zeros; `logarithmic` ones step by 1, 2, 5, 10."""

    def __init__(self, info: ParameterInfo, parent: QWidget) -> None:
        super().__init__(parent)
        self._logarithmic = info.logarithmic
        self.setDecimals(_DECIMALS)
        low = -_LARGEST_FLOAT if info.minimum is None else info.minimum
        self.setRange(low, _LARGEST_FLOAT if info.maximum is None else info.maximum)
        self.setSingleStep(info.step or 0.1)
        _set_up_box(self)

    def textFromValue(self, value: float) -> str:
        """Write 0.003, not 0.00300000."""
        text = f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")
        return text.replace(".", QLocale().decimalPoint())

    def stepBy(self, steps: int) -> None:
        """Step along 1, 2, 5, 10 where the scale is logarithmic."""
        if not self._logarithmic or self.value() <= 0:
            super().stepBy(steps)
            return
        value = self.value()
        for _ in range(abs(steps)):
            value = _next_round(value) if steps > 0 else _last_round(value)
        self.setValue(value)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Let the wheel scroll the page unless the box is being edited."""
        super().wheelEvent(event) if self.hasFocus() else event.ignore()


class ChoiceBox(QComboBox):
    """One of a few words."""

    def __init__(self, info: ParameterInfo, parent: QWidget) -> None:
        super().__init__(parent)
        self.addItems(info.choices)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Let the wheel scroll the page unless the box is being edited."""
        super().wheelEvent(event) if self.hasFocus() else event.ignore()


class KnownBox(QComboBox):
    """One of several things the app knows, shown by title and kept by id; an id unknown here is shown as it is."""

    def __init__(self, known: Sequence[tuple[str, str]], parent: QWidget) -> None:
        super().__init__(parent)
        for name, title in known:
            self.addItem(title, name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(_EDITOR_LETTERS)

    def show_id(self, name: str) -> None:
        """Choose a thing by its id."""
        if self.findData(name) < 0:
            self.addItem(name, name)
        self.setCurrentIndex(self.findData(name))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Let the wheel scroll the page unless the box is being edited."""
        super().wheelEvent(event) if self.hasFocus() else event.ignore()


class FolderEdit(QLineEdit):
    """The path of a folder, typed or chosen; empty for none."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setPlaceholderText(self.tr("none"))
        choose = self.addAction(icon("folder"), QLineEdit.ActionPosition.TrailingPosition)
        choose.setToolTip(self.tr("Choose a folder"))
        choose.triggered.connect(self.choose)

    def choose(self) -> None:
        """Ask for a folder."""
        path = QFileDialog.getExistingDirectory(self, self.tr("Choose a folder"), self.text())
        if path:
            self.setText(path)


class WidthsEdit(QLineEdit):
    """Layer widths as text: "256, 256"; empty for none."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setPlaceholderText(self.tr("none"))
        self.setAlignment(Qt.AlignmentFlag.AlignRight)

    def event(self, event: QEvent) -> bool:
        """Write the list evenly when the edit ends."""
        if event.type() == QEvent.Type.FocusOut and isinstance(widths := _widths(self.text()), tuple):
            with QSignalBlocker(self):
                self.setText(_text_of(widths))
        return super().event(event)


def make_editor(info: ParameterInfo, parent: QWidget, known: Sequence[tuple[str, str]] = ()) -> QWidget:
    """Return the editor for a parameter's type; `known` are ids and titles a text is chosen from."""
    if info.type is bool:
        return QCheckBox(parent)
    if info.type is tuple:
        editor: QWidget = WidthsEdit(parent)
    elif info.type is str and known:
        editor = KnownBox(known, parent)
    elif info.type is str and info.source == FOLDER:
        editor = FolderEdit(parent)
    elif info.type is str:
        editor = ChoiceBox(info, parent) if info.choices else QLineEdit(parent)
    else:
        editor = WholeBox(info, parent) if info.type is int else DecimalBox(info, parent)
    editor.setMinimumWidth(_EDITOR_LETTERS * editor.fontMetrics().averageCharWidth())
    editor.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return editor


def _set_up_box(box: QSpinBox | QDoubleSpinBox) -> None:
    box.setAlignment(Qt.AlignmentFlag.AlignRight)
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    box.setKeyboardTracking(True)


def _connect(editor: QWidget, slot: Any) -> None:
    if isinstance(editor, QCheckBox):
        editor.toggled.connect(slot)
    elif isinstance(editor, KnownBox):
        editor.currentIndexChanged.connect(slot)
    elif isinstance(editor, QComboBox):
        editor.currentTextChanged.connect(slot)
    elif isinstance(editor, QLineEdit):
        editor.textChanged.connect(slot)
    elif isinstance(editor, QSpinBox | QDoubleSpinBox):
        editor.valueChanged.connect(slot)


def _read(editor: QWidget, info: ParameterInfo) -> Any:
    if isinstance(editor, QCheckBox):
        return editor.isChecked()
    if isinstance(editor, KnownBox):
        return editor.currentData()
    if isinstance(editor, QComboBox):
        return editor.currentText()
    if isinstance(editor, QSpinBox | QDoubleSpinBox):
        # A spin box rounds what a person sees; a default finer than that stays what it was.
        return info.default if editor.value() == round(info.default, _DECIMALS) else editor.value()
    if isinstance(editor, WidthsEdit):
        return _widths(editor.text())
    return editor.text() if isinstance(editor, QLineEdit) else None


def _write(editor: QWidget, value: Any) -> None:
    if isinstance(editor, QCheckBox):
        editor.setChecked(value)
    elif isinstance(editor, KnownBox):
        editor.show_id(value)
    elif isinstance(editor, QComboBox):
        editor.setCurrentText(value)
    elif isinstance(editor, QSpinBox | QDoubleSpinBox):
        editor.setValue(value)
    elif isinstance(editor, QLineEdit):
        editor.setText(_text_of(value))


def _widths(text: str) -> tuple[int, ...] | str:
    """Return the widths, or the text itself when it is no list of whole numbers (the check will say so)."""
    words = [word for word in re.split(r"[\s,;x×]+", text.strip("()[] ")) if word]
    return tuple(int(word) for word in words) if all(word.isascii() and word.isdigit() for word in words) else text


def _text_of(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(entry) for entry in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


_ROUND = (1.0, 2.0, 5.0, 10.0)


def _next_round(value: float) -> float:
    scale = 10.0 ** _exponent(value)
    return next(round(step * scale, 12) for step in _ROUND if step * scale > value * (1 + 1e-9))


def _last_round(value: float) -> float:
    scale = 10.0 ** _exponent(value)
    below = [step * scale for step in (0.5, *_ROUND) if step * scale < value * (1 - 1e-9)]
    return round(below[-1], 12)


def _exponent(value: float) -> int:
    return int(f"{value:e}".split("e")[1])

"""Type on paper: sizes, fonts that look the same on every device, and lines of wrapped text."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QPainter, QTextLayout, QTextOption

RESOLUTION = 1200
"""Units per inch: lengths on paper are counted in these."""
POINT = RESOLUTION / 72


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is set: size and leading in points."""

    size: float
    leading: float
    bold: bool = False
    fixed: bool = False
    wrap_anywhere: bool = False
    right: bool = False


BODY = Style(9.5, 13.5)
TITLE = Style(22, 27, bold=True)
SUBTITLE = Style(10.5, 15)
HEADINGS = {1: Style(15, 19, bold=True), 2: Style(11.5, 15.5, bold=True), 3: Style(10, 14, bold=True)}
CAPTION = Style(9.5, 13.5, bold=True)
SMALL = Style(8, 11)
CODE = Style(7.5, 10.5, fixed=True, wrap_anywhere=True)
CELL = Style(8.5, 11.5)
CELL_RIGHT = Style(8.5, 11.5, right=True)
HEAD = Style(8.5, 11.5, bold=True)
HEAD_RIGHT = Style(8.5, 11.5, bold=True, right=True)


def font_of(style: Style) -> QFont:
    """Return the font of a style, sized in paper units so that no screen has a say in it."""
    kind = QFontDatabase.SystemFont.FixedFont if style.fixed else QFontDatabase.SystemFont.GeneralFont
    font = QFont(QFontDatabase.systemFont(kind).families())
    font.setPixelSize(round(style.size * POINT))
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    font.setFeature(QFont.Tag("tnum"), 1)
    if style.bold:
        font.setWeight(QFont.Weight.DemiBold)
    return font


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a wrapped text and its width in units."""

    text: str
    width: float


class TextLines:
    """A wrapped text and a way to draw each of its lines."""

    def __init__(self, text: str, style: Style, width: float) -> None:
        self._style = style
        self._width = width
        self._font = font_of(style)
        self.lines = _break(text.replace("\n", "\u2028"), self._font, _option(style), width)

    @property
    def leading(self) -> float:
        """Return the distance from line to line, in units."""
        return self._style.leading * POINT

    @property
    def height(self) -> float:
        """Return the height of all lines, in units."""
        return self.leading * len(self.lines)

    def width(self) -> float:
        """Return the width of the longest line as it came out, in units."""
        return max((line.width for line in self.lines), default=0.0)

    def draw_line(self, number: int, painter: QPainter, x: float, y: float, colour: QColor) -> None:
        """Paint one line with its upper left corner at (x, y)."""
        line, metrics = self.lines[number], QFontMetricsF(self._font)
        shift = self._width - line.width if self._style.right else 0.0
        baseline = y + (self.leading - metrics.height()) / 2 + metrics.ascent()
        painter.setFont(self._font)
        painter.setPen(colour)
        painter.drawText(QPointF(x + shift, baseline), line.text)

    def draw(self, painter: QPainter, x: float, y: float, colour: QColor) -> None:
        """Paint all lines."""
        for number in range(len(self.lines)):
            self.draw_line(number, painter, x, y + number * self.leading, colour)


def _break(text: str, font: QFont, option: QTextOption, width: float) -> tuple[TextLine, ...]:
    layout = QTextLayout(text, font)
    layout.setTextOption(option)
    lines: list[TextLine] = []
    layout.beginLayout()
    while (line := layout.createLine()).isValid():
        line.setLineWidth(width)
        words = text[line.textStart() : line.textStart() + line.textLength()]
        lines.append(TextLine(words.rstrip("\u2028 "), line.naturalTextWidth()))
    layout.endLayout()
    return tuple(lines)


def _option(style: Style) -> QTextOption:
    mode = (
        QTextOption.WrapMode.WrapAnywhere if style.wrap_anywhere else QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere
    )
    option = QTextOption(Qt.AlignmentFlag.AlignLeft)
    option.setWrapMode(mode)
    return option


def natural_width(text: str, style: Style) -> float:
    """Return how wide a text is on one line, in units."""
    return TextLines(text, style, 1e9).width()


def longest_word(text: str, style: Style) -> float:
    """Return how wide the longest word of a text is, in units."""
    return max((natural_width(word, style) for word in text.split()), default=0.0)

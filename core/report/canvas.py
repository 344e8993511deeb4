"""A sheet to draw SVG on: plain elements with attributes, nothing that SVG Tiny 1.2 does not know."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

from .palette import Palette

NAMESPACE = "http://www.w3.org/2000/svg"
FONT = 12.0
SMALL = 11.0
_WIDTHS = {"ijl.,:;'|!I ": 0.36, 'tfr-()[]/\\"·': 0.43, "mwMWGOQD%@—…": 0.98}
"""Widths of letters in ems, as in the widest of the usual fonts, so that estimated text is never too short."""
_LETTERS = {letter: width for letters, width in _WIDTHS.items() for letter in letters}


def text_width(text: str, size: float = FONT) -> float:
    """Return about how wide a text is, in pixels; wide scripts count double."""
    ems = sum(1.05 if unicodedata.east_asian_width(letter) in "WF" else _letter(letter) for letter in text)
    return ems * size


def _letter(letter: str) -> float:
    return _LETTERS.get(letter, 0.76 if letter.isupper() else 0.63)


def shortened(text: str, width: float, size: float = FONT) -> str:
    """Return the text, cut with an ellipsis where it is wider than `width` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Return about `count` round numbers from `low` to `high`, both inside."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return (low,)
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if span / (power * factor) <= count + 0.5)
    first = math.ceil(low / step - 1e-9)
    found = [round((first + place) * step, 12) + 0.0 for place in range(count + 2)]
    return tuple(value for value in found if value <= high + step * 1e-9)


def wrapped(text: str, width: float, size: float = FONT) -> tuple[str, ...]:
    """Return the text in lines of at most `width` pixels, broken at spaces."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return tuple(shortened(line, width, size) for line in lines)


def clean(text: str) -> str:
    """Return the text escaped for XML, without the control characters that XML forbids."""
    return escape("".join(letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cs")))


class Canvas:
    """Collects elements; coordinates in pixels, y downwards."""

    def __init__(self, width: float, palette: Palette) -> None:
        self.width = width
        self.palette = palette
        self._elements: list[str] = []

    def rect(self, x: float, y: float, width: float, height: float, **style: object) -> None:
        """Draw a rectangle."""
        self._add("rect", x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), **style)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, colour: str, **style: object) -> None:
        """Draw a straight line."""
        self._add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, **style)

    def circle(self, x: float, y: float, radius: float, **style: object) -> None:
        """Draw a circle."""
        self._add("circle", cx=x, cy=y, r=radius, **style)

    def polyline(self, points: Sequence[tuple[float, float]], *, colour: str, **style: object) -> None:
        """Draw connected lines."""
        self._add("polyline", points=_points(points), fill="none", stroke=colour, stroke_linejoin="round", **style)

    def polygon(self, points: Sequence[tuple[float, float]], **style: object) -> None:
        """Draw a filled area."""
        self._add("polygon", points=_points(points), **style)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = FONT,
        anchor: str = "start",
        colour: str = "",
        room: float = math.inf,
        turned: bool = False,
        bold: bool = False,
    ) -> None:
        """Write one line with its baseline at y; what is wider than `room` is cut and told in full by a tooltip."""
        shown = shortened(text, room, size)
        more: dict[str, object] = {"transform": f"rotate(-90 {_number(x)} {_number(y)})"} if turned else {}
        more |= {"text_anchor": anchor} if anchor != "start" else {}
        more |= {"font_weight": 600} if bold else {}
        content = clean(shown) + (f"<title>{clean(text)}</title>" if shown != text else "")
        self._add("text", content, x=x, y=y, font_size=size, fill=colour or self.palette.text, **more)

    def tip(self, text: str) -> None:
        """Give the last element a tooltip."""
        element = self._elements[-1]
        if element.endswith("/>"):
            name = element[1:].split(" ", 1)[0]
            self._elements[-1] = f"{element[:-2]}><title>{clean(text)}</title></{name}>"

    def to_svg(self, height: float, *, title: str, description: str) -> str:
        """Return the whole picture, with a title and a description for those who cannot see it."""
        head = (
            f'<svg xmlns="{NAMESPACE}" viewBox="0 0 {_number(self.width)} {_number(height)}" '
            f'width="{_number(self.width)}" height="{_number(height)}" role="img" '
            f'aria-label="{clean(title)}" font-family="sans-serif" font-size="{_number(FONT)}">'
        )
        return "".join((head, f"<desc>{clean(description)}</desc>", *self._elements, "</svg>"))

    def _add(self, name: str, content: str = "", /, **attributes: object) -> None:
        text = "".join(f' {key.replace("_", "-")}="{clean(_plain(value))}"' for key, value in attributes.items())
        self._elements.append(f"<{name}{text}>{content}</{name}>" if content else f"<{name}{text}/>")


def _plain(value: object) -> str:
    return _number(value) if isinstance(value, (int, float)) else str(value)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{_number(float(x))},{_number(float(y))}" for x, y in points)

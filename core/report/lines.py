"""Line charts as SVG: axes with round ticks, a legend above, bands, points, dashed references."""

from __future__ import annotations

from dataclasses import dataclass

from ..display import LineChart, Series
from ..formats import format_number
from .canvas import FONT, SMALL, Canvas, shortened, text_width, ticks

_HEIGHT = 270.0
_BELOW = 44.0
_SWATCH = 22.0


@dataclass(frozen=True, slots=True)
class _Axes:
    """From values to pixels."""

    left: float
    right: float
    top: float
    bottom: float
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        return self.left + (value - self.x_low) / (self.x_high - self.x_low) * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.y_low) / (self.y_high - self.y_low) * (self.bottom - self.top)

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.x(x), self.y(y)


def draw_lines(canvas: Canvas, picture: LineChart, top: float) -> float:
    """Draw the chart below `top` and return where it ends."""
    colours = _colours(canvas, picture)
    top = _legend(canvas, picture, colours, top)
    axes = _axes(canvas, picture, top)
    _grid(canvas, picture, axes)
    for series, colour in zip(picture.series, colours, strict=True):
        _band(canvas, axes, series, colour)
    for series, colour in zip(picture.series, colours, strict=True):
        _line(canvas, axes, series, colour)
    return axes.bottom + _BELOW


def _colours(canvas: Canvas, picture: LineChart) -> list[str]:
    """Return a colour for each series; references are grey and use none up."""
    available = iter(canvas.palette.series * (len(picture.series) // len(canvas.palette.series) + 1))
    return [canvas.palette.grey if series.reference else next(available) for series in picture.series]


def _legend(canvas: Canvas, picture: LineChart, colours: list[str], top: float) -> float:
    x, y = 0.0, top
    for series, colour in zip(picture.series, colours, strict=True):
        name = shortened(series.name, canvas.width - _SWATCH - 6.0, SMALL)
        width = _SWATCH + 6.0 + text_width(name, SMALL) + 18.0
        if x and x + width > canvas.width:
            x, y = 0.0, y + 18.0
        dash = {"stroke_dasharray": "4 3"} if series.reference else {}
        canvas.line(x, y + 8.0, x + _SWATCH, y + 8.0, colour=colour, stroke_width=2.0, **dash)
        canvas.text(x + _SWATCH + 6.0, y + 12.0, name, size=SMALL, colour=canvas.palette.muted)
        x += width
    return y + 28.0 if picture.series else y


def _axes(canvas: Canvas, picture: LineChart, top: float) -> _Axes:
    xs = [value for series in picture.series for value in series.x]
    ys = [value for series in picture.series for value in (*series.y, *series.low, *series.high)]
    x_low, x_high = _range(xs)
    y_low, y_high = _range(ys)
    left = 26.0 + max(text_width(label, SMALL) for _, label in _ticks(y_low, y_high))
    return _Axes(left, canvas.width - 14.0, top, top + _HEIGHT, x_low, x_high, y_low, y_high)


def _range(values: list[float]) -> tuple[float, float]:
    """Return bounds with a little air; 0 and 1 stay bounds where the values reach them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low == high:
        return low - 0.5, high + 0.5
    air = 0.04 * (high - low)
    return (low if low in (0.0, 1.0) else low - air), (high if high in (0.0, 1.0) else high + air)


def _ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> list[tuple[float, str]]:
    """Return round numbers with their text, all with as few decimals as tell them apart; whole ones where asked."""
    values = [value for value in ticks(low, high, count) if not whole or value == round(value)]
    decimals = next((few for few in range(6) if all(abs(value - round(value, few)) < 1e-9 for value in values)), 6)
    return [(value, format_number(value, decimals)) for value in values]


def _grid(canvas: Canvas, picture: LineChart, axes: _Axes) -> None:
    palette = canvas.palette
    for value, text in _ticks(axes.y_low, axes.y_high):
        y = axes.y(value)
        canvas.line(axes.left, y, axes.right, y, colour=palette.line, stroke_width=1)
        canvas.text(axes.left - 6.0, y + 4.0, text, size=SMALL, anchor="end", colour=palette.muted)
    whole = all(x == round(x) for series in picture.series for x in series.x) and axes.x_high - axes.x_low > 1.5
    for value, text in _ticks(axes.x_low, axes.x_high, 6, whole=whole):
        x = axes.x(value)
        canvas.line(x, axes.bottom, x, axes.bottom + 4.0, colour=palette.grey, stroke_width=1)
        canvas.text(x, axes.bottom + 17.0, text, size=SMALL, anchor="middle", colour=palette.muted)
    canvas.line(axes.left, axes.bottom, axes.right, axes.bottom, colour=palette.grey, stroke_width=1)
    middle = (axes.left + axes.right) / 2
    canvas.text(middle, axes.bottom + 36.0, picture.x_label, anchor="middle", room=axes.right - axes.left,
                colour=palette.muted, size=SMALL)  # fmt: skip
    canvas.text(FONT, (axes.top + axes.bottom) / 2, picture.y_label, anchor="middle", room=axes.bottom - axes.top,
                colour=palette.muted, size=SMALL, turned=True)  # fmt: skip


def _band(canvas: Canvas, axes: _Axes, series: Series, colour: str) -> None:
    if len(series.x) < 2 or not series.low:
        return
    upper = [axes.at(x, y) for x, y in zip(series.x, series.high, strict=True)]
    lower = [axes.at(x, y) for x, y in zip(series.x, series.low, strict=True)]
    canvas.polygon([*upper, *reversed(lower)], fill=colour, fill_opacity=0.14)


def _line(canvas: Canvas, axes: _Axes, series: Series, colour: str) -> None:
    points = [axes.at(x, y) for x, y in zip(series.x, series.y, strict=True)]
    style: dict[str, object] = (
        {"stroke_width": 1.25, "stroke_dasharray": "5 4"} if series.reference else {"stroke_width": 2}
    )
    if len(points) > 1:
        canvas.polyline(points, colour=colour, **style)
    if series.points or len(points) == 1:
        for x, y in points:
            canvas.circle(x, y, 3.0, fill=colour, stroke=canvas.palette.background, stroke_width=1)

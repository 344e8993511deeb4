"""Pictures as SVG: no style sheet, no script, no clipping, so that browsers and QtSvg (SVG Tiny 1.2) draw the same."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from ..display import Align, BarList, HeatMap, InteractionGraph, LineChart, Picture, Table, Waterfall
from ..formats import decimals_of, format_cell, format_count, format_number, format_signed, format_with_unit
from .canvas import FONT, SMALL, Canvas, shortened, text_width, wrapped
from .lines import draw_lines
from .palette import LIGHT, Palette

WIDTH = 640.0
_GAP = 8.0
_TITLE = 14.0
_MAX_CELL = 56.0
_ROW = 26.0


def svg(picture: Picture, palette: Palette = LIGHT, *, width: float = WIDTH, caption: bool = True) -> str:
    """Return a picture as an SVG document `width` pixels wide and as high as it needs.

    `caption` draws its title above and its note below; without it the surroundings are expected to say them.
    """
    canvas = Canvas(width, palette)
    top = _title(canvas, picture.title) if caption else 4.0
    bottom = _DRAW[type(picture)](canvas, picture, top)
    if caption and picture.note:
        bottom = _note(canvas, picture.note, bottom)
    return canvas.to_svg(bottom + 4.0, title=picture.title, description=describe(picture))


def describe(picture: Picture) -> str:
    """Return in a sentence what a picture shows, for those who cannot see it."""
    return f"{_DESCRIBE[type(picture)](picture)} {picture.note}".strip()


def _title(canvas: Canvas, title: str) -> float:
    canvas.text(0.0, _TITLE, title, size=_TITLE, room=canvas.width, bold=True)
    return _TITLE + 14.0


def _note(canvas: Canvas, note: str, top: float) -> float:
    lines = wrapped(note, canvas.width, SMALL)
    for place, line in enumerate(lines):
        canvas.text(0.0, top + 18.0 + 15.0 * place, line, size=SMALL, colour=canvas.palette.muted)
    return top + 18.0 + 15.0 * (len(lines) - 1) + 4.0


# ---- heat map


def _heat_map(canvas: Canvas, picture: HeatMap, top: float) -> float:
    left = _GAP + max((min(text_width(name), 0.3 * canvas.width) for name in picture.rows), default=0.0)
    legend = 84.0
    cell = min(_MAX_CELL, (canvas.width - left - legend) / max(len(picture.columns), 1))
    high = min(cell, 40.0)
    turned = any(text_width(name, SMALL) > cell - 4.0 for name in picture.columns)
    head = min(max((text_width(name, SMALL) for name in picture.columns), default=0.0), 120.0) if turned else FONT
    _column_names(canvas, picture, left, top + head, cell, turned=turned)
    top += head + 6.0
    largest = _largest(picture)
    for row, name in enumerate(picture.rows):
        y = top + row * high
        canvas.text(left - _GAP, y + high / 2 + 4.0, name, anchor="end", room=left - _GAP)
        for column in range(len(picture.columns)):
            _heat_cell(canvas, picture, (row, column), (left + column * cell, y, cell, high), largest)
    bottom = top + high * len(picture.rows)
    _heat_legend(canvas, picture, left + cell * len(picture.columns) + 18.0, top, largest)
    return max(bottom, top + 110.0)


def _column_names(canvas: Canvas, picture: HeatMap, left: float, y: float, cell: float, *, turned: bool) -> None:
    for column, name in enumerate(picture.columns):
        middle = left + (column + 0.5) * cell
        if turned:
            canvas.text(middle + 4.0, y, name, size=SMALL, room=120.0, turned=True)
        else:
            canvas.text(middle, y, name, size=SMALL, anchor="middle", room=cell - 2.0)


def _largest(picture: HeatMap) -> float:
    values = [abs(value) for row in picture.values for value in row if value is not None and math.isfinite(value)]
    return max(values, default=0.0) or 1.0


def _heat_cell(
    canvas: Canvas,
    picture: HeatMap,
    at: tuple[int, int],
    box: tuple[float, float, float, float],
    largest: float,
) -> None:
    row, column = at
    value = picture.values[row][column]
    x, y, width, height = box[0] + 1.0, box[1] + 1.0, box[2] - 2.0, box[3] - 2.0
    if value is None or not math.isfinite(value):
        canvas.rect(x, y, width, height, fill="none", stroke=canvas.palette.line, stroke_width=1, rx=2)
        return
    greyed = bool(picture.greyed) and picture.greyed[row][column]
    strength = _opacity(value / largest)
    colour = _heat_colour(canvas.palette, picture, value, greyed=greyed)
    canvas.rect(x, y, width, height, fill=colour, fill_opacity=strength * (0.6 if greyed else 1.0), rx=2)
    canvas.tip(_heat_tip(picture, at, value, greyed=greyed))
    if width >= 30.0 and height >= 16.0:
        colour = canvas.palette.on_colour if strength > 0.6 and not greyed else canvas.palette.text
        text = _cell_text(value, picture, largest)
        canvas.text(
            x + width / 2, y + height / 2 + 4.0, text, size=SMALL, anchor="middle", room=width,
            colour=canvas.palette.muted if greyed else colour,
        )  # fmt: skip


def _opacity(share: float) -> float:
    """Return how dense the colour of a cell is; even 0 stays visible as a cell."""
    return 0.09 + 0.91 * min(1.0, abs(share))


def _heat_colour(palette: Palette, picture: HeatMap, value: float, *, greyed: bool) -> str:
    if greyed:
        return palette.grey
    if picture.diverging:
        return palette.positive if value > 0 else palette.negative
    return palette.scale


def _cell_text(value: float, picture: HeatMap, largest: float) -> str:
    """Return a short text: all cells with the same decimals."""
    if picture.unit == "%":
        return format_number(100 * value, 1)
    return format_number(value, min(2, decimals_of(largest)))


def _heat_tip(picture: HeatMap, at: tuple[int, int], value: float, *, greyed: bool) -> str:
    text = f"{picture.rows[at[0]]} × {picture.columns[at[1]]}: {format_with_unit(value, picture.unit)}"
    if picture.counts:
        text += f", {format_count(picture.counts[at[0]][at[1]])} rows"
    return f"{text} (grey: see note)" if greyed else text


def _heat_legend(canvas: Canvas, picture: HeatMap, x: float, top: float, largest: float) -> None:
    """Draw the scale, largest on top."""
    steps = (1.0, 0.5, 0.0, -0.5, -1.0) if picture.diverging else (1.0, 0.75, 0.5, 0.25, 0.0)
    unit = "" if picture.unit == "%" else picture.unit
    if unit:
        canvas.text(x, top + 8.0, unit, size=SMALL, colour=canvas.palette.muted, room=canvas.width - x)
    for place, step in enumerate(steps):
        y = top + 16.0 + 17.0 * place
        colour = _heat_colour(canvas.palette, picture, step, greyed=False)
        canvas.rect(x, y, 16.0, 16.0, fill=colour, fill_opacity=_opacity(step), rx=2)
        text = format_with_unit(step * largest, "%" if picture.unit == "%" else "")
        canvas.text(x + 22.0, y + 12.0, text, size=SMALL, colour=canvas.palette.muted, room=canvas.width - x - 22.0)


# ---- bars


def _bars(canvas: Canvas, picture: BarList, top: float) -> float:
    palette = canvas.palette
    names = min(max((text_width(label) for label in picture.labels), default=0.0), 0.34 * canvas.width)
    texts = _bar_texts(picture)
    left = names + _GAP
    right = canvas.width - max((text_width(text, SMALL) for text in texts), default=0.0) - 2 * _GAP
    low = min([0.0, *picture.values, *picture.low])
    high = max([0.0, *picture.values, *picture.high])
    scale = (right - left) / ((high - low) or 1.0)
    zero = left - low * scale
    for place, (label, value, text) in enumerate(zip(picture.labels, picture.values, texts, strict=True)):
        y = top + _ROW * place
        greyed = bool(picture.greyed) and picture.greyed[place]
        canvas.text(names, y + 17.0, label, anchor="end", room=names, colour=palette.muted if greyed else palette.text)
        x, end = sorted((zero, zero + value * scale))
        canvas.rect(x, y + 4.0, end - x, _ROW - 8.0, fill=palette.grey if greyed else palette.accent,
                    fill_opacity=0.45 if greyed else 0.9, rx=2)  # fmt: skip
        canvas.tip(f"{label}: {format_with_unit(value, picture.unit)}")
        if picture.low and picture.high:
            _whisker(canvas, zero + picture.low[place] * scale, zero + picture.high[place] * scale, y + _ROW / 2)
            end = max(end, zero + picture.high[place] * scale)
        canvas.text(end + _GAP, y + 17.0, text, size=SMALL, colour=palette.muted)
    bottom = top + _ROW * len(picture.labels)
    canvas.line(zero, top, zero, bottom, colour=palette.line)
    return bottom


def _bar_texts(picture: BarList) -> list[str]:
    """Return the numbers beside the bars, all with the decimals of the longest."""
    if picture.unit == "%":
        return [format_with_unit(value, "%") for value in picture.values]
    decimals = decimals_of(max((abs(value) for value in picture.values), default=0.0))
    return [format_number(value, decimals) for value in picture.values]


def _whisker(canvas: Canvas, low: float, high: float, y: float) -> None:
    for x1, x2, y1, y2 in ((low, high, y, y), (low, low, y - 4, y + 4), (high, high, y - 4, y + 4)):
        canvas.line(x1, y1, x2, y2, colour=canvas.palette.text, stroke_width=1.25)


# ---- waterfall


def _waterfall(canvas: Canvas, picture: Waterfall, top: float) -> float:
    palette = canvas.palette
    levels = [picture.baseline]
    for _, step in picture.steps:
        levels.append(levels[-1] + step)
    labels = ["baseline", *(label for label, _ in picture.steps), "prediction"]
    names = min(max(text_width(label) for label in labels), 0.42 * canvas.width)
    left, right = names + _GAP + 56.0, canvas.width - 64.0
    low, high = min([*levels, picture.total]), max([*levels, picture.total])
    scale = (right - left) / ((high - low) or 1.0)
    spans = [(picture.baseline,) * 2, *itertools.pairwise(levels), (picture.total,) * 2]
    for place, (label, (start, end)) in enumerate(zip(labels, spans, strict=True)):
        y = top + _ROW * place
        x1, x2 = left + (start - low) * scale, left + (end - low) * scale
        canvas.text(names, y + 17.0, label, anchor="end", room=names, bold=place in (0, len(labels) - 1))
        _waterfall_mark(canvas, x1, x2, y)
        text = format_number(end, 2) if place in (0, len(labels) - 1) else format_signed(end - start, 2)
        after = x2 >= x1
        canvas.text(
            max(x1, x2) + 6.0 if after else min(x1, x2) - 6.0, y + 17.0, text, size=SMALL,
            anchor="start" if after else "end", colour=palette.muted,
        )  # fmt: skip
        if place < len(labels) - 1:
            canvas.line(x2, y + _ROW - 4.0, x2, y + _ROW + 4.0, colour=palette.grey, stroke_width=1)
    return top + _ROW * len(labels)


def _waterfall_mark(canvas: Canvas, x1: float, x2: float, y: float) -> None:
    if x1 == x2:
        canvas.rect(x1 - 1.5, y + 4.0, 3.0, _ROW - 8.0, fill=canvas.palette.text)
        return
    colour = canvas.palette.positive if x2 > x1 else canvas.palette.negative
    canvas.rect(min(x1, x2), y + 4.0, max(abs(x2 - x1), 1.0), _ROW - 8.0, fill=colour, fill_opacity=0.9, rx=2)


# ---- graph


def _graph(canvas: Canvas, picture: InteractionGraph, top: float) -> float:
    """Draw the fields on an ellipse, names outside, edges as chords."""
    if not picture.nodes:
        canvas.text(0.0, top + 16.0, "No pair of fields is used together.", colour=canvas.palette.muted)
        return top + 24.0
    palette = canvas.palette
    names = min(max(text_width(name) for name, _ in picture.nodes), 0.28 * canvas.width)
    across = canvas.width / 2 - names - 28.0
    up = min(max(90.0, 13.0 * len(picture.nodes)), 170.0)
    centre = (canvas.width / 2, top + up + 30.0)
    places: dict[str, tuple[float, float]] = {}
    for place, (name, _) in enumerate(picture.nodes):
        angle = 2 * math.pi * place / len(picture.nodes) - math.pi / 2
        places[name] = (centre[0] + across * math.cos(angle), centre[1] + up * math.sin(angle))
    for edge in reversed(picture.edges):
        (x1, y1), (x2, y2) = places[edge.first], places[edge.second]
        colour, opacity = (palette.grey, 0.3) if edge.greyed else (palette.accent, 0.35 + 0.5 * edge.strength)
        width = 1.0 + 7.0 * edge.strength
        canvas.line(x1, y1, x2, y2, colour=colour, stroke_width=width, stroke_opacity=opacity, stroke_linecap="round")
        canvas.tip(f"{edge.first} × {edge.second}: {edge.label}")
    for name, size in picture.nodes:
        _node(canvas, places[name], centre, name, size, names)
    return centre[1] + up + 34.0


def _node(
    canvas: Canvas, at: tuple[float, float], centre: tuple[float, float], name: str, size: float, room: float
) -> None:
    radius = 5.0 + 9.0 * math.sqrt(max(size, 0.0))
    canvas.circle(*at, radius, fill=canvas.palette.accent, stroke=canvas.palette.background, stroke_width=2)
    canvas.tip(name)
    aside = at[0] - centre[0]
    if abs(aside) < 2.0:
        y = at[1] - radius - 6.0 if at[1] < centre[1] else at[1] + radius + 14.0
        canvas.text(at[0], y, name, anchor="middle", room=room * 2)
        return
    anchor, x = ("start", at[0] + radius + 6.0) if aside > 0 else ("end", at[0] - radius - 6.0)
    canvas.text(x, at[1] + 4.0, name, anchor=anchor, room=room)


# ---- table


def _table(canvas: Canvas, picture: Table, top: float) -> float:
    """Draw a table as text: for figures on their own; reports set tables as tables."""
    heads = [column.name for column in picture.columns]
    texts = [
        [format_cell(cell, column) for cell, column in zip(row, picture.columns, strict=True)] for row in picture.rows
    ]
    wanted = [max(text_width(line[place], FONT) for line in [heads, *texts]) + 2 * _GAP for place in range(len(heads))]
    widths = _fitted(wanted, canvas.width)
    for number, line in enumerate([heads, *texts]):
        greyed = number > 0 and bool(picture.greyed) and picture.greyed[number - 1]
        _table_line(canvas, picture, line, widths, top + 20.0 * number, muted=greyed or number == 0)
    canvas.line(0.0, top + 20.0, sum(widths), top + 20.0, colour=canvas.palette.line)
    return top + 20.0 * (len(texts) + 1) + 4.0


def _fitted(widths: list[float], room: float) -> list[float]:
    """Return widths that fit into `room`: the widest columns give way, narrow ones keep what they need."""
    fitted: dict[int, float] = {}
    for done, place in enumerate(sorted(range(len(widths)), key=widths.__getitem__)):
        fitted[place] = min(widths[place], (room - sum(fitted.values())) / (len(widths) - done))
    return [fitted[place] for place in range(len(widths))]


def _table_line(
    canvas: Canvas, picture: Table, line: list[str], widths: list[float], top: float, *, muted: bool
) -> None:
    colour = canvas.palette.muted if muted else canvas.palette.text
    x = 0.0
    for text, column, width in zip(line, picture.columns, widths, strict=True):
        right = column.align is Align.RIGHT
        canvas.text(x + width - _GAP if right else x, top + 15.0, text, room=width - _GAP, colour=colour,
                    anchor="end" if right else "start")  # fmt: skip
        x += width


# ---- words


def _describe_heat_map(picture: HeatMap) -> str:
    cells = [
        (abs(value), row, column, value)
        for row, values in zip(picture.rows, picture.values, strict=True)
        for column, value in zip(picture.columns, values, strict=True)
        if value is not None
    ]
    size = f"Heat map of {len(picture.rows)} by {len(picture.columns)} cells."
    if not cells:
        return size
    _, row, column, value = max(cells)
    return f"{size} Strongest: {row} and {column}, {format_with_unit(value, picture.unit)}."


def _describe_bars(picture: BarList) -> str:
    bars = zip(picture.labels, picture.values, strict=True)
    return f"Bars: {', '.join(f'{label} {format_with_unit(value, picture.unit)}' for label, value in bars)}."


def _describe_lines(picture: LineChart) -> str:
    names = ", ".join(series.name for series in picture.series)
    return f"Lines of {picture.y_label} over {picture.x_label}: {names}."


def _describe_waterfall(picture: Waterfall) -> str:
    steps = ", ".join(f"{label} {format_signed(step, 2)}" for label, step in picture.steps)
    return f"From {format_number(picture.baseline, 2)} by {steps} to {format_number(picture.total, 2)} {picture.unit}."


def _describe_graph(picture: InteractionGraph) -> str:
    edges = ", ".join(f"{edge.first} and {edge.second} {edge.label}".rstrip() for edge in picture.edges)
    return f"Graph of {len(picture.nodes)} fields. Edges: {edges}." if edges else "Graph without edges."


def _describe_table(picture: Table) -> str:
    return f"Table of {len(picture.rows)} rows: {', '.join(column.name for column in picture.columns)}."


_DRAW: dict[type, Callable[[Canvas, Any, float], float]] = {
    HeatMap: _heat_map, BarList: _bars, LineChart: draw_lines, Waterfall: _waterfall,
    InteractionGraph: _graph, Table: _table,
}  # fmt: skip
_DESCRIBE: dict[type, Callable[[Any], str]] = {
    HeatMap: _describe_heat_map, BarList: _describe_bars, LineChart: _describe_lines,
    Waterfall: _describe_waterfall, InteractionGraph: _describe_graph, Table: _describe_table,
}  # fmt: skip

__all__ = ["WIDTH", "describe", "shortened", "svg"]

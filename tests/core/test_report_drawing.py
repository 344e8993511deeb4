from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from core.display import (
    Align,
    BarList,
    GraphEdge,
    HeatMap,
    InteractionGraph,
    LineChart,
    Series,
    Table,
    TableColumn,
    Waterfall,
)
from core.report import DARK, LIGHT, svg
from core.report.canvas import shortened, text_width, ticks, wrapped
from core.report.drawing import describe
from core.report.palette import CSS, css_variables

NAMES = (
    "user.segment",
    "商品カテゴリーの名前がとても長い場合でも",
    "a name that is much too long for the margin " * 3,
    '<b>&"',
)
PICTURES = {
    "heat map": HeatMap(
        "Pairs", NAMES, NAMES, ((None, 0.5, -1.0, 0.1),) * 4, unit="logit", diverging=True,
        greyed=((False, True, False, False),) * 4, counts=((1, 2, 3, 4),) * 4, note="A note. " * 40,
    ),
    "rates": HeatMap("Rates", NAMES[:1], NAMES, ((0.1, 0.2, None, 0.0),), unit="%"),
    "many fields": HeatMap("Big", tuple(map(str, range(24))), tuple(map(str, range(24))), ((0.0,) * 24,) * 24),
    "bars": BarList("Bars", NAMES, (5.0, 1.0, 0.0, -2.0), (4.0, 0.5, -0.1, -3.0), (6.0, 1.5, 0.1, -1.0)),
    "no bars": BarList("Bars", (), ()),
    "lines": LineChart("Loss", "Epoch", "Log loss", (
        Series(NAMES[2], (1.0, 2.0, 3.0), (0.3, 0.2, 0.25), (0.2, 0.1, 0.2), (0.4, 0.3, 0.3), points=True),
        Series("best", (2.0, 2.0), (0.1, 0.4), reference=True),
    )),
    "one point": LineChart("Loss", "Epoch", "Log loss", (Series("a", (1.0,), (0.3,)),)),
    "no lines": LineChart("Loss", "Epoch", "Log loss", ()),
    "waterfall": Waterfall("Row", -2.0, tuple((name, 0.7) for name in NAMES), 0.8),
    "flat waterfall": Waterfall("Row", 0.0, (), 0.0),
    "graph": InteractionGraph("Graph", tuple((name, 0.3) for name in NAMES), (
        GraphEdge(NAMES[0], NAMES[3], 1.0, "0.9"), GraphEdge(NAMES[1], NAMES[2], 0.1, greyed=True),
    )),
    "no graph": InteractionGraph("Graph", (), ()),
    "table": Table("T", (TableColumn("a"), TableColumn("b", Align.RIGHT, 2)), ((NAMES[2], 1.5), (None, None))),
}  # fmt: skip
_SVG = "{http://www.w3.org/2000/svg}"


def _root(picture, palette=LIGHT, **more) -> ET.Element:
    return ET.fromstring(svg(picture, palette, **more))


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_well_formed_and_says_what_it_shows(name):
    root = _root(PICTURES[name])
    assert root.get("role") == "img" and root.get("aria-label") == PICTURES[name].title
    assert root.findtext(f"{_SVG}desc") == describe(PICTURES[name])
    assert "nan" not in ET.tostring(root, encoding="unicode").lower().replace("name", "")


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("width", [360.0, 640.0])
def test_no_text_leaves_the_picture(name, width):
    root = _root(PICTURES[name], width=width)
    height = float(root.get("height"))
    for text in root.iter(f"{_SVG}text"):
        x, y, long = (
            float(text.get("x")),
            float(text.get("y")),
            text_width(text.text or "", float(text.get("font-size"))),
        )
        if text.get("transform"):
            room = {"middle": min(y, height - y) * 2}.get(text.get("text-anchor"), y)
        else:
            room = {"end": x, "middle": 2 * min(x, width - x)}.get(text.get("text-anchor"), width - x)
        assert long <= room + 1.0, (text.text, room)
        assert 0 <= x <= width and 0 <= y <= height


@pytest.mark.parametrize("name", PICTURES)
def test_a_drawing_needs_neither_styles_nor_variables_nor_clipping(name):
    drawn = svg(PICTURES[name], DARK)
    assert not any(word in drawn for word in ("<style", "var(", "clip", "<script", "url("))


def test_a_shortened_name_is_told_in_full_by_a_tooltip():
    titles = [title.text for title in _root(PICTURES["bars"]).iter(f"{_SVG}title")]
    assert NAMES[2] in titles


def test_colours_come_from_the_palette_alone():
    drawn = svg(PICTURES["lines"], CSS)
    assert "#" not in drawn and "var(--series-0)" in drawn
    assert set(css_variables(LIGHT)) == set(css_variables(DARK)) >= {"--background", "--on-colour", "--series-0"}


def test_greyed_cells_are_grey_and_strong_ones_dense():
    rects = _root(PICTURES["heat map"]).findall(f"{_SVG}rect")[:4]
    empty, greyed, strong, weak = rects
    assert empty.get("fill") == "none" and greyed.get("fill") == LIGHT.grey
    assert (strong.get("fill"), weak.get("fill")) == (LIGHT.negative, LIGHT.positive)
    assert float(strong.get("fill-opacity")) == 1.0 > float(weak.get("fill-opacity"))


def test_bars_are_as_long_as_their_values():
    bars = _root(BarList("B", ("a", "b"), (4.0, 1.0))).findall(f"{_SVG}rect")
    assert float(bars[0].get("width")) == pytest.approx(4 * float(bars[1].get("width")), rel=0.01)


def test_control_characters_of_a_name_do_not_break_the_file():
    root = _root(BarList("B\x00", ("a\x1b[31m\ud800",), (1.0,)))
    assert [text.text for text in root.iter(f"{_SVG}text")][:2] == ["B", "a[31m"]


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0, 1, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)), (-3, 7, (-2.0, 0.0, 2.0, 4.0, 6.0)), (5, 5, (5,)), (0.31, 0.33, None)],
)
def test_ticks_are_round_and_inside(low, high, found):
    values = ticks(low, high)
    assert found is None or values == found
    assert 1 <= len(values) <= 7 and all(low <= value <= high for value in values)


def test_text_is_cut_with_an_ellipsis_and_wrapped_at_spaces():
    assert shortened("short", 100) == "short"
    assert shortened("much too long", 40).endswith("…") and text_width(shortened("much too long", 40)) <= 40
    assert " ".join(wrapped("one two three four", 60)) == "one two three four" and len(wrapped("one two three", 60)) > 1
    assert wrapped("", 60) == ()


def test_the_description_names_the_strongest_cell():
    picture = HeatMap("P", ("a", "b"), ("c",), ((0.1,), (-0.4,)), unit="logit")
    assert describe(picture) == "Heat map of 2 by 1 cells. Strongest: b and c, −0.400 logit."

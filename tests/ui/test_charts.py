"""Pictures in the window: what they say, how they are read by mouse, keyboard and as tables."""

from __future__ import annotations

import csv
import io
import itertools
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QFileDialog

from core.display import (
    Align,
    BarList,
    GraphEdge,
    HeatMap,
    InteractionGraph,
    LineChart,
    Picture,
    Series,
    Table,
    TableColumn,
    Waterfall,
)
from crosslens.errors import StorageError
from ui.desktop import exports
from ui.desktop.charts import PictureView, TableView, numbers
from ui.desktop.charts.as_table import as_table
from ui.desktop.charts.axis import axis_of
from ui.desktop.charts.heat_map import HeatMapCanvas
from ui.desktop.charts.table import TableModel
from ui.desktop.charts.waterfall import WaterfallCanvas, lines_of
from ui.desktop.palette import DARK, LIGHT, Theme, apply_theme

HEAT = HeatMap(
    "Pairs",
    ("a", "b", "c"),
    ("a", "b", "c"),
    ((None, 0.5, 0.1), (0.5, None, 0.0), (0.1, 0.0, None)),
    "logit",
    greyed=((False, False, True), (False, False, True), (True, True, False)),
)
RATES = HeatMap(
    "Rates",
    ("x", "y"),
    ("u", "v"),
    ((0.1, 0.2), (0.3, None)),
    "%",
    False,
    ((False, False), (True, False)),
    ((10, 20), (30, 0)),
)
BARS = BarList("Fields", ("a", "b"), (0.8, -0.2), (0.7, -0.3), (0.9, -0.1), "logit", (False, True))
TRAIN = Series("train", (1.0, 2.0, 3.0), (0.5, 0.4, 0.3))
CHANCE = Series("chance", (1.0, 3.0), (1.0, 1.0), reference=True)
LINES = LineChart("Curve", "epoch", "loss", (TRAIN, CHANCE))
FALL = Waterfall("Row", -2.0, (("a = 1", 0.5), ("b = 2", -0.25)), -1.75)
GRAPH = InteractionGraph("Graph", (("a", 1.0), ("b", 0.5)), (GraphEdge("a", "b", 1.0, "0.50"),))
TABLE = Table(
    "Evidence",
    (TableColumn("Fields"), TableColumn("Effect", Align.RIGHT, 2), TableColumn("Real")),
    (("a × b", 0.5, True), ("a × c", None, False), ("b × c", 0.75, False)),
    (False, True, False),
)
PICTURES: tuple[Picture, ...] = (HEAT, RATES, BARS, LINES, FALL, GRAPH, TABLE)


@pytest.fixture
def shown(qtbot: Any) -> Any:
    def show(picture: Picture) -> PictureView:
        view = PictureView(picture)
        qtbot.addWidget(view)
        view.resize(600, 400)
        view.show()
        qtbot.waitExposed(view)
        return view

    return show


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.123"), (-1.5, "−1.50"), (0.0, "0"), (123.4, "123"), (0.00001, "1.0e−05"), (float("nan"), "–")],
)
def test_a_number_has_about_three_digits_and_a_true_minus(qapp: Any, value: float, text: str) -> None:
    assert numbers.number(value).replace("E", "e") == text


def test_a_fixed_number_of_decimals_is_kept_and_zero_has_no_sign(qapp: Any) -> None:
    assert numbers.number(-3.8e-19, 5) == "0.00000"
    assert numbers.number(1234567.0, 1) == "1,234,567.0"


def test_a_cell_says_what_its_column_means(qapp: Any) -> None:
    share = TableColumn("Share", percent=True)
    assert numbers.cell(0.125, share) == "12.5 %"
    assert numbers.cell(None, share) == "–"
    assert numbers.cell(12345, TableColumn("Rows")) == "12,345"


def test_a_symmetric_heat_map_lists_every_pair_once() -> None:
    assert as_table(HEAT).rows == (("a", "b", 0.5, True), ("a", "c", 0.1, False), ("b", "c", 0.0, False))


def test_a_heat_map_of_two_fields_lists_every_cell_with_its_support() -> None:
    assert as_table(RATES).rows[0] == ("x", "u", 0.1, 10, True)
    assert len(as_table(RATES).rows) == 4


def test_a_waterfall_lists_the_level_after_every_step() -> None:
    assert [row[2] for row in as_table(FALL).rows] == [-2.0, -1.5, -1.75, -1.75]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
@settings(max_examples=30)
def test_the_steps_of_a_waterfall_join_up(changes: list[float]) -> None:
    picture = Waterfall("t", 1.0, tuple((str(n), change) for n, change in enumerate(changes)), 1.0 + sum(changes))
    lines = lines_of(picture, "start", "end")
    assert all(before.end == after.start for before, after in itertools.pairwise(lines[:-1]))
    assert lines[-2].end == pytest.approx(picture.total)


def test_arrow_keys_read_the_cells_of_a_heat_map(shown: Any, qtbot: Any) -> None:
    canvas = shown(HEAT).canvas
    canvas.setFocus()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down):
        qtbot.keyClick(canvas, key)
    assert canvas.accessibleDescription() == "b × b: empty"
    qtbot.keyClick(canvas, Qt.Key.Key_Left)
    assert canvas.accessibleDescription() == "b × a: 0.500 logit"


def test_return_chooses_the_pair_pointed_at(shown: Any, qtbot: Any) -> None:
    view = shown(HEAT)
    view.canvas.point_at(1)
    with qtbot.waitSignal(view.pairChosen) as chosen:
        qtbot.keyClick(view.canvas, Qt.Key.Key_Return)
    assert chosen.args == ["a", "b"]


def test_a_click_on_a_cell_chooses_its_pair(shown: Any, qtbot: Any) -> None:
    view = shown(HEAT)
    with qtbot.waitSignal(view.pairChosen) as chosen:
        qtbot.mouseClick(view.canvas, Qt.MouseButton.LeftButton, pos=view.canvas.item_area(6).center().toPoint())
    assert chosen.args == ["c", "a"]


def test_the_diagonal_chooses_nothing(shown: Any, qtbot: Any) -> None:
    view = shown(HEAT)
    with qtbot.assertNotEmitted(view.pairChosen):
        qtbot.mouseClick(view.canvas, Qt.MouseButton.LeftButton, pos=view.canvas.item_area(4).center().toPoint())


def test_an_unsupported_cell_says_so_and_a_count_is_read(shown: Any) -> None:
    assert shown(HEAT).canvas.describe(2).endswith("not supported by the evidence")
    assert shown(RATES).canvas.describe(1) == "x × v: 20.0 %, 20 rows"
    assert shown(RATES).canvas.describe(2).endswith("30 rows, too few rows")


def test_an_edge_of_the_graph_is_chosen_where_it_is_painted(shown: Any, qtbot: Any) -> None:
    view = shown(GRAPH)
    middle = view.canvas.item_area(0).center().toPoint()
    with qtbot.waitSignal(view.pairChosen) as chosen:
        qtbot.mouseClick(view.canvas, Qt.MouseButton.LeftButton, pos=middle)
    assert chosen.args == ["a", "b"]


def test_a_bar_reads_its_interval(shown: Any) -> None:
    assert shown(BARS).canvas.describe(0) == "a: 0.800 logit [0.700, 0.900]"


def test_a_step_of_the_waterfall_reads_its_sign_and_where_it_leads(qapp: Any) -> None:
    assert WaterfallCanvas(FALL).describe(1) == "a = 1: +0.50 logit, then −1.50"


def test_keys_walk_along_a_line(shown: Any, qtbot: Any) -> None:
    view = shown(LINES)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right):
        qtbot.keyClick(view.canvas, key)
    assert view.canvas.accessibleDescription() == "epoch 2.00: train 0.4000"


def test_the_mouse_reads_the_nearest_point(shown: Any, qtbot: Any) -> None:
    canvas = shown(LINES).canvas
    qtbot.mouseMove(canvas, canvas.item_area(2).center().toPoint())
    assert canvas.item == 2
    assert canvas.describe(2).endswith("train 0.3000")


def test_live_lines_keep_their_widget(shown: Any) -> None:
    view = shown(LINES)
    canvas = view.canvas
    view.set_picture(LineChart("Curve", "epoch", "loss", (Series("train", (1.0,), (0.5,)),)))
    assert view.canvas is canvas
    assert canvas.picture.series[0].x == (1.0,)


@pytest.mark.parametrize(("epochs", "texts"), [((1.0, 2.0), ["1", "2"]), ((1.0, 12.0), ["3", "6", "9", "12"])])
def test_whole_numbers_get_whole_ticks(qapp: Any, epochs: tuple[float, ...], texts: list[str]) -> None:
    assert list(axis_of(epochs, whole=True).texts) == texts


@given(st.lists(st.floats(-1e6, 1e6), max_size=20), st.floats(0, 0.1))
@settings(max_examples=30)
def test_an_axis_holds_all_values_and_its_ticks_can_be_told_apart(values: list[float], margin: float) -> None:
    axis = axis_of(values, margin=margin)
    assert all(-1e-9 <= axis.share(value) <= 1 + 1e-9 for value in values)
    assert 2 <= len(axis.ticks) <= 7
    assert len(set(axis.texts)) == len(axis.ticks)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.0, 0.33, ["0.0", "0.1", "0.2", "0.3"]),
        (7.0, 7.0, None),
    ],
)
def test_ticks_are_round_numbers(qapp: Any, low: float, high: float, texts: list[str] | None) -> None:
    axis = axis_of([low, high])
    assert texts is None or list(axis.texts) == texts
    assert axis.low <= low <= high <= axis.high


def test_a_chart_is_there_within_a_frame_or_two(shown: Any) -> None:
    view = shown(LINES)
    long = tuple(float(x) for x in range(400))
    lines = LineChart("Curve", "x", "y", tuple(Series(str(n), long, long) for n in range(4)))
    began = time.perf_counter()
    view.set_picture(lines)
    view.canvas.grab()
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.title)
def test_every_picture_can_be_shown_as_a_table(shown: Any, picture: Picture) -> None:
    view = shown(picture)
    view.show_table(True)
    assert view.findChildren(TableView)[0].model().rowCount() == len(as_table(picture).rows)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.title)
@pytest.mark.parametrize("theme", [Theme.LIGHT, Theme.DARK])
def test_every_picture_follows_the_theme(shown: Any, picture: Picture, theme: Theme) -> None:
    apply_theme(theme)
    view = shown(picture)
    image = view.grab().toImage()
    seen = {image.pixelColor(x, y).name() for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}
    expected, other = (LIGHT, DARK) if theme is Theme.LIGHT else (DARK, LIGHT)
    apply_theme(Theme.LIGHT)
    assert expected.window.name() in seen
    assert other.window.name() not in seen
    assert len(seen) > 2


def test_no_text_is_wider_than_its_picture_at_twice_the_size(shown: Any) -> None:
    view = shown(HEAT)
    font = view.font()
    font.setPointSizeF(2 * font.pointSizeF())
    view.canvas.setFont(font)
    canvas = view.canvas
    assert isinstance(canvas, HeatMapCanvas)
    last = canvas.item_area(canvas.item_count() - 1)
    assert canvas.sizeHint().height() > last.bottom() + canvas.metrics().height()


def test_the_table_model_keeps_qt_s_rules(qtmodeltester: Any) -> None:
    qtmodeltester.check(TableModel(TABLE))


def test_sorting_uses_numbers_and_puts_empty_cells_last(qtbot: Any) -> None:
    view = TableView(TABLE)
    qtbot.addWidget(view)
    for order, expected in (
        (Qt.SortOrder.AscendingOrder, ["a × b", "b × c", "a × c"]),
        (Qt.SortOrder.DescendingOrder, ["b × c", "a × b", "a × c"]),
    ):
        view.sortByColumn(1, order)
        assert [view.model().index(row, 0).data() for row in range(3)] == expected


def test_a_sorted_table_still_names_the_right_row(qtbot: Any) -> None:
    view = TableView(TABLE)
    qtbot.addWidget(view)
    view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    with qtbot.waitSignal(view.rowChosen) as chosen:
        view.selectRow(0)
    assert chosen.args == [2]
    assert view.chosen_row() == 2


def test_copied_rows_are_what_is_shown(qtbot: Any) -> None:
    view = TableView(TABLE)
    qtbot.addWidget(view)
    view.copy()
    lines = QGuiApplication.clipboard().text().split("\n")
    assert lines[0] == "Fields\tEffect\tReal"
    assert lines[1].startswith("a × b\t0.50")
    assert len(lines) == 4


def test_numbers_in_a_csv_are_raw_and_quotes_survive() -> None:
    table = Table("t", (TableColumn('a "b"'), TableColumn("n")), (("x,y", 0.1234567), (None, 3)))
    rows = list(csv.reader(io.StringIO(exports.csv_text(table))))
    assert rows == [['a "b"', "n"], ["x,y", "0.1234567"], ["", "3"]]


@pytest.mark.parametrize("kind", ["svg", "png", "csv"])
def test_a_picture_is_saved_where_the_user_says(
    shown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "picture"), ""))
    shown(HEAT).save(kind)
    data = (tmp_path / f"picture.{kind}").read_bytes()
    if kind == "svg":
        assert ET.fromstring(data).tag.endswith("svg")
    else:
        assert data.startswith(b"\x89PNG" if kind == "png" else b"Row,Column")


def test_a_disk_that_refuses_is_reported(shown: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("/proc/nowhere/picture.csv", ""))
    view = shown(BARS)
    with qtbot.waitSignal(view.failed) as failed:
        view.save("csv")
    assert isinstance(failed.args[0], StorageError)


def test_the_menu_offers_table_copy_and_save(shown: Any) -> None:
    view = shown(BARS)
    view.copy_image()
    assert QGuiApplication.clipboard().pixmap().width() >= 2 * view.canvas.width() * 0.9
    QApplication.clipboard().clear()


@pytest.mark.parametrize(("title", "name"), [("Why: a × b?", "why-a-b"), ("Größe", "größe"), ("///", "crosslens")])
def test_a_title_becomes_a_file_name(title: str, name: str) -> None:
    assert exports.file_name(title) == name

"""Qt item models: what they say, and Qt's own tester on each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester

from core.commands import PageRead
from crosslens.schema import FieldKind, FieldRole
from ui.desktop.models.columns import Column, ColumnsFilter, ColumnsModel
from ui.desktop.models.rows import RowsModel, cell_text
from ui.desktop.models.tables import TABLE, TablesFilter, TablesModel
from ui.desktop.session import Session

from .shop import PAGE, TABLES
from .test_draft import shop

FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal
Checks = Qt.ItemDataRole.CheckStateRole


@pytest.fixture
def rows(qapp: Any) -> RowsModel:
    model = RowsModel()
    model.start(TABLES[2])
    model.show_page(PAGE)
    return model


@pytest.fixture
def columns(session: Session, open_shop: Callable[[], None]) -> ColumnsModel:
    open_shop()
    session.start_draft(shop())
    return ColumnsModel(session)


def column(model: ColumnsModel, name: str, place: Column) -> Any:
    row = next(row for row in range(model.rowCount()) if model.index(row, Column.NAME).data() == name)
    return model.index(row, place)


def test_every_model_keeps_qts_rules(rows: RowsModel, columns: ColumnsModel) -> None:
    tables = TablesModel()
    filtered = TablesFilter()
    filtered.setSourceModel(tables)
    testers = [
        QAbstractItemModelTester(model, FATAL) for model in (rows, columns, tables, filtered, ColumnsFilter(columns))
    ]
    tables.show_tables(TABLES)
    filtered.search("item")
    rows.show_page(PageRead(PAGE.columns, PAGE.rows, None))
    columns.use([columns.column(0)], True)
    assert len(testers) == 5


def test_null_is_a_grey_word(rows: RowsModel) -> None:
    cell = rows.index(1, 1)
    assert cell.data() == "NULL"
    assert cell.data(Qt.ItemDataRole.ForegroundRole) is not None
    assert rows.index(0, 1).data(Qt.ItemDataRole.ForegroundRole) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "NULL"), (1234567, "1234567"), (0.5, "0.5"), (1e6, "1000000"), (True, "true"), ("a\nb", "a ⏎ b")],
)
def test_values_read_as_they_are_in_the_database(value: Any, text: str) -> None:
    assert cell_text(value) == text


def test_scrolling_to_the_end_asks_once_for_the_next_rows(rows: RowsModel, qtbot: Any) -> None:
    none = rows.index(-1, -1)
    asked: list[bool] = []
    rows.moreWanted.connect(lambda: asked.append(True))
    rows.fetchMore(none)
    rows.fetchMore(none)
    assert asked == [True]
    rows.show_page(PageRead(PAGE.columns, PAGE.rows, None))
    assert rows.rowCount() == 6
    assert not rows.canFetchMore(none)


def test_a_page_that_does_not_come_can_be_asked_for_again(rows: RowsModel) -> None:
    rows.fetchMore(rows.index(-1, -1))
    rows.give_up()
    assert rows.canFetchMore(rows.index(-1, -1))


def test_heads_tell_types_and_keys(rows: RowsModel) -> None:
    tips = [rows.headerData(i, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole) for i in range(2)]
    assert tips == ["INTEGER  ·  primary key  ·  never NULL", "INTEGER  ·  refers to items"]


def test_tables_are_found_by_name_and_by_column(qapp: Any) -> None:
    tables = TablesModel()
    tables.show_tables(TABLES)
    found = TablesFilter()
    found.setSourceModel(tables)
    found.search("PRICE")
    assert [found.index(row, 0).data(TABLE).ref.name for row in range(found.rowCount())] == ["items"]


def test_a_screen_reader_hears_the_whole_table(qapp: Any) -> None:
    tables = TablesModel()
    tables.show_tables(TABLES)
    said = tables.index(2, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert said == "impressions, ≈ 1,200 rows, key id  ·  → items"


def test_unticking_a_column_ignores_it_and_undo_brings_it_back(columns: ColumnsModel, session: Session) -> None:
    cell = column(columns, "items.price", Column.NAME)
    assert columns.setData(cell, Qt.CheckState.Unchecked, Checks)
    assert session.draft.fields.field("items.price").role is FieldRole.IGNORE
    session.undo_stack.undo()
    assert cell.data(Checks) is Qt.CheckState.Checked


def test_role_kind_and_name_are_edited_in_place(columns: ColumnsModel, session: Session) -> None:
    assert columns.setData(column(columns, "brands.name", Column.ROLE), "item")
    assert columns.setData(column(columns, "brands.name", Column.KIND), "text")
    assert columns.setData(column(columns, "brands.name", Column.NAME), "brand")
    field = session.draft.fields.field("brand")
    assert (field.role, field.kind) == (FieldRole.ITEM, FieldKind.TEXT)
    assert session.draft.fields.field("item_id").role is FieldRole.FEATURE
    assert session.undo_stack.count() == 3


def test_shares_and_counts_stand_in_the_cells(columns: ColumnsModel) -> None:
    assert column(columns, "items.price", Column.MISSING).data() == "2.5 %"
    assert column(columns, "id", Column.DISTINCT).data() == "1,200"
    assert column(columns, "brands.name", Column.EXAMPLES).data() == "Orla, Lume, Zest"


def test_numbers_are_sorted_as_numbers(columns: ColumnsModel) -> None:
    found = ColumnsFilter(columns)
    found.sort(Column.DISTINCT)
    texts = [found.index(row, Column.DISTINCT).data() for row in range(found.rowCount())]
    assert texts == ["2", "3", "35", "40", "900", "1,200"]


def test_columns_are_found_by_their_values(columns: ColumnsModel) -> None:
    found = ColumnsFilter(columns)
    found.search("orla")
    assert [found.index(row, 0).data() for row in range(found.rowCount())] == ["brands.name"]

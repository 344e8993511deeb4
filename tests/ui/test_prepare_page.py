"""The Prepare page, driven as a person would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox

from core.commands import PrepareFields
from core.recipe import SplitMethod
from core.recipe_toml import recipe_from_toml
from crosslens.relational import JoinKind
from crosslens.schema import FieldRole, FieldSchema
from ui.desktop.draft import set_role
from ui.desktop.models.columns import Column
from ui.desktop.pages.prepare import PreparePage
from ui.desktop.preparing import use_table
from ui.desktop.session import Session
from ui.desktop.widgets.column_delegates import bar_heights
from ui.desktop.widgets.join_picture import place
from ui.desktop.wording import percent

from .shop import CONNECTION, FIELDS, IMPRESSIONS, PREPARATION, PROFILES, QUERY
from .test_draft import shop


@pytest.fixture
def page(session: Session, open_shop: Callable[[], None], qtbot: Any) -> PreparePage:
    open_shop()
    page = PreparePage(session)
    qtbot.addWidget(page)
    page.resize(1200, 760)
    session.start_draft(shop())
    page.show()
    return page


def box(page: PreparePage, name: str) -> QCheckBox:
    return page.joins.findChild(QCheckBox, name)


def combo(page: PreparePage, name: str) -> QComboBox:
    return next(box for box in page.goal.findChildren(QComboBox) if box.accessibleName().startswith(name))


def choose(combo: QComboBox, row: int) -> None:
    combo.setCurrentIndex(row)
    combo.activated.emit(row)


def test_what_may_follow_a_click_is_chosen_beside_the_label_and_can_be_undone(
    page: PreparePage, session: Session
) -> None:
    then = combo(page, "What may follow a click")
    assert not then.isVisible()  # no second column could be a label
    field = session.draft.fields.features[0]
    session.start_draft(set_role(session.draft, [field.column], FieldRole.CONVERSION))
    assert [then.itemText(row) for row in range(then.count())] == ["nothing more", field.name]
    assert then.isVisible()
    assert then.currentText() == field.name
    choose(then, 0)
    assert not session.draft.fields.with_role(FieldRole.CONVERSION)
    session.undo_stack.undo()
    assert [each.name for each in session.draft.fields.with_role(FieldRole.CONVERSION)] == [field.name]
    assert then.currentText() == field.name


def test_without_a_preparation_the_page_points_to_the_data(session: Session, qtbot: Any) -> None:
    page = PreparePage(session)
    qtbot.addWidget(page)
    asked: list[str] = []
    session.navigated.connect(asked.append)
    page._stack.currentWidget().button.click()
    assert asked == ["data"]
    assert page.primary.text() == ""


def test_a_table_is_prepared_with_what_keys_and_values_suggest(
    session: Session, open_shop: Callable[[], None], qtbot: Any
) -> None:
    open_shop()
    with qtbot.waitSignal(session.navigated, timeout=10_000) as heard:
        use_table(session, IMPRESSIONS)
    assert heard.args == ["prepare"]
    assert session.draft.label.name == "clicks"
    assert session.busy == ""


def test_joins_stand_as_check_boxes_with_what_they_would_do(page: PreparePage) -> None:
    boxes = page.joins.findChildren(QCheckBox)
    assert [box.text() for box in boxes] == ["items", "brands", "clicks"]
    assert [box.accessibleDescription() for box in boxes] == [
        "100 % match",
        "97.5 % match",
        "10.0 % match  ·  up to 2 per row",
    ]


def test_unticking_a_join_takes_its_columns_away_and_undo_brings_them_back(
    page: PreparePage, session: Session, answer_with: Callable[[str, Any], None], qtbot: Any
) -> None:
    smaller = replace(QUERY, joins=QUERY.joins[:2], columns=QUERY.columns[:5])
    fields = FieldSchema(FIELDS.fields[:5])
    answer_with(PrepareFields.command, replace(PREPARATION, query=smaller, fields=fields, profiles=PROFILES[:5]))
    with qtbot.waitSignal(session.preparationChanged, timeout=10_000):
        box(page, "clicks").click()
        assert session.busy
        assert not box(page, "items").isEnabled()
    assert [join.name for join in session.draft.query.joins] == ["items", "brands"]
    assert box(page, "items").isEnabled()
    session.undo_stack.undo()
    assert session.draft == shop()
    assert box(page, "clicks").isChecked()


def test_a_join_that_could_not_be_measured_stays_as_it_was(page: PreparePage, session: Session, qtbot: Any) -> None:
    before = session.draft
    session.connection = replace(CONNECTION, database="slow")
    with qtbot.waitSignal(session.preparationChanged, timeout=10_000):
        box(page, "brands").click()
        session.stop_asking()
    assert session.draft == before
    assert box(page, "brands").isChecked()


def test_choosing_a_label_is_one_step_of_undo(page: PreparePage, session: Session, qtbot: Any) -> None:
    label = combo(page, "Label")
    assert label.currentText() == "clicks"
    page.columns.give_role([session.draft.fields.field("clicks").column], FieldRole.IGNORE)
    assert label.currentIndex() == -1
    assert not page.primary.isEnabled()
    choose(label, 0)
    assert page.primary.isEnabled()
    session.undo_stack.undo()
    assert session.draft.label is None


def test_the_split_follows_its_controls(page: PreparePage, session: Session) -> None:
    choose(combo(page, "How rows"), list(SplitMethod).index(SplitMethod.RANDOM))
    page.goal._test.setValue(30)
    assert session.draft.split.method is SplitMethod.RANDOM
    assert session.draft.split.test == pytest.approx(0.3)
    assert not combo(page, "Time").isVisible()


def test_a_split_by_user_can_be_chosen_once_there_is_a_user(page: PreparePage, session: Session) -> None:
    item = combo(page, "How rows").model().item(list(SplitMethod).index(SplitMethod.USER))
    assert not item.isEnabled()
    page.columns.give_role([session.draft.fields.field("brands.name").column], FieldRole.USER)
    assert item.isEnabled()


def test_selected_columns_are_changed_together(page: PreparePage, session: Session) -> None:
    page.view.selectAll()
    page._bulk.menu().actions()[1].trigger()
    assert {field.role for field in session.draft.fields} == {FieldRole.IGNORE}
    session.undo_stack.undo()
    assert session.draft == shop()
    roles = page._bulk.menu().actions()[2].menu()
    next(action for action in roles.actions() if action.text() == "Feature").trigger()
    assert {field.role for field in session.draft.fields} == {FieldRole.FEATURE}


def test_one_click_opens_the_list_of_roles(page: PreparePage, session: Session, qtbot: Any) -> None:
    index = page.filtered.index(4, Column.ROLE)
    page.view.scrollTo(index)
    qtbot.mouseClick(page.view.viewport(), Qt.MouseButton.LeftButton, pos=page.view.visualRect(index).center())
    editor = page.view.viewport().findChild(QComboBox)
    choose(editor, editor.findData("weight"))
    assert session.draft.fields.field("brands.name").role is FieldRole.WEIGHT


def test_findings_come_and_go_with_the_columns_they_are_about(page: PreparePage, session: Session) -> None:
    assert page.findings.isVisible()
    page.columns.use([session.draft.fields.field("items.price").column], False)
    assert not page.findings.isVisible()


def test_the_sql_is_shown_on_request(page: PreparePage) -> None:
    assert not page.sql.isVisible()
    page._show_sql.click()
    assert page.sql.isVisible()
    assert page.sql.toPlainText() == "SELECT 1"


def test_every_edit_is_kept_in_the_project(page: PreparePage, session: Session) -> None:
    page.columns.use([session.draft.fields.field("items.price").column], False)
    kept = session.project.preparations()[0]
    assert recipe_from_toml(kept.recipe).fields.field("items.price").role is FieldRole.IGNORE


def test_the_picture_places_children_to_the_right_of_their_parent() -> None:
    nodes = {node.name: node for node in place(shop())}
    assert [nodes[name].depth for name in ("impressions", "items", "brands", "clicks")] == [0, 1, 2, 1]
    assert nodes["clicks"].kind is JoinKind.EXISTS
    assert nodes["brands"].kind is JoinKind.LOOKUP


def test_bars_show_the_histogram_of_amounts_and_the_counts_of_categories() -> None:
    kinds = {field.column: field.kind for field in PREPARATION.fields}
    heights = {profile.column.column: bar_heights(profile, kinds[profile.column]) for profile in PROFILES}
    assert heights["price"] == pytest.approx((4 / 9, 1.0, 2 / 9, 1 / 9))
    assert heights["name"] == pytest.approx((1.0, 2 / 3, 1 / 3))
    assert heights["id"] == ()


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (0.0001, "< 0.1 %"), (0.12345, "12.3 %"), (0.99999, "> 99.9 %"), (1.0, "100.0 %")],
)
def test_a_tiny_share_never_reads_as_nothing(share: float, text: str, qapp: Any) -> None:
    assert percent(share, 1) == text

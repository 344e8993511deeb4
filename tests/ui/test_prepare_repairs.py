"""Joins set differently, joins made by hand, samples, and repairs on the Prepare page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QCheckBox, QMenu, QPushButton

from core.commands import EstimateQuery, Finding, JoinsMeasured, MeasureJoins, PrepareFields
from core.recipe import Repair, RepairKind
from core.recipe_toml import recipe_from_toml
from crosslens.relational import (
    ColumnRef,
    ExtractionEstimate,
    JoinFacts,
    JoinKind,
    JoinProposal,
    SampleMethod,
    SampleSpec,
)
from crosslens.schema import FieldKind, FieldRole, TimePart
from ui.desktop import checking
from ui.desktop.draft import Draft
from ui.desktop.join_choices import left_columns, moments, of_kind, times
from ui.desktop.pages.prepare import PreparePage
from ui.desktop.session import Session

from .shop import BRAND, CLICKED, CONNECTION, ITEM, OVERVIEW, PREPARATION, ref
from .test_draft import shop

KINDS = (JoinKind.EXISTS, JoinKind.COUNT, JoinKind.LATEST, JoinKind.VALUES)
TIME = ref("impressions.shown_at")
PRICE = ref("items.price")
DUPLICATES = Repair(RepairKind.DROP_DUPLICATES)
IGNORE_PRICE = Repair(RepairKind.IGNORE_FIELD, ("items.price",))
COPIES = Finding(
    "warn", "140 rows are copies.", (), "duplicates", 140, ("id 7 and id 9", "id 12 and id 13"), (DUPLICATES,)
)
LEAK = Finding("warn", "“items.price” tells the label.", ("items.price",), "leak", None, (), (IGNORE_PRICE,))
ESTIMATE = ExtractionEstimate(12_412_733, True, 2**31, 9 * 2**30, 50 * 2**30, 4 * 2**30, 4_000_000)


def offered() -> Draft:
    guess = JoinProposal(
        replace(CLICKED, name="views"), "names match: impressions.id = views.impression_id", True, KINDS
    )
    click = JoinProposal(replace(CLICKED, time="clicked_at"), "foreign key clicks.impression_id", kinds=KINDS)
    draft = shop()
    proposals = (*draft.proposals[:2], click, guess)
    query = replace(draft.query, joins=(ITEM, BRAND, click.join))
    facts = (*draft.facts, JoinFacts("views", 0.31, 12, 1200, 5000))
    draft = replace(draft, proposals=proposals, query=query, facts=facts)
    return replace(draft, checked=draft.to_check)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once after an edit."""
    monkeypatch.setattr(checking, "WAIT_MILLISECONDS", 1)


@pytest.fixture
def page(
    session: Session, open_shop: Callable[[], None], answer_with: Callable[[str, Any], None], qtbot: Any
) -> PreparePage:
    answer_with("echo", [PrepareFields.command])
    answer_with(PrepareFields.command, replace(PREPARATION, rows=1060, findings=(LEAK,)))
    answer_with(EstimateQuery.command, ESTIMATE)
    answer_with(MeasureJoins.command, JoinsMeasured((JoinFacts("clicks", 0.2, 3, 1200, 1300),)))
    open_shop()
    page = PreparePage(session)
    qtbot.addWidget(page)
    page.resize(1200, 800)
    session.start_draft(offered())
    page.show()
    return page


def link(page: PreparePage, words: str) -> QPushButton:
    return next(button for button in page.findings.findChildren(QPushButton) if button.text() == words)


def options(page: PreparePage, name: str) -> QMenu:
    wanted = f"What becomes of {name}"
    return next(b.menu() for b in page.joins.findChildren(QPushButton) if b.accessibleName() == wanted)


def entry(menu: QMenu, words: str) -> QAction:
    return next(action for action in menu.actions() if action.text() == words)


def asked(session: Session, command: Any) -> list[dict[str, Any]]:
    text = Path(session.services.worker_command[-1]).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return [line["arguments"] for line in lines if line["command"] == command.command]


def settled(session: Session, page: PreparePage, qtbot: Any) -> None:
    qtbot.waitUntil(
        lambda: not session.busy and not page.checks.checking and session.draft.checked == session.draft.to_check
    )


def test_a_guess_is_marked_and_not_taken(page: PreparePage) -> None:
    box = page.joins.findChild(QCheckBox, "views")
    assert not box.isChecked()
    assert box.accessibleDescription() == "31.0 % match  ·  up to 12 per row"
    badges = [
        label for label in box.parentWidget().findChildren(type(page.joins._base).__mro__[1]) if label.text() == "guess"
    ]
    assert badges[0].accessibleName() == "A guess: names match: impressions.id = views.impression_id"


def test_a_join_of_many_rows_is_taken_as_another_kind_and_undo_brings_the_first_back(
    page: PreparePage, session: Session, qtbot: Any
) -> None:
    menu = options(page, "clicks")
    assert [action.text() for action in menu.actions()[:4]] == ["yes or no", "how many", "the latest row", "all values"]
    assert entry(menu, "yes or no").isChecked()
    entry(menu, "how many").trigger()
    qtbot.waitUntil(lambda: session.draft.query.joins[2].kind is JoinKind.COUNT)
    session.undo_stack.undo()
    assert session.draft.query.joins[2].kind is JoinKind.EXISTS


def test_a_join_that_was_changed_is_measured_again_without_blocking(
    page: PreparePage, session: Session, qtbot: Any
) -> None:
    entry(options(page, "clicks"), "how many").trigger()
    qtbot.waitUntil(lambda: session.draft.fact("clicks").max_partners == 3)
    assert asked(session, MeasureJoins)[-1]["query"]["joins"][2]["kind"] == "count"
    assert session.draft.fact("items") is not None


def test_only_what_was_known_before_a_moment_can_be_taken(page: PreparePage, session: Session, qtbot: Any) -> None:
    entry(options(page, "clicks"), "Only what was known before impressions.shown_at").trigger()
    qtbot.waitUntil(lambda: session.draft.query.joins[2].up_to == TIME)
    assert session.draft.query.joins[2].time == "clicked_at"
    words = [button.text() for button in page.joins.findChildren(QPushButton)]
    assert "yes or no, before shown_at" in words


def test_a_join_that_is_not_taken_is_set_without_asking_anyone(page: PreparePage, session: Session) -> None:
    entry(options(page, "views"), "how many").trigger()
    assert not session.busy
    proposal = next(each for each in session.draft.joins if each.join.name == "views")
    assert proposal.join.kind is JoinKind.COUNT
    assert not session.draft.has_join("views")


def test_a_join_is_made_by_hand_and_measured_before_it_is_added(
    page: PreparePage, session: Session, qtbot: Any
) -> None:
    page.joins.add_button.click()
    form = page.joins.form
    form.table.setCurrentIndex(form.table.findText("clicks"))
    assert (form.pairs[0][0].currentText(), form.pairs[0][1].currentText()) == ("impressions.id", "impression_id")
    form.kind.setCurrentIndex(form.kind.findData(JoinKind.COUNT))
    assert form.join.name == "clicks 2"
    qtbot.waitUntil(lambda: bool(asked_or_none(session)))
    form.add.click()
    qtbot.waitUntil(lambda: session.draft.has_join("clicks 2"))
    own = session.draft.query.joins[-1]
    assert (own.kind, own.on) == (JoinKind.COUNT, ((ref("impressions.id"), "impression_id"),))
    session.undo_stack.undo()
    assert not session.draft.has_join("clicks 2")


def asked_or_none(session: Session) -> list[dict[str, Any]]:
    return asked(session, MeasureJoins) if Path(session.services.worker_command[-1]).exists() else []


def test_a_key_of_several_columns_is_made_pair_by_pair(page: PreparePage) -> None:
    page.joins.add_button.click()
    form = page.joins.form
    form.more.click()
    assert len(form.join.on) == 2
    form.begin()
    assert len(form.pairs) == 1


def test_the_latest_row_needs_a_column_that_says_when(page: PreparePage) -> None:
    page.joins.add_button.click()
    form = page.joins.form
    form.table.setCurrentIndex(form.table.findText("brands"))
    form.kind.setCurrentIndex(form.kind.findData(JoinKind.LATEST))
    assert form.join is None
    assert not form.add.isEnabled()
    assert form.facts.text() == "No column of this table says when a row was known."


def test_what_a_join_can_begin_from_and_be_limited_by() -> None:
    draft = offered()
    assert ref("items.brand_id") in left_columns(draft, OVERVIEW)
    assert not any(column.source == "clicks" for column in left_columns(draft, OVERVIEW))
    assert moments(draft, draft.joins[2]) == (TIME,)
    assert times(OVERVIEW, replace(ITEM, table=OVERVIEW.tables[2].ref)) == ("shown_at",)
    assert times(None, ITEM) == ()


@pytest.mark.parametrize(
    ("kind", "known", "time", "up_to"),
    [
        (JoinKind.COUNT, ("clicked_at",), "clicked_at", TIME),
        (JoinKind.VALUES, ("clicked_at", "seen_at"), "clicked_at", TIME),
        (JoinKind.COUNT, (), None, None),
        (JoinKind.EXISTS, ("clicked_at",), "clicked_at", None),
        (JoinKind.LOOKUP, ("clicked_at",), None, None),
    ],
)
def test_what_is_counted_is_limited_to_the_moment_and_a_label_is_not(
    kind: JoinKind, known: tuple[str, ...], time: str | None, up_to: ColumnRef | None
) -> None:
    join = of_kind(JoinProposal(CLICKED, "key", kinds=KINDS, up_to=TIME), kind, known)
    assert (join.kind, join.time, join.up_to) == (kind, time, up_to)


def test_findings_tell_their_examples_on_request(page: PreparePage, session: Session) -> None:
    session.set_draft(replace(session.draft, found=(COPIES,)))
    low = page.findings.height()
    link(page, "Examples").click()
    assert page.findings.height() > low


def test_a_repair_is_chosen_listed_and_taken_back(page: PreparePage, session: Session) -> None:
    session.set_draft(replace(session.draft, found=(COPIES,)))
    link(page, "Keep one of each").click()
    assert session.draft.repairs == (DUPLICATES,)
    assert recipe_from_toml(session.project.preparations()[0].recipe).repairs == (DUPLICATES,)
    chip = link(page, "copies left out")
    assert chip.accessibleName() == "Take back: copies left out"
    chip.click()
    assert session.draft.repairs == ()
    session.undo_stack.undo()
    assert session.draft.repairs == (DUPLICATES,)


def test_ignoring_a_field_changes_its_role_and_taking_it_back_makes_it_a_feature(
    page: PreparePage, session: Session
) -> None:
    session.set_draft(replace(session.draft, found=(LEAK,)))
    link(page, "Ignore “items.price”").click()
    assert session.draft.fields.field("items.price").role is FieldRole.IGNORE
    link(page, "“items.price” ignored").click()
    assert session.draft.fields.field("items.price").role is FieldRole.FEATURE


def test_several_repairs_stand_in_a_menu(page: PreparePage, session: Session) -> None:
    session.set_draft(replace(session.draft, found=(replace(COPIES, repairs=(DUPLICATES, IGNORE_PRICE)),)))
    menu = link(page, "Repair").menu()
    assert [action.text() for action in menu.actions()] == ["Keep one of each", "Ignore “items.price”"]
    menu.actions()[1].trigger()
    assert session.draft.repairs == (IGNORE_PRICE,)


def test_after_an_edit_the_columns_are_checked_again_as_they_are_set(
    page: PreparePage, session: Session, qtbot: Any
) -> None:
    page.goal.moment.setText("before the call")
    page.goal.moment.editingFinished.emit()
    settled(session, page, qtbot)
    assert session.draft.found == (LEAK,)
    assert session.draft.rows == 1060
    question = asked(session, PrepareFields)[-1]
    assert question["moment"] == "before the call"
    assert len(question["fields"]["fields"]) == 6
    assert session.undo_stack.undoText() == "When the prediction is made"


def test_a_check_that_fails_is_said_once(page: PreparePage, session: Session, qtbot: Any) -> None:
    notices: list[Any] = []
    session.noticed.connect(notices.append)
    session.connection = replace(CONNECTION, database="fails")
    page.columns.use([PRICE], False)
    qtbot.waitUntil(lambda: bool(notices) and not page.checks.checking)
    qtbot.wait(50)
    assert [notice.what for notice in notices] == ["No."]


def test_the_estimate_says_what_reading_would_take_and_offers_a_sample_that_fits(
    page: PreparePage, session: Session, qtbot: Any
) -> None:
    qtbot.waitUntil(lambda: page.checks.estimate is not None)
    assert page.rows.words.text() == "about 12.4 M rows  ·  2.0 GB on disk  ·  9.0 GB of memory to train, 4.0 GB free"
    assert page.rows.suggestion.text() == "Too much: take 4.0 M at random"
    page.rows.suggestion.click()
    assert session.draft.query.sample == SampleSpec(SampleMethod.RANDOM, 4_000_000)
    assert page.rows.rows.value() == 4_000_000
    session.undo_stack.undo()
    assert page.rows.method.currentIndex() == 0


def test_a_sample_by_user_needs_users_and_takes_their_column(page: PreparePage, session: Session) -> None:
    users = page.rows.method.findData(SampleMethod.USERS)
    assert not page.rows.method.model().item(users).isEnabled()
    page.columns.give_role([ref("brands.name")], FieldRole.USER)
    assert page.rows.method.model().item(users).isEnabled()
    page.rows.method.setCurrentIndex(users)
    page.rows.method.activated.emit(users)
    assert session.draft.query.sample == SampleSpec(SampleMethod.USERS, 1200, column=ref("brands.name"))
    page.rows.rows.setValue(500)
    assert session.draft.query.sample.rows == 500


def test_rare_and_hashed_values_are_steps_of_undo(page: PreparePage, session: Session) -> None:
    page.goal.rare.setValue(5)
    page.goal.hashed.setValue(10_000)
    assert (session.draft.minimum_count, session.draft.hash_buckets) == (5, 10_000)
    session.undo_stack.undo()
    assert session.draft.hash_buckets == 0
    assert page.goal.hashed.text() == "never"


def submenu(page: PreparePage, words: str) -> QMenu:
    return entry(page._bulk.menu(), words).menu()


def test_many_columns_get_bins_delimiters_and_parts_at_once(page: PreparePage, session: Session) -> None:
    page.view.selectAll()
    entry(submenu(page, "Numbers in bins"), "10 bins").trigger()
    assert session.draft.fields.field("items.price").bins == 10
    assert session.draft.fields.field("brands.name").bins == 0
    page.columns.read_as([ref("brands.name")], FieldKind.MULTI_VALUED)
    entry(submenu(page, "Several values, parted at"), "bar  |").trigger()
    assert session.draft.fields.field("brands.name").delimiter == "|"
    entry(submenu(page, "Of a time, take"), "weekday").trigger()
    assert session.draft.fields.field("shown_at").parts == (TimePart.WEEKDAY,)
    texts = [page.columns.index(row, 2).data() for row in (2, 3, 4)]
    assert texts == ["Time: weekday", "Number in 10 bins", "Several values by “|”"]


def test_what_selected_columns_cannot_use_is_not_offered(page: PreparePage) -> None:
    page.view.selectRow(4)
    page._bulk.menu().aboutToShow.emit()
    assert not entry(page._bulk.menu(), "Numbers in bins").isEnabled()
    page.view.selectRow(3)
    page._bulk.menu().aboutToShow.emit()
    assert entry(page._bulk.menu(), "Numbers in bins").isEnabled()

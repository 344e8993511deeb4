"""Next-item runs on the Results page, and next-item models on the Train page."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from core.commands import (
    EventEffect,
    ExplainRecommendation,
    HistoryEvent,
    RecommendationExplained,
    RecommendedItem,
    RecommendToUser,
    Score,
    Train,
    UserRecommended,
)
from core.jobs.train import train
from core.next_item.present import occlusion_bars
from core.recipe import NextItemSpec, NextItemSplit
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.services import JobControl
from crosslens import FieldRole, ModelSpec, TextEncoderSpec, parameter
from crosslens.schema import FieldKind, FieldSchema
from tests.core.next_item_world import HOST, model, shop
from ui.desktop.draft import can_train, findings, from_recipe
from ui.desktop.forms import FolderEdit, KnownBox, ParameterForm
from ui.desktop.pages.results import ResultsPage
from ui.desktop.pages.results_rows import RowsModel
from ui.desktop.pages.results_runs import headline, metric_words
from ui.desktop.pages.train import TrainPage

from .pages_helpers import NET, Project, RecordingSession, add_run, finish
from .pages_helpers import Host as PlainHost


@dataclass(frozen=True, slots=True)
class Chosen:
    """Parameters whose choices only the app knows."""

    encoder: str = parameter("words", label="Text encoder", source="text-encoders")
    folder: str = parameter("", label="Folder", source="folder")


class Host(PlainHost):
    """Models of rows and of items, and two text encoders."""

    def models(self) -> tuple[ModelSpec, ...]:
        return (replace(NET, needs=frozenset({FieldRole.CLICK})), *HOST.models(), model("chooser", parameters=Chosen))

    def text_encoders(self) -> tuple[TextEncoderSpec, ...]:
        return tuple(TextEncoderSpec(name, name.title(), "", Chosen, print) for name in ("words", "together"))


@pytest.fixture
def session(qapp: Any, tmp_path: Path) -> Any:
    session = RecordingSession(tmp_path)
    session.services = replace(session.services, host=Host())
    session.project = Project(tmp_path)
    yield session
    session.close()


@pytest.fixture
def page(session: RecordingSession, tmp_path: Path, qtbot: Any) -> Any:
    world = shop(tmp_path)
    train(Train(tmp_path, recipe_to_toml(world.recipe("follow"))), world.services, JobControl())
    session.project.kept.update(world.kept)  # type: ignore[union-attr]
    page = ResultsPage(session)
    qtbot.addWidget(page)
    page.resize(1100, 800)
    page.show()
    page.shown()
    settle(page, qtbot)
    yield page
    page.background.wait()


def settle(page: ResultsPage, qtbot: Any) -> None:
    """Let all background reading arrive."""
    for _ in range(4):
        page.background.wait()
        qtbot.wait(1)


def visible(page: ResultsPage) -> list[str]:
    return [page.tabs.tabText(place) for place in range(page.tabs.count()) if page.tabs.isTabVisible(place)]


def look_at(page: ResultsPage, model_id: str, qtbot: Any) -> None:
    run = next(run for run in page.list.runs.runs if run.model == model_id)
    page.list.choose(run.id)
    settle(page, qtbot)


def test_only_tabs_about_items_show_for_a_next_item_run(page: ResultsPage, qtbot: Any) -> None:
    assert visible(page) == ["Ranking", "Users"]
    add_run(page.session.project, "rows", NET)  # type: ignore[arg-type]
    page.refresh()
    look_at(page, NET.id, qtbot)
    assert visible(page) == ["Quality", "Why", "One row", "Predictions", "Compare"]
    look_at(page, "follow", qtbot)
    assert visible(page) == ["Ranking", "Users"]


def test_the_best_run_is_looked_at_first_and_named_by_its_ndcg(page: ResultsPage) -> None:
    run = page.list.chosen()
    assert run is not None
    assert run.model == "follow"
    assert headline(run) == "ndcg@10"
    assert metric_words(run, "ndcg@10").startswith("NDCG@10 ")


def test_a_run_stands_beside_its_baselines_with_a_verdict(page: ResultsPage) -> None:
    table = page.ranking.pictures.view("ranks")
    assert table is not None
    rows = table.picture.rows
    assert {row[0] for row in rows} == {"Follow", "Popularity", "Item-Knn"}
    said = [each.message for each in page.ranking.findings._shown[0]]
    assert any("Popularity" in words and "NDCG@10" in words for words in said)
    assert any("clicked rows" in words for words in said)


def test_a_run_that_ends_later_appears_beside_the_one_looked_at(page: ResultsPage, qtbot: Any) -> None:
    run = next(run for run in page.list.runs.runs if run.model == "popularity")
    folder = page.session.project.run_folder("late")  # type: ignore[union-attr]
    shutil.copytree(page.session.project.run_folder(run.id), folder, dirs_exist_ok=True)  # type: ignore[union-attr]
    page.session.project.save_run(replace(run, id="late", model="other", title="Other"))  # type: ignore[union-attr]
    page.refresh()
    settle(page, qtbot)
    table = page.ranking.pictures.view("ranks")
    assert table is not None
    assert "Other" in {row[0] for row in table.picture.rows}


def test_a_run_without_measures_says_so(page: ResultsPage, qtbot: Any) -> None:
    run = next(run for run in page.list.runs.runs if run.model == "follow")
    page.session.project.save_run(replace(run, id="cut", metrics={}))  # type: ignore[union-attr]
    page.refresh()
    page.list.choose("cut")
    settle(page, qtbot)
    assert not page.ranking.pictures.isVisible()


ANSWER = UserRecommended(
    user=0, name="user 0",
    history=(HistoryEvent("i1", "Item 1", "2026-01-01 10:00"), HistoryEvent("i2", "Item 2", "2026-01-02 10:00")),
    items=(RecommendedItem(1, 5, "i3", "Item 3", 2.5, True), RecommendedItem(2, 6, "i4", "Item 4", 1.5)),
    target=HistoryEvent("i3", "Item 3"), target_rank=1.0,
)  # fmt: skip
EFFECTS = (EventEffect(1, "Item 2", 2.0, 4.0, 0.5), EventEffect(0, "Item 1", -0.1, 1.0, None))
WHY = RecommendationExplained(
    0, 5, "Item 3", 2.5, 1.0, 10, 2, EFFECTS, ("Item 2",), occlusion_bars("Item 3", EFFECTS), "Occlusion.",
)  # fmt: skip


def show_users(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    page.tabs.setCurrentWidget(page.users)
    settle(page, qtbot)
    qtbot.waitUntil(lambda: bool(session.asked) and isinstance(session.last.command, RecommendToUser))


def test_a_user_is_shown_with_history_list_and_reasons(
    page: ResultsPage, session: RecordingSession, qtbot: Any
) -> None:
    show_users(page, session, qtbot)
    answer = replace(ANSWER, user=session.last.command.user)
    finish(session.last, answer)
    assert isinstance(session.last.command, ExplainRecommendation)
    assert session.last.command.item == 5
    assert page.users.history.rowCount() == page.users.items.rowCount() == 2
    assert page.users.history.index(0, 0).data() == "Item 2"
    finish(session.last, replace(WHY, user=answer.user))
    view = page.users.pictures.view("why")
    assert view is not None
    assert view.picture == WHY.bars
    words = page.users._reasons.text()
    assert "Without Item 2 the item would not be among the first 10." in words
    assert "similar by text: Item 2 (cosine 0.5" in words


def test_an_answer_about_another_user_is_not_shown(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    show_users(page, session, qtbot)
    finish(session.last, replace(ANSWER, user=10_000))
    assert page.users.items.rowCount() == 0


def test_an_item_had_before_is_out_of_reach(page: ResultsPage, session: RecordingSession, qtbot: Any) -> None:
    show_users(page, session, qtbot)
    finish(session.last, replace(ANSWER, user=session.last.command.user, target_rank=None, items=()))
    assert "cannot be found because it was chosen before" in page.users._headline.text()


def test_lists_of_all_users_are_queued(
    page: ResultsPage, session: RecordingSession, qtbot: Any, tmp_path: Path
) -> None:
    show_users(page, session, qtbot)
    page.users.score()
    dialog = page.users.dialog
    assert dialog is not None
    dialog.path.setText(str(tmp_path / "lists.csv"))
    dialog.go.click()
    command = session.last.command
    assert isinstance(command, Score)
    assert (command.top, command.output.name, command.keys_only) == (10, "lists.csv", False)


def test_a_run_without_users_says_so(page: ResultsPage, session: RecordingSession) -> None:
    run = page.list.chosen()
    assert run is not None
    page.users.show_users(run, pa.table({}))
    assert page.users._stack.currentIndex() == 0


# --- the Train page ---------------------------------------------------------------------------------------------------


@pytest.fixture
def train_page(session: RecordingSession, tmp_path: Path, qtbot: Any) -> Any:
    draft = replace(from_recipe(shop(tmp_path).recipe()), rows=100)
    session.set_draft(draft)
    page = TrainPage(session)
    qtbot.addWidget(page)
    page.resize(1000, 800)
    page.show()
    page.shown()
    return page


def test_next_item_models_are_listed_and_tested_as_chosen(train_page: TrainPage, session: RecordingSession) -> None:
    assert train_page.chooser is not None
    assert not train_page.next_item.isVisible()
    train_page.chooser.choose(["follow"])
    assert train_page.next_item.isVisible()
    card = train_page.next_item
    card.split.setCurrentIndex(1)
    card.split.activated.emit(1)
    card.core.setValue(5)
    card.seen.click()
    assert session.draft is not None
    assert session.draft.next_item == NextItemSpec(core=5, split=NextItemSplit.TIME, exclude_seen=False, at=(1, 3, 10))
    train_page.train()
    recipe = recipe_from_toml(session.last.command.recipe)
    assert recipe.next_item == session.draft.next_item
    assert [choice.id for choice in recipe.models] == ["follow"]
    session.undo_stack.undo()
    assert card.seen.isChecked()


def test_without_a_time_a_next_item_model_says_what_it_needs(train_page: TrainPage, session: RecordingSession) -> None:
    draft = session.draft
    assert draft is not None
    session.set_draft(replace(draft, query=replace(draft.query, time=None)))
    assert train_page.chooser is not None
    card = train_page.chooser.cards["follow"]
    assert not card.check.isEnabled()
    assert "when a row happened" in card._facts.text()


def test_without_an_item_a_next_item_model_says_what_it_needs(train_page: TrainPage, session: RecordingSession) -> None:
    draft = session.draft
    assert draft is not None
    fields = tuple(field for field in draft.fields if field.role is not FieldRole.ITEM)
    session.set_draft(replace(draft, fields=FieldSchema(fields)))
    assert train_page.chooser is not None
    assert "Item" in train_page.chooser.cards["follow"]._facts.text()


def test_without_a_label_only_next_items_can_be_trained(train_page: TrainPage, session: RecordingSession) -> None:
    draft = session.draft
    assert draft is not None
    fields = tuple(field for field in draft.fields if field.role is not FieldRole.CLICK)
    unlabelled = replace(draft, fields=FieldSchema(fields))
    session.set_draft(unlabelled)
    assert can_train(unlabelled)
    assert [each.severity for each in findings(unlabelled) if "click label" in each.message] == ["note"]
    assert train_page.chooser is not None
    assert not train_page.chooser.cards["net"].check.isEnabled()
    assert train_page.chooser.cards["follow"].check.isEnabled()
    assert "chooses next" in train_page._summary.text()


def test_text_encoders_and_folders_are_chosen(qtbot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = {"text-encoders": (("words", "Words"), ("together", "Together"))}
    form = ParameterForm(Chosen, None, known)
    qtbot.addWidget(form)
    box, folder = form.line("encoder").editor, form.line("folder").editor
    assert isinstance(box, KnownBox)
    assert isinstance(folder, FolderEdit)
    assert [box.itemText(place) for place in range(box.count())] == ["Words", "Together"]
    box.setCurrentIndex(1)
    monkeypatch.setattr("ui.desktop.forms.QFileDialog.getExistingDirectory", lambda *_: str(tmp_path))
    folder.choose()
    assert form.values() == {"encoder": "together", "folder": str(tmp_path)}
    form.set_values({"encoder": "of a plugin that is gone"})
    assert form.values() == {"encoder": "of a plugin that is gone"}


def test_a_draft_keeps_what_a_recipe_says_of_next_items(tmp_path: Path) -> None:
    recipe = shop(tmp_path).recipe("follow", next_item=NextItemSpec(core=4))
    draft = from_recipe(recipe)
    assert draft.recipe(recipe.models).next_item == NextItemSpec(core=4)
    assert any(field.kind is FieldKind.TIMESTAMP for field in draft.fields)


def test_a_rank_is_written_as_people_count(qapp: Any) -> None:
    model = RowsModel()
    model.set_rows(pa.table({"rank": [17.0, 2.5, 1204.0]}))
    assert [model.index(row, 0).data() for row in range(3)] == ["17", "2.50", "1,204"]

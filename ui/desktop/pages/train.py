"""The Train page: choose models and parameters, press Train, watch."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from core.commands import ModelEstimate, Trained
from core.run_folder import RunFolder
from crosslens.errors import ParameterError, UserError
from crosslens.models import ModelSpec, Task
from crosslens.runs import RunStatus
from crosslens.schema import FieldRole

from ..draft import Draft, can_train, findings, has_sequences
from ..fonts import SPACE
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.cards import Card, EmptyState
from ..widgets.labels import Muted, Title
from ..wording import percent, split_words, whole
from .page import Page
from .results_parts import Scrolling
from .train_estimates import Estimates, estimate_words, last_words
from .train_models import ModelChooser, default_choice
from .train_next_item import NextItemCard
from .train_progress import TrainingPanel
from .train_tuning import TuningDialog

_SETTING = "train-page"


class TrainPage(Page):
    """Chooses models for the session's draft and queues their training."""

    page_id = "train"
    icon_name = "train"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.chooser: ModelChooser | None = None
        self.panel = TrainingPanel(session)
        self.next_item = NextItemCard(session, self)
        self.next_item.hide()
        self._searches: dict[str, TuningDialog] = {}
        self.estimates = Estimates(session, self)
        self.estimates.changed.connect(self._show_estimates)
        self._stack = QStackedWidget()
        empty = EmptyState(
            "train",
            self.tr("Nothing to train on yet"),
            self.tr("Open a database, choose a table and say what its columns mean; then models can learn from it."),
            self.tr("Go to Data"),
        )
        empty.button.clicked.connect(lambda: session.navigate("data"))
        self._stack.addWidget(empty)
        self._bench = QWidget()
        self._stack.addWidget(self._bench)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self.primary.triggered.connect(self.train)
        self.panel.resultsWanted.connect(lambda _: session.navigate("results"))
        session.preparationChanged.connect(self.refresh)
        session.projectChanged.connect(self._restore)
        session.projectChanged.connect(self._close_searches)
        session.runsChanged.connect(self.refresh)
        session.jobsChanged.connect(self.refresh)
        session.pluginsChanged.connect(self._models_changed)
        self.refresh()

    @property
    def title(self) -> str:
        """Return the translated title."""
        return self.tr("Train")

    @property
    def purpose(self) -> str:
        """Return what the page is for."""
        return self.tr("Choose one or more models. All of them learn from the same rows, so they can be compared.")

    def shown(self) -> None:
        """Make the cards the first time; models are looked up late, so that the window opens at once."""
        if self.chooser is None:
            self._make_bench()
            self._restore()
        self.refresh()

    def train(self) -> None:
        """Queue the training of the chosen models."""
        self.shown()
        if self.chooser is None or not self._may_train():
            return
        try:
            choices = self.chooser.choices()
        except ParameterError as error:
            self.session.fail(error)
            return
        self.session.train(choices, self._trained)

    def search(self, model_id: str) -> TuningDialog | None:
        """Open the search over a model's parameters, or bring the open one to the front."""
        if self.chooser is None or self._search_obstacle(model_id):
            return None
        dialog = self._searches.get(model_id)
        if dialog is None or not dialog.isVisible():
            if dialog is not None:
                dialog.deleteLater()
            card = self.chooser.cards[model_id]
            dialog = self._searches[model_id] = TuningDialog(self.session, card.spec, card.form, self)
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()
        return dialog

    def refresh(self) -> None:
        """Show what the preparation allows."""
        has_draft = self.session.draft is not None and bool(len(self.session.draft.fields))
        busy = bool(self.session.jobs)
        self._stack.setCurrentIndex(1 if has_draft or busy else 0)
        if self.chooser is not None:
            self._show_draft(self.session.draft, self.chooser)
        self._show_primary(has_draft)

    def _trained(self, answer: Trained) -> None:
        self.session.runsChanged.emit()

    def _may_train(self) -> bool:
        project = self.session.project
        return (
            self.chooser is not None
            and project is not None
            and not project.read_only
            and can_train(self.session.draft)
            and bool(self.chooser.chosen())
            and not self.chooser.problem()
        )

    def _show_primary(self, has_draft: bool) -> None:
        chosen = self.chooser.chosen() if self.chooser is not None else ()
        words = (
            self.tr("Train {count} models").format(count=whole(len(chosen))) if len(chosen) > 1 else self.tr("Train")
        )
        self.primary.setText(words if has_draft else "")
        self.primary.setEnabled(self._may_train())
        self.primary.setToolTip(self._obstacle() or self.tr("Train the chosen models (F5)"))

    def _obstacle(self) -> str:
        if self.chooser is None or self.session.draft is None:
            return ""
        if self.session.project is not None and self.session.project.read_only:
            return self.tr("This project can only be looked at.")
        stops = [finding.message for finding in findings(self.session.draft) if finding.severity == "stop"]
        if stops:
            return stops[0]
        return self.chooser.problem() or ("" if self.chooser.chosen() else self.tr("Choose at least one model."))

    def _search_obstacle(self, model_id: str) -> str:
        """Return why the parameters of a model cannot be searched now, or an empty string."""
        project, draft = self.session.project, self.session.draft
        assert self.chooser is not None
        card = self.chooser.cards[model_id]
        if project is None or draft is None:
            return self.tr("There is nothing to train on yet.")
        if project.read_only:
            return self.tr("This project can only be looked at.")
        stops = [finding.message for finding in findings(draft) if finding.severity == "stop"]
        if stops:
            return stops[0]
        if not can_train(draft):
            return self.tr("The columns have not been looked at yet.")
        return card.obstacle or card.form.problem()

    def _close_searches(self) -> None:
        """Another project was opened: searches of the former one are no longer shown."""
        for dialog in self._searches.values():
            dialog.close()
            dialog.deleteLater()
        self._searches.clear()

    def _models_changed(self) -> None:
        """Make the cards anew: a plugin's models have come or gone."""
        if self.chooser is None:
            return
        self._close_searches()
        former, self._bench = self._bench, QWidget()
        self._stack.addWidget(self._bench)
        self._make_bench()
        self._stack.removeWidget(former)
        former.deleteLater()
        self._restore()
        self.refresh()

    def _make_bench(self) -> None:
        encoders = tuple((spec.id, spec.title) for spec in self.session.services.host.text_encoders())
        self.chooser = ModelChooser(self.session.models, {"text-encoders": encoders})
        self.chooser.changed.connect(self._choice_changed)
        self.chooser.searchWanted.connect(self.search)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(2 * SPACE)
        for widget, share in ((self._make_models(self.chooser), 2), (self.panel, 3)):
            splitter.addWidget(widget)
            splitter.setStretchFactor(splitter.count() - 1, share)
        splitter.setSizes([400, 680])
        layout = QVBoxLayout(self._bench)
        layout.setContentsMargins(3 * SPACE, 0, 3 * SPACE, 2 * SPACE)
        layout.addWidget(splitter)

    def _make_models(self, chooser: ModelChooser) -> QWidget:
        self._summary, self._obstacle_words = Muted(), Muted()
        change = Button(self.tr("Change"), weight=Weight.QUIET)
        change.setAccessibleName(self.tr("Change the preparation"))
        change.clicked.connect(lambda: self.session.navigate("prepare"))
        data = Card()
        head = QHBoxLayout()
        head.addWidget(Title(self.tr("What is learned"), level=3), 1)
        head.addWidget(change)
        data.body.addLayout(head)
        data.body.addWidget(self._summary)
        data.body.addWidget(self._obstacle_words)
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * SPACE)
        layout.addWidget(data)
        chooser.add_to_next_items(self.next_item)
        layout.addWidget(chooser, 1)
        return Scrolling(column, self.tr("Models"))

    def _show_draft(self, draft: Draft | None, chooser: ModelChooser) -> None:
        self._summary.setText("" if draft is None else self._summary_of(draft))
        self._obstacle_words.setText(self._obstacle())
        self._obstacle_words.setVisible(bool(self._obstacle_words.text()))
        for card in chooser.cards.values():
            missing = _missing(card.spec, draft)
            timeless = draft is not None and card.spec.task is Task.NEXT_ITEM and draft.query.time is None
            card.show_facts(missing, self._last_words(card.spec), needs_time=timeless and not missing)
            card.show_search(self._search_obstacle(card.spec.id))
        self._show_estimates()
        self._show_next_item()

    def _summary_of(self, draft: Draft) -> str:
        if has_sequences(draft) and (draft.label is None or self._chosen_tasks() == {Task.NEXT_ITEM}):
            return self._sequences_of(draft)
        label = draft.label.name if draft.label is not None else self.tr("no label yet")
        test = percent(draft.split.test)
        words = [
            self.tr("Predict {label} from {count} fields.").format(
                label=label, count=whole(len(draft.fields.features))
            ),
            *(
                self.tr("Models of clicks and conversions predict {name} too.").format(name=field.name)
                for field in draft.fields.with_role(FieldRole.CONVERSION)
            ),
            self.tr("{rows} rows of {table}.").format(rows=whole(draft.rows or 0), table=draft.query.base.name),
            self.tr("{split}; {share} of the rows are kept for the test.").format(
                split=split_words(draft.split.method), share=test
            ),
        ]
        if has_sequences(draft) and Task.NEXT_ITEM in self._chosen_tasks():
            words.insert(2, self._next_words(draft))
        return "\n".join(words)

    def _chosen_tasks(self) -> set[Task]:
        cards = () if self.chooser is None else self.chooser.cards.values()
        return {card.spec.task for card in cards if card.is_chosen}

    def _sequences_of(self, draft: Draft) -> str:
        words = self._next_words(draft)
        rows = self.tr("{rows} rows of {table}.").format(rows=whole(draft.rows or 0), table=draft.query.base.name)
        return f"{words}\n{rows}"

    def _next_words(self, draft: Draft) -> str:
        user, item = (draft.fields.with_role(role)[0].name for role in (FieldRole.USER, FieldRole.ITEM))
        return self.tr("Predict which {item} a {user} chooses next.").format(item=item, user=user)

    def _show_next_item(self) -> None:
        """Show how next items are tested while such a model is chosen."""
        self.next_item.setVisible(Task.NEXT_ITEM in self._chosen_tasks())

    def _last_words(self, spec: ModelSpec) -> str:
        done = (run for run in self.session.runs() if run.model == spec.id and run.status is RunStatus.FINISHED)
        last = next((run for run in done if run.seconds), None)
        if last is None or self.session.project is None:
            return ""
        folder = RunFolder(self.session.project.run_folder(last.id))
        return last_words(last, self.session.draft.rows if self.session.draft is not None else None, folder)

    def _show_estimates(self) -> None:
        """Show what is known of the chosen trainings, and ask about the others where this page is looked at."""
        assert self.chooser is not None
        wanted = []
        for name, card in self.chooser.cards.items():
            choice = self.chooser.choice(name) if card.is_chosen else None
            known = None if choice is None else self.estimates.of(choice)
            if known is not None:
                card.show_estimate(self._estimate_words(card.spec, known))
            else:
                asked = choice is not None and self.estimates.is_asked(choice)
                card.show_estimate(self.tr("Looking at how long this would take…") if asked else "")
            wanted += [] if choice is None else [choice]
        if self.isVisible() and self._may_train():
            self.estimates.look_at(wanted)

    def _estimate_words(self, spec: ModelSpec, known: ModelEstimate) -> str:
        """Return an estimate in words; that there is none where the last run says nothing either."""
        words = estimate_words(known)
        if words or self._last_words(spec):
            return words
        return self.tr("Time and memory are not known before the first run.")

    def _choice_changed(self) -> None:
        self._show_next_item()
        if self.session.draft is not None:
            self._summary.setText(self._summary_of(self.session.draft))
        for name, card in self.chooser.cards.items() if self.chooser is not None else ():
            card.show_search(self._search_obstacle(name))
        if self.chooser is not None:
            self._show_estimates()
        self._show_primary(self.session.draft is not None)
        if self.chooser is not None and self.session.draft is not None:
            self._obstacle_words.setText(self._obstacle())
            self._obstacle_words.setVisible(bool(self._obstacle_words.text()))
        self._remember()

    def _remember(self) -> None:
        project = self.session.project
        if project is None or project.read_only or self.chooser is None:
            return
        try:
            project.save_setting(_SETTING, json.dumps(self.chooser.state()))
        except UserError as error:
            self.session.fail(error)

    def _restore(self) -> None:
        if self.chooser is None or self.session.project is None:
            return
        kept = _read_state(self.session.project.setting(_SETTING))
        if kept:
            self.chooser.restore(kept)
        else:
            fit = [each.spec for each in self.chooser.cards.values() if not _missing(each.spec, self.session.draft)]
            self.chooser.choose(default_choice(fit))
        if self.chooser.cards:
            self.chooser.look_at(next(iter(self.chooser.chosen()), next(iter(self.chooser.cards))))


def _missing(spec: ModelSpec, draft: Draft | None) -> list[FieldRole]:
    if draft is None or not len(draft.fields):
        return []
    return sorted(role for role in spec.needs if not draft.fields.with_role(role))


def _read_state(text: str) -> dict[str, Any]:
    try:
        state = json.loads(text) if text else {}
    except ValueError:  # written by another version: begin with the defaults
        return {}
    return state if isinstance(state, dict) else {}

"""What a training would take, before it starts: asked beside everything else, and by what the last run took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from PySide6.QtCore import QCoreApplication, QObject, QTimer, Signal

from core.commands import EstimateTraining, ModelEstimate
from core.recipe import ModelChoice
from core.recipe_toml import recipe_to_toml
from core.run_folder import RunFolder
from crosslens._sizes import format_bytes
from crosslens.errors import UserError
from crosslens.runs import RunRecord

from ..draft import Draft
from ..session import Session
from ..wording import duration, whole
from ..worker_client import Failure, Request

WAIT_MILLISECONDS = 1200
"""After the last change: the question starts a process of its own, which should not happen at every key."""
_ALIKE = 0.2


class Estimates(QObject):
    """Estimates of the trainings that are looked at; `changed` comes with news. Nothing is asked while a job runs."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._known: dict[str, ModelEstimate] = {}
        self._wanted: tuple[ModelChoice, ...] = ()
        self._request: Request | None = None
        self._asked: tuple[str, ...] = ()
        self._timer = QTimer(self, singleShot=True, interval=WAIT_MILLISECONDS)
        self._timer.timeout.connect(self.ask)
        session.projectChanged.connect(self._forget)
        session.jobsChanged.connect(self._make_way)

    def look_at(self, choices: Sequence[ModelChoice]) -> None:
        """Be asked about these models soon, unless they are known or others are looked at by then."""
        self._wanted = tuple(choices)
        if set(self._unknown()) - set(self._asked):
            self._timer.start()

    def of(self, choice: ModelChoice) -> ModelEstimate | None:
        """Return what is known of a model with these parameters on the current preparation."""
        draft = self._session.draft
        return None if draft is None else self._known.get(_key(draft, choice))

    def is_asked(self, choice: ModelChoice) -> bool:
        """Whether an answer about a model with these parameters is on its way."""
        draft = self._session.draft
        return draft is not None and _key(draft, choice) in self._asked

    def ask(self) -> None:
        """Ask for what is not known yet, the quickest answers first; a question about something else is dropped."""
        draft, unknown = self._session.draft, self._next(self._unknown())
        if draft is None or not set(unknown) - set(self._asked) or self._session.jobs:
            return
        if self._request is not None:
            self._request.stop()
        command = EstimateTraining(recipe_to_toml(draft.recipe(unknown.values())), draft.rows or 0, _distinct(draft))
        title = self.tr("Estimating time and memory")
        request = self._session.request(command, on_error=lambda _: None, lane="aside", title=title)
        self._request, self._asked = request, tuple(unknown)
        request.finished.connect(lambda answer: self._learn(request, unknown, answer.models))
        request.failed.connect(lambda failure: self._give_up(request, unknown, failure))
        request.stopped.connect(lambda: self._let_go(request))
        self.changed.emit()

    def _unknown(self) -> dict[str, ModelChoice]:
        """Return what is looked at and not known, by its key."""
        draft = self._session.draft
        if draft is None or draft.rows is None:
            return {}
        keyed = {_key(draft, choice): choice for choice in self._wanted}
        return {key: choice for key, choice in keyed.items() if key not in self._known}

    def _next(self, unknown: Mapping[str, ModelChoice]) -> dict[str, ModelChoice]:
        """Return what to ask about now: models that say it themselves, then those that are tried, then each plugin's.

        What has been found out is shown without waiting for the rest, least of all for strangers' code.
        """
        host = self._session.services.host
        quick = {spec.id for spec in self._session.models if spec.estimates}
        turns = {key: (host.worker_of(choice.id), choice.id not in quick) for key, choice in unknown.items()}
        return {key: unknown[key] for key, turn in turns.items() if turn == min(turns.values())}

    def _learn(self, request: Request, keys: Iterable[str], answers: Iterable[ModelEstimate]) -> None:
        self._known.update(zip(keys, answers, strict=True))
        self._end(request)
        self.changed.emit()

    def _give_up(self, request: Request, asked: Mapping[str, ModelChoice], failure: Failure) -> None:
        """Keep that there is no figure; what stands in the way of training is said where it can be set right."""
        self._learn(request, asked, [ModelEstimate(choice.id) for choice in asked.values()])
        if failure.internal:
            self._session.fail(failure)

    def _let_go(self, request: Request) -> None:
        self._end(request)
        self.changed.emit()

    def _end(self, request: Request) -> None:
        if request is self._request:
            self._request, self._asked = None, ()

    def _make_way(self) -> None:
        """Leave the processor to a job that has begun; what is looked at then is asked about when it is done."""
        if self._session.jobs and self._request is not None:
            self._request.stop()

    def _forget(self) -> None:
        """Another project was opened."""
        self._timer.stop()
        self._known.clear()
        self._wanted = ()
        if self._request is not None:
            self._request.stop()


def _key(draft: Draft, choice: ModelChoice) -> str:
    return f"{draft.rows}\n{sorted(_distinct(draft).items())}\n{recipe_to_toml(draft.recipe([choice]))}"


def _distinct(draft: Draft) -> dict[str, int]:
    profiles = {profile.column: profile.distinct for profile in draft.profiles}
    return {field.name: profiles[field.column] for field in draft.fields.features if field.column in profiles}


def estimate_words(estimate: ModelEstimate) -> str:
    """Return an estimate as a sentence; why the training would be refused; or an empty text where nothing is known."""
    if estimate.obstacle or estimate.seconds is None or estimate.epochs is None or estimate.memory is None:
        return estimate.obstacle
    if estimate.tried:
        return _tr("Estimate from a short try: at most about {time}. Memory: {memory} for the rows alone.").format(
            time=duration(estimate.seconds * estimate.epochs), memory=format_bytes(estimate.memory)
        )
    return _tr("Estimate: about {time} if all {epochs} epochs are needed, {memory} of memory.").format(
        time=duration(estimate.seconds * estimate.epochs),
        epochs=whole(estimate.epochs),
        memory=format_bytes(estimate.memory),
    )


def last_words(run: RunRecord, rows: int | None, folder: RunFolder) -> str:
    """Return how long a run took, and how long that would be for other numbers of rows."""
    seconds = run.seconds or 0.0
    words = _tr("Last time: {time}").format(time=duration(seconds))
    try:
        facts = folder.facts()
    except UserError:  # a run of next items, or one whose files are gone: the time alone
        return words
    before = facts.rows_train + facts.rows_validation + facts.rows_test
    if not rows or not before or abs(rows - before) <= _ALIKE * before:
        return words
    return _tr("Last time: {time} for {before} rows; about {now} for {rows}").format(
        time=duration(seconds), before=whole(before), now=duration(seconds * rows / before), rows=whole(rows)
    )


def _tr(text: str) -> str:
    return QCoreApplication.translate("TrainPage", text)

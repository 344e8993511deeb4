"""The one observable state of the window. Widgets listen to it and call it; they keep nothing of their own.

projectChanged       another project (or none)
sourceChanged        another database, or its tables are known now
preparationChanged   query, fields or split (`draft`), by an edit, undo or a look at the columns
runsChanged          a run began, ended, or was edited
jobsChanged          the queue of jobs, or the state of one
busyChanged          what the source is being asked, for the busy line of Data and Prepare
navigated            a page id: bring it to the front
passwordWanted       a connection whose password is kept nowhere: ask for it
noticed              a Notice for the message bar (None clears it)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from core.answers import warm
from core.commands import RESULTS, ChangePlugin, Progress, Score, SourceOverview, Train, Tune
from core.ports import ProjectStore
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from crosslens.errors import UserError
from crosslens.models import DEVICES, ModelSpec
from crosslens.relational import ConnectionSpec
from crosslens.runs import RunRecord, StoredPreparation

from .connections import Connections
from .draft import Draft
from .preferences import Preferences
from .services import DesktopServices
from .sources import is_file
from .worker_client import Failure, Lane, Request

Result = Callable[[Any], None]


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for the bar above the page. tone: "good", "note", "warn" or "bad"."""

    what: str
    why: str = ""
    do: str = ""
    details: str = ""
    tone: str = "note"


class Session(QObject):
    """Project, source, preparation, runs and jobs of one window, and the way to the workers."""

    projectChanged = Signal()
    sourceChanged = Signal()
    preparationChanged = Signal()
    runsChanged = Signal()
    jobsChanged = Signal()
    busyChanged = Signal()
    navigated = Signal(str)
    pluginsChanged = Signal()
    passwordWanted = Signal(object)
    noticed = Signal(object)

    def __init__(self, services: DesktopServices, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.services = services
        self.preferences = Preferences(services.settings_file, services.projects_folder, self)
        self.project: ProjectStore | None = None
        self.connection: ConnectionSpec | None = None
        self.overview: SourceOverview | None = None
        self.draft: Draft | None = None
        self.busy = ""
        self.undo_stack = QUndoStack(self)
        self.connections = Connections(services, lambda: self.project, self)
        self.connections.failed.connect(self.fail)
        self._models: tuple[ModelSpec, ...] | None = None
        self._asked: dict[str, Request] = {}
        self._inquired: dict[str, Request] = {}
        self._runs: dict[bool, tuple[RunRecord, ...]] = {}  # for one turn: several pages ask when runs have changed
        self.runsChanged.connect(self._runs.clear)
        self.projectChanged.connect(self._runs.clear)
        self._browse = Lane(services.worker_command, keep_worker=True, parent=self)
        self._aside = Lane(services.worker_command, keep_worker=False, parent=self)
        self._jobs = Lane(services.worker_command, keep_worker=False, parent=self)
        self._jobs.changed.connect(self.jobsChanged)
        self.preferences.changed.connect(self._apply_preferences)
        self._apply_preferences()

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """Return the models at hand, built-in ones first."""
        if self._models is None:
            self._models = self.services.host.models()
        return self._models

    def refresh_plugins(self) -> None:
        """Look again at what is installed and enabled: its models are there at once, or gone."""
        self.services.host.refresh()
        self._models = None
        self.pluginsChanged.emit()

    @property
    def jobs(self) -> tuple[Request, ...]:
        """Return the running job and those waiting behind it."""
        return self._jobs.requests

    def runs(self, *, deleted: bool = False) -> tuple[RunRecord, ...]:
        """Return the project's runs, newest first."""
        if self.project is None:
            return ()
        if deleted not in self._runs:
            self._runs[deleted] = self.project.runs(deleted=deleted)
            QTimer.singleShot(0, self, self._runs.clear)
        return self._runs[deleted]

    def recipe(self, models: Sequence[ModelChoice] = ()) -> Recipe | None:
        """Return the recipe of the current preparation with `models`, or None while there is no preparation."""
        return None if self.draft is None else self.draft.recipe(models)

    def request(
        self,
        command: Any,
        on_result: Result | None = None,
        on_error: Callable[[Failure], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        lane: str = "browse",
        title: str = "",
    ) -> Request:
        """Ask a worker.

        `lane` is "browse" for quick questions, "job" for what waits in the visible queue, "aside" for long questions
        that must not keep the quick ones waiting: each gets a worker of its own.

        Without `on_error` a failure goes to the message bar. The request can be stopped; then neither is called
        (listen to `Request.stopped`).
        """
        request = Request(command, title=title, secret=self._secret_of(command))
        if on_result is not None:
            request.finished.connect(on_result)
        if on_progress is not None:
            request.progressed.connect(on_progress)
        request.failed.connect(on_error or self.fail)
        {"job": self._jobs, "aside": self._aside}.get(lane, self._browse).submit(request)
        return request

    def inquire(self, topic: str, command: Any, then: Result, otherwise: Callable[[Failure], None]) -> Request:
        """Ask a quick question beside all others, without a word in the busy line.

        A later question of the same topic takes its place; then neither `then` nor `otherwise` is called.
        """
        if former := self._inquired.pop(topic, None):
            former.stop()
        request = self.request(command, None, lambda _: None)
        self._inquired[topic] = request

        def conclude(follow: Callable[[], None]) -> None:
            if self._inquired.get(topic) is request:
                del self._inquired[topic]
                follow()

        request.finished.connect(lambda answer: conclude(lambda: then(answer)))
        request.failed.connect(lambda failure: conclude(lambda: otherwise(failure)))
        request.stopped.connect(lambda: conclude(_nothing))
        return request

    def ask(
        self, topic: str, command: Any, then: Result, *, busy: str, otherwise: Callable[[], None] = _nothing
    ) -> None:
        """Ask a quick question that replaces the former one of the same topic; `busy` is said meanwhile.

        `otherwise` is called when there is no answer: after a failure (which is shown) or a Stop.
        """
        if former := self._asked.pop(topic, None):
            former.stop()
        request = self.request(command, None, lambda _: None, title=busy)
        self._asked[topic] = request
        self.set_busy(busy)

        def conclude(follow: Callable[[], None]) -> None:
            if self._asked.get(topic) is request:
                del self._asked[topic]
                self.set_busy("")
                follow()

        def fail(failure: Failure) -> None:
            self.fail(failure)
            otherwise()

        request.finished.connect(lambda answer: conclude(lambda: then(answer)))
        request.failed.connect(lambda failure: conclude(lambda: fail(failure)))
        request.stopped.connect(lambda: conclude(otherwise))
        request.progressed.connect(lambda progress: self._say_progress(topic, request, progress))

    def stop_asking(self) -> None:
        """Stop every quick question that is being waited for."""
        for request in tuple(self._asked.values()):
            request.stop()

    def train(
        self, models: Sequence[ModelChoice], on_result: Result | None = None, *, resume: str = "", recipe: str = ""
    ) -> Request | None:
        """Queue a training of `models` on the current preparation, or of a run's own `recipe` (to `resume` it).

        None if there is nothing to train, or the password of the run's source has to be asked for first.
        """
        text = recipe or self._recipe_text(models)
        if self.project is None or not text or not self._may_read(text):
            return None
        command = Train(self.project.folder, text, resume=resume)
        names = ", ".join(self.model_title(choice.id) for choice in models)
        title = self.tr("Resume training") if resume else self.tr("Train {models}").format(models=names)
        request = self.request(command, on_result, lane="job", title=title)
        for signal in (request.finished, request.failed, request.stopped, request.stateChanged):
            signal.connect(lambda *_: self.runsChanged.emit())
        known: set[str] = set()
        request.progressed.connect(lambda progress: self._see_run(progress, known))
        return request

    def tune(self, choice: ModelChoice, *, trials: int, minutes: float = 0.0, resume: str = "") -> Request | None:
        """Queue a search over the parameters of one model on the current preparation; `resume` goes on with one.

        None if there is nothing to train, or a password has to be asked for first.
        """
        text = self._recipe_text((choice,))
        if self.project is None or not text or not self._may_read(text):
            return None
        command = Tune(self.project.folder, text, choice.id, trials=trials, minutes=minutes, resume=resume)
        title = self.tr("Search parameters of {model}").format(model=self.model_title(choice.id))
        return self.request(command, lane="job", title=title)

    def model_title(self, model_id: str) -> str:
        """Return the title of a model, or its id when its plugin is gone."""
        return next((model.title for model in self.models if model.id == model_id), model_id)

    def navigate(self, page_id: str) -> None:
        """Bring a page to the front."""
        self.navigated.emit(page_id)

    def notify(self, message: str | Notice | Failure | UserError, *, tone: str = "note") -> None:
        """Show a message in the bar; errors with what, why, what to do, and details."""
        if isinstance(message, Notice):
            self.noticed.emit(message)
        elif isinstance(message, Failure | UserError):
            self.fail(message)
        else:
            self.noticed.emit(Notice(message, tone=tone))

    def fail(self, failure: Failure | UserError) -> None:
        """Show what went wrong."""
        details = failure.details if isinstance(failure, Failure) else ""
        self.noticed.emit(Notice(failure.what, failure.why, failure.do, details, tone="bad"))

    def clear_notice(self) -> None:
        """Empty the message bar."""
        self.noticed.emit(None)

    def set_busy(self, what: str) -> None:
        """Say what is being waited for; an empty text ends it."""
        if what != self.busy:
            self.busy = what
            self.busyChanged.emit()

    def set_project(self, project: ProjectStore | None) -> None:
        """Work in another project; the former one is let go and the source with it."""
        for topic in tuple(self._inquired):
            self._inquired.pop(topic).stop()
        if self.project is not None:
            self.project.close()
        self.project = project
        self.undo_stack.clear()
        self.connection, self.overview, self.draft = None, None, None
        self.projectChanged.emit()
        self.sourceChanged.emit()
        self.preparationChanged.emit()
        self.runsChanged.emit()

    def set_source(self, connection: ConnectionSpec, overview: SourceOverview | None) -> None:
        """Work on another database."""
        self.connection, self.overview = connection, overview
        self.sourceChanged.emit()

    def ask_password(self, connection: ConnectionSpec) -> None:
        """Let the Data page ask for the password of a connection."""
        self.navigate("data")
        self.passwordWanted.emit(connection)

    def set_draft(self, draft: Draft | None) -> None:
        """Replace the preparation (without undo) and keep it in the project."""
        self.draft = draft
        self._save_draft()
        self.preparationChanged.emit()

    def start_draft(self, draft: Draft | None) -> None:
        """Begin another preparation: what was done to the former one can no longer be undone."""
        self.undo_stack.clear()
        self.set_draft(draft)

    def edit(self, text: str, draft: Draft) -> None:
        """Replace the preparation by an edit that can be undone; `text` names it in the menu.

        An edit that changes nothing still lets the widgets show what is.
        """
        if self.draft is not None and draft != self.draft:
            self.undo_stack.push(_Edit(self, text, self.draft, draft))
        else:
            self.preparationChanged.emit()

    def warm(self) -> None:
        """Start the browse worker and load what projects need, so that the first answers come sooner."""
        self._browse.warm()
        self.services.projects.warm()
        threading.Thread(target=warm, args=(set(RESULTS.values()),), name="warm-answers").start()
        self._look_into_plugins()

    def close(self) -> None:
        """End all workers and let the project go."""
        self.connections.forget_all()
        self._browse.shut_down()
        self._aside.shut_down()
        self._jobs.shut_down()
        self.undo_stack.clear()
        if self.project is not None:
            self.project.close()
            self.project = None
        self.preferences.sync()

    def _secret_of(self, command: Any) -> str | None:
        """Return the password for the source a command reads, and never that of another."""
        source = self._source_of(command)
        return None if source is None else self.connections.secret_of(source, self.connection)

    def _may_read(self, recipe: str) -> bool:
        """Whether the source of a recipe can be opened; else its password is asked for on the Data page."""
        source = self._source_of_recipe(recipe)
        if source is None or is_file(source) or not self._lacks_password(source):
            return True
        self.ask_password(source)
        self.notify(
            Notice(
                self.tr("The password of the database this was trained on is not kept any more."),
                do=self.tr("Connect to it, then start the training again."),
                tone="warn",
            )
        )
        return False

    def _lacks_password(self, source: ConnectionSpec) -> bool:
        return self.connections.needs_password(self.connections.known(source, self.connection))

    def _look_into_plugins(self) -> None:
        """Tell of plugins put out of use at this start, and have new ones of the app's own Python looked into."""
        plugins = self.services.plugins
        if self.services.put_out:
            self.noticed.emit(
                Notice(
                    self.tr("Started without {names}.").format(names=", ".join(self.services.put_out)),
                    self.tr("The last attempt to load it ended the process that tried."),
                    self.tr("The Plugins page tells more and lets you try again."),
                    tone="warn",
                )
            )
        if plugins is not None and plugins.pending():
            self.request(ChangePlugin("look"), lambda _: self.refresh_plugins(), lane="aside")

    def _source_of(self, command: Any) -> ConnectionSpec | None:
        """Return the source a command reads: its own, or that of the recipe or run it names."""
        if isinstance(connection := getattr(command, "connection", None), ConnectionSpec):
            return connection
        if isinstance(command, Train):
            return self._source_of_recipe(command.recipe) if command.recipe else self._source_of_run(command.resume)
        if isinstance(command, Tune):
            return self._source_of_recipe(command.recipe)
        if isinstance(command, Score):
            return command.source or self._source_of_run(command.run)
        return None

    def _source_of_run(self, run_id: str) -> ConnectionSpec | None:
        try:
            return None if self.project is None else self._source_of_recipe(self.project.run(run_id).recipe)
        except UserError:  # the worker will say what is wrong with the run
            return None

    def _source_of_recipe(self, text: str) -> ConnectionSpec | None:
        try:
            return recipe_from_toml(text, folder=None if self.project is None else self.project.folder).source
        except UserError:  # the worker will say what is wrong with the recipe
            return None

    def _say_progress(self, topic: str, request: Request, progress: Progress) -> None:
        if self._asked.get(topic) is request and progress.message:
            self.set_busy(progress.message)

    def _apply_preferences(self) -> None:
        threads, device = self.preferences.threads, self.preferences.device
        self._jobs.arguments = (
            *(("--threads", str(threads)) if threads else ()),
            *(("--device", device) if device != DEVICES[0] else ()),
        )

    def _recipe_text(self, models: Sequence[ModelChoice]) -> str:
        recipe = self.recipe(models)
        return "" if recipe is None else recipe_to_toml(recipe)

    def _see_run(self, progress: Progress, known: set[str]) -> None:
        if progress.run and progress.run not in known:
            known.add(progress.run)
            self.runsChanged.emit()

    def _save_draft(self) -> None:
        if self.project is None or self.project.read_only or self.draft is None or not len(self.draft.fields):
            return
        name = self.draft.query.base.name
        kept = StoredPreparation(preparation_id(self.draft), name, self._recipe_text(()), datetime.now(UTC))
        try:
            self.project.save_preparation(kept)
        except UserError as error:
            self.fail(error)


class _Edit(QUndoCommand):
    """An edit as the values before and after it."""

    def __init__(self, session: Session, text: str, before: Draft, after: Draft) -> None:
        super().__init__(text)
        self._session, self._before, self._after = session, before, after

    def redo(self) -> None:
        """Take the value after the edit."""
        self._session.set_draft(self._after)

    def undo(self) -> None:
        """Take the value before the edit."""
        self._session.set_draft(self._before)


def preparation_id(draft: Draft) -> str:
    """Return the id a preparation is kept under: one for each base table of the project."""
    base = draft.query.base
    return f"{base.schema}.{base.name}" if base.schema else base.name

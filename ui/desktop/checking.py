"""Keeps what is known of a preparation up to date while it is edited: the findings, and what it would cost to read.

A moment after the last edit the source is asked; a newer edit takes the place of the question. Nothing waits for it.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from core.commands import EstimateQuery, Preparation
from crosslens.relational import ExtractionEstimate, QuerySpec

from .draft import with_checked
from .preparing import check_command
from .session import Session
from .worker_client import Failure

WAIT_MILLISECONDS = 700
"""How long after an edit the source is asked: long enough for a run of clicks."""


class Checks(QObject):
    """Asks again for findings and estimate; `changed` tells of `checking`, `estimate` or a `problem`."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.checking = False
        self.estimate: ExtractionEstimate | None = None
        self.problem = ""
        self._estimated: QuerySpec | None = None
        self._failed: tuple[object, ...] = ()
        self._wait = QTimer(self, singleShot=True, interval=WAIT_MILLISECONDS)
        self._wait.timeout.connect(self._ask)
        session.preparationChanged.connect(self._follow)
        session.busyChanged.connect(self._follow)

    def _follow(self) -> None:
        draft = self._session.draft
        if draft is None or draft.rows is None:
            self._estimated, self.estimate = None, None
            self._wait.stop()
        elif not self._session.busy and (self._needs_check() or draft.query != self._estimated):
            self._wait.start()

    def _needs_check(self) -> bool:
        draft = self._session.draft
        return draft is not None and draft.to_check not in (draft.checked, self._failed)

    def _ask(self) -> None:
        draft, connection = self._session.draft, self._session.connection
        if draft is None or connection is None or self._session.busy:
            return
        if self._needs_check():
            self._say(checking=True)
            wanted = draft.to_check
            self._session.inquire(
                "check",
                check_command(self._session, draft),
                lambda answer: self._take(wanted, answer),
                lambda failure: self._give_up(wanted, failure),
            )
        if draft.query != self._estimated:
            self._estimated = draft.query
            project = self._session.project
            question = EstimateQuery(connection, draft.query, None if project is None else project.folder)
            self._session.inquire("estimate", question, self._show, self._no_estimate)

    def _take(self, wanted: tuple[object, ...], answer: Preparation) -> None:
        draft = self._session.draft
        self._failed = ()
        self._say(checking=False)
        if draft is not None and draft.to_check == wanted:
            self._session.set_draft(with_checked(draft, answer))

    def _give_up(self, wanted: tuple[object, ...], failure: Failure) -> None:
        self._failed = wanted
        self._say(checking=False)
        self._session.fail(failure)

    def _show(self, estimate: ExtractionEstimate) -> None:
        self.estimate, self.problem = estimate, ""
        self.changed.emit()

    def _no_estimate(self, failure: Failure) -> None:
        self.estimate, self.problem = None, failure.what
        self.changed.emit()

    def _say(self, *, checking: bool) -> None:
        self.checking = checking
        self.changed.emit()

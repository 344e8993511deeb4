"""Ways to get to work: the sample, a database, a server, files. Each ends with a project, a source and a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from PySide6.QtCore import QCoreApplication

from core.commands import MakeSample, OpenSource, SampleMade, SourceOverview
from core.connections import connection_from_path
from core.ports import ProjectStore
from core.recipe_toml import recipe_from_toml
from crosslens.errors import SourceError, UserError
from crosslens.relational import ConnectionSpec
from crosslens.runs import RunStatus, StoredConnection

from .draft import Draft, from_recipe
from .preferences import RecentProject
from .preparing import measure, propose
from .session import Notice, Session
from .sources import (
    PROJECT_FILE,
    TABLE_SUFFIXES,
    holds_tables,
    is_file,
    is_same_source,
    source_key,
    source_name,
    without_secret,
)

SAMPLE_FOLDER = "Sample shop"
SAMPLE_FILE = "shop.db"


def _tr(text: str) -> str:
    return QCoreApplication.translate("Opening", text)


def _nothing() -> None:
    return None


def try_sample(session: Session) -> None:
    """Open the sample project; the shop is generated on first use."""
    folder = session.preferences.projects_folder / SAMPLE_FOLDER
    database = folder / SAMPLE_FILE
    if database.exists() and (folder / PROJECT_FILE).exists():
        open_project(session, folder)
    elif _take_project(session, folder, create=True, name=_tr("Sample shop"), database=str(database)):
        command = MakeSample(path=database)
        session.ask("source", command, lambda made: _sample_made(session, made), busy=_tr("Making the sample shop…"))


def open_database(session: Session, file: Path) -> None:
    """Open a database file, a file of rows or a folder of them; its first bytes tell what it is."""
    try:
        connection = connection_from_path(file)
    except OSError as error:
        session.fail(
            SourceError(_tr("The file cannot be read."), why=f"{error.strerror}.", do=_tr("Check its rights."))
        )
        return
    open_source(session, connection)


def open_source(session: Session, connection: ConnectionSpec, then: Callable[[], None] = _nothing) -> None:
    """Open any source; its project is made, or found again, once the source has answered. `then` follows."""

    def opened(overview: SourceOverview) -> None:
        _source_opened(session, connection, overview)
        then()

    name = source_name(connection)
    session.ask("source", OpenSource(connection), opened, busy=_tr("Opening {name}…").format(name=name))


def open_saved(session: Session, saved: ConnectionSpec, then: Callable[[], None] = _nothing) -> None:
    """Open another connection of the project; its password is asked for if it is kept nowhere. `then` follows."""
    connection = session.connections.with_secret(saved)
    if session.connections.needs_password(connection):
        session.ask_password(connection)
        return

    def opened() -> None:
        _save_connection(session, connection, source_name(connection))
        if session.draft is not None and not is_same_source(session.draft.source, connection):
            session.start_draft(None)
        session.navigate("data")
        _restore(session)
        then()

    connect(session, connection, then=opened)


def open_project(session: Session, folder: Path) -> None:
    """Open a project folder, its source, and what was prepared last."""
    if not _take_project(session, folder, create=False):
        return
    project = session.project
    saved = project.connections() if project is not None else ()
    if saved:
        connection = session.connections.with_secret(saved[0].spec)
        session.set_source(connection, None)
        if session.connections.needs_password(connection):
            session.ask_password(connection)
        else:
            connect(session, connection, then=lambda: _restore(session))
    session.navigate("results" if _has_results(session) else "data")


def open_path(session: Session, path: Path) -> None:
    """Open whatever was dropped: a project folder, a database, a file of rows, or a folder of them."""
    if path.name == PROJECT_FILE:
        open_project(session, path.parent)
    elif path.is_dir() and ((path / PROJECT_FILE).exists() or not holds_tables(path)):
        open_project(session, path)
    else:
        open_database(session, path)


def open_paths(session: Session, paths: Sequence[Path]) -> None:
    """Open what was dropped together: one thing, or files of one folder, which are tables beside each other."""
    folders = {path.parent for path in paths}
    if len(paths) == 1:
        open_path(session, paths[0])
    elif len(folders) == 1 and all(path.name.lower().endswith(TABLE_SUFFIXES) for path in paths):
        open_database(session, folders.pop())
    elif paths:
        session.fail(
            SourceError(
                _tr("These cannot be opened together."),
                do=_tr("Drop one database, one project, or files of rows that lie in one folder."),
            )
        )


def connect(session: Session, connection: ConnectionSpec, *, then: Callable[[], None]) -> None:
    """List the tables of a database and go on with `then`."""

    def opened(overview: SourceOverview) -> None:
        session.set_source(connection, overview)
        then()

    session.ask("source", OpenSource(connection), opened, busy=_tr("Reading the tables…"))


def _source_opened(session: Session, connection: ConnectionSpec, overview: SourceOverview) -> None:
    folder = _project_folder(session, connection)
    create = not (folder / PROJECT_FILE).exists()
    if not _take_project(
        session, folder, create=create, name=_project_name(connection), database=source_key(connection)
    ):
        return
    _save_connection(session, connection, source_name(connection))
    session.set_source(connection, overview)
    session.navigate("data")
    _restore(session)


def _sample_made(session: Session, made: SampleMade) -> None:
    recipe = recipe_from_toml(made.recipe, folder=made.database.parent)
    _save_connection(session, recipe.source, made.database.name)
    ready = Notice(
        _tr("The sample shop is ready and its columns already have their roles."),
        do=_tr("Press Train to learn what drives clicks."),
        tone="good",
    )
    connect(session, recipe.source, then=lambda: _start(session, from_recipe(recipe), to="train", notice=ready))


def _restore(session: Session) -> None:
    """Go on with the preparation that was changed last, if there is one."""
    preparations = session.project.preparations() if session.project is not None else ()
    if not preparations or session.connection is None:
        return
    try:
        recipe = recipe_from_toml(preparations[0].recipe, folder=session.project.folder if session.project else None)
    except UserError as error:
        session.fail(error)
        return
    if is_same_source(recipe.source, session.connection):
        source = without_secret(session.connection)  # its password may be kept under another name by now
        _start(session, replace(from_recipe(recipe), source=source))


def _start(session: Session, draft: Draft, *, to: str = "", notice: Notice | None = None) -> None:
    """Begin with a draft from a recipe; measure its columns, then the joins that could be added."""

    def measured(complete: Draft) -> None:
        session.start_draft(complete)
        propose(session)
        if to:
            session.navigate(to)
        if notice is not None:
            session.notify(notice)

    session.start_draft(draft)
    measure(session, draft, measured)


def _take_project(
    session: Session, folder: Path, *, create: bool, name: str = "", database: str = ""
) -> ProjectStore | None:
    """Open a project in place of the current one; what is wrong with it goes to the message bar."""
    if session.project is not None and session.project.folder == folder:
        session.set_project(None)  # lets its lock go, so that it can be opened afresh
    try:
        project = session.services.projects.open(folder, create=create, lock=True)
    except UserError as error:
        session.fail(error)
        return None
    session.clear_notice()
    session.set_project(project)
    saved = project.connections()
    known = database or (source_key(saved[0].spec) if saved else "")
    session.preferences.remember(RecentProject(str(folder), name or folder.name, known))
    return project


def _save_connection(session: Session, connection: ConnectionSpec, name: str) -> None:
    if session.project is None or session.project.read_only:
        return
    known = {source_key(saved.spec): saved for saved in reversed(session.project.connections())}
    former = known.get(source_key(connection), StoredConnection(uuid4().hex, name, connection))  # its name may be own
    saved = StoredConnection(former.id, former.name, without_secret(connection), datetime.now(UTC))
    try:
        session.project.save_connection(saved)
    except UserError as error:
        session.fail(error)


def _project_folder(session: Session, connection: ConnectionSpec) -> Path:
    """Return the project that reads this source already, or a new folder named after it."""
    for recent in session.preferences.recent():
        if recent.database == source_key(connection):
            return Path(recent.folder)
    name = _project_name(connection)
    folder = session.preferences.projects_folder / name
    number = 2
    while folder.exists():
        folder = folder.with_name(f"{name} {number}")
        number += 1
    return folder


def _project_name(connection: ConnectionSpec) -> str:
    """Return the source's name as a folder may be called: without suffix, and without what parts a path."""
    name = source_name(connection)
    stem = Path(name).stem if is_file(connection) else name
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", stem).strip(". ") or "database"


def _has_results(session: Session) -> bool:
    return any(run.status in (RunStatus.FINISHED, RunStatus.STOPPED) for run in session.runs())

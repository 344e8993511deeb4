"""Ways to get to work: the sample, a database, a project. Each ends with a project, a source and a page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from PySide6.QtCore import QCoreApplication

from core.commands import MakeSample, OpenSource, SampleMade, SourceOverview
from core.ports import ProjectStore
from core.recipe_toml import recipe_from_toml
from crosslens.errors import UserError
from crosslens.relational import ConnectionSpec
from crosslens.runs import RunStatus, StoredConnection

from .draft import Draft, from_recipe
from .preferences import RecentProject
from .preparing import measure, propose
from .session import Notice, Session

SAMPLE_FOLDER = "Sample shop"
SAMPLE_FILE = "shop.db"
PROJECT_FILE = "project.db"


def _tr(text: str) -> str:
    return QCoreApplication.translate("Opening", text)


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
    """Open a SQLite file; its project is made, or found again, once the file turns out to be a database."""
    connection = ConnectionSpec(dialect="sqlite", database=str(file.absolute()))
    session.ask(
        "source",
        OpenSource(connection),
        lambda overview: _database_opened(session, connection, overview),
        busy=_tr("Opening {name}…").format(name=file.name),
    )


def open_project(session: Session, folder: Path) -> None:
    """Open a project folder, its database, and what was prepared last."""
    if not _take_project(session, folder, create=False):
        return
    project = session.project
    saved = project.connections() if project is not None else ()
    if saved:
        connection = saved[0].spec
        session.set_source(connection, None)
        connect(session, connection, then=lambda: _restore(session))
    session.navigate("results" if _has_results(session) else "data")


def open_path(session: Session, path: Path) -> None:
    """Open whatever was dropped: a project folder or a database file."""
    if path.is_dir():
        open_project(session, path)
    elif path.name == PROJECT_FILE:
        open_project(session, path.parent)
    else:
        open_database(session, path)


def connect(session: Session, connection: ConnectionSpec, *, then: Callable[[], None]) -> None:
    """List the tables of a database and go on with `then`."""

    def opened(overview: SourceOverview) -> None:
        session.set_source(connection, overview)
        then()

    session.ask("source", OpenSource(connection), opened, busy=_tr("Reading the tables…"))


def _database_opened(session: Session, connection: ConnectionSpec, overview: SourceOverview) -> None:
    file = Path(connection.database)
    folder = _project_folder(session, file)
    create = not (folder / PROJECT_FILE).exists()
    if not _take_project(session, folder, create=create, name=file.stem, database=str(file)):
        return
    _save_connection(session, connection, file.name)
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
    _start(session, from_recipe(recipe))


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
    known = database or (saved[0].spec.database if saved else "")
    session.preferences.remember(RecentProject(str(folder), name or folder.name, known))
    return project


def _save_connection(session: Session, connection: ConnectionSpec, name: str) -> None:
    if session.project is None or session.project.read_only:
        return
    same = (saved.id for saved in session.project.connections() if saved.spec == connection)
    saved = StoredConnection(next(same, uuid4().hex), name, connection, datetime.now(UTC))
    try:
        session.project.save_connection(saved)
    except UserError as error:
        session.fail(error)


def _project_folder(session: Session, file: Path) -> Path:
    """Return the project that reads `file` already, or a new folder named after it."""
    for recent in session.preferences.recent():
        if recent.database == str(file):
            return Path(recent.folder)
    folder = session.preferences.projects_folder / file.stem
    number = 2
    while folder.exists():
        folder = folder.with_name(f"{file.stem} {number}")
        number += 1
    return folder


def _has_results(session: Session) -> bool:
    return any(run.status in (RunStatus.FINISHED, RunStatus.STOPPED) for run in session.runs())

"""Saved connections of a project: list, rename, delete."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from core.connections import connection_kind, connection_place
from core.display import Table, TableColumn
from core.ports import ProjectStore
from core.services import Services
from crosslens.errors import ParameterError, ProjectError, UserError
from crosslens.plain import to_plain
from crosslens.runs import StoredConnection

from .parts import Parts
from .terminal import Terminal


def connections(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Do what was asked with the connections of a project."""
    services = parts.services()
    folder: Path = options.project
    project = services.projects.open(folder.absolute())
    try:
        {"list": _list, "rename": _rename, "delete": _delete}[options.what](project, options, services, terminal)
    finally:
        project.close()


def _list(project: ProjectStore, options: Namespace, services: Services, terminal: Terminal) -> None:
    _no_more_words(options, 0)
    saved = project.connections()
    heads = tuple(TableColumn(name) for name in ("name", "kind", "where", "last used", "id"))
    rows = tuple((each.name, *_facts(each), each.id) for each in saved)
    terminal.table(Table("Saved connections", heads, rows, note="" if saved else "There are none."))
    terminal.result([to_plain(each) for each in saved])


def _rename(project: ProjectStore, options: Namespace, services: Services, terminal: Terminal) -> None:
    _no_more_words(options, 2)
    wanted, name = options.names
    found = _named(project, wanted)
    project.rename_connection(found.id, name)
    terminal.say(f"{found.name} is called {name} now.")
    terminal.result({"id": found.id, "name": name})


def _delete(project: ProjectStore, options: Namespace, services: Services, terminal: Terminal) -> None:
    _no_more_words(options, 1)
    found = _named(project, options.names[0])
    forgets = bool(found.spec.credential) and not options.keep_password
    if not options.yes:
        _ask(found, terminal, forgets=forgets)
    if forgets:  # first: if the keyring stays locked, nothing is deleted
        services.credentials.forget(found.spec.credential)
    project.delete_connection(found.id)
    gone = "The connection and its password are" if forgets else "The connection is"
    terminal.say(f"{gone} deleted. What was trained on it stays.")
    terminal.result({"id": found.id, "name": found.name, "password_forgotten": forgets})


def _ask(found: StoredConnection, terminal: Terminal, *, forgets: bool) -> None:
    if terminal.as_json or not sys.stdin.isatty():
        raise UserError(
            f"Whether “{found.name}” may be deleted has to be said.",
            why="There is nobody to ask.",
            do="Add --yes.",
        )
    also = " and its password in the keyring" if forgets else ""
    if input(f"Delete the connection “{found.name}” ({_facts(found)[1]}){also}? [y/N] ").strip().lower() != "y":
        raise UserError("Nothing was deleted.")


def _named(project: ProjectStore, wanted: str) -> StoredConnection:
    """Return the connection of that id or name; ProjectError if there is none, or several have the name."""
    saved = project.connections()
    found = [each for each in saved if each.id == wanted] or [each for each in saved if each.name == wanted]
    if len(found) > 1:
        ids = ", ".join(f"{each.id} ({_facts(each)[1]})" for each in found)
        raise ProjectError(
            f"{len(found)} saved connections are called {wanted}.", do=f"Name one by its id: {ids}.", name=wanted
        )
    if not found:
        names = ", ".join(each.name for each in saved) or "none"
        raise ProjectError(f"There is no saved connection called {wanted}.", do=f"There are: {names}.", name=wanted)
    return found[0]


def _facts(saved: StoredConnection) -> tuple[str, str, str]:
    used = "" if saved.last_used is None else f"{saved.last_used.astimezone():%Y-%m-%d %H:%M}"
    return connection_kind(saved.spec), connection_place(saved.spec), used


def _no_more_words(options: Namespace, count: int) -> None:
    if len(options.names) != count:
        wanted = ("no name", "one name", "two names: the old one and the new one")[count]
        raise ParameterError(
            f"“{options.what}” takes {wanted}.", do='For example: crosslens connections DIR rename shop "old shop"'
        )

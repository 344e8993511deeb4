"""Databases named on the command line: a path or a URL, and the password a server asks for.

A password typed into a URL or at the prompt is used for this command and written nowhere, unless --save-password asks
for the system's keyring; the recipe then names the entry, never the password.
"""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace
from dataclasses import replace
from uuid import uuid4

from core.connections import FILE_DIALECTS, connection_from_text, connection_text
from core.services import Services
from crosslens.errors import SourceError, UserError
from crosslens.relational import ConnectionSpec

from .terminal import Terminal


def named_source(
    text: str, options: Namespace, services: Services, terminal: Terminal
) -> tuple[ConnectionSpec, Services]:
    """Return the connection `text` names, without its password, and services that can open it."""
    found = connection_from_text(text)
    connection = replace(found, secret=None, password_variable=options.password_variable)
    if connection.dialect in FILE_DIALECTS:
        return connection, services
    connection, secret = _unlocked(connection, found.secret, services, terminal)
    opened = services.with_secret(secret)
    if options.save_password:
        connection = _saved(connection, secret, services, terminal)
    return connection, opened


def named_target(text: str, variable: str, services: Services, terminal: Terminal) -> ConnectionSpec:
    """Return the connection to write to that `text` names, with its password if a server asks for one.

    `variable` names the environment variable that holds it.
    """
    found = connection_from_text(text)
    connection = replace(found, secret=None, password_variable=variable)
    if connection.dialect in FILE_DIALECTS:
        return connection
    connection, secret = _unlocked(connection, found.secret, services, terminal)
    return replace(connection, secret=secret)


def unlocked(connection: ConnectionSpec, services: Services, terminal: Terminal) -> Services:
    """Return services that can open the source of a recipe; ask for its password where there is somebody to ask."""
    if connection.dialect in FILE_DIALECTS:
        return services
    return services.with_secret(_unlocked(connection, None, services, terminal)[1])


def _unlocked(
    connection: ConnectionSpec, secret: str | None, services: Services, terminal: Terminal
) -> tuple[ConnectionSpec, str | None]:
    try:
        _try(connection, services.with_secret(secret))
    except SourceError as error:
        if not error.facts.get("needs_password") or not _somebody_is_there(terminal):
            raise
        if secret is not None:
            terminal.user_error(error)
    else:
        return connection, secret
    typed = getpass.getpass(f"Password for {connection_text(connection)}: ")
    _try(connection, services.with_secret(typed))
    return connection, typed


def _try(connection: ConnectionSpec, services: Services) -> None:
    with services.sources.open(connection):
        pass


def _somebody_is_there(terminal: Terminal) -> bool:
    return sys.stdin.isatty() and not terminal.as_json


def _saved(connection: ConnectionSpec, secret: str | None, services: Services, terminal: Terminal) -> ConnectionSpec:
    if secret is None:
        raise UserError(
            "There is no password to save.",
            why="The server let Crosslens in without asking for one here.",
            do="Leave out --save-password, or give the password in the URL or at the prompt.",
        )
    if not services.credentials.is_lasting:
        terminal.say("This system has no keyring: the password is not saved, and will be asked for again.")
        return connection
    credential = uuid4().hex
    if not services.credentials.save(credential, secret):
        terminal.say("The keyring refused: the password is not saved, and will be asked for again.")
        return connection
    return replace(connection, credential=credential)

"""The saved connections of the open project, and the passwords of this window's time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from core.ports import ProjectStore
from crosslens.errors import UserError
from crosslens.relational import ConnectionSpec
from crosslens.runs import StoredConnection

from .services import DesktopServices
from .sources import is_file, source_key


class Connections(QObject):
    """Names, deletes and unlocks connections; passwords are kept here until the window closes, or in the keyring.

    changed   a saved connection was renamed or deleted
    failed    a UserError: what could not be done
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, services: DesktopServices, project: Callable[[], ProjectStore | None], parent: QObject) -> None:
        super().__init__(parent)
        self._credentials = services.credentials
        self._project = project
        self._secrets: dict[str, str] = {}

    def saved(self) -> tuple[StoredConnection, ...]:
        """Return the project's saved connections, most recently used first."""
        project = self._project()
        return () if project is None else project.connections()

    def rename(self, saved: StoredConnection, name: str) -> None:
        """Give a saved connection another name."""
        project = self._project()
        if project is None or name.strip() == saved.name:
            return
        try:
            project.rename_connection(saved.id, name)
        except UserError as error:
            self.failed.emit(error)
        self.changed.emit()

    def delete(self, saved: StoredConnection, *, with_password: bool) -> None:
        """Delete a saved connection, and its password if asked to; runs made with it stay.

        The password goes first: if the keyring stays locked, nothing is deleted and that is said.
        """
        project = self._project()
        if project is None or project.read_only:
            return
        try:
            if with_password and saved.spec.credential:
                self._credentials.forget(saved.spec.credential)
                self._secrets.pop(saved.spec.credential, None)
            project.delete_connection(saved.id)
        except UserError as error:
            self.failed.emit(error)
        self.changed.emit()

    def keep_secret(self, connection: ConnectionSpec, secret: str, *, remember: bool) -> None:
        """Keep the password of a connection under its credential: until the window closes, or in the keyring."""
        self._secrets[connection.credential] = secret
        if remember:
            self._credentials.save(connection.credential, secret)

    def forget_secret(self, connection: ConnectionSpec) -> bool:
        """Forget the password of a connection, here and in the keyring; False (and said) if that stays locked."""
        self._secrets.pop(connection.credential, None)
        try:
            self._credentials.forget(connection.credential)
        except UserError as error:
            self.failed.emit(error)
            return False
        return True

    def forget_all(self) -> None:
        """Forget the passwords kept here; those in the keyring stay."""
        self._secrets.clear()

    def with_secret(self, connection: ConnectionSpec) -> ConnectionSpec:
        """Return a connection with its password if it is kept here; the worker looks it up elsewhere by itself."""
        secret = connection.secret or self._secrets.get(connection.credential)
        if secret is None and connection.credential and not self._credentials.is_lasting:
            secret = self._credentials.secret_for(connection)
        return replace(connection, secret=secret)

    def needs_password(self, connection: ConnectionSpec) -> bool:
        """Whether a connection has a password that is kept nowhere any more, so that it has to be asked for."""
        if not connection.credential or connection.password_variable:
            return False
        if self.with_secret(connection).secret is not None:
            return False
        try:
            return not self._credentials.has(connection.credential)
        except UserError as error:  # the keyring stays locked: the password can still be typed
            self.failed.emit(error)
            return True

    def secret_of(self, source: ConnectionSpec, opened: ConnectionSpec | None) -> str | None:
        """Return the password for a source, and never that of another; `opened` is the connection now open."""
        if is_file(source) or source.secret is not None:
            return source.secret
        same = self.known(source, opened)
        secret = self.with_secret(same).secret
        if secret is None and same.credential != source.credential:  # the worker would look under the other one
            return self._looked_up(same)
        return secret

    def known(self, source: ConnectionSpec, opened: ConnectionSpec | None) -> ConnectionSpec:
        """Return the open or saved connection that leads to `source`; itself if there is none any more."""
        here = () if opened is None else (opened,)
        saved = (*here, *(each.spec for each in self.saved()))
        return next((spec for spec in saved if source_key(spec) == source_key(source)), source)

    def _looked_up(self, connection: ConnectionSpec) -> str | None:
        try:
            return self._credentials.secret_for(connection)
        except UserError as error:  # the keyring stays locked, or a variable is not set
            self.failed.emit(error)
            return None

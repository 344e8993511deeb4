"""Where passwords come from, in this order: the connection, an environment variable, the system's keyring, the driver.

Nothing here writes a password to a file of ours, a log or a message. Without a real keyring (none, one that refuses, or
one that keeps plain text) a saved password lives in memory until the program ends, and `is_lasting` says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "crosslens"
"""Under which name the system's keyring lists our entries."""

T = TypeVar("T")


class SystemCredentials:
    """Passwords in the system's keyring, or in memory where there is none."""

    def __init__(self) -> None:
        self._passing: dict[str, str] = {}

    @property
    def is_lasting(self) -> bool:
        """Whether a saved password is still there tomorrow."""
        return has_real_keyring()

    def save(self, credential: str, secret: str) -> bool:
        """Keep a password; return whether it lasts."""
        if save_password(credential, secret):
            self._passing.pop(credential, None)
            return True
        self._passing[credential] = secret
        return False

    def forget(self, credential: str) -> None:
        """Remove a password, wherever it is kept."""
        self._passing.pop(credential, None)
        forget_password(credential)

    def has(self, credential: str) -> bool:
        """Whether a password is kept under this name."""
        return bool(credential) and (credential in self._passing or _stored(credential) is not None)

    def secret_for(self, connection: ConnectionSpec) -> str | None:
        """Return the password to connect with, or None when only the driver may know one."""
        if connection.secret is None and connection.credential in self._passing:
            return self._passing[connection.credential]
        return password_for(connection)


def password_for(connection: ConnectionSpec) -> str | None:
    """Return the password of a connection, or None to leave it to the driver (.pgpass, option files).

    SourceError if the environment variable it names is not set, or the keyring stays locked.
    """
    if connection.secret is not None:
        return connection.secret
    if connection.password_variable:
        return _from_environment(connection.password_variable)
    return _stored(connection.credential) if connection.credential else None


def has_real_keyring() -> bool:
    """Whether the system keeps passwords safely: a keyring that answers and does not write plain text."""
    return _real_keyring() is not None


def save_password(credential: str, secret: str) -> bool:
    """Put a password into the system's keyring; return False if there is none, or it refuses."""
    from keyring.errors import KeyringError

    keyring = _real_keyring()
    if keyring is None:
        return False
    try:
        keyring.set_password(SERVICE, credential, secret)
    except KeyringError:  # locked, or the user said no: the caller keeps it in memory and says so
        return False
    return True


def forget_password(credential: str) -> None:
    """Remove a password from the system's keyring; one that is not there is no error."""
    keyring = _real_keyring()
    if keyring is not None and _stored(credential) is not None:
        _asked(lambda: keyring.delete_password(SERVICE, credential))


def _from_environment(variable: str) -> str:
    secret = os.environ.get(variable)
    if secret is None:
        raise SourceError(
            f"The environment variable {variable} is not set.",
            why="The connection says that it holds the password.",
            do=f"Set {variable} before starting Crosslens, or give the password another way.",
            variable=variable,
        )
    return secret


def _stored(credential: str) -> str | None:
    keyring = _real_keyring()
    return None if keyring is None else _asked(lambda: keyring.get_password(SERVICE, credential))


def _asked(question: Callable[[], T]) -> T:
    from keyring.errors import KeyringError

    try:
        return question()
    except KeyringError as error:
        raise SourceError(
            "The system's keyring did not answer.",
            why=f"It says: {error}.",
            do="Unlock it and try again, or type the password.",
        ) from error


def _real_keyring() -> KeyringBackend | None:
    import keyring
    from keyring.backends import chainer, fail, null

    backend = keyring.get_keyring()
    if isinstance(backend, (fail.Keyring, null.Keyring)):
        return None
    if isinstance(backend, chainer.ChainerBackend) and not backend.backends:
        return None
    keeps_plain_text = type(backend).__module__ == "keyrings.alt.file" and "Plaintext" in type(backend).__name__
    return None if keeps_plain_text else backend

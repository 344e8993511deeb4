"""Passwords that are kept until Crosslens closes, and nowhere but in memory."""

from __future__ import annotations

from crosslens.relational import ConnectionSpec


class PassingCredentials:
    """Credentials without a keyring: what is saved is gone when the program ends."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}

    @property
    def is_lasting(self) -> bool:
        """Return False: nothing survives the program."""
        return False

    def save(self, credential: str, secret: str) -> bool:
        """Keep a password until the program ends; return False, because it will not last."""
        self._secrets[credential] = secret
        return False

    def forget(self, credential: str) -> None:
        """Drop a password; unknown ones are ignored."""
        self._secrets.pop(credential, None)

    def has(self, credential: str) -> bool:
        """Whether a password is kept under this name."""
        return credential in self._secrets

    def secret_for(self, connection: ConnectionSpec) -> str | None:
        """Return the connection's own secret, else what is kept under its credential."""
        return connection.secret if connection.secret is not None else self._secrets.get(connection.credential)

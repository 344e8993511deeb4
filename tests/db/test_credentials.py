"""Passwords: where they are looked for, and what is said where nothing keeps them."""

from collections.abc import Iterator

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import KeyringLocked, PasswordDeleteError

from core.credentials import PassingCredentials
from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec
from db.credentials import SystemCredentials, has_real_keyring, password_for


class Box(KeyringBackend):
    """A keyring that works, or one that stays locked."""

    priority = 1

    def __init__(self, *, locked: bool = False) -> None:
        super().__init__()
        self.locked = locked
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError

    def _check(self) -> None:
        if self.locked:
            raise KeyringLocked("it stays locked")


@pytest.fixture
def use() -> Iterator[object]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


CONNECTION = ConnectionSpec("postgresql", "shop", credential="c1")


def test_a_real_keyring_keeps_a_password_until_it_is_forgotten(use) -> None:
    use(Box())
    credentials = SystemCredentials()
    assert credentials.is_lasting
    assert not credentials.has("c1")
    assert credentials.save("c1", "hush")
    assert credentials.has("c1")
    assert SystemCredentials().secret_for(CONNECTION) == "hush"
    credentials.forget("c1")
    credentials.forget("c1")
    assert not credentials.has("c1")
    assert credentials.secret_for(CONNECTION) is None


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring, chainer.ChainerBackend])
def test_without_a_real_keyring_a_password_is_kept_until_the_end_and_that_is_said(backend, use, monkeypatch) -> None:
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [])
    use(backend())
    assert not has_real_keyring()
    credentials = SystemCredentials()
    assert not credentials.is_lasting
    assert not credentials.save("c1", "hush")
    assert credentials.has("c1")
    assert credentials.secret_for(CONNECTION) == "hush"
    assert SystemCredentials().secret_for(CONNECTION) is None
    credentials.forget("c1")
    assert not credentials.has("c1")


def test_the_connections_own_secret_comes_first_then_the_variable_then_the_keyring(use, monkeypatch) -> None:
    use(Box())
    SystemCredentials().save("c1", "from the keyring")
    monkeypatch.setenv("SHOP", "from the variable")
    both = ConnectionSpec("postgresql", "shop", credential="c1", password_variable="SHOP")
    assert password_for(ConnectionSpec("postgresql", "shop", credential="c1", secret="own")) == "own"
    assert password_for(both) == "from the variable"
    assert password_for(CONNECTION) == "from the keyring"
    assert password_for(ConnectionSpec("postgresql", "shop")) is None


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(SourceError, match="NO_SUCH_VARIABLE is not set"):
        password_for(ConnectionSpec("postgresql", "shop", password_variable="NO_SUCH_VARIABLE"))


def test_a_locked_keyring_is_a_sentence_when_read_and_memory_when_written(use) -> None:
    use(Box(locked=True))
    with pytest.raises(SourceError, match="keyring did not answer"):
        password_for(CONNECTION)
    credentials = SystemCredentials()
    assert not credentials.save("c1", "hush")
    assert credentials.secret_for(CONNECTION) == "hush"


def test_passwords_in_passing_are_gone_with_the_program() -> None:
    credentials = PassingCredentials()
    assert not credentials.save("c1", "hush")
    assert credentials.secret_for(CONNECTION) == "hush"
    assert not credentials.is_lasting
    assert "hush" not in repr(credentials)
    credentials.forget("c1")
    assert not credentials.has("c1")

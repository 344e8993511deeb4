"""Encryption of a connection in one vocabulary, whatever the driver's options are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class SslMode(StrEnum):
    """When to encrypt, and what to check; the words are PostgreSQL's."""

    OFFERED = ""
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"
    DISABLE = "disable"


@dataclass(frozen=True, slots=True)
class Ssl:
    """Mode, and the files: certificate of the authority, one's own certificate, and its key."""

    mode: SslMode = SslMode.OFFERED
    authority: str = ""
    certificate: str = ""
    key: str = ""


_POSTGRESQL = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_MYSQL = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key")
_NAMES = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "mariadb": _MYSQL}
_MYSQL_WORDS = {
    SslMode.REQUIRE: "required",
    SslMode.VERIFY_CA: "verify_ca",
    SslMode.VERIFY_FULL: "verify_identity",
    SslMode.DISABLE: "disabled",
}
_CHECKS = {
    SslMode.VERIFY_CA: {"ssl_verify_cert": "true"},
    SslMode.VERIFY_FULL: {"ssl_verify_cert": "true", "ssl_verify_identity": "true"},
}


def has_ssl(dialect: str) -> bool:
    """Whether the names of a dialect's options are known here; other dialects take theirs from the URL."""
    return dialect in _NAMES


def ssl_options(dialect: str, ssl: Ssl) -> dict[str, str]:
    """Return the driver's options for `ssl`; nothing where the driver's own ways are to hold."""
    if not has_ssl(dialect) or ssl.mode is SslMode.OFFERED:
        return {}
    mode, *files = _NAMES[dialect]
    word = ssl.mode.value if dialect == "postgresql" else _MYSQL_WORDS[ssl.mode]
    if ssl.mode is SslMode.DISABLE:
        return {mode: word}
    checks = {} if dialect == "postgresql" else _CHECKS.get(ssl.mode, {})
    paths = zip(files, (ssl.authority, ssl.certificate, ssl.key), strict=True)
    return {mode: word, **checks, **{name: path for name, path in paths if path}}


def read_ssl(dialect: str, options: Mapping[str, str]) -> tuple[Ssl, dict[str, str]]:
    """Return what options say about encryption, and the options about other things."""
    rest = dict(options)
    if not has_ssl(dialect):
        return Ssl(), rest
    name, *files = _NAMES[dialect]
    words = {mode.value: mode for mode in SslMode} | {word: mode for mode, word in _MYSQL_WORDS.items()}
    mode = words.get(rest.get(name, "").lower())
    if mode is None:
        return Ssl(), rest  # a mode of the driver's own ("prefer"): it stays as it is written
    rest.pop(name, None)
    for check in ("ssl_verify_cert", "ssl_verify_identity"):
        rest.pop(check, None)
    return Ssl(mode, *(rest.pop(file, "") for file in files)), rest

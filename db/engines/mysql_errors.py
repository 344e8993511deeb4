"""What MySQL, MariaDB and PyMySQL say, turned into sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crosslens.errors import QueryError, SourceError, UserError

Sentence = tuple[type[UserError], str, str, str]

_CLOSED = 0
"""PyMySQL's code for a connection that is closed already."""
_ACCESS: Sentence = (
    SourceError,
    "The server does not let “{user}” in.",
    "User or password is wrong, or the user may not connect from this machine ({message}).",
    "Type them again, or ask the database's administrator.",
)
_NOTHING_THERE: Sentence = (
    SourceError,
    "Nothing answers on {host}, port {port}.",
    "The host was reached, but no MySQL or MariaDB server listens there.",
    "Check the port and that the server runs and allows connections from other machines.",
)
_GONE: Sentence = (
    SourceError,
    "{host} closed the connection.",
    "The server was stopped or restarted, or the network failed ({message}).",
    "Check that the server runs, then try again; nothing half-read was kept.",
)
_READ_ONLY: Sentence = (
    QueryError,
    "{database} is only ever read.",
    "The statement would have changed something, and the transaction is read-only ({message}).",
    "Use a statement that only reads.",
)
_FORBIDDEN: Sentence = (
    QueryError,
    "You may not read that.",
    "The server says: {message}.",
    "Choose another table, or ask for GRANT SELECT on it; the other tables stay usable.",
)
_TIME_LIMIT: Sentence = (
    QueryError,
    "The server ended the query.",
    "It says: {message}.",
    "Choose fewer joins or a smaller table, or ask the administrator about time limits.",
)
_LOCKED: Sentence = (
    QueryError,
    "The table is locked.",
    "Another session holds it, and did not let go within the seconds we waited.",
    "Try again when that session is done.",
)
_VIEW: Sentence = (
    QueryError,
    "The view cannot be read.",
    "The server says: {message}.",
    "Repair the view in the database, or choose another table.",
)
_TOO_MANY: Sentence = (
    SourceError,
    "{host} has no connection left.",
    "As many programs are connected as the server allows ({message}).",
    "Try again later, or ask the administrator for a connection limit that fits.",
)
_CHANGED: Sentence = (
    QueryError,
    "A table or column is gone.",
    "The server says: {message}.",
    "If the tables have changed since you opened the database, open it again.",
)
_TWICE: Sentence = (
    QueryError,
    "Two columns have the same name.",
    "The server says: {message}.",
    "Give one of them another name with AS.",
)
_NO_DATABASE: Sentence = (
    SourceError,
    "There is no database “{database}” on {host}.",
    "The server says: {message}.",
    "Check the name; upper and lower case may count.",
)
_CODES: dict[int, Sentence] = {
    1045: _ACCESS, 1698: _ACCESS, 1044: _ACCESS, 1130: _ACCESS, 1251: _ACCESS, 4151: _ACCESS,
    1049: _NO_DATABASE,
    1040: _TOO_MANY, 1203: _TOO_MANY, 1226: _TOO_MANY,
    1142: _FORBIDDEN, 1143: _FORBIDDEN, 1227: _FORBIDDEN, 1370: _FORBIDDEN,
    1792: _READ_ONLY, 1290: _READ_ONLY, 1836: _READ_ONLY,
    1317: _TIME_LIMIT, 1969: _TIME_LIMIT, 3024: _TIME_LIMIT, 1028: _TIME_LIMIT,
    1205: _LOCKED, 1213: _LOCKED, 3572: _LOCKED,
    1356: _VIEW, 1449: _VIEW,
    1146: _CHANGED, 1054: _CHANGED, 1051: _CHANGED,
    1060: _TWICE, 1052: _TWICE,
    1053: _GONE, 1077: _GONE, 1152: _GONE, 2006: _GONE, 2013: _GONE, 2014: _GONE, 2055: _GONE, 1927: _GONE, 4031: _GONE,
}  # fmt: skip
_CONNECTING: tuple[tuple[tuple[str, ...], Sentence], ...] = (
    (
        (
            "Name or service not known",
            "getaddrinfo",
            "nodename nor servname",
            "Temporary failure in name",
            "No address",
        ),
        (
            SourceError,
            "There is no host {host}.",
            "Its name could not be turned into an address.",
            "Check the spelling and the network (VPN?).",
        ),
    ),
    (("Connection refused", "No such file"), _NOTHING_THERE),
    (
        ("timed out", "No route"),
        (
            SourceError,
            "{host} does not answer.",
            "It said nothing within the seconds we waited; a firewall may be in between.",
            "Check host, port and network, then try again.",
        ),
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "Hostname mismatch", "self-signed"),
        (
            SourceError,
            "{host} could not prove who it is.",
            "Its certificate was not accepted: {message}.",
            "Set ssl_ca to the certificate of the authority that signed it, or ask for the right host name.",
        ),
    ),
    (
        ("SSL is required", "SSL", "TLS"),
        (
            SourceError,
            "{host} does not speak SSL as asked for.",
            "The driver says: {message}.",
            "Check the options that start with ssl; the administrator switches SSL on in the server.",
        ),
    ),
)
_NETWORK = {2002, 2003, 2005, 2026, *(code for code, sentence in _CODES.items() if sentence is _GONE), _CLOSED}
_SECURE_TRANSPORT: Sentence = (
    SourceError,
    "{host} asks for an encrypted connection.",
    "The server says: {message}.",
    "Set the option ssl_ca (or ssl_mode to required).",
)
_REFUSED_QUERY: Sentence = (
    QueryError,
    "{database} refused the query.",
    "The server says: {message}.",
    "If the tables have changed since you opened the database, open it again.",
)


def mysql_error(error: BaseException, facts: dict[str, Any], masked: Callable[[str], str]) -> UserError:
    """Return what a PyMySQL error means; `facts` are host, port, user, database. Raise it `from error`.

    The server's own words are quoted as `masked` leaves them.
    """
    code, message = _code_and_message(error)
    sentence = _sentence(code, message)
    filled = {**facts, "message": masked(message).rstrip(".")}
    kind, what, why, do = sentence
    more = {"needs_password": True} if code in (1045, 1698) else {}
    return kind(what.format(**filled), why=why.format(**filled), do=do.format(**filled), **more)


def _sentence(code: int, message: str) -> Sentence:
    if code == 3159:
        return _SECURE_TRANSPORT
    if code in _NETWORK:
        return next((found for parts, found in _CONNECTING if any(part in message for part in parts)), _GONE)
    return _CODES.get(code, _REFUSED_QUERY)


def _code_and_message(error: BaseException) -> tuple[int, str]:
    if len(error.args) >= 2 and isinstance(error.args[0], int):
        return error.args[0], " ".join(str(error.args[1]).split())
    return -1, " ".join(str(error).split())

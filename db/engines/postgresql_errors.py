"""What PostgreSQL and libpq say, turned into sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crosslens.errors import QueryError, SourceError, UserError

Sentence = tuple[type[UserError], str, str, str]

_STATES: dict[str, Sentence] = {
    "28P01": (
        SourceError,
        "The password for “{user}” is wrong.",
        "The server says: {message}.",
        "Type it again, or ask the database's administrator.",
    ),
    "28000": (
        SourceError,
        "The server does not let “{user}” in.",
        "It says: {message}.",
        "Check user, host and SSL settings; the administrator allows them in pg_hba.conf.",
    ),
    "3D000": (
        SourceError,
        "There is no database “{database}” on {host}.",
        "The server says: {message}.",
        "Check the name; upper and lower case count.",
    ),
    "53300": (
        SourceError,
        "{host} has no connection left.",
        "As many programs are connected as the server allows ({message}).",
        "Try again later, or ask the administrator for a connection limit that fits.",
    ),
    "42501": (
        QueryError,
        "You may not read that.",
        "The server says: {message}.",
        "Choose another table, or ask for GRANT SELECT on it; the other tables stay usable.",
    ),
    "55P03": (
        QueryError,
        "The table is locked.",
        "Another session holds it, and did not let go within the seconds we waited.",
        "Try again when that session is done.",
    ),
    "25006": (
        QueryError,
        "{database} is only ever read.",
        "The statement would have changed something, and the transaction is read-only ({message}).",
        "Use a statement that only reads.",
    ),
    "57014": (
        QueryError,
        "The server ended the query.",
        "It says: {message}.",
        "Choose fewer joins or a smaller table, or ask the administrator about time limits.",
    ),
    "57P03": (
        SourceError,
        "{host} is not ready.",
        "The server says: {message}.",
        "Wait until it has started, then try again.",
    ),
    "53100": (
        SourceError,
        "The disk of {host} is full.",
        "The server sorts large tables on its own disk ({message}).",
        "Read fewer rows, or tell the administrator.",
    ),
    "53200": (
        SourceError,
        "{host} is out of memory.",
        "The server says: {message}.",
        "Read fewer rows or columns, or tell the administrator.",
    ),
    "42P01": (
        QueryError,
        "A table is gone.",
        "The server says: {message}.",
        "If the tables have changed since you opened the database, open it again.",
    ),
    "42703": (
        QueryError,
        "A column is gone.",
        "The server says: {message}.",
        "If the tables have changed since you opened the database, open it again.",
    ),
    "42702": (
        QueryError,
        "Two columns have the same name.",
        "The server says: {message}.",
        "Give one of them another name with AS.",
    ),
}
_GONE: Sentence = (
    SourceError,
    "{host} closed the connection.",
    "The server was stopped or restarted, or the network failed ({message}).",
    "Check that the server runs, then try again; nothing half-read was kept.",
)
_REFUSED_QUERY: Sentence = (
    QueryError,
    "{database} refused the query.",
    "The server says: {message}.",
    "If the tables have changed since you opened the database, open it again.",
)
_CONNECTING: tuple[tuple[tuple[str, ...], Sentence], ...] = (
    (("password authentication failed",), _STATES["28P01"]),
    (
        ("no password supplied",),
        (
            SourceError,
            "{host} asks for a password.",
            "None was given, and ~/.pgpass has none for this server.",
            "Give the password, name an environment variable that holds it, or save it in the keyring.",
        ),
    ),
    (
        ("certificate verify failed", "root certificate file", "does not match host name", "certificate"),
        (
            SourceError,
            "{host} could not prove who it is.",
            "Its certificate was not accepted: {message}.",
            "Set sslrootcert to the certificate of the authority that signed it, or ask for the right host name.",
        ),
    ),
    (
        ("does not support SSL",),
        (
            SourceError,
            "{host} does not speak SSL.",
            "The connection asks for it (sslmode), and the server has it switched off.",
            "Ask the administrator to switch it on, or set sslmode to prefer.",
        ),
    ),
    (
        ("no encryption", "requires SSL", "SSL off"),
        (
            SourceError,
            "{host} asks for an encrypted connection.",
            "The server says: {message}.",
            "Set the option sslmode to require (or verify-full with sslrootcert).",
        ),
    ),
    (("no pg_hba.conf entry", "is not permitted to log in"), _STATES["28000"]),
    (("role", "does not exist"), _STATES["28P01"]),
    (("database", "does not exist"), _STATES["3D000"]),
    (("too many clients", "too many connections", "connection slots"), _STATES["53300"]),
    (("starting up", "shutting down", "in recovery"), _STATES["57P03"]),
    (
        ("could not translate host name", "Name or service not known", "failed to resolve", "nodename nor servname"),
        (
            SourceError,
            "There is no host {host}.",
            "Its name could not be turned into an address.",
            "Check the spelling and the network (VPN?).",
        ),
    ),
    (
        ("Connection refused", "No such file or directory"),
        (
            SourceError,
            "Nothing answers on {host}, port {port}.",
            "The host was reached, but no PostgreSQL server listens there.",
            "Check the port and that the server runs and allows connections from other machines.",
        ),
    ),
    (
        ("timeout expired", "timed out", "connection timeout"),
        (
            SourceError,
            "{host} does not answer.",
            "It said nothing within the seconds we waited; a firewall may be in between.",
            "Check host, port and network, then try again.",
        ),
    ),
    (
        ("invalid connection option", "invalid sslmode", "invalid value", "invalid port", "invalid integer"),
        (
            SourceError,
            "An option of the connection is wrong.",
            "The driver says: {message}.",
            "Correct or remove the option; docs/databases.md lists the usual ones.",
        ),
    ),
)
_NEEDS_PASSWORD = ("password authentication failed", "no password supplied")


def postgresql_error(error: BaseException, facts: dict[str, Any], masked: Callable[[str], str]) -> UserError:
    """Return what a psycopg error means; `facts` are host, port, user, database. Raise it `from error`.

    The server's own words are quoted as `masked` leaves them.
    """
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    message = " ".join((primary or str(error)).split())
    state = getattr(error, "sqlstate", None)
    connecting = state is None or state.startswith("08")
    sentence = _connecting(message) if connecting else _STATES.get(state or "", _REFUSED_QUERY)
    if state is not None and (state.startswith("57P0") and state != "57P03"):
        sentence = _GONE
    if state == "28P01" or (connecting and any(part in message for part in _NEEDS_PASSWORD)):
        return _said(sentence, masked(message).rstrip("."), facts, needs_password=True)
    return _said(sentence, masked(message).rstrip("."), facts)


def _connecting(message: str) -> Sentence:
    for parts, sentence in _CONNECTING:
        together = parts[0] in ("role", "database")  # two words that mean something only beside each other
        if (all if together else any)(part in message for part in parts):
            return sentence
    return _GONE


def _said(sentence: Sentence, message: str, facts: dict[str, Any], **more: Any) -> UserError:
    kind, what, why, do = sentence
    filled = {**facts, "message": message}
    return kind(what.format(**filled), why=why.format(**filled), do=do.format(**filled), **more)

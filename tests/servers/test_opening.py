"""Whatever keeps a server from being opened or read is said in sentences, and none of them holds a password."""

from __future__ import annotations

import re
import socket
import traceback
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from crosslens.errors import QueryError, SourceError, UserError
from crosslens.relational import ConnectionSpec, TableRef
from db.engines import Session, open_session

from .conftest import Server

Opened = Callable[[ConnectionSpec], Session]
SECRET = "hush-hush-secret"


def refusal(spec: ConnectionSpec) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_session(spec).close()
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.facts) + str(caught.value)
    assert SECRET not in text
    assert spec.secret is None or spec.secret not in text
    assert caught.value.what and caught.value.why and caught.value.do
    return caught.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("wrong password", {"secret": SECRET}, r"password .* is wrong|does not let"),
    ("no password", {"secret": None}, r"asks for a password|does not let|is wrong"),
    ("unknown user", {"username": "nobody_at_all", "secret": SECRET}, r"is wrong|does not let"),
    ("unknown host", {"host": "no-such-host.invalid"}, r"There is no host no-such-host\.invalid"),
    ("no server there", {"port": free_port()}, r"Nothing answers on 127\.0\.0\.1"),
    ("unknown database", {"database": "nö such db"}, r"There is no database “nö such db”|does not let"),
]


@pytest.mark.parametrize(("change", "sentence"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_server_that_cannot_be_opened(change: dict[str, Any], sentence: str, server: Server) -> None:
    error = refusal(replace(server.reader, **change))
    assert re.search(sentence, error.what), error.what


@pytest.mark.parametrize("change", [{"secret": SECRET}, {"secret": None}])
def test_a_missing_or_wrong_password_can_be_asked_for_again(change: dict[str, Any], server: Server) -> None:
    assert refusal(replace(server.reader, **change)).facts["needs_password"]


def test_a_server_that_is_no_server_of_this_kind(server: Server) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        spec = replace(server.reader, port=silent.getsockname()[1], options={"connect_timeout": "2"})
        assert "does not answer" in refusal(spec).what or "closed the connection" in refusal(spec).what


def test_an_encrypted_connection_with_a_known_certificate_is_used(
    server: Server, certificate: str, opened: Opened
) -> None:
    names = ("sslmode", "sslrootcert") if server.is_postgresql else ("ssl_mode", "ssl_ca")
    options = dict(zip(names, ("verify-full" if server.is_postgresql else "verify_identity", certificate), strict=True))
    session = opened(replace(server.reader, options=options))
    assert session.fetch(sa.select(sa.literal(1))) == [(1,)]


def test_a_certificate_nobody_vouches_for_is_refused(server: Server, tmp_path: Any) -> None:
    if server.is_postgresql:
        options = {"sslmode": "verify-full", "sslrootcert": "system"}
    else:
        options = {"ssl_verify_cert": "true", "ssl_verify_identity": "true", "ssl_mode": "verify_identity"}
    error = refusal(replace(server.reader, options=options))
    assert "could not prove who it is" in error.what, str(error)


def test_an_unknown_option_is_a_sentence(server: Server) -> None:
    error = refusal(replace(server.reader, options={"no_such_option": "1"}))
    assert "option" in error.what.lower()


@pytest.mark.parametrize("name", ["password", "passwd", "sslpassword", "ssl_key_password"])
def test_a_password_among_the_options_is_refused(name: str, server: Server) -> None:
    assert "holds a password" in refusal(replace(server.reader, options={name: SECRET})).what


def test_too_many_connections(server: Server) -> None:
    reader = server.reader.username
    if server.is_postgresql:
        server.run(f"ALTER ROLE {reader} CONNECTION LIMIT 2")
    else:
        server.run(f"GRANT USAGE ON *.* TO {reader}@'%' WITH MAX_USER_CONNECTIONS 2")
    try:
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(closing(open_session(server.reader)))
            assert "has no connection left" in refusal(server.reader).what
    finally:
        if server.is_postgresql:
            server.run(f"ALTER ROLE {reader} CONNECTION LIMIT -1")
        else:
            server.run(f"GRANT USAGE ON *.* TO {reader}@'%' WITH MAX_USER_CONNECTIONS 0")


def test_a_password_in_an_environment_variable(server: Server, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(server.reader, secret=None, password_variable="SHOP_PASSWORD")
    assert "SHOP_PASSWORD is not set" in refusal(spec).what
    monkeypatch.setenv("SHOP_PASSWORD", server.reader.secret or "")
    assert opened(spec).tables() is not None


def test_a_password_in_pgpass(
    postgresql: Server, opened: Opened, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = (postgresql.reader.secret or "").replace("\\", "\\\\").replace(":", "\\:")
    passes = tmp_path / "pgpass"
    passes.write_text(f"*:*:*:*:{secret}\n", encoding="utf-8")
    passes.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passes))
    assert opened(replace(postgresql.reader, secret=None)).fetch(sa.select(sa.literal(1))) == [(1,)]


@pytest.fixture(scope="module")
def guarded(server: Server) -> Server:
    """One table the reader may not read, and a view that fails."""
    server.run("CREATE TABLE good (id int PRIMARY KEY)", "CREATE TABLE secret (id int PRIMARY KEY)")
    server.run("INSERT INTO good VALUES (0)")
    if server.is_postgresql:
        server.run(
            f"REVOKE pg_read_all_data FROM {server.reader.username}",
            f"GRANT SELECT ON good TO {server.reader.username}",
            "CREATE VIEW failing AS SELECT 1 / id AS x FROM good",
            f"GRANT SELECT ON failing TO {server.reader.username}",
        )
    else:
        name, reader = server.reader.database, server.reader.username
        server.run(
            f"REVOKE SELECT ON {name}.* FROM {reader}@'%'",
            f"GRANT SELECT ON {name}.good TO {reader}@'%'",
            "CREATE TABLE going (x int)",
            "CREATE VIEW failing AS SELECT x FROM going",
            "DROP TABLE going",
            f"GRANT SELECT ON {name}.failing TO {reader}@'%'",
        )
    return server


def test_a_table_that_may_not_be_read_does_not_hide_the_others(guarded: Server, opened: Opened) -> None:
    session = opened(guarded.reader)
    names = {table.ref.name for table in session.tables()}
    assert "good" in names
    assert session.fetch(sa.select(sa.column("id")).select_from(sa.table("good"))) == [(0,)]
    with pytest.raises(QueryError, match="may not read"):
        session.fetch(sa.select(sa.column("id")).select_from(sa.table("secret")))
    assert session.fetch(sa.select(sa.literal(1))) == [(1,)]


def test_a_view_that_fails_is_a_sentence(guarded: Server, opened: Opened) -> None:
    session = opened(guarded.reader)
    assert TableRef("failing") in {table.ref for table in session.tables()}
    with pytest.raises(UserError) as caught:
        session.fetch(sa.select(sa.column("x")).select_from(sa.table("failing")))
    assert "division by zero" in str(caught.value) or "view cannot be read" in caught.value.what

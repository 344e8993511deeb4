"""Several values through a table of pairs, on real servers."""

from __future__ import annotations

from contextlib import closing

import pytest

from db.sources import SqlSources

from ..db import links
from .conftest import MARIADB, POSTGRESQL, Server, connect, new_database


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("variable", [POSTGRESQL, MARIADB], ids=["postgresql", "mariadb"])
def test_the_tags_of_a_user_are_what_a_plain_evaluation_says(variable: str, timed: bool) -> None:
    for server in new_database(variable):
        _fill(server, timed=timed)
        with SqlSources().open(server.reader) as source:
            links.check(source, timed=timed)


def _fill(server: Server, *, timed: bool) -> None:
    with closing(connect(server.owner)) as connection, connection.cursor() as cursor:
        links.create(cursor.execute, "TIMESTAMP" if server.is_postgresql else "DATETIME", "%s", timed=timed)

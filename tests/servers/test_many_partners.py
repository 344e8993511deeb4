"""Thousands of rows that share one key, on real servers: no plan compares them with each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.sources import SqlSource, SqlSources

from ..db import test_many_partners as many
from .conftest import Server


@pytest.fixture(scope="module")
def source(server: Server) -> Iterator[SqlSource]:
    if server.is_postgresql:
        numbers, values = "generate_series(0, 99999) n", "'v' || (n % 9), 'w' || n"
    else:
        numbers, values = "(SELECT seq n FROM seq_0_to_99999) s", "concat('v', n % 9), concat('w', n)"
    key = many.KEY if server.is_postgresql else many.KEY.replace("n / 10", "n DIV 10")
    server.run(many.TABLE, f"INSERT INTO seen SELECT n, {key}, {many.TIME}, {values} FROM {numbers}")
    server.run("ANALYZE seen" if server.is_postgresql else "ANALYZE TABLE seen")
    with SqlSources().open(server.reader) as opened:
        yield opened


@pytest.mark.parametrize("bounded", [False, True])
def test_the_latest_of_twenty_thousand_is_found_by_sorting(source: SqlSource, bounded: bool, tmp_path: Path) -> None:
    many.check_latest(source, tmp_path, bounded=bounded)


def test_twenty_thousand_are_counted_up_to_each_moment(source: SqlSource, tmp_path: Path) -> None:
    many.check_counts(source, tmp_path)


def test_few_values_of_many_rows_are_listed_and_many_refused(source: SqlSource, tmp_path: Path) -> None:
    many.check_values(source, tmp_path)

"""What a query would take is known before it is read, and a sample is suggested where it would not fit."""

import shutil
from collections import namedtuple
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

import db.sources as sources_module
from crosslens.relational import Comparison, FilterSpec, SampleMethod, SampleSpec
from db.estimate import PROCESS_BYTES, extraction_estimate

from .helpers import make_database, opened, query, ref

ROWS = 300_000
MANY = f"""
CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER, name TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
INSERT INTO t SELECT i, i % 100, 'name ' || (i % 9) FROM n;
"""
X, NAME = ("t", "x"), ("t", "name")


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    return make_database(tmp_path_factory.mktemp("many") / "many.db", MANY)


def test_few_rows_are_counted(shop, tmp_path: Path) -> None:
    estimate = shop.estimate(query("impressions", ("impressions", "id")), tmp_path)
    assert (estimate.rows, estimate.rows_are_estimated, estimate.suggested_rows) == (4, False, None)


def test_the_size_on_disk_is_about_what_is_written(many: Path, tmp_path: Path) -> None:
    with opened(many) as source:
        estimate = source.estimate(query("t", X, NAME), tmp_path)
        written = source.extract(query("t", X, NAME), tmp_path / "out").path.stat().st_size
    assert (estimate.rows, estimate.rows_are_estimated) == (ROWS, True)
    encoded = ROWS * (2 * 4 + 8)
    assert estimate.disk == pytest.approx(written + encoded, rel=0.1)
    assert estimate.free_disk == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"filters": (FilterSpec(ref(*X), Comparison.LESS, 30),)}, 0.3 * ROWS),
        ({"filters": (FilterSpec(ref(*X), Comparison.EQUAL, 7),)}, 0.01 * ROWS),
        ({"filters": (FilterSpec(ref(*X), Comparison.LESS, 0),)}, 0),
        ({"limit": 50_000}, 50_000),
        ({"sample": SampleSpec(SampleMethod.RANDOM, 40_000)}, 40_000),
    ],
)
def test_filters_limits_and_samples_leave_fewer_rows(change: dict, rows: int, many: Path, tmp_path: Path) -> None:
    with opened(many) as source:
        assert source.estimate(query("t", X, **change), tmp_path).rows == pytest.approx(rows, rel=0.2, abs=10)


def test_an_estimate_reads_a_small_part_of_the_rows(many: Path, tmp_path: Path, monkeypatch) -> None:
    real, seen = sources_module.extraction_estimate, []

    def watched(arrays: list, *given: object, **named: object) -> object:
        seen.append(len(arrays[0]))
        return real(arrays, *given, **named)

    monkeypatch.setattr(sources_module, "extraction_estimate", watched)
    with opened(many) as source:
        source.estimate(query("t", X), tmp_path)
    assert 0 < seen[0] <= 10_000


Memory = namedtuple("Memory", "available")
Disk = namedtuple("Disk", "free")
COLUMNS = [pa.chunked_array([pa.array(range(1000))])] * 10


@pytest.mark.parametrize(
    ("memory", "disk", "suggested"),
    [
        (10 * PROCESS_BYTES, 10**12, None),
        (2 * PROCESS_BYTES, 10**12, 6_250_000),
        (10 * PROCESS_BYTES, 10**9, 6_250_000),
        (0, 10**12, 1_000),
    ],
)
def test_a_sample_that_would_fit_is_suggested(memory, disk, suggested, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(memory))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Disk(disk))
    estimate = extraction_estimate(COLUMNS, 20_000_000, rows_are_estimated=True, folder=tmp_path / "not" / "there")
    assert (estimate.free_memory, estimate.free_disk) == (memory, disk)
    assert estimate.suggested_rows == (None if suggested is None else pytest.approx(suggested, rel=0.01))


def test_no_rows_take_nothing(tmp_path: Path) -> None:
    empty = [pa.chunked_array([], pa.int64())]
    estimate = extraction_estimate(empty, 0, rows_are_estimated=False, folder=tmp_path)
    assert (estimate.disk, estimate.suggested_rows) == (0, None)


def test_the_columns_of_an_own_select_are_named_without_reading_all_rows(shop) -> None:
    endless = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS a, '10:30' AS \"b c\" FROM n;"
    )
    assert [column.name for column in shop._session.columns_of(endless)] == ["a", "b c"]

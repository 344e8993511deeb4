"""What a column's values look like, against values put there on purpose."""

import time
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from crosslens.errors import QueryError, Stopped
from crosslens.relational import ColumnProfile, ColumnRef, ColumnType, Comparison, FilterSpec
from db import sources
from db.profile import profile_column

from .helpers import exists, make_database, opened, query, ref

LISTS = pa.list_(pa.string())


def _profile(values: list, declared: ColumnType = ColumnType.OTHER, kind: pa.DataType | None = None) -> ColumnProfile:
    array = pa.chunked_array([pa.array(values, kind)])
    return profile_column(ColumnRef("t", "x"), declared, array, sampled=False)


def test_numbers_have_a_range_a_mean_and_a_histogram() -> None:
    profile = _profile([0, 10, 10, None, 20], ColumnType.INTEGER)
    assert (profile.rows, profile.nulls, profile.distinct) == (5, 1, 3)
    assert (profile.minimum, profile.maximum, profile.mean) == (0.0, 20.0, 10.0)
    assert profile.examples == (("10", 2), ("0", 1), ("20", 1))
    assert [index for index, count in enumerate(profile.histogram) if count] == [0, 10, 19]
    assert sum(profile.histogram) == 4
    assert len(profile.histogram) == 20


def test_texts_have_a_mean_length_and_short_examples() -> None:
    profile = _profile(["é" * 200, "ab", None], ColumnType.TEXT)
    assert profile.mean_length == 101.0
    assert profile.examples == (("ab", 1), ("é" * 79 + "…", 1))
    assert (profile.minimum, profile.histogram) == (None, ())


@pytest.mark.parametrize("declared", list(ColumnType))
@pytest.mark.parametrize("values", [[], [None, None]])
def test_columns_without_values_keep_their_declared_type(declared: ColumnType, values: list) -> None:
    for kind in (pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.date32(), pa.timestamp("us"), LISTS):
        profile = _profile(values, declared, kind)
        assert (profile.type, profile.nulls, profile.distinct) == (declared, len(values), 0)
        assert (profile.examples, profile.histogram, profile.mean) == ((), (), None)


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        (ColumnType.TEXT, ["2024-01-31", None], ColumnType.DATE),
        (ColumnType.TEXT, ["2024-01-31 10:00:00", "2024-01-31T23:59:59.5"], ColumnType.TIMESTAMP),
        (ColumnType.TEXT, ["2024-01-31 10:00:00Z", "2024-01-31T23:59:59+02:00"], ColumnType.TIMESTAMP),
        (ColumnType.TEXT, ["2024-02-31"], ColumnType.TEXT),
        (ColumnType.TEXT, ["2024-01-31", "soon"], ColumnType.TEXT),
        (ColumnType.TIMESTAMP, ["later"], ColumnType.TEXT),
        (ColumnType.TIMESTAMP, [1_700_000_000], ColumnType.TIMESTAMP),
        (ColumnType.BOOLEAN, [True, False], ColumnType.BOOLEAN),
        (ColumnType.BOOLEAN, [0, 2], ColumnType.INTEGER),
        (ColumnType.INTEGER, ["1", "N/A"], ColumnType.TEXT),
        (ColumnType.INTEGER, [1.5], ColumnType.FLOAT),
        (ColumnType.DECIMAL, [1.5], ColumnType.DECIMAL),
        (ColumnType.OTHER, [1, 2], ColumnType.INTEGER),
        (ColumnType.BINARY, ["ff00"], ColumnType.BINARY),
    ],
)
def test_values_that_contradict_the_declared_type_win(declared, values, expected) -> None:
    assert _profile(values, declared).type is expected


def test_times_have_a_range_as_written_and_a_histogram() -> None:
    profile = _profile(["2024-01-01 00:00:00", "2024-01-02 00:00:00", "2024-01-01 12:00:00"], ColumnType.TIMESTAMP)
    assert (profile.minimum, profile.maximum) == ("2024-01-01 00:00:00", "2024-01-02 00:00:00")
    assert [index for index, count in enumerate(profile.histogram) if count] == [0, 10, 19]
    assert profile.mean is None


@pytest.mark.parametrize(
    ("values", "kind", "expected", "limits"),
    [
        ([date(2024, 1, 1), date(2024, 1, 3), None], pa.date32(), ColumnType.DATE, ("2024-01-01", "2024-01-03")),
        (
            [datetime(2024, 1, 1, 10), datetime(2024, 1, 3), None],
            pa.timestamp("us"),
            ColumnType.TIMESTAMP,
            ("2024-01-01 10:00:00", "2024-01-03 00:00:00"),
        ),
    ],
)
@pytest.mark.parametrize("declared", [ColumnType.OTHER, ColumnType.DATE, ColumnType.TIMESTAMP])
def test_dates_and_times_with_a_type_of_their_own_are_profiled(declared, values, kind, expected, limits) -> None:
    profile = _profile(values, declared, kind)
    assert (profile.type, profile.nulls, profile.distinct) == (expected, 1, 2)
    assert (profile.minimum[:19], profile.maximum[:19], profile.mean) == (*limits, None)
    assert [index for index, count in enumerate(profile.histogram) if count] == [0, 19]
    assert profile.examples[0] == (limits[0], 1)


def test_lists_are_profiled_by_the_values_in_them() -> None:
    profile = _profile([["red", "big"], ["red"], [], None], ColumnType.OTHER, pa.list_(pa.string()))
    assert (profile.type, profile.rows, profile.nulls, profile.distinct) == (ColumnType.ARRAY, 4, 1, 2)
    assert profile.examples == (("red", 2), ("big", 1))
    assert (profile.histogram, profile.minimum, profile.mean_length) == ((), None, None)


@pytest.mark.parametrize("declared", [ColumnType.JSON, ColumnType.ARRAY, ColumnType.BINARY])
def test_text_that_stands_for_something_else_keeps_its_declared_type(declared) -> None:
    assert _profile(['["a"]', "[]"], declared).type is declared


def test_infinite_numbers_do_not_break_the_histogram() -> None:
    profile = _profile([1.0, 2.0, float("inf")], ColumnType.FLOAT)
    assert sum(profile.histogram) == 2
    assert profile.maximum == float("inf")


def test_profiles_come_in_the_order_of_the_query(shop) -> None:
    clicks = exists("clicks", "clicks", (ref("impressions", "id"), "impression_id"))
    wanted = query("impressions", ("clicks",), ("impressions", "user_id"), joins=(clicks,))
    flag, user = shop.profile(wanted)
    assert (str(flag.column), flag.examples, flag.type) == ("clicks", (("0", 2), ("1", 2)), ColumnType.INTEGER)
    assert (user.rows, user.distinct, user.sampled) == (4, 3, False)


def _numbers(path: Path, rows: int) -> Path:
    script = "CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER, y TEXT);"
    numbers = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {rows})"
    return make_database(path, f"{script} {numbers} INSERT INTO t SELECT x, x % 10, 'v' || x % 100 FROM n;")


def test_a_large_table_is_sampled_all_over_and_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "SAMPLE_ROWS", 1000)
    with opened(_numbers(tmp_path / "x.db", 20_000)) as source:
        profile = source.profile(query("t", ("t", "id")))[0]
    assert profile.sampled
    assert 900 < profile.rows <= 1000
    assert profile.minimum < 2000 < 18_000 < profile.maximum


def test_filters_that_leave_little_of_a_sample_are_read_from_the_start(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "SAMPLE_ROWS", 1000)
    few = FilterSpec(ref("t", "id"), Comparison.LESS, 31)
    with opened(_numbers(tmp_path / "x.db", 20_000)) as source:
        profile = source.profile(query("t", ("t", "id"), filters=(few,)))[0]
    assert (profile.rows, profile.sampled) == (30, False)


def test_far_apart_row_numbers_are_read_from_the_start(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "SAMPLE_ROWS", 1000)
    path = make_database(_numbers(tmp_path / "x.db", 500), "UPDATE t SET id = id * 1000000000")
    with opened(path) as source:
        profile = source.profile(query("t", ("t", "id")))[0]
    assert (profile.rows, profile.sampled) == (500, False)


def test_a_large_view_gives_its_first_rows_and_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "SAMPLE_ROWS", 1000)
    path = make_database(_numbers(tmp_path / "x.db", 1500), "CREATE VIEW v AS SELECT id FROM t")
    with opened(path) as source:
        profile = source.profile(query("v", ("v", "id")))[0]
    assert (profile.rows, profile.sampled) == (1000, True)


def test_a_limited_query_is_profiled_on_the_rows_it_takes(tmp_path: Path) -> None:
    with opened(_numbers(tmp_path / "x.db", 500)) as source:
        profile = source.profile(query("t", ("t", "id"), time=ref("t", "id"), limit=10))[0]
    assert (profile.minimum, profile.maximum, profile.rows, profile.sampled) == (491.0, 500.0, 10, False)


def test_no_rows_give_profiles_without_values(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", "CREATE TABLE t(a INTEGER, b)")) as source:
        profiles = source.profile(query("t", ("t", "a"), ("t", "b")))
    assert [(profile.rows, profile.type) for profile in profiles] == [(0, ColumnType.INTEGER), (0, ColumnType.OTHER)]


def test_profiling_stops_when_asked(tmp_path: Path) -> None:
    with opened(_numbers(tmp_path / "x.db", 100)) as source, pytest.raises(Stopped):
        source.profile(query("t", ("t", "id")), should_stop=lambda: True)


def test_a_query_without_columns_has_no_profiles(shop) -> None:
    with pytest.raises(QueryError, match="no columns"):
        shop.profile(query("impressions"))


def test_forty_thousand_rows_of_twenty_five_columns_take_little_cpu_time(tmp_path: Path) -> None:
    columns = ", ".join(f"x % {number + 2} AS i{number}, 'v' || x % {number + 2} AS s{number}" for number in range(12))
    path = _numbers(tmp_path / "x.db", 40_000)
    make_database(path, f"CREATE TABLE w AS SELECT id, {columns} FROM (SELECT id, id AS x FROM t)")
    with opened(path) as source:
        wanted = query("w", *(("w", column.name) for column in source.table(query("w").base).columns))
        started = time.process_time()
        profiles = source.profile(wanted)
        seconds = time.process_time() - started
    assert len(profiles) == 25
    assert seconds < 2.5  # about 0.6 s of CPU on an idle machine

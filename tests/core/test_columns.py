"""Columns read as numbers, times and keys."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from core.columns import column_at, keys, not_numbers, numbers, plain, times
from crosslens import DataError

from .snapshots import ref, snapshot

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, None, 3]), [1, NAN, 3]),
        (pa.array([1.5, float("inf"), float("-inf"), NAN]), [1.5, NAN, NAN, NAN]),
        (pa.array([True, False, None]), [1, 0, NAN]),
        (pa.array([Decimal("12.50"), None]), [12.5, NAN]),
        (pa.array(["1.5", "-2e3", None]), [1.5, -2000, NAN]),
        (pa.array([" 7 ", "n/a", "", "1,5"]), [7, NAN, NAN, NAN]),
        (pa.array(["007"], pa.large_string()), [7]),
        (pa.array([dt.date(1970, 1, 2)]), [86400]),
        (pa.array([dt.datetime(1970, 1, 1, 0, 1)]), [60]),
        (pa.array([None, None], pa.null()), [NAN, NAN]),
        (pa.array(["3", "4"]).dictionary_encode(), [3, 4]),
        (pa.array([2**63], pa.uint64()), [2.0**63]),
    ],
)
def test_values_of_any_type_read_as_numbers(values: pa.Array, expected: list[float]) -> None:
    np.testing.assert_array_equal(numbers(plain(values)), expected)


def test_binary_values_are_no_numbers() -> None:
    with pytest.raises(DataError, match="cannot be read as numbers"):
        numbers(plain(pa.array([b"x"])))


def test_texts_that_are_no_numbers_are_named() -> None:
    assert not_numbers(plain(pa.array(["1", " 2", "n/a", "", None, "n/a"]))).to_pylist() == ["n/a"]
    assert not_numbers(plain(pa.array([1, 2]))).to_pylist() == []


@pytest.mark.parametrize(
    "values",
    [
        ["2026-01-02", "2026-01-02 10:00:00", "2026-01-03T00:00:00.5"],
        ["2026-01-01T10:00:00+02:00", "2026-01-01T09:00:00Z", "2026-01-01T10:00:00Z"],
        ["2026-01-01 00:00:00.000000001", "2026-01-01 00:00:00.000000002", "2026-01-02"],
        ["999", "1000", "1001.5"],
        [9, 10, 11],
        [0.1, 0.2, 0.3],
        [dt.date(2026, 1, 1), dt.date(2026, 1, 2), dt.date(2027, 1, 1)],
        [dt.datetime(1600, 1, 1), dt.datetime(2026, 1, 2), dt.datetime(2027, 1, 1)],
        [dt.time(1), dt.time(2), dt.time(3)],
    ],
)
def test_times_of_any_notation_order_the_rows(values: list[object]) -> None:
    assert list(np.argsort(times(plain(pa.array(values))))) == [0, 1, 2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["2026-01-01", None], "1 of 2 rows have no time"),
        (["2026-01-01", "01/02/2026"], "'01/02/2026'"),
        ([1.0, NAN], "1 of 2 times are not finite"),
    ],
)
def test_times_that_order_nothing_are_refused(values: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        times(plain(pa.array(values)))


def test_keys_agree_across_chunks() -> None:
    positions, values = keys(pa.chunked_array([["a", "b"], ["b", None, "a"]]))
    assert positions.tolist() == [0, 1, 1, -1, 0]
    assert values == ["a", "b"]
    assert keys(pa.chunked_array([[None]], pa.null()))[0].tolist() == [-1]


def test_a_column_is_found_by_position_and_not_by_name() -> None:
    table, columns = snapshot(a=[1], b=[2])
    assert column_at(table, columns, ref("b")).to_pylist() == [2]
    with pytest.raises(DataError, match=r"no column t\.c"):
        column_at(table, columns, ref("c"))
    with pytest.raises(DataError, match="have 2 columns, but 1"):
        column_at(table, columns[:1], ref("a"))

"""Columns widen until every value fits, and lose nothing on the way."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosslens.relational import ColumnType
from db.columns import Kind, WiderKinds, first_kind, fit_columns, tuple_batches
from db.fingerprint import ContentFingerprint

BIG = 2**60 + 1
DAY, NOON = date(2024, 2, 29), datetime(2024, 2, 29, 12)
EAST = timezone(timedelta(hours=5))


@pytest.mark.parametrize(
    ("start", "values", "kind", "expected"),
    [
        (Kind.BOOLEAN, (0, 1, None), Kind.BOOLEAN, [False, True, None]),
        (Kind.BOOLEAN, (0, 2), Kind.INTEGER, [0, 2]),
        (Kind.BOOLEAN, ("t", "f"), Kind.TEXT, ["t", "f"]),
        (Kind.INTEGER, (1, None), Kind.INTEGER, [1, None]),
        (Kind.INTEGER, (1, 1.5), Kind.FLOAT, [1.0, 1.5]),
        (Kind.INTEGER, (1.5,), Kind.FLOAT, [1.5]),
        (Kind.INTEGER, (1, "N/A"), Kind.MIXED, ["1", "N/A"]),
        (Kind.INTEGER, (BIG, 1.5), Kind.MIXED, [str(BIG), "1.5"]),
        (Kind.INTEGER, (None, None), Kind.INTEGER, [None, None]),
        (Kind.INTEGER, ("2024-01-01", None), Kind.TEXT, ["2024-01-01", None]),
        (Kind.FLOAT, (1, 2.5), Kind.FLOAT, [1.0, 2.5]),
        (Kind.FLOAT, (math.inf,), Kind.FLOAT, [math.inf]),
        (Kind.FLOAT, (BIG,), Kind.MIXED, [str(BIG)]),
        (Kind.TEXT, ("007", "é\0"), Kind.TEXT, ["007", "é\0"]),
        (Kind.TEXT, ("a", 5), Kind.MIXED, ["a", "5"]),
        (Kind.TEXT, (b"\xff\x00",), Kind.MIXED, ["ff00"]),
        (Kind.MIXED, (b"text", None), Kind.MIXED, ["text", None]),
        (Kind.BOOLEAN, (True, None), Kind.BOOLEAN, [True, None]),
        (Kind.FLOAT, (Decimal("1.5"), 2, None), Kind.FLOAT, [1.5, 2.0, None]),
        (Kind.FLOAT, (Decimal(BIG),), Kind.MIXED, [str(BIG)]),
        (Kind.DATE, (DAY, None), Kind.DATE, [DAY, None]),
        (Kind.DATE, (DAY, NOON), Kind.TIMESTAMP, [datetime(2024, 2, 29), NOON]),
        (Kind.DATE, (DAY, 5), Kind.MIXED, ["2024-02-29", "5"]),
        (Kind.TIMESTAMP, (NOON, None), Kind.TIMESTAMP, [NOON, None]),
        (Kind.TIMESTAMP, (NOON.replace(tzinfo=UTC),), Kind.TIMESTAMP, [NOON]),
        (Kind.TIMESTAMP, (NOON.replace(tzinfo=EAST),), Kind.TIMESTAMP, [NOON - timedelta(hours=5)]),
        (Kind.TIMESTAMP, (NOON, "infinity"), Kind.MIXED, ["2024-02-29 12:00:00", "infinity"]),
        (Kind.TIMESTAMP, (5,), Kind.MIXED, ["5"]),
        (Kind.LIST, (["a", None], [], None), Kind.LIST, [["a", None], [], None]),
        (Kind.LIST, ([1, 2.5], "x"), Kind.LIST, [["1", "2.5"], ["x"]]),
        (Kind.MIXED, ({"a": [1]}, ["ü"]), Kind.MIXED, ['{"a": [1]}', '["ü"]']),
    ],
)
def test_a_column_is_as_narrow_as_its_values_allow(start, values, kind, expected) -> None:
    arrays, kinds = fit_columns([(value,) for value in values], [start])
    assert kinds == (kind,)
    assert arrays[0].type == kind.arrow
    assert arrays[0].to_pylist() == expected


def test_dates_and_untyped_columns_may_turn_out_to_be_numbers() -> None:
    starts = {declared: first_kind(declared) for declared in (ColumnType.TIMESTAMP, ColumnType.OTHER, ColumnType.TEXT)}
    assert list(starts.values()) == [Kind.INTEGER, Kind.INTEGER, Kind.TEXT]


VALUES = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=5))


@settings(max_examples=30, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=20))
def test_whatever_sqlite_holds_comes_through_unchanged_or_as_text(values: list) -> None:
    arrays, (kind,) = fit_columns([(value,) for value in values], [Kind.BOOLEAN])
    back = arrays[0].to_pylist()
    assert len(back) == len(values)
    for before, after in zip(values, back, strict=True):
        assert before == after or (kind is Kind.MIXED and str(before) == after)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(VALUES), min_size=1, max_size=30), st.integers(1, 7))
def test_batch_borders_leave_no_trace_in_the_fingerprint(rows: list, size: int) -> None:
    (whole,), (kind,) = fit_columns(rows, [Kind.BOOLEAN])
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert _fingerprint([whole], kind) == _fingerprint(parts, kind)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["a", "bc"], ["ab", "c"]),
        (["", None], [None, ""]),
        ([0, None], [None, 0]),
        ([1, 2], [2, 1]),
        ([1, 2], [1.0, 2.0]),
        ([0, 1], [False, True]),
        (["1"], [1]),
        ([None], [None, None]),
        ([DAY], [NOON]),
        ([NOON], [None]),
        ([DAY], [date(2024, 3, 1)]),
        ([["a", "b"]], [["ab"]]),
        ([["a"], []], [[], ["a"]]),
        ([["a"], None], [["a"], []]),
        ([["a", None]], [["a"]]),
        ([["a"]], ["a"]),
    ],
)
def test_different_content_has_different_fingerprints(first: list, second: list) -> None:
    prints = []
    for values in (first, second):
        array = pa.array(values) if values.count(None) < len(values) else pa.array(values, pa.int64())
        fingerprint = ContentFingerprint([array.type])
        fingerprint.update([array])
        prints.append(fingerprint.hexdigest())
    assert prints[0] != prints[1]


LISTS = st.lists(st.none() | st.lists(st.none() | st.text(max_size=2), max_size=3), min_size=1, max_size=9)
MOMENTS = st.lists(st.none() | st.datetimes(), min_size=1, max_size=9)


@settings(max_examples=30, deadline=None)
@given(LISTS, st.integers(1, 4))
def test_batch_borders_leave_no_trace_in_the_fingerprint_of_lists(values: list, size: int) -> None:
    whole = pa.array(values, Kind.LIST.arrow)
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert _fingerprint([whole], Kind.LIST) == _fingerprint(parts, Kind.LIST)


@settings(max_examples=30, deadline=None)
@given(MOMENTS, st.integers(1, 4))
def test_batch_borders_leave_no_trace_in_the_fingerprint_of_moments(values: list, size: int) -> None:
    whole = pa.array(values, Kind.TIMESTAMP.arrow)
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert _fingerprint([whole], Kind.TIMESTAMP) == _fingerprint(parts, Kind.TIMESTAMP)


def test_bytes_behind_a_missing_text_leave_no_trace_in_the_fingerprint() -> None:
    offsets, data = pa.py_buffer(np.array([0, 1, 4, 5], np.int32)), pa.py_buffer(b"a???b")
    untidy = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\5"), offsets, data])
    assert untidy.to_pylist() == ["a", None, "b"]
    assert _fingerprint([untidy], Kind.TEXT) == _fingerprint([pa.array(["a", None, "b"])], Kind.TEXT)


def test_batches_of_tuples_have_exactly_the_kinds_asked_for_or_say_which_are_wide_enough() -> None:
    batches = tuple_batches([[(1, "a")], [(2, 5)], [(2.5, None)]], (Kind.INTEGER, Kind.TEXT))
    assert [array.type for array in next(batches)] == [pa.int64(), pa.string()]
    with pytest.raises(WiderKinds) as caught:
        next(batches)
    assert caught.value.kinds == (Kind.INTEGER, Kind.MIXED)


def _fingerprint(parts: list[pa.Array], kind: Kind) -> str:
    fingerprint = ContentFingerprint([kind.arrow])
    for part in parts:
        fingerprint.update([part])
    return fingerprint.hexdigest()

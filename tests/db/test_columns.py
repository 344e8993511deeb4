"""Columns widen until every value fits, and lose nothing on the way."""

import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosslens.relational import ColumnType
from db.columns import Kind, first_kind, fit_columns
from db.fingerprint import ContentFingerprint

BIG = 2**60 + 1


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


def _fingerprint(parts: list[pa.Array], kind: Kind) -> str:
    fingerprint = ContentFingerprint([kind.arrow])
    for part in parts:
        fingerprint.update([part])
    return fingerprint.hexdigest()

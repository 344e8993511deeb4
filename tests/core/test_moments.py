"""Moments in time, read from whatever a source keeps them in."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.moments import moments

NOON = "2026-01-02T12:00:00.000000"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2026-01-02"], "2026-01-02T00:00:00.000000"),
        ([" 2026-01-02 12:00 "], NOON),
        (["2026-01-02T12:00:00"], NOON),
        (["2026-01-02 12:00:00.123"], "2026-01-02T12:00:00.123000"),
        (["2026-01-02 12:00:00.123456789"], "2026-01-02T12:00:00.123456"),
        (["2026-01-02T12:00:00Z"], NOON),
        (["2026-01-02 14:00:00+02:00"], NOON),
        ([date(2026, 1, 2)], "2026-01-02T00:00:00.000000"),
        ([datetime(2026, 1, 2, 12)], NOON),
        ([1_767_355_200], NOON),
        ([1_767_355_200.0], NOON),
        ([1_767_355_200_000], NOON),
        ([1_767_355_200_000_000], NOON),
        ([1_767_355_200_000_000_000], NOON),
        (["2026-02-30"], "NaT"),
        (["soon"], "NaT"),
        ([True], "NaT"),
        ([float("inf")], "NaT"),
    ],
)
def test_every_notation_is_read(values: list[Any], expected: str) -> None:
    found = moments(pa.array([*values, None]))
    assert [str(each) for each in found] == [expected, "NaT"]
    assert found.dtype == np.dtype("datetime64[us]")


def test_notations_may_differ_from_row_to_row() -> None:
    found = moments(pa.chunked_array([["2026-01-02 12:00", "no"], ["2026-02-30", "2026-01-02T14:00+0200", None]]))
    assert [str(each) for each in found] == [NOON, "NaT", "NaT", NOON, "NaT"]


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us"), pa.null()])
def test_no_rows_and_no_values_are_answered(kind: pa.DataType) -> None:
    assert len(moments(pa.chunked_array([], kind))) == 0
    assert np.isnat(moments(pa.nulls(2, kind))).all()

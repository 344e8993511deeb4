"""Stable hashes of columns."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.hashing import hash64, hash_rows


@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=30))
def test_texts_are_equal_just_when_their_hashes_are(texts: list[str | None]) -> None:
    hashes = hash64(pa.array(texts, pa.string())).tolist()
    assert len(set(hashes)) == len(set(texts))
    assert dict(zip(texts, hashes, strict=True)) == {text: hash64(pa.array([text], pa.string()))[0] for text in texts}


@pytest.mark.parametrize(
    "values",
    [
        pa.array([0, 1, -1, 2**62, None]),
        pa.array([0.0, 1.0, 0.5, float("inf"), None]),
        pa.array([True, False, None]),
        pa.array([date(2026, 1, 1), date(2026, 1, 2), None]),
        pa.array([datetime(2026, 1, 1), datetime(2026, 1, 1, 1), None]),
        pa.array([["a"], ["a", "b"], ["b", "a"], ["ab"], [], [None], None], pa.list_(pa.string())),
        pa.array([b"a", b"b", b"", None]),
        pa.array([Decimal("1.5"), Decimal("2.5"), None]),
    ],
)
def test_different_values_have_different_hashes_on_every_type(values: pa.Array) -> None:
    hashes = hash64(values)
    assert hashes.dtype == np.uint64
    assert len(np.unique(hashes)) == len(values)
    assert np.array_equal(hash64(values.slice(1)), hashes[1:])
    assert np.array_equal(hash64(pa.chunked_array([values[:1], values[1:]])), hashes)


def test_hashes_never_change_between_versions() -> None:
    assert hash64(pa.array(["", "crosslens", "имя"])).tolist() == EXPECTED


def test_hashes_of_many_texts_do_not_collide_and_fill_buckets_evenly() -> None:
    hashes = hash64(pa.array(np.arange(200_000)).cast(pa.string()))
    assert len(np.unique(hashes)) == 200_000
    counts = np.bincount((hashes % np.uint64(64)).astype(int), minlength=64)
    assert 0.9 < counts.min() / counts.mean() < counts.max() / counts.mean() < 1.1


def test_nothing_at_all_has_a_hash_of_its_own() -> None:
    assert len(set(hash64(pa.nulls(3)).tolist())) == 1
    assert len(hash64(pa.chunked_array([], pa.string()))) == 0
    assert len(hash_rows([])) == 0


def test_rows_depend_on_the_order_of_their_columns() -> None:
    left, right = pa.chunked_array([["a"]]), pa.chunked_array([["b"]])
    assert hash_rows([left, right]).tolist() != hash_rows([right, left]).tolist()


EXPECTED = [16294208416658607535, 11458249144802499706, 17414133946773278068]

"""Rows parted by time, by user and at random."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.columns import ColumnStream
from core.recipe import SplitMethod, SplitSpec
from core.splits import Split, split_rows
from crosslens import DataError

TIME, USER, RANDOM = (SplitSpec(method) for method in SplitMethod)


def column(values: object, block: int = 7) -> ColumnStream:
    """Return a stream of the values in small blocks."""
    whole = pa.chunked_array([pa.array(values)])
    return lambda: (whole.slice(start, block) for start in range(0, len(whole), block))


def parts(split: Split) -> tuple[np.ndarray, ...]:
    return split.train, split.validation, split.test


@given(rows=st.integers(10, 300), seed=st.integers(0, 9), method=st.sampled_from(list(SplitMethod)))
@settings(max_examples=30, deadline=None)
def test_every_row_is_in_exactly_one_part_in_ascending_order(rows: int, seed: int, method: SplitMethod) -> None:
    values = column(np.arange(rows))
    try:
        split = split_rows(rows, SplitSpec(method, seed=seed), times=values, users=values)
    except DataError:
        assert method is SplitMethod.USER  # few users may leave a part empty
        assert rows < 60
        return
    assert sorted(np.concatenate(parts(split))) == list(range(rows))
    assert all((np.diff(part) > 0).all() and part.dtype == np.int64 for part in parts(split))


def test_the_latest_rows_are_the_test_and_the_ones_before_validate() -> None:
    times = np.random.default_rng(0).permutation(100)
    split = split_rows(100, TIME, times=column(times))
    assert times[split.train].max() == 69
    assert sorted(times[split.validation]) == list(range(70, 80))
    assert sorted(times[split.test]) == list(range(80, 100))


@given(st.lists(st.integers(0, 12), min_size=20, max_size=200))
@settings(max_examples=30, deadline=None)
def test_rows_of_one_time_are_never_parted(values: list[int]) -> None:
    times = np.array([0, 1, 2, *values])
    split = split_rows(len(times), TIME, times=column(times))
    assert times[split.train].max() < times[split.validation].min()
    assert times[split.validation].max() < times[split.test].min()


def sorted_cuts(values: np.ndarray, shares: tuple[float, float]) -> list[int]:
    """The sizes of the parts by sorting: boundaries between different times, the nearest to each wanted share."""
    distinct, counts = np.unique(values, return_counts=True)
    before = np.cumsum(counts)[:-1] / len(values)
    test = 1 + int(np.argmin(np.abs(before[1:] - shares[1])))
    validate = int(np.argmin(np.abs(before[:test] - shares[0])))
    return [int((values < distinct[validate + 1]).sum()), int((values < distinct[test + 1]).sum())]


@given(
    st.one_of(
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=12, max_size=60),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=12, max_size=60),
        st.lists(st.sampled_from([-1.5, 0.0, 2.0, 7.0]), min_size=12, max_size=60),
    ),
    st.sampled_from([(0.1, 0.2), (0.3, 0.3), (0.01, 0.9), (0.49, 0.02)]),
)
@settings(max_examples=80, deadline=None)
def test_the_boundaries_are_those_that_sorting_would_find(values: list[float], sizes: tuple[float, float]) -> None:
    spec = SplitSpec(SplitMethod.TIME, *sizes)
    times = np.array(values)
    if len(np.unique(times)) < 3:
        return
    split = split_rows(len(times), spec, times=column(times))
    train, before_test = sorted_cuts(times, (1 - spec.test - spec.validation, 1 - spec.test))
    assert [len(split.train), len(split.train) + len(split.validation)] == [train, before_test]


def test_a_tie_moves_the_boundary_as_little_as_possible() -> None:
    times = [0] * 68 + [1] * 14 + [2] * 18
    split = split_rows(100, TIME, times=column(times))
    assert [len(part) for part in parts(split)] == [68, 14, 18]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2026-01-01"] * 20, "too few different times"),
        ([1] * 10 + [2] * 10, "too few different times"),
        ([None] * 3 + list(range(17)), "3 of 20 rows have no time"),
        (["soon"] * 20, "'soon'"),
    ],
)
def test_times_that_cannot_part_the_rows_are_explained(times: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_rows(20, TIME, times=column(times))


def test_users_stay_whole_and_where_they_are_whatever_the_order() -> None:
    users = np.repeat([f"user {i}" for i in range(300)], 5)
    order = np.random.default_rng(1).permutation(len(users))
    split = split_rows(1500, USER, users=column(users))
    shuffled = split_rows(1500, USER, users=column(users[order]))
    for part, other in zip(parts(split), parts(shuffled), strict=True):
        assert set(users[part]) == set(users[order][other])
    assert len(set(users[split.train]) & set(users[split.test])) == 0
    assert 0.12 < len(split.test) / 1500 < 0.28


def test_a_new_user_moves_nobody_else() -> None:
    few, more = [np.arange(count) for count in (300, 400)]
    test = split_rows(300, USER, users=column(few)).test
    assert set(test) == {row for row in split_rows(400, USER, users=column(more)).test if row < 300}


def test_rows_without_a_user_stand_for_themselves() -> None:
    split = split_rows(1000, USER, users=column([None] * 1000))
    assert 150 < len(split.test) < 250


@pytest.mark.parametrize("spec", [SplitSpec(SplitMethod.RANDOM, seed=3), SplitSpec(SplitMethod.USER, seed=3)])
def test_the_same_seed_parts_alike_and_another_one_differently(spec: SplitSpec) -> None:
    users = column(np.arange(500))
    first, again = (split_rows(500, spec, users=users) for _ in range(2))
    other = split_rows(500, SplitSpec(spec.method, seed=4), users=users)
    assert first.test.tolist() == again.test.tolist() != other.test.tolist()


def test_random_parts_have_the_asked_sizes() -> None:
    assert [len(part) for part in parts(split_rows(1000, RANDOM))] == [700, 100, 200]


@pytest.mark.parametrize(
    ("rows", "spec", "message"),
    [
        (9, RANDOM, "only 9 rows"),
        (0, TIME, "only 0 rows"),
        (100, TIME, "needs a time column"),
        (100, USER, "needs a field with the role user"),
        (100, SplitSpec(validation=0.5, test=0.5), "leave no proper split"),
        (100, SplitSpec(validation=0.0), "leave no proper split"),
        (100, SplitSpec(validation=float("nan")), "leave no proper split"),
        (10, SplitSpec(validation=0.01), "no validation rows"),
    ],
)
def test_what_cannot_be_split_is_said_in_a_sentence(rows: int, spec: SplitSpec, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_rows(rows, spec)


def test_one_user_cannot_be_split() -> None:
    with pytest.raises(DataError, match="leaves no"):
        split_rows(100, USER, users=column(["me"] * 100))

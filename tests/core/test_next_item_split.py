"""What trains, validates and tests a next-item model."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.next_item.split import SequenceSplit, split_sequences
from core.recipe import NextItemSplit, SplitSpec
from crosslens import Catalogue, DataError, SequenceDataset

SHARES = SplitSpec(validation=0.2, test=0.2)
LEAVE, TIME = NextItemSplit.LEAVE_ONE_OUT, NextItemSplit.TIME


def sequences(*users: list[tuple[int, int]]) -> SequenceDataset:
    """Return a dataset of (time, item) pairs per user, in order of time."""
    events = [event for user in users for event in sorted(user, key=lambda event: event[0])]
    size = max((item for _, item in events), default=1) + 1
    return SequenceDataset(
        Catalogue(max(size, 3)),
        np.concatenate(([0], np.cumsum([len(user) for user in users]))).astype(np.int64),
        np.array([item for _, item in events], np.int32),
        times=np.array([time for time, _ in events], np.int64),
        users=np.arange(100, 100 + len(users)),
    )


def readable(data: SequenceDataset) -> dict[int, list[int]]:
    assert data.users is not None
    return {int(user): data.of(place).tolist() for place, user in enumerate(data.users)}


def test_the_last_item_tests_and_the_one_before_validates() -> None:
    split = split_sequences(sequences([(1, 2), (2, 3), (3, 4), (4, 5)]), LEAVE, SHARES)
    assert readable(split.training.train) == {100: [2, 3]}
    assert readable(split.training.validation.histories) == {100: [2, 3]}
    assert split.training.validation.targets.tolist() == [4]
    assert readable(split.test.histories) == {100: [2, 3, 4]}
    assert split.test.targets.tolist() == [5]


def test_short_histories_train_and_test_what_they_can() -> None:
    split = split_sequences(sequences([(1, 2)], [(1, 3), (2, 4)], []), LEAVE, SHARES)
    assert readable(split.training.train) == {100: [2], 101: [3]}
    assert len(split.training.validation.histories) == 0
    assert readable(split.test.histories) == {101: [3]}
    assert split.test_users.tolist() == [1]


def test_by_time_the_first_item_after_the_moment_is_asked_for() -> None:
    users = [(1, 2), (2, 3), (6, 4), (8, 5), (9, 6)], [(3, 7), (4, 8)], [(5, 9), (7, 10), (10, 11)]
    split = split_sequences(sequences(*users), TIME, SHARES)
    assert readable(split.training.train) == {100: [2, 3, 4], 101: [7, 8], 102: [9]}
    assert readable(split.training.validation.histories) == {100: [2, 3, 4], 102: [9]}
    assert split.training.validation.targets.tolist() == [5, 10]
    assert dict(zip(split.test_users.tolist(), split.test.targets.tolist(), strict=True)) == {0: 6, 2: 11}
    assert readable(split.test.histories) == {100: [2, 3, 4, 5], 102: [9, 10]}


USERS = st.lists(st.lists(st.tuples(st.integers(0, 12), st.integers(2, 9)), max_size=9), min_size=1, max_size=12)


def distinct(users: list[list[tuple[int, int]]]) -> SequenceDataset:
    """Return a dataset in which every event has an item of its own, so that a leak can be seen."""
    number = iter(range(2, 10_000))
    return sequences(*[[(time, next(number)) for time, _ in sorted(user, key=lambda e: e[0])] for user in users])


def attempt(data: SequenceDataset, method: NextItemSplit) -> SequenceSplit | None:
    try:
        return split_sequences(data, method, SHARES)
    except DataError:
        return None


@given(USERS, st.sampled_from(NextItemSplit))
def test_no_held_out_event_reaches_training(users: list[list[tuple[int, int]]], method: NextItemSplit) -> None:
    split = attempt(distinct(users), method)
    if split is None:
        return
    trained = set(split.training.train.items.tolist())
    checked, tested = set(split.training.validation.targets.tolist()), set(split.test.targets.tolist())
    assert not trained & (checked | tested)
    assert not (checked | set(split.training.validation.histories.items.tolist())) & tested
    assert not set(split.test.histories.items.tolist()) & tested


@given(USERS, st.sampled_from(NextItemSplit))
def test_histories_are_all_that_came_before_the_target(
    users: list[list[tuple[int, int]]], method: NextItemSplit
) -> None:
    data = distinct(users)
    split = attempt(data, method)
    if split is None:
        return
    for place, (user, target) in enumerate(zip(split.test_users, split.test.targets, strict=True)):
        own = data.of(int(user)).tolist()
        assert split.test.histories.of(place).tolist() == own[: own.index(target)]
        assert own.index(target) > 0


@given(USERS)
def test_by_time_nothing_trained_on_is_later_than_what_is_asked(users: list[list[tuple[int, int]]]) -> None:
    data = distinct(users)
    split = attempt(data, TIME)
    if split is None:
        return
    assert data.times is not None
    when = dict(zip(data.items.tolist(), data.times.tolist(), strict=True))
    earliest = min(when[target] for target in split.test.targets.tolist())
    assert max(when[item] for item in split.training.train.items.tolist()) < earliest
    assert all(when[target] < earliest for target in split.training.validation.targets.tolist())


@given(USERS)
def test_leaving_one_out_asks_once_about_everyone_with_two_events(users: list[list[tuple[int, int]]]) -> None:
    data = distinct(users)
    split = attempt(data, LEAVE)
    wanted = [place for place, user in enumerate(users) if len(user) > 1]
    assert (split is None) == (not wanted)
    if split is not None:
        assert split.test_users.tolist() == wanted
        parts = (split.training.train.items, split.training.validation.targets, split.test.targets)
        assert max(Counter(np.concatenate(parts).tolist()).values()) == 1


@pytest.mark.parametrize(
    ("users", "method", "words"),
    [
        (([(1, 2)], [(2, 3)]), LEAVE, "no user to test on"),
        (([(1, 2)], [(2, 3)]), TIME, "no user to test on"),
        (([(5, 2), (5, 3)], [(5, 3), (5, 4)]), TIME, "at the same time"),
        (([(1, 2), (1, 3), (1, 4), (2, 5)],), TIME, "No event is left to train on"),
    ],
)
def test_what_cannot_be_parted_is_a_sentence(
    users: tuple[list[tuple[int, int]], ...], method: NextItemSplit, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        split_sequences(sequences(*users), method, SHARES)


def test_one_user_is_enough_to_leave_one_out() -> None:
    split = split_sequences(sequences([(1, 2), (1, 2), (1, 2)]), LEAVE, SHARES)
    assert split.test.targets.tolist() == [2]

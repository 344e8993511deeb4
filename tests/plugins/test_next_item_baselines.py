"""Popularity, item neighbours and the ranking that chooses epochs, against plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosslens import FitContext, HeldOut, SequenceDataset, SequenceTrainingData
from crosslens.data import Float32Array
from crosslens.testing import planted_training, sequences, small_catalogue
from plugins.next_item import ItemKnnParameters, PopularityParameters, build_item_knn, build_popularity
from plugins.next_item.histories import known_events
from plugins.next_item.ranking import Validation, mid_ranks


def data_of(histories: list[list[int]], items: int = 6) -> SequenceTrainingData:
    catalogue = small_catalogue(items)
    return SequenceTrainingData(
        sequences(catalogue, histories), HeldOut(sequences(catalogue, []), np.zeros(0, np.int32))
    )


def test_popularity_is_the_log_share_of_the_training_events() -> None:
    model = build_popularity(PopularityParameters()).fit(data_of([[2, 3, 2], [2, 4]]), FitContext())
    scores = model.score(sequences(small_catalogue(6), [[3]]))[0]
    assert scores[2:].argmax() == 0
    assert scores[2] - scores[3] == pytest.approx(np.log(4 / 2))
    assert scores[5] == scores[6] == scores[7]


def test_recent_events_count_more_when_asked() -> None:
    data = data_of([[2, 2, 2, 3, 3]])
    plain, recent = (
        build_popularity(PopularityParameters(half_life=share)).fit(data, FitContext()).score(data.train)[0]
        for share in (0.0, 0.1)
    )
    assert plain.argmax() == 2
    assert recent.argmax() == 3


def test_events_at_one_time_count_alike() -> None:
    data = data_of([[2, 2, 3]])
    train = replace(data.train, times=np.zeros(3, np.int64))
    model = build_popularity(PopularityParameters(half_life=0.1)).fit(replace(data, train=train), FitContext())
    assert model.score(train)[0].argmax() == 2


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.integers(1, 7), max_size=6), min_size=1, max_size=8).filter(
        lambda histories: any(item > 1 for history in histories for item in history)
    )
)
def test_item_neighbours_score_as_a_plain_loop(histories: list[list[int]]) -> None:
    parameters = ItemKnnParameters(neighbours=100, shrinkage=2.0, half_life=3.0)
    data = data_of(histories)
    scores = build_item_knn(parameters).fit(data, FitContext()).score(data.train)
    sets = [{item for item in history if item > 1} for history in histories]
    counts = {item: sum(item in had for had in sets) for item in range(2, 8)}
    events = [sum(history.count(item) for history in histories) for item in range(8)]
    for user, history in enumerate(histories):
        known = [item for item in history if item > 1]
        for item in range(2, 8):
            expected = 1e-6 * events[item] / max(events[2:])
            for place, had in enumerate(known):
                if had != item:
                    both = sum({item, had} <= one for one in sets)
                    similar = both / (np.sqrt(counts[item] * counts[had]) + 2.0) if both else 0.0
                    expected += 2 ** (-(len(known) - 1 - place) / 3.0) * similar
            assert scores[user, item] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_only_the_nearest_items_are_kept() -> None:
    data = data_of([[2, 3], [2, 3], [2, 4], [5, 6]])
    model = build_item_knn(ItemKnnParameters(neighbours=1, shrinkage=0.0)).fit(data, FitContext())
    scores = model.score(sequences(small_catalogue(6), [[2]]))[0]
    assert scores[3] > 0.1
    assert scores[4] < 1e-5


def test_known_events_keep_every_user() -> None:
    data = sequences(small_catalogue(6), [[1, 2, 1], [], [1], [3, 4]])
    known = known_events(data)
    assert [list(known.of(user)) for user in range(4)] == [[2], [], [], [3, 4]]
    assert known.times is not None
    assert list(known.times) == [1, 0, 1]


def naive_rank(scores: Float32Array, target: int, seen: list[int]) -> float:
    own = scores[target]
    others = [scores[item] for item in range(2, len(scores)) if item != target and item not in seen]
    return 1 + sum(other > own for other in others) + sum(other == own for other in others) / 2


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.lists(st.integers(0, 3), min_size=6, max_size=6), st.integers(2, 7)), min_size=1, max_size=5),
    st.booleans(),
)
def test_ranks_share_ties_and_leave_out_what_was_seen(rows: list[tuple[list[int], int]], without: bool) -> None:
    scores = np.array([[-np.inf, -np.inf, *values] for values, _ in rows], np.float32)
    targets = np.array([target for _, target in rows], np.int32)
    seen = sequences(small_catalogue(6), [[2, 3, 3] for _ in rows])
    found = mid_ranks(scores, targets, seen if without else None)
    expected = [naive_rank(scores[row], targets[row], [2, 3] if without else []) for row in range(len(rows))]
    np.testing.assert_allclose(found, expected)


def test_a_score_that_is_no_number_and_a_target_that_is_no_item_rank_nowhere() -> None:
    scores = np.array([[-np.inf, -np.inf, np.nan, 1], [-np.inf, -np.inf, 2, 1]], np.float32)
    assert np.isinf(mid_ranks(scores, np.array([2, 1], np.int32), None)).all()


def test_ndcg_is_that_of_the_ranks() -> None:
    catalogue = small_catalogue(4)
    held_out = HeldOut(sequences(catalogue, [[2], [2], [2]]), np.array([3, 4, 5], np.int32))

    def score(histories: SequenceDataset) -> Float32Array:
        return np.tile(np.array([-np.inf, -np.inf, 9, 3, 2, 1], np.float32), (len(histories), 1))

    validation = Validation.sample(held_out, most=10, seed=0)
    assert validation.without_seen
    expected = np.mean([1 / np.log2(2), 1 / np.log2(3), 0.0])
    assert validation.ndcg(score, at=2) == pytest.approx(expected)


def test_what_was_seen_stays_in_the_ranking_where_items_are_taken_again() -> None:
    catalogue = small_catalogue(4)
    again = HeldOut(sequences(catalogue, [[2, 3], [4]]), np.array([2, 5], np.int32))
    assert not Validation.sample(again, most=10, seed=0).without_seen


def test_many_validation_users_are_sampled_the_same_way_for_the_same_seed() -> None:
    held_out = planted_training(200).validation
    one, same, other = (Validation.sample(held_out, most=20, seed=seed).held_out.targets for seed in (1, 1, 2))
    assert len(one) == 20
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()

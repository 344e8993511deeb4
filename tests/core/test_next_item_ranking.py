"""Full ranking against loops; ties, seen items, groups, intervals; lists beyond being right."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.next_item import ranking
from core.next_item.lists import diversity, gini, measure_lists
from core.next_item.ranking import block_scores, compare_ranks, gains, mean_metrics, measure, rank_targets, top_items
from core.next_item.values import Ranks
from crosslens import Catalogue, DataError, HeldOut, PluginError, SequenceDataset

ITEMS = 9


class Fixed:
    """A model whose scores a test chooses, by the first item of the history."""

    def __init__(self, scores: np.ndarray) -> None:  # type: ignore[type-arg]
        self.scores = np.asarray(scores, np.float32)
        self.asked: list[int] = []

    def score(self, histories: SequenceDataset) -> np.ndarray:  # type: ignore[type-arg]
        self.asked.append(len(histories))
        assert histories.users is not None
        return self.scores[histories.users]


def histories(users: list[list[int]], size: int = ITEMS) -> SequenceDataset:
    offsets = np.concatenate(([0], np.cumsum([len(user) for user in users]))).astype(np.int64)
    items = np.array(list(itertools.chain.from_iterable(users)), np.int32)
    return SequenceDataset(Catalogue(size), offsets, items, users=np.arange(len(users)))


def held(users: list[list[int]], targets: list[int], size: int = ITEMS) -> HeldOut:
    return HeldOut(histories(users, size), np.array(targets, np.int32))


def naive_gains(scores: list[float], target: int, candidates: list[int], k: int) -> tuple[float, float, float]:
    """Return HR, NDCG and MRR at k as means over every order of the items that tie with the target."""
    better = sum(scores[item] > scores[target] for item in candidates)
    equal = sum(scores[item] == scores[target] for item in candidates if item != target)
    ranks = range(better + 1, better + 2 + equal)
    hits = [rank for rank in ranks if rank <= k]
    chance = 1 / len(ranks)
    return (
        len(hits) * chance,
        sum(1 / math.log2(rank + 1) for rank in hits) * chance,
        sum(1 / rank for rank in hits) * chance,
    )


SCORES = arrays.arrays(np.float32, (4, ITEMS), elements=st.sampled_from([-2.0, 0.0, 0.5, 1.0, 3.0]))
HISTORIES = st.lists(st.lists(st.integers(2, ITEMS - 1), min_size=1, max_size=4), min_size=4, max_size=4)
TARGETS = st.lists(st.integers(2, ITEMS - 1), min_size=4, max_size=4)


@given(SCORES, HISTORIES, TARGETS, st.booleans(), st.integers(1, 12))
def test_metrics_are_those_of_the_definition(scores, users, targets, exclude_seen: bool, k: int) -> None:  # type: ignore[no-untyped-def]
    ranks = rank_targets(Fixed(scores), held(users, targets), exclude_seen=exclude_seen, top=k)
    found = gains(ranks, (k,))
    for user, target in enumerate(targets):
        candidates = [item for item in range(2, ITEMS) if not (exclude_seen and item in users[user])]
        wanted = (0.0,) * 3
        if target in candidates:
            wanted = naive_gains(scores[user].tolist(), target, candidates, k)
        assert [found[f"{name}@{k}"][user] for name in ("hr", "ndcg", "mrr")] == pytest.approx(list(wanted))


@given(SCORES, HISTORIES, st.booleans(), st.integers(1, 12))
def test_the_top_items_are_the_best_candidates(scores, users, exclude_seen: bool, k: int) -> None:  # type: ignore[no-untyped-def]
    ranks = rank_targets(Fixed(scores), held(users, [2] * 4), exclude_seen=exclude_seen, top=k)
    for user, own in enumerate(users):
        candidates = [item for item in range(2, ITEMS) if not (exclude_seen and item in own)]
        wanted = sorted(candidates, key=lambda item: (-scores[user][item], item))[:k]
        assert [item for item in ranks.top[user].tolist() if item] == wanted
        assert ranks.scores[user, : len(wanted)].tolist() == scores[user][wanted].tolist()


def test_a_model_that_knows_nothing_gets_what_chance_gets() -> None:
    ranks = rank_targets(Fixed(np.zeros((1, ITEMS))), held([[2]], [5]), exclude_seen=False, top=3)
    assert gains(ranks, (3,))["hr@3"][0] == pytest.approx(3 / 7)
    assert ranks.middle.tolist() == [4.0]


def test_blocks_of_users_change_nothing_and_bound_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    model, users = Fixed(rng.normal(size=(50, ITEMS))), held([[2, 3]] * 50, [4] * 50)
    whole = rank_targets(model, users, exclude_seen=True, top=4)
    monkeypatch.setattr(ranking, "BLOCK_BYTES", 7 * 4 * ITEMS)
    parts = rank_targets(model, users, exclude_seen=True, top=4)
    assert max(model.asked[1:]) == 7
    np.testing.assert_array_equal(whole.top, parts.top)
    np.testing.assert_array_equal(whole.better, parts.better)


def test_the_scores_a_model_keeps_are_not_written_to() -> None:
    model = Fixed(np.ones((1, ITEMS)))
    model.scores.flags.writeable = False
    ((_, scores),) = block_scores(model, histories([[3]]), exclude_seen=True)
    assert np.isneginf(scores[0, 3])
    assert model.scores[0, 3] == 1


@pytest.mark.parametrize(
    ("scores", "error", "words"),
    [
        (np.full((1, ITEMS), np.nan), DataError, "diverged"),
        (np.full((1, ITEMS), np.inf), DataError, "diverged"),
        (np.zeros((1, ITEMS + 1)), PluginError, "shape"),
    ],
)
def test_scores_that_are_none_are_a_sentence(scores, error: type[Exception], words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=words):
        rank_targets(Fixed(scores), held([[2]], [3]), exclude_seen=False, top=1)


def test_fewer_candidates_than_asked_for_leave_gaps() -> None:
    found, scores = top_items(np.array([[-np.inf, -np.inf, 1.0, 2.0]], np.float32), 6)
    assert found.tolist() == [[3, 2, 0, 0, 0, 0]]
    assert scores.tolist() == [[2, 1, 0, 0, 0, 0]]


def test_repeats_are_counted_and_said() -> None:
    users = held([[2, 3], [4]], [3, 5])
    ranks = rank_targets(Fixed(np.tile(np.arange(ITEMS), (2, 1))), users, exclude_seen=True, top=5)
    found = measure(ranks, users, users.histories, at=(1, 5), exclude_seen=True)
    assert found.repeats == 1
    assert any("misses" in warning for warning in found.warnings)
    assert found.metric("hr@5").value == 0.5


def test_groups_part_all_users() -> None:
    rng = np.random.default_rng(1)
    users = held([rng.integers(2, ITEMS, length).tolist() for length in (1, 2, 4, 8, 30, 60)], [2, 3, 4, 5, 6, 8])
    train = histories([[2] * 30, [3] * 9, [4, 5, 6]])
    ranks = rank_targets(Fixed(rng.normal(size=(6, ITEMS))), users, exclude_seen=False, top=10)
    found = measure(ranks, users, train, at=(5, 10), exclude_seen=False)
    assert [(group.name, group.users) for group in found.by_length] == [
        ("1 to 2", 2), ("3 to 5", 1), ("6 to 10", 1), ("21 to 50", 1), ("51 or more", 1),
    ]  # fmt: skip
    names = {group.name: group.users for group in found.by_popularity}
    assert names == {"popular items": 1, "rare items": 4, "items new since training": 1}
    assert {metric.name for metric in found.by_length[0].metrics} == {"hr@10", "ndcg@10", "mrr@10"}
    assert found.headline == 10


def test_intervals_hold_the_mean_and_cover_it_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for trial in range(200):
        (metric,) = mean_metrics({"hr@10": (rng.random(300) < 0.2).astype(float)}, seed=trial)
        assert metric.low <= metric.value <= metric.high
        inside += metric.low <= 0.2 <= metric.high
    assert 0.9 <= inside / 200 <= 0.99


@pytest.mark.parametrize(("value", "low", "high"), [(0.0, 0.0, 0.04), (1.0, 0.96, 1.0)])
def test_users_who_are_all_alike_still_leave_doubt(value: float, low: float, high: float) -> None:
    (metric,) = mean_metrics({"hr@10": np.full(100, value)})
    assert (metric.low, metric.high) == (pytest.approx(low, abs=0.005), pytest.approx(high, abs=0.005))


def test_many_users_are_resampled_in_groups_with_the_same_interval() -> None:
    rng = np.random.default_rng(5)
    (metric,) = mean_metrics({"hr@10": (rng.random(60_000) < 0.3).astype(float)})
    width = 2 * 1.96 * math.sqrt(0.21 / 60_000)
    assert metric.high - metric.low == pytest.approx(width, rel=0.15)


def ranks_of(better: list[int]) -> Ranks:
    return Ranks(np.array(better), np.zeros(len(better), np.int64), np.zeros((1, 1), np.int32), np.zeros((1, 1)))  # type: ignore[arg-type]


def test_a_better_model_is_told_from_an_equal_one() -> None:
    rng = np.random.default_rng(2)
    base = rng.integers(0, 40, 400)
    better = compare_ranks(ranks_of(np.maximum(base - 6, 0).tolist()), ranks_of(base.tolist()), k=10)
    assert better.different
    assert better.difference > 0
    assert better.p_value < 0.001
    same = compare_ranks(ranks_of(base.tolist()), ranks_of(base.tolist()), k=10)
    assert not same.different
    assert (same.difference, same.p_value) == (0, 1)


def test_gini_and_coverage_of_known_lists() -> None:
    counts = np.array([0, 0, 4, 2, 1, 1])
    everything = measure_lists(np.array([[2, 3], [4, 5]], np.int32), counts)
    assert (everything.coverage, everything.gini) == (1.0, pytest.approx(0.0))
    one = measure_lists(np.array([[2], [2]], np.int32), counts)
    assert (one.coverage, one.gini) == (0.25, pytest.approx(0.75))
    assert one.novelty == pytest.approx(1.0)
    assert gini(np.zeros(3, np.int64)) == 0


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    vectors = np.zeros((5, 2), np.float32)
    vectors[2], vectors[3], vectors[4] = (1, 0), (0, 1), (1, 0)
    assert diversity(np.array([[2, 3], [2, 4], [2, 0]], np.int32), vectors) == pytest.approx(0.5)
    assert diversity(np.array([[2, 3, 4]], np.int32), vectors) == pytest.approx(2 / 3)
    assert diversity(np.array([[2, 0]], np.int32), vectors) is None


@pytest.mark.parametrize("levels", [0, 2, 40])
def test_the_best_of_many_items_are_found_whether_scores_tie_or_not(levels: int) -> None:
    rng = np.random.default_rng(levels)
    scores = rng.normal(size=(20, 3_000)) if levels == 0 else rng.integers(0, levels, (20, 3_000))
    scores = scores.astype(np.float32)
    scores[:, :2] = -np.inf
    scores[3, 5:] = -np.inf
    found, values = top_items(scores, 10)
    for row in range(20):
        wanted = sorted(range(3_000), key=lambda item: (-scores[row, item], item))[:10]
        wanted = [item for item in wanted if np.isfinite(scores[row, item])]
        assert found[row].tolist() == wanted + [0] * (10 - len(wanted))
        assert values[row, : len(wanted)].tolist() == scores[row, wanted].tolist()

"""What an event does to a recommendation, on a model whose scores can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.next_item import occlusion
from core.next_item.occlusion import occlude, similar_events
from crosslens import Catalogue, SequenceDataset

SIZE = 8
PUSH = np.zeros((SIZE, SIZE), np.float32)
PUSH[2, 6], PUSH[3, 6], PUSH[4, 5], PUSH[4, 6] = 3.0, 1.0, 2.0, 0.5
"""How much an event of the row's item adds to the score of the column's."""


class Additive:
    """Every event adds its share; scored users are counted."""

    def __init__(self, push: np.ndarray = PUSH) -> None:  # type: ignore[type-arg]
        self.push = push
        self.calls: list[int] = []

    def score(self, histories: SequenceDataset) -> np.ndarray:  # type: ignore[type-arg]
        self.calls.append(len(histories))
        base = np.zeros((len(histories), SIZE), np.float32)
        base[:, :2] = -np.inf
        for user in range(len(histories)):
            base[user] += self.push[histories.of(user)].sum(axis=0)
        return base


def history(*items: int) -> SequenceDataset:
    return SequenceDataset(
        Catalogue(SIZE), np.array([0, len(items)]), np.array(items, np.int32), np.arange(len(items)), np.array([7])
    )


def test_an_event_is_worth_what_the_score_loses_without_it() -> None:
    found = occlude(Additive(), history(2, 3, 4), 6, exclude_seen=True)
    assert (found.score, found.rank) == (4.5, 1.0)
    assert (found.score - found.scores).tolist() == [3.0, 1.0, 0.5]
    assert found.ranks.tolist() == [2.0, 1.0, 1.0]


def test_all_variants_go_in_one_batch() -> None:
    model = Additive()
    occlude(model, history(2, 3, 4), 6, exclude_seen=True, top=2)
    assert model.calls[0] == 4


@pytest.mark.parametrize(
    ("items", "top", "removal"),
    [
        ((2, 3, 4), 1, (0,)),
        ((2, 2, 4), 1, (0, 1)),
        ((2, 3, 3), 1, (0, 1, 2)),
        ((4,), 1, ()),
    ],
)
def test_a_small_set_is_found_without_which_the_item_leaves(
    items: tuple[int, ...], top: int, removal: tuple[int, ...]
) -> None:
    found = occlude(Additive(), history(*items), 6, exclude_seen=True, top=top)
    assert found.removal == removal


def test_without_the_removal_the_item_has_left_and_with_any_one_of_it_back_it_is_there() -> None:
    rng = np.random.default_rng(4)
    push = rng.normal(size=(SIZE, SIZE)).astype(np.float32)
    model, items = Additive(push), (2, 3, 4, 2)
    seen = set(items)
    best = max((item for item in range(2, SIZE) if item not in seen), key=lambda item: push[list(items)].sum(0)[item])
    found = occlude(model, history(*items), best, exclude_seen=True, top=1)
    if found.removal:
        kept = [item for place, item in enumerate(items) if place not in found.removal]
        scores = push[kept].sum(axis=0)
        others = [scores[item] for item in range(2, SIZE) if item not in seen | {best}]
        assert scores[best] <= max(others)


def test_candidates_stay_those_of_the_whole_history() -> None:
    push = PUSH.copy()
    push[3, 2] = 100.0  # without its event the item 2 would come first, were it a candidate again
    found = occlude(Additive(push), history(2, 3), 6, exclude_seen=True)
    assert found.ranks[0] == 1.0


def test_long_histories_are_looked_at_from_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occlusion, "MOST_EVENTS", 2)
    assert occlude(Additive(), history(2, 3, 4), 6, exclude_seen=True).events == (1, 2)


def test_a_user_without_a_history_has_no_reasons() -> None:
    found = occlude(Additive(), history(), 6, exclude_seen=True)
    assert (found.events, found.removal, found.score) == ((), (), 0.0)


def test_similarity_is_the_cosine_of_known_items() -> None:
    vectors = np.zeros((SIZE, 2), np.float32)
    vectors[2], vectors[6], vectors[3] = (1, 0), (0.6, 0.8), (0, 1)
    found = similar_events(vectors, np.array([2, 3, 4], np.int32), 6)
    np.testing.assert_allclose(found, [0.6, 0.8, np.nan], atol=1e-6)

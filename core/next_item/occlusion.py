"""Why an item is recommended, by occlusion: what happens to its score and rank when a part of the history is removed.

All variants of a history are scored in one batch; the candidates stay those of the whole history, so that a change is
the model's and not that of the list. The smallest set of events without which the item leaves the list is looked for
greedily: it is small, not proved to be the smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crosslens.data import RESERVED_IDS, Float32Array, Float64Array, Int32Array
from crosslens.sequences import SequenceDataset

from .ranking import BLOCK_BYTES, Scorer, standing

MOST_EVENTS = 50
"""The latest events of a history that are removed one by one."""
MOST_REMOVED = 8
"""A set larger than this explains nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Occlusion:
    """What removing events does to one item. Axes: T events looked at, the latest ones of the history.

    `score` and `rank` with the whole history; `events` (T,) their places in the history, `scores` (T,) and `ranks`
    (T,) without each. `removal` are the places of a small set without which the item leaves the first `top`; empty
    where none was found.
    """

    score: float
    rank: float
    top: int
    events: tuple[int, ...]
    scores: Float64Array
    ranks: Float64Array
    removal: tuple[int, ...]


def occlude(
    model: Scorer,
    history: SequenceDataset,
    item: int,
    *,
    exclude_seen: bool,
    top: int = 10,
    check: Callable[[], None] = lambda: None,
) -> Occlusion:
    """Return what each event of the one user in `history` does to the standing of `item`."""
    items = np.asarray(history.of(0))
    events = tuple(range(max(0, len(items) - MOST_EVENTS), len(items)))
    variants = _Variants(model, history, item, exclude_seen)
    scores, ranks = variants.without([(), *((place,) for place in events)], check)
    found = _Removal(variants, events, top, check).search(float(ranks[0]), scores[1:], ranks[1:])
    return Occlusion(float(scores[0]), float(ranks[0]), top, events, scores[1:], ranks[1:], found)


class _Variants:
    """Scores of an item after histories that lack some events."""

    def __init__(self, model: Scorer, history: SequenceDataset, item: int, exclude_seen: bool) -> None:
        self._model = model
        self._history = history
        self._items: Int32Array = np.asarray(history.of(0))
        self._item = item
        barred = self._items if exclude_seen else self._items[:0]
        self._barred = np.union1d(barred, np.arange(RESERVED_IDS)).astype(np.int64)

    def without(
        self, removed: Sequence[tuple[int, ...]], check: Callable[[], None]
    ) -> tuple[Float64Array, Float64Array]:
        """Return scores and mid-ranks (n,) of the item after each variant."""
        size = self._history.catalogue.size
        step = max(1, BLOCK_BYTES // (4 * size))
        scores: list[Float64Array] = []
        ranks: list[Float64Array] = []
        for start in range(0, len(removed), step):
            check()
            found = np.array(self._model.score(self._lacking(removed[start : start + step])), np.float32)
            own = found[:, self._item].astype(np.float64)
            found[:, self._barred] = -np.inf
            found[:, self._item] = own
            better, equal = standing(found, np.full(len(found), self._item, np.int32))
            scores.append(own)
            ranks.append(better + 1 + equal / 2)
        return np.concatenate(scores), np.concatenate(ranks)

    def _lacking(self, removed: Sequence[tuple[int, ...]]) -> SequenceDataset:
        kept = [np.delete(np.arange(len(self._items)), list(places)) for places in removed]
        offsets = np.concatenate(([0], np.cumsum([len(places) for places in kept]))).astype(np.int64)
        events = np.concatenate(kept).astype(np.int64)
        times, users = self._history.times, self._history.users
        return SequenceDataset(
            catalogue=self._history.catalogue,
            offsets=offsets,
            items=self._items[events],
            times=None if times is None else np.asarray(times)[events],
            users=None if users is None else np.repeat(users, len(kept)),
        )


class _Removal:
    """Greedy search for a small set of events that holds an item in the list."""

    def __init__(self, variants: _Variants, events: tuple[int, ...], top: int, check: Callable[[], None]) -> None:
        self._variants, self._events, self._top, self._check = variants, events, top, check

    def search(self, rank: float, scores: Float64Array, ranks: Float64Array) -> tuple[int, ...]:
        """Return places of events; empty where the item is not in the list, or stays whatever is tried."""
        if rank > self._top:
            return ()
        gone: tuple[int, ...] = ()
        left = list(self._events)
        while left and len(gone) < MOST_REMOVED:
            best = int(np.lexsort((scores, -ranks))[0])  # the worst rank, then the lowest score
            gone = (*gone, left.pop(best))
            if ranks[best] > self._top:
                return tuple(sorted(gone))
            if left:
                scores, ranks = self._variants.without([(*gone, place) for place in left], self._check)
        return ()


def similar_events(vectors: Float32Array, items: Int32Array, item: int) -> Float64Array:
    """Return the cosine of each event's item with `item`, (T,); NaN where one of them is not known."""
    own, other = np.asarray(vectors[item], np.float64), np.asarray(vectors[items], np.float64)
    known = (other != 0).any(axis=1) & bool((own != 0).any())
    return np.where(known, other @ own, np.nan)

"""How well a next-item model ranks: every target among all items, in blocks of users, with intervals over users.

    HR@k = P(rank <= k)     NDCG@k = E[1 / log2(rank + 1); rank <= k]     MRR@k = E[1 / rank; rank <= k]

with one target per user. Where scores tie, the expectation over all orders of the tied items is taken, so that a model
that gives everything the same score gets what chance gets (as by mid-rank; McSherry & Najork, ECIR 2008). No sampled
negatives: Krichene & Rendle (KDD 2020) show that they rank models wrongly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from crosslens.data import RESERVED_IDS, Float32Array, Float64Array, Int32Array, Int64Array
from crosslens.errors import DataError, PluginError
from crosslens.runs import Metric
from crosslens.sequences import HeldOut, SequenceDataset

from ..formats import counted
from ..metrics import RESAMPLES, normal_tail, resample, wilson
from ..quality import PairedComparison
from .values import GroupQuality, RankingQuality, Ranks

BLOCK_BYTES = 64 << 20
"""Room for the scores of one block of users: 4 bytes times users times items."""
MOST_USERS_AT_ONCE = 2_048
FEW_USERS = 50
_STRETCHES = 8
_CROWD = 8
"""A row in which more than this many times k items may be among the k best is looked at by itself."""
_MOST_UNITS = 20_000
_LENGTHS = (1, 3, 6, 11, 21, 51)


class Scorer(Protocol):
    """The part of a next-item model that ranking needs."""

    def score(self, histories: SequenceDataset) -> Float32Array:
        """Return scores (U, I)."""


def block_scores(
    model: Scorer,
    histories: SequenceDataset,
    *,
    exclude_seen: bool,
    check: Callable[[], None] = lambda: None,
    most: int = MOST_USERS_AT_ONCE,
) -> Iterator[tuple[slice, Float32Array]]:
    """Yield blocks of users with their scores (n, I), -inf at what is no candidate; the arrays may be written to.

    PluginError if the scores are not what they should be, DataError if they are not numbers.
    """
    size = histories.catalogue.size
    step = int(np.clip(BLOCK_BYTES // (4 * size), 1, most))
    for start in range(0, len(histories), step):
        check()
        block = histories.take(slice(start, start + step))
        scores = np.array(model.score(block), np.float32)
        if scores.shape != (len(block), size):
            raise PluginError(
                "The model gave scores of a wrong shape.",
                why=f"They are {scores.shape}, and ({len(block)}, {size}) were expected.",
                do="Report this to the author of its plugin.",
            )
        if not scores.max(initial=-np.inf) < np.inf:  # NaN is not less than anything
            raise DataError(
                "The model gives scores that are not numbers.",
                why="Its training has probably diverged.",
                do="Train again with a smaller learning rate.",
            )
        scores[:, :RESERVED_IDS] = -np.inf
        if exclude_seen:
            scores[np.repeat(np.arange(len(block)), block.lengths), block.items] = -np.inf
        yield slice(start, start + len(block)), scores


def rank_targets(
    model: Scorer,
    held: HeldOut,
    *,
    exclude_seen: bool,
    top: int,
    progress: Callable[[float], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> Ranks:
    """Return where the targets stand, and the `top` best candidates of every user."""
    users = len(held.targets)
    better, equal = np.empty(users, np.int64), np.empty(users, np.int64)
    best, best_scores = np.zeros((users, top), np.int32), np.zeros((users, top), np.float32)
    for rows, scores in block_scores(model, held.histories, exclude_seen=exclude_seen, check=check):
        better[rows], equal[rows] = standing(scores, held.targets[rows])
        best[rows], best_scores[rows] = top_items(scores, top)
        progress(rows.stop / users)
    return Ranks(better, equal, best, best_scores)


def standing(scores: Float32Array, targets: Int32Array) -> tuple[Int64Array, Int64Array]:
    """Return how many candidates of (n, I) score higher than, and how many others the same as the targets (n,).

    Both are -1 for a target that is no candidate.
    """
    own = scores[np.arange(len(scores)), targets][:, None]
    better = np.count_nonzero(scores > own, axis=1)
    equal = np.count_nonzero(scores == own, axis=1) - 1
    missing = np.isneginf(own[:, 0])
    return np.where(missing, -1, better), np.where(missing, -1, equal)


def top_items(scores: Float32Array, k: int) -> tuple[Int32Array, Float32Array]:
    """Return the k best candidates (n, k) of scores (n, I), best first, and their scores; 0 where there are fewer.

    Equal scores stand in the order of ids.
    """
    users, size = scores.shape
    found, values = np.zeros((users, k), np.int32), np.zeros((users, k), np.float32)
    above = scores >= _floor(scores, min(k, size))[:, None]
    crowded = np.flatnonzero(np.count_nonzero(above, axis=1) > _CROWD * k)
    above[crowded] = False
    rows, items = np.divmod(np.flatnonzero(above), size)
    _fill(found, values, rows, items, scores[rows, items])
    for row in crowded:
        chosen = _best_of_crowd(scores[row], min(k, size))
        _fill(found, values, np.full(len(chosen), row), chosen, scores[row, chosen])
    return found, values


def _floor(scores: Float32Array, k: int) -> Float32Array:
    """Return, per row, a score that at least k entries reach and all of the k best do, (n,).

    The k-th best of the maxima of stretches, which costs a third of sorting out the k best of all.
    """
    users, size = scores.shape
    width = size // (_STRETCHES * k)
    if width < 2:
        return np.asarray(np.partition(scores, size - k, axis=1)[:, size - k])
    stretches = size // width
    maxima = scores[:, : stretches * width].reshape(users, stretches, width).max(axis=2)
    return np.asarray(np.partition(maxima, stretches - k, axis=1)[:, stretches - k])


def _fill(found: Int32Array, values: Float32Array, rows: Int64Array, items: Int64Array, own: Float32Array) -> None:
    """Put scored items into their rows, best first, as many as there is room for; -inf is no candidate."""
    order = np.lexsort((items, -own, rows))
    order = order[~np.isneginf(own[order])]
    rows, items, own = rows[order], items[order], own[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = places < found.shape[1]
    found[rows[kept], places[kept]], values[rows[kept], places[kept]] = items[kept], own[kept]


def _best_of_crowd(scores: Float32Array, k: int) -> Int64Array:
    """Return k of the best entries of one row (I,) where many tie for the last places: those with the smallest ids."""
    worst = np.partition(scores, len(scores) - k)[len(scores) - k]
    better, equal = np.flatnonzero(scores > worst), np.flatnonzero(scores == worst)
    return np.concatenate((better, equal))[:k]


def gains(ranks: Ranks, at: Sequence[int]) -> dict[str, Float64Array]:
    """Return hr@k, ndcg@k and mrr@k of every user, each (U,): expectations over the orders of tied items."""
    most = max(at)
    places = np.arange(1, most + 1)
    shares = {"hr": np.ones(most), "ndcg": 1 / np.log2(places + 1), "mrr": 1 / places}
    first, ties = np.maximum(ranks.better, 0), np.maximum(ranks.equal, 0) + 1
    found: dict[str, Float64Array] = {}
    for name, share in shares.items():
        reached = np.concatenate(([0.0], np.cumsum(share)))
        for k in at:
            inside = reached[np.minimum(first + ties, k)] - reached[np.minimum(first, k)]
            found[f"{name}@{k}"] = np.where(ranks.better < 0, 0.0, inside / ties)
    return found


def measure(
    ranks: Ranks,
    held: HeldOut,
    train: SequenceDataset,
    *,
    at: Sequence[int],
    exclude_seen: bool,
    seed: int = 0,
) -> RankingQuality:
    """Return the metrics of ranked targets, over all users and by groups of them."""
    every = gains(ranks, at)
    headline = headline_of(at)
    grouped = [name for name in every if name.endswith(f"@{headline}")]
    repeats = int(repeated(held).sum())

    def of(users: Int64Array, names: Sequence[str]) -> tuple[Metric, ...]:
        return mean_metrics({name: every[name][users] for name in names}, seed=seed)

    everybody = np.arange(len(ranks))
    return RankingQuality(
        users=len(ranks),
        items=held.histories.catalogue.size - RESERVED_IDS,
        at=tuple(at),
        headline=headline,
        exclude_seen=exclude_seen,
        repeats=repeats,
        metrics=of(everybody, list(every)),
        by_length=tuple(_group(name, users, of(users, grouped)) for name, users in by_length(held)),
        by_popularity=tuple(_group(name, users, of(users, grouped)) for name, users in by_popularity(held, train)),
        warnings=tuple(_warnings(len(ranks), repeats, exclude_seen)),
    )


def _group(name: str, users: Int64Array, metrics: tuple[Metric, ...]) -> GroupQuality:
    return GroupQuality(name, len(users), metrics)


def headline_of(at: Sequence[int]) -> int:
    """Return the k that stands for all: 10 where it is measured, else the middle one."""
    return 10 if 10 in at else sorted(at)[(len(at) - 1) // 2]


def _warnings(users: int, repeats: int, exclude_seen: bool) -> Iterator[str]:
    if users < FEW_USERS:
        yield f"Only {counted(users, 'user')} to test on: intervals are wide."
    if exclude_seen and repeats:
        share = f"{100 * repeats / users:.0f} %"
        yield (
            f"{counted(repeats, 'held-out item')} ({share}) had been chosen by the same user before: misses, because "
            "seen items are excluded."
        )


def repeated(held: HeldOut) -> Int64Array:
    """Return whether each target is among its user's history, 0 or 1, (U,)."""
    histories = held.histories
    same = histories.items == np.repeat(held.targets, histories.lengths)
    counts = np.concatenate(([0], np.cumsum(same)))
    return np.asarray(counts[histories.offsets[1:]] > counts[histories.offsets[:-1]]).astype(np.int64)


def by_length(held: HeldOut) -> Iterator[tuple[str, Int64Array]]:
    """Yield groups of users by the length of their history, and their places."""
    lengths = held.histories.lengths
    for start, end in zip(_LENGTHS, (*_LENGTHS[1:], None), strict=True):
        users = np.flatnonzero((lengths >= start) & ((lengths < end) if end else True))
        if len(users):
            name = f"{start} or more" if end is None else f"{start} to {end - 1}"
            yield name, users


def by_popularity(held: HeldOut, train: SequenceDataset) -> Iterator[tuple[str, Int64Array]]:
    """Yield groups of users by how often their target occurs in training, and their places.

    The most popular items that make a third of all training events are one group, and so on.
    """
    counts = training_counts(train)
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    third = np.empty(len(counts), np.int64)
    third[order] = np.minimum(3 * before // max(int(counts.sum()), 1), 2)
    own = third[held.targets]
    own[counts[held.targets] == 0] = 3
    for number, name in enumerate(("popular items", "items between", "rare items", "items new since training")):
        users = np.flatnonzero(own == number)
        if len(users):
            yield name, users


def training_counts(train: SequenceDataset) -> Int64Array:
    """Return how often each id occurs in training, (I,); 0 for the reserved ones."""
    counts = np.bincount(train.items, minlength=train.catalogue.size).astype(np.int64)
    counts[:RESERVED_IDS] = 0
    return counts


def mean_metrics(values: dict[str, Float64Array], *, seed: int = 0) -> tuple[Metric, ...]:
    """Return the mean of each array (U,) with its 95 % interval, by a Poisson bootstrap over users."""
    names = list(values)
    table = np.stack([values[name] for name in names], axis=1) if names else np.zeros((0, 0))
    users = len(table)
    means = table.mean(axis=0) if users else np.zeros(len(names))
    low, high = _interval(table, seed)
    hits = {name: round(float(values[name].sum())) for name in names if name.startswith("hr@")}
    return tuple(
        Metric(name, float(mean), float(a), float(b), users, hits.get("hr@" + name.partition("@")[2], 0))
        for name, mean, a, b in zip(names, means, low, high, strict=True)
    )


def _interval(table: Float64Array, seed: int) -> tuple[Float64Array, Float64Array]:
    """Return the ends (M,) of the intervals of means of (U, M).

    Where all users are alike nothing can be resampled: there Wilson's bound of as many misses (or hits).
    """
    users = len(table)
    if not users:
        return np.zeros(table.shape[1]), np.ones(table.shape[1])
    low, high = np.quantile(_resampled_means(table, seed), (0.025, 0.975), axis=0)
    means = table.mean(axis=0)
    low, high = np.minimum(low, means), np.maximum(high, means)
    alike = table.max(axis=0) - table.min(axis=0) <= 0
    low[alike & (means > 0)] = np.minimum(low, means * wilson(users, users)[0])[alike & (means > 0)]
    high[alike & (means == 0)] = wilson(0, users)[1]
    return low, high


def _resampled_means(table: Float64Array, seed: int) -> Float64Array:
    """Return the means of every resample, (R, M); many users are resampled in random groups: the same variance."""
    users = len(table)
    sums, counts = table, np.ones(users)
    if users > _MOST_UNITS:
        group = np.random.default_rng(seed).permutation(users) % _MOST_UNITS
        counts = np.bincount(group).astype(np.float64)
        sums = np.stack([np.bincount(group, weights=column) for column in table.T], axis=1)
    weights = resample(len(counts), seed=seed, resamples=RESAMPLES)
    totals = weights @ counts
    drawn = totals > 0
    return np.asarray((weights[drawn] @ sums) / totals[drawn, None])


def compare_ranks(first: Ranks, second: Ranks, *, k: int, metric: str = "ndcg", seed: int = 0) -> PairedComparison:
    """Compare two models on the same users: the mean difference of a metric with its interval over users."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} users: these are not the same")
    name = f"{metric}@{k}"
    a, b = gains(first, (k,))[name], gains(second, (k,))[name]
    difference = a - b
    low, high = np.quantile(_resampled_means(difference[:, None], seed), (0.025, 0.975))
    mean = float(difference.mean())
    error = float(difference.std()) / math.sqrt(len(difference))
    p_value = 2 * normal_tail(abs(mean) / error) if error > 0 else 1.0
    return PairedComparison(
        metric=name,
        first=float(a.mean()),
        second=float(b.mean()),
        difference=mean,
        low=min(float(low), mean),
        high=max(float(high), mean),
        p_value=p_value,
        rows=len(difference),
    )

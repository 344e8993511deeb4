"""What is measured of recommendations, as values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosslens.data import Float32Array, Float64Array, Int32Array, Int64Array
from crosslens.runs import Metric


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """Where the targets of U users stand among all candidates, and what is recommended instead.

    `better` (U,) candidates score higher than the target, `equal` (U,) others score the same: with ties broken at
    random its rank is better + 1 up to better + 1 + equal, each as likely. A target that is no candidate (already had,
    or unknown) has -1. `top` (U, k) int32 and `scores` (U, k) are the best candidates; 0 where there are fewer.
    """

    better: Int64Array
    equal: Int64Array
    top: Int32Array
    scores: Float32Array

    def __len__(self) -> int:
        return len(self.better)

    @property
    def middle(self) -> Float64Array:
        """Return the mid-rank of every target, (U,); NaN where it is no candidate."""
        return np.where(self.better < 0, np.nan, self.better + 1 + self.equal / 2)


@dataclass(frozen=True, slots=True)
class GroupQuality:
    """The same metrics on some of the users."""

    name: str
    users: int
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class ListQuality:
    """What lists of `k` are like, whether right or wrong.

    coverage   share of all items that somebody is recommended
    gini       how unequally items are recommended: 0 all alike, 1 one item to everybody
    novelty    mean bits of surprise: -log2 of the item's share of training events
    diversity  mean of 1 - cosine between the vectors of two items of a list; None without vectors
    vectors    where these vectors come from
    """

    k: int
    coverage: float
    gini: float
    novelty: float
    diversity: float | None = None
    vectors: str = ""


@dataclass(frozen=True, slots=True)
class RankingQuality:
    """Everything measured about one model on the held-out items of one part of the data.

    `metrics` are hr@k, ndcg@k and mrr@k over `users`, each target ranked among all `items`. `headline` is the k of the
    groups and the list. `repeats` are targets their user has had before: misses where seen items are excluded.
    """

    users: int
    items: int
    at: tuple[int, ...]
    headline: int
    exclude_seen: bool
    repeats: int
    metrics: tuple[Metric, ...]
    by_length: tuple[GroupQuality, ...] = ()
    by_popularity: tuple[GroupQuality, ...] = ()
    lists: ListQuality | None = None
    warnings: tuple[str, ...] = ()

    def metric(self, name: str) -> Metric:
        """Return the metric of that name; KeyError if it was not measured."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class SequenceFacts:
    """What a next-item run was made of.

    `rows` of the snapshot, `events` of those that count, `left_out` rows without user, item or time. `of_clicks`:
    only clicked rows are events. `text_fields` say something of the items in words; `title` is the column of names.
    `items_file` is where they are kept, beside the sequences. `times_are_moments`: not plain numbers.
    """

    rows: int
    events: int
    users: int
    items: int
    trained_users: int
    trained_events: int
    validation_users: int
    test_users: int
    left_out: int
    of_clicks: bool
    title: str = ""
    text_fields: tuple[str, ...] = ()
    items_file: str = ""
    times_are_moments: bool = True


BoolArray = NDArray[np.bool_]

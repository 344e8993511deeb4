"""Which events train a next-item model, which choose its epoch, and which test it.

leave-one-out  the last item of every user is the test, the one before validates, the rest trains
time           everything before a moment trains; the first item a user chose in the stretch after it validates, and
               the first one after a second moment is the test

Histories hold all that came before the target, so a test history may hold a validation target; no training sequence
holds either. Users with too short a history only train (leave-one-out), or are not asked about (by time).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosslens.data import Int64Array
from crosslens.errors import DataError
from crosslens.sequences import HeldOut, SequenceDataset, SequenceTrainingData

from ..recipe import NextItemSplit, SplitSpec


@dataclass(frozen=True, slots=True, eq=False)
class SequenceSplit:
    """Training sequences and held-out items. `test_users` (U,) are the places of the test users in all sequences."""

    training: SequenceTrainingData
    test: HeldOut
    test_users: Int64Array


def split_sequences(data: SequenceDataset, method: NextItemSplit, shares: SplitSpec) -> SequenceSplit:
    """Part sequences whose times ascend; `shares` say how many of the events by time validate and test.

    DataError if nobody is left to test on, or nothing to train on.
    """
    if not len(data.items):
        raise DataError("There are no sequences to part.", do="Read more rows, or ask for fewer events per user.")
    found = _by_time(data, shares) if method is NextItemSplit.TIME else _leave_one_out(data)
    if not len(found.test.histories):
        raise DataError(
            "There is no user to test on.",
            why="Nobody has an item after another one"
            + (" on both sides of the moment that parts them." if method is NextItemSplit.TIME else "."),
            do="Read more rows, ask for fewer events per user, or split the other way.",
        )
    if not len(found.training.train.items):
        raise DataError(
            "No event is left to train on.",
            why="All events are held out for validation and test.",
            do="Read more rows, or hold out a smaller share.",
        )
    return found


def _leave_one_out(data: SequenceDataset) -> SequenceSplit:
    lengths, ends = data.lengths, data.offsets[1:]
    tested, validated = np.flatnonzero(lengths >= 2), np.flatnonzero(lengths >= 3)
    trained = np.where(lengths >= 3, lengths - 2, np.minimum(lengths, 1))
    return SequenceSplit(
        training=SequenceTrainingData(
            train=_occupied(_prefixes(data, np.arange(len(data)), trained)),
            validation=HeldOut(
                _prefixes(data, validated, lengths[validated] - 2), np.asarray(data.items[ends[validated] - 2])
            ),
        ),
        test=HeldOut(_prefixes(data, tested, lengths[tested] - 1), np.asarray(data.items[ends[tested] - 1])),
        test_users=tested,
    )


def _by_time(data: SequenceDataset, shares: SplitSpec) -> SequenceSplit:
    if data.times is None:
        raise DataError("A split by time needs times.", do="Choose a time column, or leave one out.")
    checked, tested = _moments(np.asarray(data.times), shares)
    before_check, before_test = _before(data, checked), _before(data, tested)
    lengths = data.lengths
    test_users = np.flatnonzero((before_test > 0) & (before_test < lengths))
    check_users = np.flatnonzero((before_check > 0) & (before_check < before_test))
    return SequenceSplit(
        training=SequenceTrainingData(
            train=_occupied(_prefixes(data, np.arange(len(data)), before_check)),
            validation=_first_after(data, check_users, before_check),
        ),
        test=_first_after(data, test_users, before_test),
        test_users=test_users,
    )


def _moments(times: Int64Array, shares: SplitSpec) -> tuple[float, float]:
    """Return the times from which on events validate and test: at most the asked shares of all events each."""
    ordered = np.sort(times)
    last = len(ordered) - 1
    tested = ordered[min(last, int(np.floor(len(ordered) * (1 - shares.test))))]
    checked = ordered[min(last, int(np.floor(len(ordered) * (1 - shares.test - shares.validation))))]
    if ordered[0] == ordered[-1]:
        raise DataError(
            "All events happened at the same time, so no moment parts them.",
            do="Choose another time column, or split by leaving one out.",
        )
    if checked == ordered[0]:
        raise DataError(
            "No event is left to train on.",
            why="Most events happened at the very first time, and validation and test begin there.",
            do="Choose another time column, hold out smaller shares, or split by leaving one out.",
        )
    return checked, tested


def _before(data: SequenceDataset, moment: float) -> Int64Array:
    """Return how many events each user had before a moment, (U,)."""
    assert data.times is not None, "a split by time has times"
    counts = np.concatenate(([0], np.cumsum(np.asarray(data.times) < moment)))
    return np.asarray(counts[data.offsets[1:]] - counts[data.offsets[:-1]])


def _first_after(data: SequenceDataset, users: Int64Array, lengths: Int64Array) -> HeldOut:
    """Return, for some users, their first `lengths` events as history and the event behind them as target."""
    kept = lengths[users]
    return HeldOut(_prefixes(data, users, kept), np.asarray(data.items[data.offsets[users] + kept]))


def _prefixes(data: SequenceDataset, users: Int64Array, lengths: Int64Array) -> SequenceDataset:
    """Return the first `lengths` (U,) events of some users."""
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    events = np.repeat(data.offsets[users] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return SequenceDataset(
        catalogue=data.catalogue,
        offsets=offsets,
        items=np.asarray(data.items[events]),
        times=None if data.times is None else np.asarray(data.times[events]),
        users=None if data.users is None else np.asarray(data.users[users]),
    )


def _occupied(data: SequenceDataset) -> SequenceDataset:
    """Return the users who have an event."""
    occupied = np.flatnonzero(data.lengths > 0)
    return data if len(occupied) == len(data) else data.take(occupied)

"""Sequences with a known pattern for tests: items follow each other round circles, some are liked more than others."""

from __future__ import annotations

import numpy as np

from crosslens.data import RESERVED_IDS, Float32Array
from crosslens.sequences import Catalogue, HeldOut, SequenceDataset, SequenceTrainingData, TextEncoders

_CIRCLE = 6  # items that follow each other


def sequences(catalogue: Catalogue, histories: list[list[int]]) -> SequenceDataset:
    """Return a dataset of the given item ids per user, oldest first; read-only, as the app's are."""
    lengths = [len(history) for history in histories]
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int64)
    items = np.array([item for history in histories for item in history], np.int32)
    times = np.concatenate([np.arange(length) for length in lengths] or [np.zeros(0, np.int64)])
    users = np.arange(len(histories), dtype=np.int64)
    for array in (offsets, items, times, users):
        array.flags.writeable = False
    return SequenceDataset(catalogue, offsets, items, times, users)


def small_catalogue(items: int, *, texts: bool = True) -> Catalogue:
    """Return items named by their circle, the two reserved ids before them."""
    names = [f"circle {number // _CIRCLE} item {number}" for number in range(items)]
    titles = ("", "", *names)
    return Catalogue(items + RESERVED_IDS, titles, titles if texts else ())


def planted_sequences(
    users: int = 300, items: int = 30, *, seed: int = 0, length: int = 12, noise: float = 0.2
) -> list[list[int]]:
    """Return histories of 2 to `length` items: the next of the circle, or with probability `noise` a liked item."""
    random = np.random.default_rng(seed)
    shares = 1.0 / np.arange(1, items + 1)
    shares /= shares.sum()
    histories = []
    for _ in range(users):
        item = int(random.integers(items))
        history = [item]
        for _ in range(int(random.integers(1, length))):
            if random.random() < noise:
                item = int(random.choice(items, p=shares))
            else:
                start = item - item % _CIRCLE
                item = start + (item + 1 - start) % min(_CIRCLE, items - start)
            history.append(item)
        histories.append([item + RESERVED_IDS for item in history])
    return histories


def planted_training(
    users: int = 300, items: int = 30, *, seed: int = 0, noise: float = 0.2, texts: bool = True
) -> SequenceTrainingData:
    """Return planted sequences with everybody's last item held out for validation."""
    catalogue = small_catalogue(items, texts=texts)
    histories = planted_sequences(users, items, seed=seed, noise=noise)
    return leave_last_out(catalogue, histories)


def leave_last_out(catalogue: Catalogue, histories: list[list[int]]) -> SequenceTrainingData:
    """Return training data; users of a single event have nobody to validate on."""
    train = sequences(catalogue, [history[:-1] if len(history) > 1 else history for history in histories])
    longer = [history for history in histories if len(history) > 1]
    targets = np.array([history[-1] for history in longer], np.int32)
    targets.flags.writeable = False
    return SequenceTrainingData(train, HeldOut(sequences(catalogue, [history[:-1] for history in longer]), targets))


def circle_vectors(encoder: str, parameters: dict[str, object], train: SequenceDataset) -> Float32Array:
    """Return vectors in which the items of a circle are alike, float32 (I, D): a text encoder for tests."""
    items = np.arange(train.catalogue.size - RESERVED_IDS)
    vectors = np.zeros((train.catalogue.size, int(items.max(initial=0)) // _CIRCLE + 1), np.float32)
    vectors[RESERVED_IDS + items, items // _CIRCLE] = 1.0
    return vectors


def planted_encoders() -> TextEncoders:
    """Return encoders to lend in a FitContext, all of them `circle_vectors`."""
    return TextEncoders(ids=("tfidf-svd", "collaborative-svd"), encode=circle_vectors)

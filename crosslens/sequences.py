"""What a next-item model trains on: the items every user chose, in order of time.

Axes: U users, E events, I item ids (the two reserved ones included).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .data import RESERVED_IDS, Float32Array, Int32Array, Int64Array
from .errors import DataError

if TYPE_CHECKING:
    from .models import FitContext


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """The items there are, by id; ids 0 (padding) and 1 (unknown) are no items.

    size    I: how many ids there are, the two reserved ones included
    titles  (I,) what a person calls each item; "" for the reserved ones
    texts   (I,) what is known of each item in words (title, categories, description); "" where nothing is
    """

    size: int
    titles: Sequence[str] = ()
    texts: Sequence[str] = ()

    @property
    def has_text(self) -> bool:
        """Whether any item is described in words."""
        return any(self.texts)


@dataclass(frozen=True, slots=True, eq=False)
class SequenceDataset:
    """Item ids per user, oldest first, as one array with offsets. Read-only; may be memory-mapped.

    offsets  int64 (U + 1,)  the events of user u are offsets[u] up to offsets[u + 1]
    items    int32 (E,)      item ids: 2 .. I - 1, or 1 where the item is not in the catalogue
    times    (E,) int64 or float64, ascending within a user, or None
    users    int64 (U,) keys that stay the same between parts of the data, or None
    """

    catalogue: Catalogue
    offsets: Int64Array
    items: Int32Array
    times: NDArray[Any] | None = None
    users: Int64Array | None = None

    def __post_init__(self) -> None:
        if len(self.offsets) == 0 or self.offsets[0] != 0 or self.offsets[-1] != len(self.items):
            raise ValueError(f"offsets must lead from 0 to {len(self.items)}")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64Array:
        """Return how many events each user has, (U,)."""
        return np.diff(self.offsets)

    def of(self, user: int) -> Int32Array:
        """Return the items of one user, oldest first."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def take(self, users: slice | Int64Array) -> SequenceDataset:
        """Return some users, in the given order."""
        chosen = np.arange(len(self))[users]
        lengths = self.lengths[chosen]
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        events = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return SequenceDataset(
            catalogue=self.catalogue,
            offsets=offsets,
            items=self.items[events],
            times=None if self.times is None else self.times[events],
            users=None if self.users is None else self.users[chosen],
        )

    def last(self, length: int) -> Int32Array:
        """Return the last `length` items of every user, (U, length), padded with 0 on the left."""
        padded = np.zeros((len(self), length), np.int32)
        places = self.offsets[1:, None] - np.arange(length, 0, -1)  # (U, length)
        inside = places >= self.offsets[:-1, None]
        padded[inside] = self.items[places[inside]]
        return padded


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Histories and the item each user chose next, (U,) int32: what a model is asked to rank."""

    histories: SequenceDataset
    targets: Int32Array


@dataclass(frozen=True, slots=True, eq=False)
class SequenceTrainingData:
    """What a next-item model gets. Validation chooses the epoch; held-out targets are never events of `train`."""

    train: SequenceDataset
    validation: HeldOut

    @property
    def catalogue(self) -> Catalogue:
        """Return the items."""
        return self.train.catalogue


class NextItemModel(Protocol):
    """A trained next-item model."""

    @property
    def catalogue(self) -> Catalogue:
        """Return the items it ranks; titles and texts may be empty after loading."""

    def score(self, histories: SequenceDataset) -> Float32Array:
        """Return a score for every item as the next one, float32 (U, I); -inf at the reserved ids. Deterministic.

        A user without a history gets scores too. The caller keeps U small enough for memory.
        """

    def save(self, folder: Path) -> None:
        """Write everything `ModelSpec.load` needs into an empty folder. No pickle."""


class NextItemEstimator(Protocol):
    """A next-item model before training."""

    def fit(self, data: SequenceTrainingData, context: FitContext) -> NextItemModel:
        """Train and return the best state by the validation targets. Same seed and threads: same numbers on a CPU."""


class TextEncoder(Protocol):
    """Makes a vector of every item from its text, from what users chose together, or both."""

    def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
        """Return a vector per item, float32 (I, D), rows of length 1, or 0 where nothing is known of the item.

        `train.catalogue.texts` are the texts; only these sequences may be looked at.
        """


@dataclass(frozen=True, slots=True)
class EncodeContext:
    """What the app lends a text encoder while it works."""

    seed: int = 0
    threads: int = 1
    progress: Callable[[float], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class TextEncoderSpec:
    """A text encoder as plugins register it; importing it must be cheap.

    `parameters` is a frozen dataclass as for models; `build(parameters)` makes the encoder. `needs_text`: it has
    nothing to say about items without words. `uses_sequences`: False where vectors depend on the texts alone, so that
    they are kept whatever the split. `extras` names what must be installed for it ("crosslens[text]").
    """

    id: str
    title: str
    summary: str
    parameters: type[Any]
    build: Callable[[Any], TextEncoder]
    needs_text: bool = True
    uses_sequences: bool = True
    version: str = "1"
    extras: str = ""


def _no_encoder(encoder: str, _: dict[str, Any], __: SequenceDataset) -> Float32Array:
    raise DataError(f"There is no text encoder {encoder}.", do="Choose another encoder.")


@dataclass(frozen=True, slots=True)
class TextEncoders:
    """Vectors of items by encoder id, as the app lends them to models: built, checked and kept by the app.

    `encode(id, parameters, train)` returns float32 (I, D); DataError says why there is none.
    """

    ids: Collection[str] = ()
    encode: Callable[[str, dict[str, Any], SequenceDataset], Float32Array] = _no_encoder


def empty_scores(users: int, size: int) -> Float32Array:
    """Return scores (U, I) of 0 with -inf at the reserved ids: what a model fills in."""
    scores = np.zeros((users, size), np.float32)
    scores[:, :RESERVED_IDS] = -np.inf
    return scores

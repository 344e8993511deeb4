"""Which items and which users are alike: vectors of items, vectors of users, and exact nearest neighbours in blocks.

    u = sum_t 2^(-(n - t) / half_life) v_{i_t}, made length 1          a user is what they had, the latest most
    alike(a) = the k others with the highest cosine

Only training events are looked at, so nothing that validation or test holds out can be found through them. Nobody is
their own neighbour, and neither padding nor items that no training event names are anybody's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import torch

from crosslens import RESERVED_IDS, DataError, FitContext, ParameterError, SequenceDataset, Stopped
from crosslens.data import Float32Array, Int32Array, Int64Array

from ..next_item.histories import item_counts
from . import SraClParameters

_WITHOUT_TEXT = "collaborative-svd"
_BLOCK = 1 << 22  # similarities, or numbers of event vectors, in memory at a time
_MOST_PAIRS = 1 << 32  # compared for one table of neighbours: about half a minute
_FEWEST_CANDIDATES = 1024
_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Semantics:
    """What SRA-CL looks up.

    user_vectors float32 (U, D)  rows of length 1, or 0 for users of whom nothing is known
    users int32 (U, k)           users alike, -1 behind the last one
    items int32 (I, k)           items alike, -1 behind the last one
    notes                        sentences about what was left out
    """

    user_vectors: Float32Array
    users: Int32Array
    items: Int32Array
    notes: tuple[str, ...]


def look_up(parameters: SraClParameters, train: SequenceDataset, context: FitContext) -> Semantics:
    """Ask the text encoder for item vectors and find neighbours; DataError if there are none, Stopped if told to."""
    vectors, notes = item_vectors(parameters, train, context)
    trained = item_counts(train) > 0
    known = np.any(vectors != 0, axis=1)
    known[:RESERVED_IDS] = False
    if not (known & trained).any():
        raise DataError(
            f"The text encoder {parameters.encoder} knows nothing of any item in the training events.",
            why="No item has a text it can read.",
            do="Give the items a title or a description, or choose the encoder collaborative-svd.",
        )
    user_vectors = mean_vectors(vectors, train, parameters.half_life)
    known_users = np.any(user_vectors != 0, axis=1)
    items, most_items = nearest(vectors, known, known & trained, parameters.neighbours, context)
    users, most_users = nearest(user_vectors, known_users, known_users, parameters.neighbours, context)
    for name, found, count in (("item", most_items, known & trained), ("user", most_users, known_users)):
        if found < count.sum():
            notes += (f"Neighbours of {name}s were sought among {found} of {count.sum()}, drawn at random.",)
    left_out = int((trained & ~known).sum())
    if left_out:
        notes += (f"{left_out} items have no vector: they are never replaced by an item alike.",)
    return Semantics(user_vectors, users, items, notes)


def item_vectors(
    parameters: SraClParameters, train: SequenceDataset, context: FitContext
) -> tuple[Float32Array, tuple[str, ...]]:
    """Return the encoder's vectors float32 (I, D) and notes; DataError if it gives none of that shape."""
    encoder, notes = parameters.encoder, tuple[str, ...]()
    options = encoder_options(parameters)
    if not train.catalogue.has_text and _WITHOUT_TEXT in context.text_encoders.ids and encoder != _WITHOUT_TEXT:
        notes = (f"No item has a text, so items are alike by who had them ({_WITHOUT_TEXT}).",)
        encoder, options = _WITHOUT_TEXT, {}
    vectors = np.asarray(context.text_encoders.encode(encoder, options, train), np.float32)
    if vectors.ndim != 2 or len(vectors) != train.catalogue.size or not np.isfinite(vectors).all():
        raise DataError(
            f"The text encoder {encoder} gave vectors that cannot be used.",
            why=f"They have shape {vectors.shape}, or are not all numbers; {train.catalogue.size} rows are needed.",
            do="Choose another text encoder.",
        )
    return vectors, notes


def encoder_options(parameters: SraClParameters) -> dict[str, object]:
    """Return what the encoder is asked with; ParameterError if the options are no JSON object."""
    folder = {"folder": parameters.encoder_folder} if parameters.encoder_folder else {}
    if not parameters.encoder_options.strip():
        return dict(folder)
    try:
        options = json.loads(parameters.encoder_options)
        if not isinstance(options, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise ParameterError(
            "The encoder options are not a JSON object.",
            why=str(error),
            do='Write them like {"width": 128}.',
            parameter="encoder_options",
            value=parameters.encoder_options,
        ) from error
    return {**folder, **options}


def mean_vectors(vectors: Float32Array, train: SequenceDataset, half_life: float) -> Float32Array:
    """Return a vector of each user, float32 (U, D): the mean of their items', the latest most; length 1, or 0."""
    found = np.zeros((len(train), vectors.shape[1]), np.float32)
    users_with_events = np.flatnonzero(train.lengths)
    events = max(1, _BLOCK // vectors.shape[1])
    for users in _of_about(users_with_events, train.lengths, events):
        part = train.take(users)
        age = np.repeat(part.offsets[1:], part.lengths) - np.arange(len(part.items)) - 1
        weighted = vectors[part.items] * np.exp2(-age / half_life).astype(np.float32)[:, None]
        found[users] = np.add.reduceat(weighted, part.offsets[:-1], axis=0)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    found[lengths[:, 0] <= _TINY] = 0
    np.divide(found, lengths, out=found, where=lengths > _TINY)
    return found


def _of_about(users: Int64Array, lengths: Int64Array, events: int) -> list[Int64Array]:
    """Return the users in groups of about so many events."""
    group = np.cumsum(lengths[users]) // events
    return np.split(users, np.flatnonzero(np.diff(group)) + 1) if len(users) else []


def nearest(
    vectors: Float32Array,
    asks: np.ndarray,
    answers: np.ndarray,
    count: int,
    context: FitContext,
    *,
    most_pairs: int = _MOST_PAIRS,
) -> tuple[Int32Array, int]:
    """Return the `count` others most alike by cosine for each row that `asks` (N,), among those that `answers` (N,).

    int32 (N, count), most alike first, -1 behind the last; and among how many was sought: all of them, exactly, unless
    that takes more than `most_pairs` comparisons; then among a sample, the same for the same seed. Vectors have length
    1. Memory stays bounded: similarities are made and dropped block by block. Stopped if told to stop.
    """
    found = np.full((len(vectors), count), -1, np.int32)
    candidates, asking = np.flatnonzero(answers), np.flatnonzero(asks)
    affordable = max(_FEWEST_CANDIDATES, most_pairs // max(len(asking), 1))
    if len(candidates) > affordable:
        candidates = np.sort(np.random.default_rng(context.seed).choice(candidates, affordable, replace=False))
    kept = min(count, len(candidates))
    if not kept:
        return found, 0
    device = torch.device(context.device)
    table = torch.from_numpy(vectors[candidates]).to(device).T.contiguous()  # (D, C)
    rows = max(1, _BLOCK // len(candidates))
    for start in range(0, len(asking), rows):
        if context.should_stop():
            raise Stopped
        block = asking[start : start + rows]
        found[block, :kept] = _nearest(vectors[block], block, table, candidates, kept)
    return found, len(candidates)


def _nearest(
    vectors: Float32Array, own: Int64Array, table: torch.Tensor, candidates: Int64Array, kept: int
) -> Int32Array:
    similar = torch.from_numpy(vectors).to(table.device) @ table  # (B, C)
    places = np.minimum(np.searchsorted(candidates, own), len(candidates) - 1)
    rows = np.flatnonzero(candidates[places] == own)
    similar[torch.from_numpy(rows).to(table.device), torch.from_numpy(places[rows]).to(table.device)] = -torch.inf
    values, best = similar.topk(kept, dim=1)
    ids = candidates[best.cpu().numpy()]
    return np.where(values.cpu().numpy() > -np.inf, ids, -1).astype(np.int32)

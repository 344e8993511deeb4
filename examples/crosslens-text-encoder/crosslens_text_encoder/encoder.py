"""Items as hashed pieces of words (Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009).

    v[h(p)] += s(p) (1 + log n_p) ( 1 + log( (1 + I) / (1 + I_p) ) )    for every piece p of an item's words

h and s, the place and the sign, come from a checksum of the piece; n_p counts it in the item, I_p the items that have
it. Words are marked at both ends, so that `<run` is a beginning and `ing>` an ending.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosslens import RESERVED_IDS, EncodeContext, SequenceDataset, Stopped

from . import HashedPiecesParameters

_ASK_EVERY = 256  # items


@dataclass(frozen=True, slots=True)
class HashedPieces:
    """The encoder: nothing is learned but how rare pieces are."""

    parameters: HashedPiecesParameters

    def encode(self, train: SequenceDataset, context: EncodeContext) -> NDArray[np.float32]:
        """Return a vector of length 1 per item, float32 (I, D), or 0 without a word. Stopped if told to stop."""
        size = train.catalogue.size
        texts = train.catalogue.texts or [""] * size
        counted = [Counter(self._pieces(texts[item])) for item in _told(range(RESERVED_IDS, size), context, 0.0)]
        having = Counter(piece for pieces in counted for piece in pieces)
        vectors = np.zeros((size, self.parameters.width), np.float32)
        for item in _told(range(RESERVED_IDS, size), context, 0.5):
            vectors[item] = self._vector(counted[item - RESERVED_IDS], having, len(counted))
        context.progress(1.0)
        return vectors

    def _vector(self, pieces: Counter[str], having: Counter[str], items: int) -> NDArray[np.float64]:
        vector = np.zeros(self.parameters.width)
        for piece, count in pieces.items():
            place, sign = _hashed(piece, len(vector))
            # 1 + : a piece that every item has still tells an item with words from one without
            rarity = 1 + math.log((1 + items) / (1 + having[piece])) if self.parameters.rarity else 1.0
            vector[place] += sign * (1 + math.log(count)) * rarity
        length = float(np.linalg.norm(vector))
        return vector / length if length else vector

    def _pieces(self, text: str) -> Iterator[str]:
        shortest, longest = sorted((self.parameters.shortest, self.parameters.longest))
        for word in text.casefold().split():
            marked = f"<{word}>"
            for length in range(min(shortest, len(marked)), min(longest, len(marked)) + 1):
                for start in range(len(marked) - length + 1):
                    yield marked[start : start + length]


def _told(items: Sequence[int], context: EncodeContext, before: float) -> Iterator[int]:
    """Yield the items, saying how far it is (this is one half of the work) and asking whether to stop."""
    for place, item in enumerate(items):
        if place % _ASK_EVERY == 0:
            if context.should_stop():
                raise Stopped
            context.progress(before + 0.5 * place / len(items))
        yield item


def _hashed(piece: str, width: int) -> tuple[int, float]:
    digest = hashlib.blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    return (number >> 1) % width, 1.0 if number & 1 else -1.0

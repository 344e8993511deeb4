"""What the app relies on in every text encoder, as tests to inherit."""

# The name of a test is its sentence.
# ruff: noqa: D102

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from crosslens.data import RESERVED_IDS, Float32Array
from crosslens.errors import DataError, Stopped
from crosslens.parameters import parameters_from_plain
from crosslens.sequences import Catalogue, EncodeContext, SequenceDataset, TextEncoderSpec

from .agreement import agree
from .sequences import planted_sequences, sequences, small_catalogue
from .spec import SpecContract

_ITEMS = 30
_CIRCLE = 6
_STRANGE = (
    "naïve café", "ZWÖLF Größen", "靴 red 日本語", "👟👟", "حذاء", "\x00\x01", "'; drop table \"x\" --", "\ud800",
    " \t\n", "a", "?!", "shoe " * 5_000, "x" * 20_000,
)  # fmt: skip


class TextEncoderContract(SpecContract):
    """Inherit, set `spec`, and pytest runs every promise a text encoder makes to the app.

    parameters  values that differ from the defaults
    module      the module whose import must be cheap; by default the one that holds the parameter class
    """

    spec: ClassVar[TextEncoderSpec]

    @classmethod
    def encode(cls, train: SequenceDataset, context: EncodeContext | None = None) -> Float32Array:
        """Return the vectors of a new encoder."""
        parameters = parameters_from_plain(cls.spec.parameters, cls.parameters)
        return cls.spec.build(parameters).encode(train, context or EncodeContext(seed=1))

    # -- what it answers ----------------------------------------------------------------------------------------------

    def test_every_item_gets_a_vector_and_reserved_ids_get_none(self) -> None:
        vectors = self.encode(_shop())
        _check_vectors(vectors, _shop())
        silent = int((np.linalg.norm(vectors[RESERVED_IDS:], axis=1) == 0).sum())
        assert silent == 0, f"{silent} items that have words have a vector of 0"

    def test_like_items_are_closer_than_others(self) -> None:
        vectors = self.encode(_shop())[RESERVED_IDS:]
        cosines = vectors @ vectors.T
        circles = np.arange(_ITEMS) // _CIRCLE
        alike = circles[:, None] == circles
        others = alike & ~np.eye(_ITEMS, dtype=bool)
        near, far = cosines[others].mean(), cosines[~alike].mean()
        assert near > far, f"items of one circle have cosine {near:.3f} on average, of different circles {far:.3f}"

    def test_the_same_seed_gives_the_same_vectors(self) -> None:
        agree(self.encode(_shop()), self.encode(_shop()), "encoded twice with context.seed = 1, vectors are others")

    def test_encoding_leaves_the_sequences_as_they_were(self) -> None:
        train = _shop()
        before = train.offsets.copy(), train.items.copy(), tuple(train.catalogue.texts)
        self.encode(train)
        agree(train.offsets, before[0], "it writes into the offsets it was given")
        agree(train.items, before[1], "it writes into the items it was given")
        assert tuple(train.catalogue.texts) == before[2], "it writes into the texts it was given"

    def test_vectors_of_an_encoder_that_reads_texts_alone_do_not_depend_on_users(self) -> None:
        if self.spec.uses_sequences:
            pytest.skip("looks at what users chose")
        nobody = sequences(small_catalogue(_ITEMS), [])
        sentence = "the spec says uses_sequences = False, but vectors depend on what users chose"
        agree(self.encode(nobody), self.encode(_shop()), sentence)

    @pytest.mark.parametrize("items", [0, 1, 2])
    def test_a_handful_of_items_is_answered(self, items: int) -> None:
        train = sequences(small_catalogue(items), [[RESERVED_IDS] * 2] if items else [])
        _check_vectors(self.encode(train), train)

    def test_strange_texts_are_answered(self) -> None:
        titles = ("", "", *_STRANGE, "")
        train = sequences(Catalogue(len(titles), titles, titles), [[2, 3, 4], [5, 2]])
        _check_vectors(self.encode(train), train)

    @pytest.mark.parametrize("texts", [(), ("",) * (_ITEMS + RESERVED_IDS)], ids=["no texts", "empty texts"])
    def test_items_without_words_are_answered_or_refused_in_a_sentence(self, texts: tuple[str, ...]) -> None:
        train = sequences(Catalogue(_ITEMS + RESERVED_IDS, texts, texts), planted_sequences(40, _ITEMS))
        try:
            vectors = self.encode(train)
        except DataError as error:
            assert self.spec.needs_text, "an encoder that needs no text answers without it"
            assert error.what.strip(), "the error that refuses it says nothing"
        else:
            _check_vectors(vectors, train)

    # -- how it works -------------------------------------------------------------------------------------------------

    def test_stop_ends_encoding(self) -> None:
        with pytest.raises(Stopped):
            self.encode(_shop(), EncodeContext(seed=1, should_stop=lambda: True))

    def test_progress_goes_from_0_to_1_and_never_back(self) -> None:
        seen: list[float] = []
        self.encode(_shop(), EncodeContext(seed=1, progress=seen.append))
        assert seen, "context.progress was never called"
        assert seen == sorted(seen), f"progress went back: {seen}"
        assert all(0.0 <= share <= 1.0 for share in seen), f"a share is not between 0 and 1: {seen}"


def _shop() -> SequenceDataset:
    return sequences(small_catalogue(_ITEMS), planted_sequences(items=_ITEMS))


def _check_vectors(vectors: Float32Array, train: SequenceDataset) -> None:
    assert vectors.dtype == np.float32, f"vectors are {vectors.dtype}, not float32"
    size = train.catalogue.size
    assert vectors.ndim == 2 and vectors.shape[0] == size and vectors.shape[1], (
        f"vectors have the shape {vectors.shape}, not ({size}, D): a row for every id, 0 and 1 included"
    )
    assert np.isfinite(vectors).all(), "some numbers of the vectors are not finite"
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    assert ((np.abs(lengths - 1) < 1e-3) | (lengths == 0)).all(), "rows have length 1, or 0 where nothing is known"
    assert (lengths[:RESERVED_IDS] == 0).all(), "ids 0 and 1 are no items: their vectors are to be 0"

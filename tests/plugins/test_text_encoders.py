"""Vectors of items from their words and from the users they share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosslens import Catalogue, EncodeContext, Stopped, TextEncoderSpec, parameters_from_plain
from crosslens.data import Float32Array
from crosslens.sequences import SequenceDataset
from crosslens.testing import planted_sequences, sequences, small_catalogue
from plugins.text_encoders import SPECS
from plugins.text_encoders.together import positive_information

_ENCODERS: dict[str, TextEncoderSpec] = {spec.id: spec for spec in SPECS}
_LIBRARY_FREE = ("tfidf-svd", "collaborative-svd", "hybrid")
_TEXTS = ("", "", "red running shoe", "blue running shoe", "garden hose", "long garden hose", "", "?!")


def encode(encoder: str, train: SequenceDataset, **parameters: Any) -> Float32Array:
    spec = _ENCODERS[encoder]
    return spec.build(parameters_from_plain(spec.parameters, parameters)).encode(train, EncodeContext(seed=1))


def described(*texts: str, histories: list[list[int]] | None = None) -> SequenceDataset:
    return sequences(Catalogue(len(texts), texts, texts), histories or [])


@pytest.mark.parametrize("encoder", _LIBRARY_FREE)
def test_vectors_have_length_1_or_0_and_the_reserved_ids_have_none(encoder: str) -> None:
    vectors = encode(encoder, sequences(small_catalogue(30), planted_sequences()))
    lengths = np.linalg.norm(vectors, axis=1)
    assert vectors.dtype == np.float32
    assert vectors.shape[0] == 32
    assert ((np.abs(lengths - 1) < 1e-5) | (lengths == 0)).all()
    assert (lengths[:2] == 0).all()
    assert (lengths[2:] > 0).all()


@pytest.mark.parametrize("encoder", _LIBRARY_FREE)
def test_the_same_seed_gives_the_same_vectors(encoder: str) -> None:
    train = sequences(small_catalogue(200), planted_sequences(items=200))
    np.testing.assert_array_equal(encode(encoder, train, width=8), encode(encoder, train, width=8))


@pytest.mark.parametrize("encoder", _LIBRARY_FREE)
def test_items_of_one_circle_are_more_alike_than_others(encoder: str) -> None:
    vectors = encode(encoder, sequences(small_catalogue(30), planted_sequences()))[2:]
    cosines = vectors @ vectors.T
    same = np.arange(30)[:, None] // 6 == np.arange(30) // 6
    others = same & ~np.eye(30, dtype=bool)
    assert cosines[others].mean() > cosines[~same].mean() + 0.2


@pytest.mark.parametrize("encoder", _LIBRARY_FREE)
@pytest.mark.parametrize(
    "train",
    [
        sequences(Catalogue(2), []),
        sequences(Catalogue(3), [[2, 2], []]),
        described("", "", "one item alone"),
        described("", "", "?", "!"),
        described("", "", "same", "same", histories=[[2, 3], [1, 1, 2]]),
    ],
    ids=["no item", "no text", "one item", "no word", "equal texts"],
)
def test_odd_items_are_answered(encoder: str, train: SequenceDataset) -> None:
    vectors = encode(encoder, train)
    assert len(vectors) == train.catalogue.size
    assert vectors.shape[1] >= 1
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("encoder", _LIBRARY_FREE)
def test_stop_ends_encoding(encoder: str) -> None:
    spec = _ENCODERS[encoder]
    with pytest.raises(Stopped):
        spec.build(spec.parameters()).encode(described(*_TEXTS), EncodeContext(should_stop=lambda: True))


def test_texts_that_share_words_are_alike_and_items_without_a_word_have_no_vector() -> None:
    vectors = encode("tfidf-svd", described(*_TEXTS))
    assert vectors[2] @ vectors[3] > 0.3
    assert vectors[4] @ vectors[5] > 0.3
    assert abs(vectors[2] @ vectors[4]) < 1e-5
    np.testing.assert_array_equal(vectors[[0, 1, 6, 7]], 0)


def test_few_texts_keep_their_exact_cosines() -> None:
    wide, narrow = (encode("tfidf-svd", described(*_TEXTS), width=width) for width in (1024, 6))
    np.testing.assert_allclose(narrow @ narrow.T, wide @ wide.T, atol=1e-5)


def test_words_do_not_look_at_sequences() -> None:
    with_events = described(*_TEXTS, histories=[[2, 4], [3, 4], [2, 3, 4]])
    np.testing.assert_array_equal(encode("tfidf-svd", described(*_TEXTS)), encode("tfidf-svd", with_events))


def test_mutual_information_is_that_of_the_counts() -> None:
    had = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]], np.float32)
    from scipy.sparse import csr_array

    together = had.T @ had - np.diag((had.T @ had).diagonal())
    counts = together.sum(axis=1)
    expected = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            if together[i, j]:
                expected[i, j] = max(0.0, np.log(together[i, j] * counts.sum() / (counts[i] * counts[j])))
    np.testing.assert_allclose(positive_information(csr_array(had)).toarray(), expected, atol=1e-6)


def test_hybrid_weighs_words_and_users_by_their_shares() -> None:
    train = described(*_TEXTS, histories=[[2, 4], [3, 5], [2, 4, 6], [3, 5]])
    words, users = encode("tfidf-svd", train), encode("collaborative-svd", train)
    both = encode("hybrid", train, text_share=0.75)
    known = [2, 3, 4, 5]
    expected = 0.75 * words[known] @ words[known].T + 0.25 * users[known] @ users[known].T
    np.testing.assert_allclose(both[known] @ both[known].T, expected, atol=1e-5)
    assert np.linalg.norm(both[6]) == pytest.approx(1.0)


def test_every_encoder_has_a_default_for_every_parameter_and_says_what_it_is() -> None:
    for spec in SPECS:
        assert spec.parameters() == spec.parameters()
        assert spec.title.strip()
        assert spec.summary.strip()

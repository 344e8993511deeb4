"""The contract of text encoders passes an honest encoder and catches each way of breaking it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from crosslens import EncodeContext, SequenceDataset, Stopped, TextEncoderSpec, parameter
from crosslens.data import RESERVED_IDS, Float32Array
from crosslens.testing import TextEncoderContract


@dataclass(frozen=True, slots=True)
class LettersParameters:
    width: int = parameter(300, label="Width", minimum=1, maximum=1000)


@dataclass(frozen=True)
class Letters:
    """Counts of letters."""

    parameters: LettersParameters

    def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
        if context.should_stop():
            raise Stopped
        size = train.catalogue.size
        vectors = np.zeros((size, self.parameters.width), np.float32)
        for item in range(RESERVED_IDS, size if train.catalogue.texts else 0):
            for word in train.catalogue.texts[item].split():
                vectors[item, sum(map(ord, word)) % self.parameters.width] += 1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        context.progress(1.0)
        return vectors / np.where(lengths > 0, lengths, 1)


HONEST = TextEncoderSpec("letters", "Letters", "Counts.", LettersParameters, Letters, uses_sequences=False)


def contract_of(given: TextEncoderSpec) -> TextEncoderContract:
    class Contract(TextEncoderContract):
        spec = given

    return Contract()


def broken(change: Callable[[Float32Array, SequenceDataset, EncodeContext], Any]) -> TextEncoderContract:
    class Encoder(Letters):
        def encode(self, train: SequenceDataset, context: EncodeContext) -> Any:
            return change(super().encode(train, context), train, context)

    return contract_of(replace(HONEST, build=Encoder))


class TestHonest(TextEncoderContract):
    spec = HONEST


def long(vectors: Float32Array, *_: Any) -> Float32Array:
    return vectors * 3


def shifted(vectors: Float32Array, *_: Any) -> Float32Array:
    return np.roll(vectors, 1, axis=0)[:, :1] * 0 + 1


def double(vectors: Float32Array, *_: Any) -> Any:
    return vectors.astype(np.float64)


def short(vectors: Float32Array, *_: Any) -> Float32Array:
    return vectors[:-1]


def random(vectors: Float32Array, *_: Any) -> Float32Array:
    drawn = np.random.default_rng().normal(size=vectors.shape)
    drawn[:RESERVED_IDS] = 0
    return (drawn / np.maximum(np.linalg.norm(drawn, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def back(vectors: Float32Array, train: SequenceDataset, context: EncodeContext) -> Float32Array:
    context.progress(0.2)
    return vectors


def of_users(vectors: Float32Array, train: SequenceDataset, _: EncodeContext) -> Float32Array:
    return np.roll(vectors, min(len(train), 1), axis=1)


def writes(vectors: Float32Array, train: SequenceDataset, _: EncodeContext) -> Float32Array:
    train.items[:1] = 0
    return vectors


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (long, "test_every_item_gets_a_vector_and_reserved_ids_get_none"),
        (shifted, "test_every_item_gets_a_vector_and_reserved_ids_get_none"),
        (double, "test_every_item_gets_a_vector_and_reserved_ids_get_none"),
        (short, "test_every_item_gets_a_vector_and_reserved_ids_get_none"),
        (random, "test_the_same_seed_gives_the_same_vectors"),
        (back, "test_progress_goes_from_0_to_1_and_never_back"),
        (of_users, "test_vectors_of_an_encoder_that_reads_texts_alone_do_not_depend_on_users"),
        (writes, "test_encoding_leaves_the_sequences_as_they_were"),
    ],
)
def test_a_broken_encoder_is_caught(change: Any, name: str) -> None:
    with pytest.raises((AssertionError, ValueError)) as caught:
        getattr(broken(change), name)()
    assert not str(caught.value).startswith("assert "), "a sentence says what is wrong"


def test_an_encoder_that_never_asks_whether_to_stop_is_caught() -> None:
    class Deaf(Letters):
        def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
            return super().encode(train, replace(context, should_stop=lambda: False))

    with pytest.raises(pytest.fail.Exception):
        contract_of(replace(HONEST, build=Deaf)).test_stop_ends_encoding()

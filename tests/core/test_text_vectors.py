"""Vectors of items by registered encoders: made once, checked, refused in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.plugin_host import Host, LoadedEncoder
from core.text_vectors import TextVectors, wrong_vectors
from crosslens import Catalogue, DataError, ParameterError, PluginError, SequenceDataset, TextEncoderSpec, parameter


@dataclass(frozen=True, slots=True)
class Parameters:
    width: int = parameter(4, label="Width", minimum=1)
    folder: str = parameter("", label="Model", source="folder")


@dataclass
class Counting:
    """An encoder whose vectors are what a test says, and that counts how often it is asked."""

    vectors: Any = None
    asked: list[Any] = field(default_factory=list)

    def encode(self, train: SequenceDataset, context: Any) -> Any:
        self.asked.append(context)
        if isinstance(self.vectors, Exception):
            raise self.vectors
        if self.vectors is not None:
            return self.vectors
        found = np.zeros((train.catalogue.size, 3), np.float32)
        found[2:, 0] = 1
        return found


def sequences(texts: tuple[str, ...] = ("", "", "a", "b"), items: tuple[int, ...] = (2, 3, 3)) -> SequenceDataset:
    catalogue = Catalogue(size=4, texts=texts)
    return SequenceDataset(catalogue, np.array([0, len(items)]), np.array(items, np.int32))


def spec(encoder: Counting, **changes: Any) -> TextEncoderSpec:
    return replace(TextEncoderSpec("words", "Words", "", Parameters, lambda _: encoder), **changes)


def vectors(folder: Path, encoder: Counting, **changes: Any) -> TextVectors:
    return TextVectors(folder, Host((), (), [LoadedEncoder("test", spec(encoder, **changes))]))


def test_vectors_are_made_once(tmp_path: Path) -> None:
    encoder = Counting()
    first = vectors(tmp_path, encoder).encode("words", {}, sequences())
    again = vectors(tmp_path, encoder).encode("words", {}, sequences())
    assert len(encoder.asked) == 1
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("spec_changes", "parameters", "train"),
    [
        ({"version": "2"}, {}, sequences()),
        ({}, {"width": 5}, sequences()),
        ({}, {}, sequences(texts=("", "", "a", "c"))),
        ({}, {}, sequences(texts=("", "", "ab", ""))),
        ({}, {}, sequences(items=(2, 2, 3))),
    ],
)
def test_vectors_are_made_again_when_anything_they_rest_on_changes(
    tmp_path: Path, spec_changes: dict[str, Any], parameters: dict[str, Any], train: SequenceDataset
) -> None:
    encoder = Counting()
    vectors(tmp_path, encoder).encode("words", {}, sequences())
    vectors(tmp_path, encoder, **spec_changes).encode("words", parameters, train)
    assert len(encoder.asked) == 2


def test_vectors_of_texts_alone_are_kept_whatever_the_split(tmp_path: Path) -> None:
    encoder = Counting()
    vectors(tmp_path, encoder, uses_sequences=False).encode("words", {}, sequences())
    vectors(tmp_path, encoder, uses_sequences=False).encode("words", {}, sequences(items=(3,)))
    assert len(encoder.asked) == 1


def test_another_model_in_the_folder_makes_other_vectors(tmp_path: Path) -> None:
    encoder, model = Counting(), tmp_path / "model"
    model.mkdir()
    for content in ("one", "another"):
        (model / "weights").write_text(content)
        vectors(tmp_path, encoder).encode("words", {"folder": str(model)}, sequences())
    assert len(encoder.asked) == 2


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    encoder = Counting()
    vectors(tmp_path, encoder).encode("words", {}, sequences())
    (file,) = tmp_path.glob("text-vectors-*.npy")
    file.write_bytes(file.read_bytes()[:-5])
    assert vectors(tmp_path, encoder).encode("words", {}, sequences()).shape == (4, 3)
    assert len(encoder.asked) == 2


LONG = np.full((4, 3), 2, np.float32)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ([[1.0]], "not an array"),
        (np.zeros((4, 3)), "float32"),
        (np.zeros((3, 3), np.float32), "shape"),
        (np.zeros((4, 0), np.float32), "shape"),
        (np.full((4, 3), np.nan, np.float32), "finite"),
        (LONG, "length 1"),
        (ValueError("no such weights"), "no such weights"),
    ],
)
def test_what_an_encoder_does_wrong_is_a_sentence(tmp_path: Path, bad: Any, sentence: str) -> None:
    with pytest.raises(PluginError, match="Words") as caught:
        vectors(tmp_path, Counting(bad)).encode("words", {}, sequences())
    assert sentence in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_of_texts_is_not_asked_about_items_without_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="described in words"):
        vectors(tmp_path, Counting()).encode("words", {}, sequences(texts=("",) * 4))


def test_what_an_encoder_says_of_its_inputs_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pip install"):
        vectors(tmp_path, Counting(DataError("pip install it"))).encode("words", {}, sequences())


def test_unknown_encoders_and_parameters_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="Text encoders are: words"):
        vectors(tmp_path, Counting()).encode("word", {}, sequences())
    with pytest.raises(ParameterError, match="Width"):
        vectors(tmp_path, Counting()).encode("words", {"width": 0}, sequences())


def test_models_are_lent_the_ids(tmp_path: Path) -> None:
    lent = vectors(tmp_path, Counting()).lent()
    assert tuple(lent.ids) == ("words",)
    assert lent.encode("words", {}, sequences()).shape == (4, 3)


def test_vectors_of_length_one_and_zero_are_right() -> None:
    vectors = np.eye(3, dtype=np.float32)
    vectors[1] = 0
    assert wrong_vectors(vectors, 3) == ""

"""Encoders that read a model from a folder, each on a tiny model made here; and what they say when they cannot."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crosslens import Catalogue, DataError, EncodeContext, PluginError, Stopped, TextEncoderSpec, UserError
from crosslens.data import Float32Array
from crosslens.testing import sequences
from plugins.text_encoders import SPECS, FolderParameters, OnnxParameters
from plugins.text_encoders.onnx_folder import pooled

_ENCODERS: dict[str, TextEncoderSpec] = {spec.id: spec for spec in SPECS}
_WORDS = ("[PAD]", "[UNK]", "red", "shoe", "garden", "hose")
_TABLE = np.array([[0, 0, 0], [0, 0, 1], [2, 0, 0], [1, 1, 0], [0, 3, 0], [0, 1, 0]], np.float32)
_TEXTS = ("", "", "red shoe", "garden hose", "", "red red shoe")
_FILES = {
    "sentence-transformer": ("modules.json",),
    "onnx-folder": ("tokenizer.json", "model.onnx"),
    "model2vec": ("model.safetensors", "tokenizer.json", "config.json"),
}
_LIBRARIES = {
    "sentence-transformer": "sentence_transformers",
    "onnx-folder": "onnxruntime",
    "model2vec": "model2vec",
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a model in a folder looked at the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def encode(encoder: str, folder: Path, *, stop: bool = False) -> Float32Array:
    spec = _ENCODERS[encoder]
    kind = OnnxParameters if encoder == "onnx-folder" else FolderParameters
    context = EncodeContext(should_stop=lambda: stop)
    train = sequences(Catalogue(len(_TEXTS), _TEXTS, _TEXTS), [])
    return spec.build(kind(folder=str(folder) if folder != Path() else "", batch_size=2)).encode(train, context)


def write_tokenizer(path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(_WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(path))


def model2vec_folder(folder: Path) -> None:
    model2vec = pytest.importorskip("model2vec")
    write_tokenizer(folder / "tokenizer.json")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model2vec.StaticModel(_TABLE, tokenizer, {"normalize": False}).save_pretrained(str(folder))


def onnx_folder(folder: Path, *, inputs: tuple[str, ...] = ("input_ids", "attention_mask")) -> None:
    """A graph whose token states are rows of the table."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    write_tokenizer(folder / "tokenizer.json")
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", inputs[0]], ["states"])],
        "tokens",
        [helper.make_tensor_value_info(name, kinds.INT64, ["N", "T"]) for name in inputs],
        [helper.make_tensor_value_info("states", kinds.FLOAT, ["N", "T", 3])],
        [onnx.numpy_helper.from_array(_TABLE, "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))


def sentence_transformer_folder(folder: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    write_tokenizer(folder / "words.json")
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer

    words = StaticEmbedding(Tokenizer.from_file(str(folder / "words.json")), embedding_weights=_TABLE)
    library.SentenceTransformer(modules=[words], device="cpu").save(str(folder))


_MAKERS: dict[str, Callable[[Path], None]] = {
    "sentence-transformer": sentence_transformer_folder,
    "onnx-folder": onnx_folder,
    "model2vec": model2vec_folder,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("encoder", _MAKERS)
def test_texts_get_the_mean_of_their_words_from_a_real_model(encoder: str, tmp_path: Path) -> None:
    _MAKERS[encoder](tmp_path)
    vectors = encode(encoder, tmp_path)
    means = np.array([_TABLE[[2, 3]].mean(0), _TABLE[[4, 5]].mean(0), _TABLE[[2, 2, 3]].mean(0)])
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors[[2, 3, 5]], expected, atol=1e-4)
    np.testing.assert_array_equal(vectors[[0, 1, 4]], 0)
    assert vectors.dtype == np.float32


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("encoder", _MAKERS)
def test_stop_ends_encoding_before_the_first_batch(encoder: str, tmp_path: Path) -> None:
    _MAKERS[encoder](tmp_path)
    with pytest.raises(Stopped):
        encode(encoder, tmp_path, stop=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("encoder", _MAKERS)
def test_files_that_are_no_model_are_refused_in_a_sentence(encoder: str, tmp_path: Path) -> None:
    pytest.importorskip(_LIBRARIES[encoder])
    for name in _FILES[encoder]:
        (tmp_path / name).write_text("rubbish", encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        encode(encoder, tmp_path)
    assert "cannot be used" in refusal.value.what


@pytest.mark.parametrize("encoder", _MAKERS)
def test_a_missing_library_is_said_with_the_command_that_installs_it(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _FILES[encoder]:
        (tmp_path / name).write_text("{}", encoding="utf-8")
    monkeypatch.setitem(sys.modules, _LIBRARIES[encoder], None)
    with pytest.raises(PluginError) as refusal:
        encode(encoder, tmp_path)
    assert refusal.value.do == f"Run: python -m pip install {_ENCODERS[encoder].extras}"


@pytest.mark.parametrize("encoder", _MAKERS)
@pytest.mark.parametrize("folder", ["", "missing", "empty"])
def test_a_folder_that_is_none_is_refused_in_a_sentence(encoder: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as refusal:
        encode(encoder, tmp_path / folder if folder else Path())
    assert refusal.value.what.strip()
    assert refusal.value.do.strip()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_graph_with_unknown_inputs_is_refused_by_name(tmp_path: Path) -> None:
    onnx_folder(tmp_path, inputs=("pixels",))
    with pytest.raises(DataError) as refusal:
        encode("onnx-folder", tmp_path)
    assert "pixels" in refusal.value.why


def test_token_states_are_averaged_over_the_tokens_of_the_text_alone() -> None:
    states = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    found = pooled(states, np.array([[1, 1, 0], [1, 0, 0]]))
    np.testing.assert_allclose(found, [states[0, :2].mean(0), states[1, 0]])
    np.testing.assert_array_equal(pooled(states[:, 0], np.ones((2, 1), np.int64)), states[:, 0])
    with pytest.raises(ValueError, match="4 axes"):
        pooled(states[None], np.ones((1, 1), np.int64))

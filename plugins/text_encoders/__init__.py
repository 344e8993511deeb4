"""Text encoders: vectors of items for next-item models, from their texts, from who had them, or both.

Nothing is ever downloaded: encoders with a model read a folder the user picks, and descriptions come from a server on
this machine. This module holds the descriptions only; libraries are imported when an encoder is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crosslens import TextEncoder, TextEncoderSpec, hookimpl, parameter

_WIDTH_HELP = "Numbers that describe an item."


@dataclass(frozen=True, slots=True)
class TfidfParameters:
    """Words of the items' texts."""

    width: int = parameter(64, label="Width", help=_WIDTH_HELP, minimum=2, maximum=1024, logarithmic=True)
    words: int = parameter(
        50_000, label="Words at most", help="The most frequent words and pairs of words are kept.",
        minimum=10, maximum=10_000_000, advanced=True, logarithmic=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CollaborativeParameters:
    """Items that the same users had."""

    width: int = parameter(64, label="Width", help=_WIDTH_HELP, minimum=2, maximum=1024, logarithmic=True)
    longest: int = parameter(
        100, label="Events per user at most", help="Only the latest events of a user are counted together.",
        minimum=2, maximum=100_000, advanced=True, logarithmic=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class HybridParameters:
    """Texts and users together."""

    width: int = parameter(
        64, label="Width of each part", help="Numbers from the texts, and as many from the users.",
        minimum=2, maximum=1024, logarithmic=True,
    )  # fmt: skip
    text_share: float = parameter(
        0.5, label="Share of the texts", help="1: texts alone; 0: users alone.", minimum=0.0, maximum=1.0, step=0.05
    )


@dataclass(frozen=True, slots=True)
class FolderParameters:
    """A model on this machine."""

    folder: str = parameter("", label="Model folder", help="Folder with the model's files.", source="folder")
    batch_size: int = parameter(
        64, label="Batch size", help="Texts at a time.", minimum=1, maximum=10_000, advanced=True, logarithmic=True
    )


@dataclass(frozen=True, slots=True)
class OnnxParameters(FolderParameters):
    """A model in ONNX format with its tokenizer."""

    longest: int = parameter(
        256, label="Tokens at most", help="Longer texts are cut.", minimum=8, maximum=8192, advanced=True
    )


@dataclass(frozen=True, slots=True)
class DescriptionParameters:
    """A server that speaks the OpenAI protocol, on this machine."""

    address: str = parameter(
        "http://127.0.0.1:11434/v1", label="Address", help="Where the server listens; it must be this machine."
    )
    model: str = parameter("", label="Model", help="The model's name on the server.")
    folder: str = parameter(
        "", label="Folder", help="Where descriptions are kept, so that they are asked for once.", source="folder"
    )
    prompt: str = parameter(
        "Describe this item and who would like it in two sentences, without inventing facts.",
        label="Question", help="Asked of every item, followed by its text.",
    )  # fmt: skip
    width: int = parameter(64, label="Width", help=_WIDTH_HELP, minimum=2, maximum=1024, logarithmic=True)
    timeout: float = parameter(
        60.0, label="Seconds per item at most", help="How long to wait for an answer.",
        minimum=0.1, maximum=3600.0, advanced=True,
    )  # fmt: skip
    allow_remote: bool = parameter(
        False, label="Allow other machines", help="Sends the items' texts to another machine.", advanced=True
    )


def _tfidf(parameters: TfidfParameters) -> TextEncoder:
    from .words import TfidfSvd

    return TfidfSvd(parameters)


def _collaborative(parameters: CollaborativeParameters) -> TextEncoder:
    from .together import CollaborativeSvd

    return CollaborativeSvd(parameters)


def _hybrid(parameters: HybridParameters) -> TextEncoder:
    from .hybrid import Hybrid

    return Hybrid(parameters)


def _sentence_transformer(parameters: FolderParameters) -> TextEncoder:
    from .folders import SentenceTransformerFolder

    return SentenceTransformerFolder(parameters)


def _onnx(parameters: OnnxParameters) -> TextEncoder:
    from .onnx_folder import OnnxFolder

    return OnnxFolder(parameters)


def _model2vec(parameters: FolderParameters) -> TextEncoder:
    from .folders import Model2VecFolder

    return Model2VecFolder(parameters)


def _descriptions(parameters: DescriptionParameters) -> TextEncoder:
    from .descriptions import Descriptions

    return Descriptions(parameters)


SPECS = (
    TextEncoderSpec(
        id="tfidf-svd",
        title="Words (TF-IDF)",
        summary="Items are alike when their texts share rare words. Needs nothing else.",
        parameters=TfidfParameters,
        build=_tfidf,
        uses_sequences=False,
    ),
    TextEncoderSpec(
        id="collaborative-svd",
        title="Users in common",
        summary="Items are alike when the same users had them. Needs no text.",
        parameters=CollaborativeParameters,
        build=_collaborative,
        needs_text=False,
    ),
    TextEncoderSpec(
        id="hybrid",
        title="Words and users in common",
        summary="Both of the above, side by side.",
        parameters=HybridParameters,
        build=_hybrid,
        needs_text=False,
    ),
    TextEncoderSpec(
        id="sentence-transformer",
        title="Sentence transformer in a folder",
        summary="A sentence-transformers model on this machine reads the texts.",
        parameters=FolderParameters,
        build=_sentence_transformer,
        extras="sentence-transformers",
        uses_sequences=False,
    ),
    TextEncoderSpec(
        id="onnx-folder",
        title="ONNX model in a folder",
        summary="A text model in ONNX format (model.onnx, tokenizer.json) on this machine reads the texts.",
        parameters=OnnxParameters,
        build=_onnx,
        extras="onnxruntime tokenizers",
        uses_sequences=False,
    ),
    TextEncoderSpec(
        id="model2vec",
        title="model2vec model in a folder",
        summary="A static embedding model on this machine: the mean of word vectors, very fast.",
        parameters=FolderParameters,
        build=_model2vec,
        extras="model2vec",
        uses_sequences=False,
    ),
    TextEncoderSpec(
        id="descriptions",
        title="Descriptions by a language model",
        summary="A server on this machine describes every item in words; the words make the vectors.",
        parameters=DescriptionParameters,
        build=_descriptions,
        uses_sequences=False,
    ),
)


@hookimpl
def crosslens_register_text_encoders() -> Sequence[TextEncoderSpec]:
    """Return the text encoders."""
    return SPECS

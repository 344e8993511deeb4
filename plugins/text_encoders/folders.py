"""Text models that other libraries read from a folder on this machine; nothing is ever looked for elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crosslens import CrosslensError, DataError, EncodeContext, PluginError, SequenceDataset
from crosslens.data import Float32Array

from . import FolderParameters
from .vectors import described, in_batches, offline, spread, unit


@dataclass(frozen=True, slots=True)
class SentenceTransformerFolder:
    """A sentence-transformers model."""

    parameters: FolderParameters

    def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
        """Return float32 (I, D); PluginError without the library, DataError if the folder holds no such model."""
        folder = model_folder(self.parameters.folder, "modules.json")
        with offline(), needing("sentence-transformers"):
            from sentence_transformers import SentenceTransformer
        with offline(), reading(folder):
            model = SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )  # fmt: skip
            return _encoded(
                lambda texts: model.encode(texts, show_progress_bar=False), train, self.parameters.batch_size, context
            )


@dataclass(frozen=True, slots=True)
class Model2VecFolder:
    """A model2vec model: the mean of static word vectors."""

    parameters: FolderParameters

    def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
        """Return float32 (I, D); PluginError without the library, DataError if the folder holds no such model."""
        folder = model_folder(self.parameters.folder, "model.safetensors", "tokenizer.json", "config.json")
        with offline(), needing("model2vec"):
            from model2vec import StaticModel
        with offline(), reading(folder):
            model = StaticModel.from_pretrained(folder)
            return _encoded(
                lambda texts: model.encode(texts, use_multiprocessing=False), train, self.parameters.batch_size, context
            )


def _encoded(
    encode: Callable[[list[str]], Any], train: SequenceDataset, batch_size: int, context: EncodeContext
) -> Float32Array:
    ids, texts = described(train)
    parts = [np.asarray(encode(batch), np.float32) for batch in in_batches(texts, batch_size, context)]
    return spread(train.catalogue.size, ids, unit(stacked(parts)))


def stacked(parts: list[Float32Array]) -> Float32Array:
    """Return batches (n, D) as one array (N, D); (0, 0) when there is none."""
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def model_folder(folder: str, *files: str) -> Path:
    """Return the folder; DataError if none was chosen, it is not there, or one of its files is missing."""
    if not folder:
        raise DataError("No folder was chosen for the text encoder.", do="Choose the folder that holds the model.")
    path = Path(folder)
    if not path.is_dir():
        raise DataError(f"There is no folder {path}.", do="Choose the folder that holds the model.", folder=folder)
    missing = [name for name in files if not (path / name).is_file()]
    if missing:
        raise DataError(
            f"The folder {path.name} does not hold such a model.",
            why=f"It has no {' and no '.join(missing)}.",
            do="Choose another folder, or download the model into it by yourself: Crosslens never does.",
            folder=folder,
        )
    return path


@contextmanager
def needing(packages: str) -> Iterator[None]:
    """Turn a missing library into a sentence with the command that installs it."""
    try:
        yield
    except ImportError as error:
        raise PluginError(
            f"This text encoder needs {packages.replace(' ', ' and ')}, which cannot be imported.",
            why=str(error),
            do=f"Run: python -m pip install {packages}",
            packages=packages,
        ) from error


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn what a library says of a damaged or foreign model into a sentence."""
    try:
        yield
    except CrosslensError:
        raise
    except Exception as error:  # a stranger's library on a stranger's file may raise anything
        raise DataError(
            f"The model in the folder {folder.name} cannot be used.",
            why=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason'}",
            do="Choose another folder, or download the model again.",
            folder=str(folder),
        ) from error

"""Vectors of items, as registered text encoders make them: checked, and kept in the project until something changes.

    text-vectors-<key>.npy   (I, D) float32

The key is made of the encoder (id, version), its parameters (with what lies in the folders they name), the texts, and
the training sequences where the encoder looks at them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crosslens.data import RESERVED_IDS, Float32Array
from crosslens.errors import CrosslensError, DataError, PluginError
from crosslens.parameters import describe_parameters, parameters_from_plain, parameters_to_plain
from crosslens.sequences import EncodeContext, SequenceDataset, TextEncoders, TextEncoderSpec

from .files import replace_file
from .ports import PluginHost

_FORMAT = 1
_TOLERANCE = 1e-3
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class TextVectors:
    """Makes and keeps vectors below `folder`; `context` is what encoders are lent while they work."""

    folder: Path
    host: PluginHost
    context: EncodeContext = field(default_factory=EncodeContext)
    say: Callable[[str], None] = lambda _: None

    def lent(self) -> TextEncoders:
        """Return the encoders as models know them."""
        return TextEncoders(tuple(spec.id for spec in self.host.text_encoders()), self.encode)

    def encode(self, encoder: str, parameters: dict[str, Any], train: SequenceDataset) -> Float32Array:
        """Return a vector per item, float32 (I, D), rows of length 1 or 0.

        DataError, ParameterError or PluginError say why there is none.
        """
        spec = self.host.text_encoder(encoder)
        if spec.needs_text and not train.catalogue.has_text:
            raise DataError(
                f"{spec.title} needs items that are described in words.",
                why="No column says anything of an item in words.",
                do="Add a title or a category of the items to the query, or choose an encoder that needs no text.",
            )
        chosen = parameters_from_plain(spec.parameters, parameters)
        path = self.folder / f"text-vectors-{_key(spec, chosen, train)}.npy"
        known = _kept(path, train.catalogue.size)
        if known is not None:
            return known
        self.say(f"{spec.title}: making vectors of {train.catalogue.size - RESERVED_IDS:,} items")
        vectors = _encoded(spec, chosen, train, self.context)
        replace_file(path, lambda temporary: _save(temporary, vectors))
        return vectors


def _encoded(spec: TextEncoderSpec, parameters: Any, train: SequenceDataset, context: EncodeContext) -> Float32Array:
    try:
        found = spec.build(parameters).encode(train, context)
    except (CrosslensError, MemoryError):
        raise
    except Exception as error:
        # a stranger's encoder may raise anything: a model file that is none, a library that is too old
        raise PluginError(
            f"The text encoder {spec.title} failed.",
            why=f"It says: {type(error).__name__}: {error}.",
            do="Choose another text encoder, or check its parameters.",
            encoder=spec.id,
        ) from error
    complaint = wrong_vectors(found, train.catalogue.size)
    if complaint:
        raise PluginError(
            f"The text encoder {spec.title} gave vectors that cannot be used.",
            why=complaint,
            do="Choose another text encoder, and report this to its author.",
            encoder=spec.id,
        )
    return found


def wrong_vectors(vectors: Any, size: int) -> str:
    """Return what is wrong with vectors of `size` ids, as a sentence, or an empty text."""
    if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32 or vectors.ndim != 2:
        return "They are not an array of float32 with two axes."
    if len(vectors) != size or not vectors.shape[1]:
        return f"They have the shape {vectors.shape}; {size:,} items with at least one number each were expected."
    for start in range(0, size, _BLOCK):
        block = vectors[start : start + _BLOCK]
        if not np.isfinite(block).all():
            return "Some are not finite numbers."
        lengths = np.linalg.norm(block.astype(np.float64), axis=1)
        if not ((np.abs(lengths - 1) < _TOLERANCE) | (lengths == 0)).all():
            return "Some have neither the length 1 nor the length 0."
    return ""


def _key(spec: TextEncoderSpec, parameters: Any, train: SequenceDataset) -> str:
    digest = hashlib.blake2b(digest_size=12)
    meaning = [_FORMAT, spec.id, spec.version, parameters_to_plain(parameters), _folders(spec, parameters)]
    digest.update(json.dumps(meaning, sort_keys=True, ensure_ascii=True).encode())
    digest.update(_text_digest(train.catalogue.texts, train.catalogue.size))
    if spec.uses_sequences:
        for array in (train.offsets, train.items):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _text_digest(texts: Iterable[str], size: int) -> bytes:
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.digest()


def _folders(spec: TextEncoderSpec, parameters: Any) -> list[Any]:
    """Return name, size and time of what lies in the folders that parameters name: another model is another key."""
    chosen = [info.name for info in describe_parameters(spec.parameters) if info.source == "folder"]
    found: list[Any] = []
    for folder in (Path(getattr(parameters, name)) for name in chosen if getattr(parameters, name)):
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        facts = [(path, path.stat()) for path in files]
        found.append([[str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns] for path, stat in facts])
    return found


def _kept(path: Path, size: int) -> Float32Array | None:
    """Return vectors kept earlier; None when there are none, or the file is damaged and they must be made again."""
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return None if wrong_vectors(vectors, size) else vectors


def _save(path: Path, vectors: Float32Array) -> None:
    with path.open("wb") as file:
        np.save(file, vectors, allow_pickle=False)

"""A text model in ONNX format: model.onnx (or onnx/model.onnx) and tokenizer.json in one folder.

The graph takes input_ids (N, T), and attention_mask and token_type_ids if it likes, and gives token states (N, T, D) or
a vector (N, D) as its first output. Token states are averaged over the tokens of the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crosslens import EncodeContext, SequenceDataset
from crosslens.data import Float32Array, Int64Array

from . import OnnxParameters
from .folders import model_folder, needing, reading, stacked
from .vectors import described, in_batches, offline, spread, unit

_PACKAGES = "onnxruntime tokenizers"
_GRAPHS = ("model.onnx", "onnx/model.onnx")


@dataclass(frozen=True, slots=True)
class OnnxFolder:
    """A text model run by onnxruntime."""

    parameters: OnnxParameters

    def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
        """Return float32 (I, D); PluginError without the libraries, DataError if the folder holds no such model."""
        folder = model_folder(self.parameters.folder, "tokenizer.json")
        graph = _graph(folder)
        with needing(_PACKAGES):
            import onnxruntime
            import tokenizers
        ids, texts = described(train)
        with offline(), reading(folder):
            tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
            tokenizer.enable_truncation(self.parameters.longest)
            tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]") or 0)
            session = _session(onnxruntime, graph, context.threads)
            parts = [
                _vectors(session, tokenizer.encode_batch(batch))
                for batch in in_batches(texts, self.parameters.batch_size, context)
            ]
        return spread(train.catalogue.size, ids, unit(stacked(parts)))


def _graph(folder: Path) -> Path:
    found = [folder / name for name in _GRAPHS if (folder / name).is_file()]
    return found[0] if found else model_folder(str(folder), _GRAPHS[0])


def _session(onnxruntime: Any, graph: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _vectors(session: Any, encodings: list[Any]) -> Float32Array:
    tokens = np.array([encoding.ids for encoding in encodings], np.int64)  # (N, T)
    mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
    given = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
    asked = [node.name for node in session.get_inputs()]
    unknown = [name for name in asked if name not in given]
    if unknown or "input_ids" not in asked:
        raise ValueError(f"its graph asks for {', '.join(asked)}; only {', '.join(given)} can be given")
    output = np.asarray(session.run(None, {name: given[name] for name in asked})[0])
    return pooled(output, mask)


def pooled(output: Any, mask: Int64Array) -> Float32Array:
    """Return (N, D) from token states (N, T, D), the mean over tokens of `mask` (N, T); from (N, D) itself."""
    if output.ndim == 2:
        return np.asarray(output, np.float32)
    if output.ndim != 3:
        raise ValueError(f"its graph gives an array with {output.ndim} axes; 2 or 3 can be used")
    weights = mask[:, :, None].astype(np.float32)
    return np.asarray((output * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0), np.float32)

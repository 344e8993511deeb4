"""Files of the baselines: arrays as safetensors, everything else as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from crosslens import CrosslensError, StorageError

_ARRAYS = "arrays.safetensors"
_FACTS = "model.json"
FORMAT = 1


def write(folder: Path, model: str, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Write a model's arrays and facts into an empty folder."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / _ARRAYS)
    about = {"format": FORMAT, "model": model, **facts}
    (folder / _FACTS).write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")


def read(folder: Path, model: str, names: tuple[str, ...]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays of these names and the facts; StorageError if the folder does not hold such a model."""
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        arrays = load_file(folder / _ARRAYS)
        if (facts["format"], facts["model"]) != (FORMAT, model):
            raise ValueError(f"it holds {facts['model']} in format {facts['format']}")
        return {name: arrays[name] for name in names}, facts
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, CrosslensError) as error:
        raise StorageError(
            f"The folder {folder.name} does not hold a readable model of the kind {model}.",
            why=str(error),
            do="Train the model again.",
            folder=str(folder),
        ) from error

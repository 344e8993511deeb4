"""When a model is too good to be true: which fields could be giving the label away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crosslens.data import EncodedDataset, Float32Array, Int64Array

from .findings.strength import strength
from .formats import enumerated
from .metrics import TOO_GOOD
from .quality import Quality

_MOST_ROWS = 50_000
_BINS = 200
_NAMED = 3
_STRONG = 0.8


def name_suspects(quality: Quality, data: EncodedDataset) -> Quality:
    """Return the quality measured on `data`; where it warns of an AUC too good to be true, fields are named."""
    if TOO_GOOD not in quality.warnings:
        return quality
    warnings = tuple(f"{each} {_words(data)}" if each == TOO_GOOD else each for each in quality.warnings)
    return replace(quality, warnings=warnings)


def strongest_fields(data: EncodedDataset) -> tuple[tuple[str, float], ...]:
    """Return every field and the AUC it reaches alone, strongest first; at most 50,000 rows are looked at."""
    if len(data) > _MOST_ROWS:
        data = data.take(np.sort(np.random.default_rng(0).choice(len(data), _MOST_ROWS, replace=False)))
    target = np.asarray(data.target)
    groups = [*data.local_ids().T.astype(np.int64), *(_binned(values) for values in data.values.T)]
    found = [(name, strength(codes, target)) for name, codes in zip(data.schema.names, groups, strict=True)]
    return tuple(sorted(found, key=lambda each: -each[1]))


def _words(data: EncodedDataset) -> str:
    fields = strongest_fields(data)
    strong = [f"{name} (AUC {value:.2f} alone)" for name, value in fields if value >= _STRONG][:_NAMED]
    if strong:
        return f"Look first at {enumerated(strong)}."
    name, value = fields[0]
    return f"No field does so by itself (the best is {name}, AUC {value:.2f}): look for two that do together."


def _binned(values: Float32Array) -> Int64Array:
    """Return a group number per row, 0 for missing."""
    missing = np.isnan(values)
    edges = np.unique(np.quantile(values[~missing], np.linspace(0, 1, _BINS))) if not missing.all() else values[:0]
    return np.where(missing, 0, np.searchsorted(edges, values, side="right") + 1).astype(np.int64)

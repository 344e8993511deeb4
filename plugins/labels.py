"""What every model of a binary label asks of its rows before it learns."""

from __future__ import annotations

import numpy as np

from crosslens import DataError, TrainingData


def check_labels(data: TrainingData) -> None:
    """Raise DataError where there is nothing to tell apart: no rows, no validation rows, or a single class."""
    if not len(data.train):
        raise DataError("There are no training rows.", do="Choose a query or a split that leaves some.")
    if not len(data.validation):
        raise DataError(
            "There are no validation rows.",
            why="They decide when training stops.",
            do="Give the validation part a share of the rows.",
        )
    first = data.train.target[0]
    if bool(np.all(data.train.target == first)):
        name = data.schema.labels[0]
        raise DataError(
            f"Every training row has the same {name}: {first:g}.",
            why="A model learns from the difference between rows with and without it.",
            do="Check that the label column is the right one, or take more rows.",
            label=name,
            value=float(first),
        )


def has_both_classes(target: np.ndarray) -> bool:
    """Whether the AUC of these labels is defined."""
    return bool(len(target)) and bool(np.any(target != target[0]))

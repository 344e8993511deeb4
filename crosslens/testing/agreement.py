"""Says in a sentence what it means that two arrays differ, before NumPy shows where."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def agree(one: ArrayLike, other: ArrayLike, sentence: str, *, relative: float = 0.0, absolute: float = 0.0) -> None:
    """Raise AssertionError, `sentence` first, unless the arrays have one shape and differ by no more than allowed."""
    try:
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=relative, atol=absolute)
    except AssertionError as error:
        raise AssertionError(f"{sentence}\n{error}") from None

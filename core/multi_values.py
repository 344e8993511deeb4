"""A frequent value of a multi-valued field as a field of its own: whether it is among the row's values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crosslens import MISSING_ID, UNKNOWN_ID, EncodedField, FieldKind, FieldRole
from crosslens.data import ABSENT_ID, PRESENT_ID, Float64Array, Int32Array
from crosslens.relational import ColumnRef

from .columns import Column
from .inputs import Inputs
from .lists import ListValues, lists
from .vocabulary import MISSING_TEXT, UNKNOWN_TEXT, truth_of

MOST_VALUES = 64
"""So many values of a field become fields."""
_TEXTS = (MISSING_TEXT, UNKNOWN_TEXT, "no", "yes")


@dataclass(frozen=True, slots=True)
class FlagEncoder:
    """Whether `value` is among the values of a row. `delimiter` parts them (see `core.lists`).

    `group` is the name of the field the value comes from; "" in encoders of earlier versions, whose values stand alone.
    """

    name: str
    column: ColumnRef
    role: FieldRole
    value: str
    delimiter: str = ""
    group: str = ""

    @property
    def encoded(self) -> EncodedField:
        """Return the field as models see it."""
        return EncodedField(self.name, FieldKind.CATEGORICAL, len(_TEXTS), self.role, self.group)

    def reader(self) -> Callable[[Inputs], Int32Array]:
        """Return a function that reads local ids, int32 (N,), of block after block."""
        return lambda inputs: self._flags(inputs.values(self.column, self.delimiter))

    def local_ids(self, column: Column) -> Int32Array:
        """Return local ids, int32 (N,)."""
        return self._flags(ListValues.of(lists(column, self.delimiter)))

    def _flags(self, found: ListValues) -> Int32Array:
        ids = np.full(len(found.absent), ABSENT_ID, np.int32)
        ids[found.rows_with(self.value)] = PRESENT_ID
        ids[found.absent] = MISSING_ID
        return ids

    def text(self, local_id: int) -> str:
        """Return "yes", "no" or what is shown for the reserved ids; IndexError if there is no such id."""
        if not 0 <= local_id < len(_TEXTS):
            raise IndexError(f"local id {local_id} is not below {len(_TEXTS)}")
        return _TEXTS[local_id]

    def local_id(self, text: str | None) -> int:
        """Return the local id of yes or no in any of the usual words."""
        if text is None or text in ("", MISSING_TEXT):
            return MISSING_ID
        truth = truth_of(text)
        return UNKNOWN_ID if truth is None else PRESENT_ID if truth else ABSENT_ID


def value_counts(found: pa.ListArray) -> Float64Array:
    """Return how many values each row has, float64 (N,), NaN where the row is missing."""
    return np.array(found.value_lengths().cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False))

"""What a column means: its kind, its role, and the field the models see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from .relational import ColumnRef


class FieldKind(StrEnum):
    """How the values of a field are read."""

    CATEGORICAL = "categorical"
    NUMERICAL = "numerical"
    MULTI_VALUED = "multi-valued"
    TEXT = "text"
    TIMESTAMP = "timestamp"


class TimePart(StrEnum):
    """What is taken of a moment: a category, but for AGE, the days between the moment and the row's own time."""

    HOUR = "hour"
    WEEKDAY = "weekday"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    AGE = "age"


class FieldRole(StrEnum):
    """What a field is for. USER and ITEM are features too; CLICK is the label of a one-label task."""

    FEATURE = "feature"
    CLICK = "click"
    CONVERSION = "conversion"
    USER = "user"
    ITEM = "item"
    WEIGHT = "weight"
    IGNORE = "ignore"

    @property
    def is_feature(self) -> bool:
        """Whether a model may look at the field."""
        return self in (FieldRole.FEATURE, FieldRole.USER, FieldRole.ITEM)

    @property
    def is_label(self) -> bool:
        """Whether the field is something to predict."""
        return self in (FieldRole.CLICK, FieldRole.CONVERSION)


@dataclass(frozen=True, slots=True)
class Field:
    """One column of the query as the user sees it on the Prepare page.

    `bins` > 0 turns a numerical field into that many quantile bins (a categorical field for the models).
    `delimiter` parts the values of a multi-valued field kept as text; `parts` are what a timestamp gives to models.
    `reason` says why kind and role were suggested; it is empty once the user has chosen.
    """

    column: ColumnRef
    name: str
    kind: FieldKind
    role: FieldRole
    bins: int = 0
    reason: str = ""
    delimiter: str = ""
    parts: tuple[TimePart, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """All fields of a query, in the order of its columns. Names are unique."""

    fields: tuple[Field, ...]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def field(self, name: str) -> Field:
        """Return the field of that name; KeyError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def with_role(self, role: FieldRole) -> tuple[Field, ...]:
        """Return the fields that have `role`."""
        return tuple(field for field in self.fields if field.role is role)

    @property
    def features(self) -> tuple[Field, ...]:
        """Return the fields a model may look at."""
        return tuple(field for field in self.fields if field.role.is_feature)

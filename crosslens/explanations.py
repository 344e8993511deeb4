"""Explanations as values: numbers with field names, how they were made, and what a high value means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from .data import Float64Array


class ExplanationKind(StrEnum):
    """What a model can say about itself."""

    CONTRIBUTIONS = "contributions"
    FIELD_IMPORTANCE = "field-importance"
    INTERACTION_TERMS = "interaction-terms"
    PAIR_INTERACTIONS = "pair-interactions"


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Signed shares of each field in the logit of each row; complete: `baseline + values.sum(1) == logits`.

    values (N, F), baseline (N,), logits (N,); unit: logits. `method` names how they were computed.
    """

    fields: tuple[str, ...]
    values: Float64Array
    baseline: Float64Array
    logits: Float64Array
    method: str
    task: str = "click"

    kind = ExplanationKind.CONTRIBUTIONS


@dataclass(frozen=True, slots=True, eq=False)
class FieldImportance:
    """One number per field, (F,), as the model's paper publishes it. `meaning` says what a high value means."""

    fields: tuple[str, ...]
    values: Float64Array
    method: str
    meaning: str
    rows: int
    task: str = "click"

    kind = ExplanationKind.FIELD_IMPORTANCE


@dataclass(frozen=True, slots=True)
class InteractionTerm:
    """Fields the model combines. `frequency`: mean occurrences per row; `weight`: mean size where it occurs."""

    fields: tuple[str, ...]
    frequency: float
    weight: float

    @property
    def order(self) -> int:
        """Return how many fields take part."""
        return len(self.fields)


@dataclass(frozen=True, slots=True)
class InteractionTerms:
    """The terms a model uses, most frequent first, as the model's paper publishes them."""

    terms: tuple[InteractionTerm, ...]
    method: str
    meaning: str
    rows: int
    task: str = "click"

    kind = ExplanationKind.INTERACTION_TERMS


@dataclass(frozen=True, slots=True, eq=False)
class PairInteractions:
    """A symmetric matrix (F, F) of the strength of every pair, diagonal 0."""

    fields: tuple[str, ...]
    values: Float64Array
    method: str
    meaning: str
    rows: int
    task: str = "click"

    kind = ExplanationKind.PAIR_INTERACTIONS


Explanation: TypeAlias = Contributions | FieldImportance | InteractionTerms | PairInteractions

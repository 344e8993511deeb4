"""A recipe: the complete, human-readable description of a job, as TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from crosslens.relational import ConnectionSpec, QuerySpec
from crosslens.schema import FieldSchema

FORMAT = 1


class SplitMethod(StrEnum):
    """How rows are parted: the latest rows are the test, or whole users, or at random."""

    TIME = "time"
    USER = "user"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class SplitSpec:
    """Shares of validation and test rows; the rest trains."""

    method: SplitMethod = SplitMethod.RANDOM
    validation: float = 0.1
    test: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model by id, with the parameters that differ from its defaults."""

    id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Source, query, fields, split, models. `minimum_count`: rarer values are trained as <unknown>."""

    source: ConnectionSpec
    query: QuerySpec
    fields: FieldSchema
    split: SplitSpec = field(default_factory=SplitSpec)
    models: tuple[ModelChoice, ...] = ()
    title: str = ""
    seed: int = 0
    minimum_count: int = 2

    def only(self, model: ModelChoice) -> Recipe:
        """Return the same recipe for one model: what a single run keeps."""
        return replace(self, models=(model,))
